// What an order may use of its account's means and of the venue's room, checked before anything
// changes, and what it keeps reserved while it is open.
#pragma once

#include "core/exchange_state.h"
#include "core/slot.h"
#include "core/types.h"

namespace openvenue::core {

// What a check may count on besides what is free: the reservation of the order being replaced.
struct Released {
  WideInteger cash_micros = 0;
  QtyLots lots = 0;
};

// kPositionIntentMismatch where the order does something else than its intent says. It closes what
// is held, less what the account's open orders on its side may take of that. It opens where it takes
// nothing away from a position of the other sign. Rules before version 2 know no intents.
[[nodiscard]] Reason check_position_intent(const ExchangeState& state, const Order& order,
                                           const OrderOwner& owner);

// The first thing that the order lacks, or kNone. Precondition: the order is valid.
[[nodiscard]] Reason check_risk(const ExchangeState& state, const Order& order,
                                const OrderOwner& owner, const Released& released);

// The limit that one more open order would exceed, or kNone. An order that cannot rest is over with
// its command, and a replacement takes its order's place: neither adds an open order.
[[nodiscard]] Reason check_open_orders(const ExchangeState& state, const Order& order,
                                       const OrderOwner& owner);

// What the order would trade if it were matched now.
[[nodiscard]] SweepResult sweep(const ExchangeState& state, const Order& order, Slot instrument);

// Reserves what `lots` more of an open order need; negative `lots` release it.
void reserve(ExchangeState& state, Slot order, QtyLots lots);

// The worst price at which the order may trade.
[[nodiscard]] PriceTicks effective_limit(const Order& order);

}  // namespace openvenue::core

// Checks an order against its account's means and the venue's room, before anything changes; and
// makes its reservation while it is open.
#pragma once

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// Means that a check may count besides the free ones: the replaced order's reservation.
struct Released {
  WideInteger cash_micros = 0;
  QtyLots lots = 0;
};

// The most that orders of the account take which enter before the one that is checked.
struct Ahead {
  WideInteger cash_micros = 0;
  std::uint32_t open_orders = 0;
  std::uint32_t positions = 0;
  // In the instrument of the order that is checked.
  QtyLots bought_lots = 0;
  QtyLots sold_lots = 0;
};

// kPositionIntentMismatch if the order does something else than its intent says. A closing order
// needs lots that the account holds, less those that its open orders on that side may take. An
// opening order must not reduce a position of the other sign. Rules before version 2 ignore
// intents.
[[nodiscard]] Reason check_position_intent(const ExchangeState& state, const OrderCore& order,
                                           const OrderOwner& owner, const Ahead& ahead = {});

// The first reason to refuse the order, or kNone. Precondition: the order is valid.
[[nodiscard]] Reason check_risk(const ExchangeState& state, const OrderCore& order,
                                const OrderOwner& owner, const Released& released,
                                const Ahead& ahead = {});

// The limit that one more open order would exceed, or kNone. An order that cannot stay open ends
// with its command, and a replacement takes its order's place: neither adds an open order.
[[nodiscard]] Reason check_open_orders(const ExchangeState& state, const OrderCore& order,
                                       const OrderOwner& owner, const Ahead& ahead = {});

// The cash that the order needs when it enters. An order with a limit reserves its worst case. A
// market order never rests, so its cost is known: exactly what it would sweep now.
[[nodiscard]] WideInteger cash_needed_micros(const ExchangeState& state, const OrderCore& order,
                                             const OrderOwner& owner);

// The trades of the order if it were matched now. Orders that self-trade prevention cancels on the
// way count as fills without a quantity.
[[nodiscard]] SweepResult sweep(const ExchangeState& state, const OrderCore& order,
                                const OrderOwner& owner);

// kPostOnlyWouldTrade if the order is post-only and meets another at once, of whatever account; or
// kNone.
[[nodiscard]] Reason check_post_only(const ExchangeState& state, const OrderCore& order,
                                     Slot instrument);

// Reserves the needs of `lots` more of an open order; negative `lots` release them.
void reserve(ExchangeState& state, Slot order, QtyLots lots);

// The worst price at which the order may trade.
[[nodiscard]] PriceTicks effective_limit(const OrderCore& order);

}  // namespace openvenue::core

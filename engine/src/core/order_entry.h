// What orders do: enter, match, rest, end. Risk is checked completely before anything changes.
#pragma once

#include "core/command.h"
#include "core/event.h"
#include "core/exchange_state.h"
#include "core/slot.h"
#include "core/types.h"

namespace openvenue::core {

// Works on behalf of one command, that of `state.last_sequence`. Appends to `events`.
class OrderEntry {
 public:
  OrderEntry(ExchangeState& state, EventBuffer& events) : state_(state), events_(events) {}

  void enter(const NewOrder& command);
  void cancel(const CancelOrder& command);
  void replace(const ReplaceOrder& command);
  void end_trading_day();

 private:
  // What a check may count on besides what is free: the reservation of the order being replaced.
  struct Released {
    WideInteger cash_micros = 0;
    QtyLots lots = 0;
  };

  void reject(Reason reason, OrderId order_id = 0) {
    events_.emplace_back(Rejected{reason, order_id});
  }
  [[nodiscard]] Reason check_terms(const Order& order, const Instrument& instrument) const;
  [[nodiscard]] Reason check_position_intent(const Order& order, const OrderOwner& owner) const;
  [[nodiscard]] Reason check_risk(const Order& order, const OrderOwner& owner,
                                  const Released& released) const;
  [[nodiscard]] Reason check_room(const OrderOwner& owner) const;
  [[nodiscard]] Reason check_open_orders(const Order& order, const OrderOwner& owner) const;
  [[nodiscard]] WideInteger cash_needed_micros(const Order& order, Slot instrument) const;
  [[nodiscard]] bool fills_at_once(const Order& order, Slot instrument) const;
  [[nodiscard]] SweepResult sweep(const Order& order, Slot instrument) const;
  [[nodiscard]] Order replacement(const Order& old, const ReplaceOrder& command) const;

  Slot open(const Order& order, OrderOwner owner, const ReplaceTerms& terms);
  void substitute(Slot old_slot, Slot new_slot, bool keeps_priority);
  void match(Slot slot);
  void fill(Slot taker, const BookFront& front);
  void record_fill(Slot slot, QtyLots qty_lots, CashMicros value_micros);
  void settle_rest(Slot slot);
  void end(Slot slot, OrderStatus status);
  void cancel_rest(Slot slot, Reason reason);
  void reserve(Slot slot, QtyLots lots);
  void touch(Slot slot);
  [[nodiscard]] TradeSide trade_side(Slot slot) const;
  [[nodiscard]] FastBook& book_of(Slot slot) {
    return state_.instruments[state_.orders.owner(slot).instrument].book;
  }

  ExchangeState& state_;
  EventBuffer& events_;
};

}  // namespace openvenue::core

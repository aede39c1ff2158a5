// Fills, rests and ends an accepted order.
#pragma once

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/schema/event.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// Works for one command, that of `state.last_sequence`. Appends to `events`.
class Matching {
 public:
  Matching(ExchangeState& state, EventBuffer& events) : state_(state), events_(events) {}

  // Fills an open order that is in no book against the other side, best price first, then oldest
  // order first. Meets at most Limits::max_fills_per_command orders; those of its own account trade
  // with it or not as it says. Queues or cancels the rest.
  void match(Slot slot);
  // Cancels the rest. Precondition: the order is open and in no book.
  void cancel(Slot slot, Reason reason);
  // Ends an open order that is in no book and has nothing reserved.
  void end(Slot slot, OrderStatus status);
  // Records that the command changed the order.
  void touch(Slot slot);
  // Lets the trailing stop orders follow a trade at this price. Those that it reaches are due: they
  // wait at their last stop price, behind the stop orders there.
  void follow(Slot instrument, PriceTicks price_ticks);

 private:
  void take(Slot slot);
  [[nodiscard]] bool prevents_trade(Slot taker, Slot maker) const;
  void prevent_trade(Slot taker, Slot maker);
  void fill(Slot taker, const BookFront& front);
  void record_fill(Slot slot, QtyLots qty_lots, CashMicros value_micros);
  void settle_rest(Slot slot);
  [[nodiscard]] TradeSide trade_side(Slot slot) const;

  ExchangeState& state_;
  EventBuffer& events_;
  PriceTicks first_price_ticks_ = 0;  // of the order being matched
};

}  // namespace openvenue::core

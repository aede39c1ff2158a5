// The commands on orders: enter, cancel, replace, trigger, and the end of the day.
#pragma once

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/rules/matching.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// The order as the command asks for it, before it has a number.
[[nodiscard]] Order order_of(const NewOrder& command);
// Gives a trailing stop order its first mark and prices, if there was a trade.
void begin_trailing(Order& order, const Instrument& instrument);

// Works for one command, that of `state.last_sequence`. Checks everything, in the order of the
// reasons in types.h, before it changes anything. Appends to `events`.
class Orders {
 public:
  Orders(ExchangeState& state, EventBuffer& events)
      : state_(state), events_(events), matching_(state, events) {}

  void enter(const NewOrder& command);
  void cancel(const CancelOrder& command);
  void cancel_many(const CancelOrders& command);
  void replace(const ReplaceOrder& command);
  void end_trading_day();
  void trigger();

 private:
  void reject(Reason reason, OrderId order_id = 0) {
    events_.emplace_back(Rejected{reason, order_id});
  }
  template <class Same>
  bool answer_used_id(const UsedClientId& sent, const Same& same, bool history_checked,
                      OrderId order_id = 0);
  Slot open(const Order& order, OrderOwner owner, const ReplaceTerms& terms,
            const UsedClientId& sent);
  [[nodiscard]] Slot first_to_cancel(Slot account, OrderId from) const;
  void take_out(Slot slot, Reason reason);
  void leave_queue(Slot slot);
  void wait(Slot slot);
  void stop_waiting(Slot slot);
  void record_trail(Slot slot);
  void lower_protection(Slot slot);
  [[nodiscard]] bool waits(Slot slot) const;
  void keep_place(Slot old_slot, Slot new_slot);
  void substitute(Slot old_slot, Slot new_slot, bool keeps_priority);

  ExchangeState& state_;
  EventBuffer& events_;
  Matching matching_;
};

}  // namespace openvenue::core

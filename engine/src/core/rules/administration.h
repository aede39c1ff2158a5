// Commands that change instruments, accounts, their means, and the limits.
#pragma once

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// Works for one command, that of `state.last_sequence`. Appends one event.
class Administration {
 public:
  Administration(ExchangeState& state, EventBuffer& events) : state_(state), events_(events) {}

  void define_instrument(const DefineInstrument& command);
  void open_account(const OpenAccount& command);
  void suspend_trading(const SuspendTrading& command);
  void adjust_balance(const AdjustBalance& command);
  void adjust_position(const AdjustPosition& command);
  void configure(const Configure& command);

 private:
  void put_client_id_bounds_in_force();
  void reject(Reason reason) { events_.emplace_back(Rejected{reason, 0}); }
  void answer(Reason reason) {
    if (reason != Reason::kNone) return reject(reason);
    events_.emplace_back(Applied{});
  }
  [[nodiscard]] Reason check_position(const Account& account, const Position& position,
                                      QtyLots instrument_lots, const AdjustPosition& change) const;

  ExchangeState& state_;
  EventBuffer& events_;
};

}  // namespace openvenue::core

// Checks after every command that it neither created nor lost cash or lots.
//
// It remembers the amounts of each record after the last command that touched it, and their totals.
// After a command it reads the records that the command and its events name, updates the totals by
// the changes, and compares them with the amounts brought in from outside. So the check costs as
// much as the command, whatever the size of the state. It misses a change of a record that nothing
// names; find_drift() compares all records.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/types.h"
#include "core/base/wide_integer.h"
#include "core/base/zeroed_array.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

class Conservation {
 public:
  // For an empty state of that capacity. Allocates all its memory.
  explicit Conservation(const Limits& capacity);

  // Accepts a restored state as correct. Precondition: nothing was checked before.
  void begin(const ExchangeState& state);

  // What is wrong after the command, in words, or null.
  [[nodiscard]] const char* find_violation(const ExchangeState& state, const Command& command,
                                           const EventBuffer& events);

  // The same for records that no command since has named. Reads everything, changes nothing.
  [[nodiscard]] const char* find_drift(const ExchangeState& state) const;

 private:
  // Totals of one instrument, over all positions and open orders.
  struct Totals {
    WideInteger held_lots;      // by positions
    WideInteger brought_lots;   // by adjustments
    WideInteger reserved_lots;  // in positions
    WideInteger buy_lots;       // left to be filled of open orders
    WideInteger sell_lots;
    bool touched;  // by this command, or it is not in touched_
  };
  struct Held {
    QtyLots qty_lots;
    QtyLots reserved_lots;
  };

  // Records the amounts from outside, by the command and not by the state.
  void count_adjustment(const ExchangeState& state, const CommandBody& body, const Event& event);
  void absorb_named(const ExchangeState& state, const CommandBody& body);
  void absorb_named(const ExchangeState& state, const Event& event);
  void absorb_account(const ExchangeState& state, Slot slot);
  void absorb_position(const ExchangeState& state, Slot slot);
  void absorb_order(const ExchangeState& state, Slot slot);
  Totals& touch(Slot instrument);
  [[nodiscard]] const char* check(const ExchangeState& state, Slot instrument) const;

  ZeroedArray<CashMicros> cash_micros_;  // by account
  ZeroedArray<Held> held_;               // by position
  ZeroedArray<QtyLots> leaves_lots_;     // by order
  ZeroedArray<Totals> totals_;           // by instrument
  std::vector<Slot> touched_;            // instruments
  WideInteger cash_total_micros_ = 0;
  WideInteger cash_brought_micros_ = 0;
};

}  // namespace openvenue::core

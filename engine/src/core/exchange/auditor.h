// Checks the invariants of a whole state. Reads everything, changes nothing.
#pragma once

#include <cstdint>

#include "core/base/types.h"
#include "core/base/wide_integer.h"
#include "core/base/zeroed_array.h"
#include "core/book/book.h"
#include "core/schema/command.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

class Auditor {
 public:
  // Allocates all the memory for auditing a state of that capacity.
  explicit Auditor(const Limits& capacity);

  // The first violated invariant in words, or null.
  [[nodiscard]] const char* find_violation(const ExchangeState& state);

 private:
  const char* check_accounts(const ExchangeState& state);
  const char* check_open_orders(const ExchangeState& state, Slot account);
  const char* check_positions(const ExchangeState& state);
  const char* check_position(const ExchangeState& state, const Account& account, Slot slot);
  const char* check_books(const ExchangeState& state);
  const char* check_client_ids(const ExchangeState& state);
  const char* check_side(const ExchangeState& state, Slot instrument, Side side);
  const char* check_level(const ExchangeState& state, Slot instrument, Side side,
                          const BookLevel& level);
  const char* check_waiting(const ExchangeState& state, Slot instrument, Side side);
  const char* check_trailing(const ExchangeState& state, Slot instrument, Side side);

  ZeroedArray<QtyLots> reserved_lots_;        // by position, recomputed
  ZeroedArray<QtyLots> wanted_lots_;          // by position, recomputed
  ZeroedArray<WideInteger> instrument_lots_;  // by instrument, recomputed
  std::uint32_t open_orders_ = 0;
  std::uint32_t orders_in_books_ = 0;
};

}  // namespace openvenue::core

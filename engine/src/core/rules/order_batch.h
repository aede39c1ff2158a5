// Decides whether new orders of one account can be entered as a whole: all of them, or none.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/base/types.h"
#include "core/schema/command.h"

namespace openvenue::core {

struct ExchangeState;

// The first order that stands against its batch, and why.
struct BatchRefusal {
  std::uint32_t item = 0;
  Reason reason = Reason::kNone;
  friend bool operator==(const BatchRefusal&, const BatchRefusal&) = default;
};

// Returns nothing if the state machine would accept all orders, one right after the other and each
// with `history_checked`. Together they then cause no more fills than one command may. The state
// stays as it is.
//
// A batch may not spend what it earns. So it can be refused although the orders would all have been
// accepted one by one. A market order must be alone
// in its instrument (kInvalidOrder), because its cost is known only as long as no other order
// changes the book. Orders that were all entered before are a repetition, which is not refused.
//
// Precondition: at least one order, and all are of the same account.
[[nodiscard]] std::optional<BatchRefusal> find_refusal(const ExchangeState& state,
                                                       std::span<const NewOrder> orders);

}  // namespace openvenue::core

// Whether new orders of one account can be entered as a whole: all of them, or none.
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

// Nothing if none of the orders would be rejected when they enter one right after the other, each
// with `history_checked`; together they then cause no more fills than one command may. Changes
// nothing.
//
// It counts on nothing that an order before gains: a batch may not spend what it earns. So it can
// refuse a batch whose orders would all have been accepted one by one. A market order must be alone
// in its instrument (kInvalidOrder), because its cost is known only as long as no other order
// changes the book. Orders that were all entered before are a repetition, which is not refused.
//
// Precondition: at least one order, and all are of the same account.
[[nodiscard]] std::optional<BatchRefusal> find_refusal(const ExchangeState& state,
                                                       std::span<const NewOrder> orders);

}  // namespace openvenue::core

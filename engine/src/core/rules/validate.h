// Checks an order's fields alone, whoever sends it and whatever they own. Changes nothing.
#pragma once

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/schema/records.h"

namespace openvenue::core {

[[nodiscard]] constexpr bool may_rest(OrderType type, TimeInForce time_in_force) {
  return type == OrderType::kLimit &&
         (time_in_force == TimeInForce::kDay || time_in_force == TimeInForce::kGtc);
}

// True if every field is one of its enumeration, and a post-only order may rest.
[[nodiscard]] bool has_meaning(const NewOrder& command);

// The first of the instrument's terms that the order breaks, or kNone. `order` is new, or what a
// replacement would make of an open order.
[[nodiscard]] Reason validate(const OrderCore& order, const DefineInstrument& terms);

}  // namespace openvenue::core

// Checks an order's fields alone, whoever sends it and whatever they own. Changes nothing.
#pragma once

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/schema/records.h"

namespace openvenue::core {

[[nodiscard]] constexpr bool is_stop(OrderType type) {
  return type == OrderType::kStop || type == OrderType::kStopLimit ||
         type == OrderType::kTrailingStop;
}

// True if the order may stay open after its command: in a book, or waiting for its stop price.
[[nodiscard]] constexpr bool may_stay_open(OrderType type, TimeInForce time_in_force) {
  return type != OrderType::kMarket &&
         (time_in_force == TimeInForce::kDay || time_in_force == TimeInForce::kGtc);
}

// True if it is one distance, less than the price itself, and protects an order that buys.
[[nodiscard]] constexpr bool is_trail(const Trail& trail, Side side) {
  const bool is_distance =
      trail.ticks == 0 ? trail.ppm > 0 && trail.ppm < 1'000'000 : trail.ppm == 0;
  return is_distance && trail.protection_ppm <= (side == Side::kBuy ? 1'000'000 : 0);
}

// True if every field is one of its enumeration, a stop order may wait and has a trail where its
// type does, and a post-only order is a limit order that may rest.
[[nodiscard]] bool has_meaning(const NewOrder& command);

// True if the order has the prices of its type, within the instrument's limits.
[[nodiscard]] bool prices_valid(const Order& order, const DefineInstrument& terms);

// The first of the instrument's terms that the order breaks, or kNone. `order` is new, or what a
// replacement would make of an open order.
[[nodiscard]] Reason validate(const Order& order, const DefineInstrument& terms);

}  // namespace openvenue::core

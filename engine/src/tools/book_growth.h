// Measures the cost of a message as the book fills up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace openvenue::tools {

struct GrowthPoint {
  std::string book;  // "fast" or "naive"
  std::uint32_t resting_orders = 0;
  std::size_t messages = 0;
  double ns_per_message = 0;
};

// Fills each kind of book with 10^3, 10^4, … up to `max_resting_orders` orders, then times a flow
// that keeps as many resting: a cancel, a new order, a taker of one order and a new order in turn.
[[nodiscard]] std::vector<GrowthPoint> measure_growth(std::uint32_t max_resting_orders);

}  // namespace openvenue::tools

// Ends of trading days: once a day at a fixed time, UTC. Pure arithmetic on timestamps.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "core/base/types.h"

namespace openvenue::runtime {

class TradingDay {
 public:
  // Precondition: 0 <= end_of_day < 24 h.
  explicit TradingDay(std::chrono::minutes end_of_day) : end_of_day_(end_of_day) {}

  // "HH:MM", 00:00 to 23:59.
  [[nodiscard]] static std::optional<TradingDay> parse(std::string_view text);

  // The first end of a trading day strictly after `timestamp_ns`. Precondition: timestamp_ns >= 0.
  [[nodiscard]] core::TimestampNs next_end_after(core::TimestampNs timestamp_ns) const;

 private:
  std::chrono::minutes end_of_day_;
};

}  // namespace openvenue::runtime

// Limits log lines for events that clients can cause at will.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace openvenue::rpc {

class LogLimit {
 public:
  // Call once per event. Returns a number if the event gets a line, which the first one does, and
  // then one in ten seconds: the number of events without a line since the last one.
  [[nodiscard]] std::optional<std::uint64_t> pass() {
    constexpr std::chrono::seconds kPeriod{10};
    const auto now = std::chrono::steady_clock::now();
    const std::lock_guard lock(mutex_);
    if (now < next_at_) {
      ++held_back_;
      return std::nullopt;
    }
    next_at_ = now + kPeriod;
    return std::exchange(held_back_, 0);
  }

 private:
  std::mutex mutex_;
  std::chrono::steady_clock::time_point next_at_;
  std::uint64_t held_back_ = 0;
};

}  // namespace openvenue::rpc

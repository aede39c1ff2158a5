// The venue's time: the system's clock, checked against the time since boot, so that one reading
// far ahead does no lasting harm. Such a reading would expire every DAY order, and no later stamp
// could be earlier.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>

#include "core/base/types.h"

namespace openvenue::runtime {

using Clock = std::function<core::TimestampNs()>;

// Nanoseconds since the Unix epoch.
[[nodiscard]] core::TimestampNs wall_clock_ns();
// Nanoseconds since the machine started, sleep included. Nobody can set it.
[[nodiscard]] core::TimestampNs boot_clock_ns();

// The system's clock must be wrong. `what()` says why and what to do.
class ClockError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class VenueClock {
 public:
  // Accepts the system's present time as right. `tolerance` is the largest step ahead that counts
  // as a correction.
  VenueClock(Clock system, Clock since_boot, std::chrono::nanoseconds tolerance);

  // The system's clock. During a step ahead beyond the tolerance: the time before it plus the time
  // since; the log says so once. It follows a step back at once. One thread only.
  [[nodiscard]] core::TimestampNs now();

  // How far the system's clock is ahead of now() because of an ignored step; 0: it is not. For any
  // thread.
  [[nodiscard]] core::TimestampNs step_ns() const { return step_ns_; }

 private:
  const Clock system_;
  const Clock since_boot_;
  const core::TimestampNs tolerance_ns_;
  core::TimestampNs boot_ns_;  // when the machine started, by the accepted time
  std::atomic<core::TimestampNs> step_ns_ = 0;
};

}  // namespace openvenue::runtime

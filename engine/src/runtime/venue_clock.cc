#include "runtime/venue_clock.h"

#include <spdlog/spdlog.h>

#include <ctime>
#include <utility>

namespace openvenue::runtime {
namespace {

constexpr double kNsPerSecond = 1e9;

core::TimestampNs read(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return core::TimestampNs{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

core::TimestampNs wall_clock_ns() { return read(CLOCK_REALTIME); }

core::TimestampNs boot_clock_ns() { return read(CLOCK_BOOTTIME); }

VenueClock::VenueClock(Clock system, Clock since_boot, std::chrono::nanoseconds tolerance)
    : system_(std::move(system)),
      since_boot_(std::move(since_boot)),
      tolerance_ns_(tolerance.count()),
      boot_ns_(system_() - since_boot_()) {}

core::TimestampNs VenueClock::now() {
  const core::TimestampNs system_ns = system_();
  const core::TimestampNs since_boot_ns = since_boot_();
  const core::TimestampNs step_ns = system_ns - since_boot_ns - boot_ns_;
  if (step_ns > tolerance_ns_) {
    if (step_ns_.exchange(step_ns) == 0) {
      spdlog::error(
          "the system's clock stepped {:.1f} s ahead and is not followed: times go on from before "
          "the step. Set the clock right, or, if it is right now, restart the engine",
          static_cast<double>(step_ns) / kNsPerSecond);
    }
    return boot_ns_ + since_boot_ns;
  }
  if (step_ns_ != 0) {
    step_ns_ = 0;
    spdlog::info("the system's clock is followed again");
  }
  if (step_ns > 0) boot_ns_ += step_ns;
  return system_ns;
}

}  // namespace openvenue::runtime

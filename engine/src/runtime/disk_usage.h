// The journal's use of its disk, and the time until the disk is full. Sampled when Prometheus asks.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

#include "core/base/types.h"
#include "journal/writer.h"

namespace openvenue::runtime {

class DiskUsage {
 public:
  using SteadyClock = std::chrono::steady_clock;

  struct Usage {
    std::uint64_t journal_bytes = 0;     // of segments and snapshots
    std::uint64_t free_bytes = 0;        // available to the engine
    core::Sequence oldest_sequence = 0;  // of the kept entries; 0: none are kept
    double snapshot_age_s = 0;           // of the newest snapshot; infinite: there is none
    double seconds_until_full = 0;       // at the rate of the last minutes; infinite: nothing comes
  };

  // `written_bytes` returns the bytes of entries written since the start.
  DiskUsage(const journal::Settings& settings, std::function<double()> written_bytes)
      : settings_(settings), written_bytes_(std::move(written_bytes)) {}

  // Usage at `now`, or up to a second before, because several gauges read the same. For any thread.
  // Values that cannot be read are 0.
  [[nodiscard]] Usage at(SteadyClock::time_point now);

 private:
  struct Written {
    SteadyClock::time_point at;
    double bytes = 0;
  };

  [[nodiscard]] Usage measure() const;
  [[nodiscard]] double rate_per_s(SteadyClock::time_point now);

  const journal::Settings settings_;
  const std::function<double()> written_bytes_;
  std::mutex mutex_;
  SteadyClock::time_point measured_at_;
  Usage usage_;
  std::deque<Written> written_;  // the rate counts from the oldest
};

}  // namespace openvenue::runtime

// Counts latencies in buckets whose width grows with the value, as HdrHistogram does: any quantile
// is exact to within 1 %, recording is a few instructions, and the memory is fixed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace openvenue::tools {

class LatencyHistogram {
 public:
  void record(std::uint64_t latency_ns);
  void add(const LatencyHistogram& other);

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t max_ns() const { return max_ns_; }
  // The smallest latency that at least the share `quantile` (0 to 1) does not exceed; 0 if empty.
  [[nodiscard]] std::uint64_t quantile_ns(double quantile) const;

 private:
  static constexpr unsigned kSubBits = 7;  // 128 buckets to each doubling
  static constexpr std::size_t kBuckets = std::size_t{64 - kSubBits + 1} << kSubBits;

  static std::size_t bucket_of(std::uint64_t value);
  static std::uint64_t highest_in(std::size_t bucket);

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ns_ = 0;
};

}  // namespace openvenue::tools

#include "tools/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace openvenue::tools {

// Values below 2^kSubBits have their own buckets; each doubling above them has 2^kSubBits.
std::size_t LatencyHistogram::bucket_of(std::uint64_t value) {
  const unsigned width = static_cast<unsigned>(std::bit_width(value));
  if (width <= kSubBits) return value;
  const unsigned shift = width - kSubBits - 1;
  return (std::size_t{shift} << kSubBits) + (value >> shift);
}

std::uint64_t LatencyHistogram::highest_in(std::size_t bucket) {
  const std::size_t doubling = bucket >> kSubBits;
  if (doubling <= 1) return bucket;
  const unsigned shift = static_cast<unsigned>(doubling - 1);
  const std::uint64_t leading = bucket - (std::size_t{shift} << kSubBits);
  return ((leading + 1) << shift) - 1;
}

void LatencyHistogram::record(std::uint64_t latency_ns) {
  ++buckets_[bucket_of(latency_ns)];
  ++count_;
  max_ns_ = std::max(max_ns_, latency_ns);
}

void LatencyHistogram::add(const LatencyHistogram& other) {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    buckets_[bucket] += other.buckets_[bucket];
  }
  count_ += other.count_;
  max_ns_ = std::max(max_ns_, other.max_ns_);
}

std::uint64_t LatencyHistogram::quantile_ns(double quantile) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(quantile * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    seen += buckets_[bucket];
    if (seen >= wanted && seen > 0) return std::min(highest_in(bucket), max_ns_);
  }
  return max_ns_;
}

}  // namespace openvenue::tools

#include "tools/latency_histogram.h"

#include <gtest/gtest.h>

namespace openvenue::tools {
namespace {

TEST(LatencyHistogram, GivesQuantilesToWithinOnePercent) {
  LatencyHistogram histogram;
  for (std::uint64_t value = 1; value <= 1'000'000; ++value) histogram.record(value);
  for (const double quantile : {0.001, 0.25, 0.5, 0.99, 0.999, 1.0}) {
    const double exact = quantile * 1'000'000;
    EXPECT_NEAR(static_cast<double>(histogram.quantile_ns(quantile)), exact, exact * 0.01);
  }
}

TEST(LatencyHistogram, KeepsTheLargestValueExactly) {
  LatencyHistogram histogram;
  histogram.record(123'456'789);
  histogram.record(1);
  EXPECT_EQ(histogram.max_ns(), 123'456'789U);
  EXPECT_EQ(histogram.quantile_ns(1), 123'456'789U);
}

TEST(LatencyHistogram, TakesAnyValue) {
  LatencyHistogram histogram;
  histogram.record(0);
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.quantile_ns(0.5), 0U);
  EXPECT_EQ(histogram.max_ns(), UINT64_MAX);
}

TEST(LatencyHistogram, AddsAnother) {
  LatencyHistogram low;
  LatencyHistogram high;
  low.record(10);
  high.record(1000);
  low.add(high);
  EXPECT_EQ(low.count(), 2U);
  EXPECT_EQ(low.max_ns(), 1000U);
}

}  // namespace
}  // namespace openvenue::tools

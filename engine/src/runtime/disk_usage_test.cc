#include "runtime/disk_usage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "journal/segment.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using namespace std::chrono_literals;
using testing::TemporaryDirectory;

class DiskUsageTest : public ::testing::Test {
 protected:
  void write(const std::filesystem::path& path, std::size_t bytes) {
    std::ofstream(path) << std::string(bytes, 'x');
  }

  const TemporaryDirectory directory_;
  double written_ = 0;
  const DiskUsage::SteadyClock::time_point start_ = DiskUsage::SteadyClock::now();
  DiskUsage usage_{testing::test_settings(directory_.path()).journal, [this] { return written_; }};
};

TEST_F(DiskUsageTest, CountsSegmentsAndSnapshotsAndNothingElse) {
  write(journal::segment_path(directory_.path(), 0, 501), 1000);
  write(journal::segment_path(directory_.path(), 0, 901), 2000);
  write(journal::snapshot_path(directory_.path(), 0, 700), 300);
  write(directory_.path() / "lock", 7);
  const auto usage = usage_.at(start_);
  EXPECT_EQ(usage.journal_bytes, 3300U);
  EXPECT_EQ(usage.oldest_sequence, 501U);
  EXPECT_GT(usage.free_bytes, 0U);
  EXPECT_LT(usage.snapshot_age_s, 60);
}

TEST_F(DiskUsageTest, IsWithoutAnEndWhereNothingIsWrittenAndNoSnapshotIsThere) {
  (void)usage_.at(start_);
  const auto usage = usage_.at(start_ + 10s);
  EXPECT_TRUE(std::isinf(usage.seconds_until_full));
  EXPECT_TRUE(std::isinf(usage.snapshot_age_s));
}

TEST_F(DiskUsageTest, ForeseesTheEndFromTheRateOfTheLastMinutes) {
  (void)usage_.at(start_);
  written_ = 1e9;  // a burst, long ago
  for (int minute = 1; minute <= 20; ++minute) {
    written_ += 60 * 1e6;
    (void)usage_.at(start_ + minute * 1min);
  }
  const auto usage = usage_.at(start_ + 20min);
  EXPECT_NEAR(usage.seconds_until_full * 1e6 / static_cast<double>(usage.free_bytes), 1, 0.01);
}

}  // namespace
}  // namespace openvenue::runtime

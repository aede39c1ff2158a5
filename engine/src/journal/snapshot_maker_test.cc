#include "journal/snapshot_maker.h"

#include <gtest/gtest.h>

#include <stop_token>

#include "journal/error.h"
#include "journal/journal_fixture_test.h"
#include "journal/snapshot.h"

namespace openvenue::journal {
namespace {

using testing::append_frames;
using testing::kSmallLimits;
using testing::Market;
using testing::TemporaryDirectory;
using testing::write_bytes;

class SnapshotMakerTest : public ::testing::Test {
 protected:
  // Appends to the journal and returns its last sequence.
  core::Sequence grow() {
    append_frames(*recovered_.exchange, recovered_.writer, market_, 10, 3);
    return recovered_.exchange->last_sequence();
  }

  [[nodiscard]] bool unfinished_file() const {
    return std::filesystem::exists(directory_.path() / "next-snapshot.tmp");
  }

  const TemporaryDirectory directory_;
  const Settings settings_ = directory_.settings(kSegmentBytesMin);
  Market market_{2};
  Recovered recovered_ = recover(settings_, kSmallLimits);
  SnapshotMaker maker_{settings_, kSmallLimits};
};

TEST_F(SnapshotMakerTest, MakesEachSnapshotOfTheOneBeforeWithoutReadingItAgain) {
  for (int round = 1; round <= 5; ++round) {
    const core::Sequence durable = grow();
    ASSERT_EQ(maker_.write(durable).sequence, durable);
    const auto snapshots = list_snapshots(directory_.path(), 0);
    const Snapshot snapshot = read_snapshot(snapshots.back(), 0);
    const auto restored = restore_snapshot(snapshots.back(), snapshot, kSmallLimits);
    EXPECT_EQ(restored->state_hash(), recovered_.exchange->state_hash());
    // Unreadable from here on: code that needs it would have to start again, or fail.
    for (const NamedFile& name : snapshots) write_bytes(name.path, "");
    for (const NamedFile& name : list_segments(directory_.path(), 0)) {
      if (name.sequence != list_segments(directory_.path(), 0).back().sequence) {
        std::filesystem::remove(name.path);
      }
    }
  }
}

TEST_F(SnapshotMakerTest, LeavesNothingOfASnapshotThatWasAbandoned) {
  const core::Sequence first = grow();
  ASSERT_EQ(maker_.write(first).sequence, first);
  const core::Sequence durable = grow();
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(maker_.write(durable, stop.get_token()), Stopped);
  EXPECT_THROW(save_snapshot(settings_, *recovered_.exchange, 0, stop.get_token()), Stopped);
  EXPECT_FALSE(unfinished_file());
  EXPECT_EQ(list_snapshots(directory_.path(), 0).back().sequence, first);
}

TEST_F(SnapshotMakerTest, BeginsAnewAfterAFailure) {
  const core::Sequence first = grow();
  ASSERT_EQ(maker_.write(first).sequence, first);
  const core::Sequence durable = grow();
  // A directory at the new file's name, so that it cannot be renamed.
  const auto in_the_way = snapshot_path(directory_.path(), 0, durable);
  std::filesystem::create_directory(in_the_way);
  EXPECT_THROW(maker_.write(durable), JournalError);
  EXPECT_FALSE(unfinished_file());
  std::filesystem::remove(in_the_way);
  EXPECT_EQ(maker_.write(durable).sequence, durable);
}

}  // namespace
}  // namespace openvenue::journal

// Segments go to the archive whole and only where nobody needs them; what is left still recovers.
#include "journal/archive.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "journal/error.h"
#include "journal/journal_fixture_test.h"
#include "journal/reader_offset.h"
#include "journal/snapshot.h"

namespace openvenue::journal {
namespace {

using testing::Ending;
using testing::Entry;
using ::testing::HasSubstr;
using testing::kSmallLimits;
using testing::read_bytes;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_bytes;
using testing::write_journal;
using testing::write_snapshot;

constexpr core::TimestampNs kNow = 1'000'000'000'000'000;

class Archive : public ::testing::Test {
 protected:
  Archive() {
    settings_.archive = archive_.path();
    written_ = write_journal(settings_, 100, 10, Ending::kClosed);
    all_ = list_segments(directory_.path(), 0);
  }

  // Everything but what is needed.
  std::vector<NamedFile> retire() { return retire_segments(settings_, {.bytes = 1}, kNow); }

  void take_two_snapshots() {
    for (const core::Sequence at : {600U, 800U}) write_snapshot(settings_, kSmallLimits, at);
  }

  [[nodiscard]] std::vector<core::Sequence> here() const {
    std::vector<core::Sequence> sequences;
    for (const NamedFile& segment : list_segments(directory_.path(), 0)) {
      sequences.push_back(segment.sequence);
    }
    return sequences;
  }

  // The segment that holds the entry is the oldest one here.
  [[nodiscard]] bool begins_with_segment_of(core::Sequence entry) const {
    const auto left = here();
    return left.front() <= entry && left.at(1) > entry;
  }

  const TemporaryDirectory directory_;
  const TemporaryDirectory archive_;
  Settings settings_ = directory_.settings(kSegmentBytesMin);
  std::vector<Entry> written_;
  std::vector<NamedFile> all_;
};

TEST_F(Archive, TakesSegmentsBehindTheOlderOfTwoSnapshotsAndNoOthers) {
  EXPECT_TRUE(retire().empty()) << "without a snapshot all is needed";
  write_snapshot(settings_, kSmallLimits, 600);
  EXPECT_TRUE(retire().empty()) << "the older snapshot is the beginning";
  write_snapshot(settings_, kSmallLimits, 800);
  EXPECT_FALSE(retire().empty());
  EXPECT_TRUE(begins_with_segment_of(600));
  EXPECT_TRUE(retire().empty());
}

TEST_F(Archive, TakesNothingThatARegisteredReaderMayAskFor) {
  take_two_snapshots();
  store_reader_offset(directory_.path(), {"projector", 900});
  store_reader_offset(directory_.path(), {"export", 300});
  retire();
  EXPECT_TRUE(begins_with_segment_of(300));
  store_reader_offset(directory_.path(), {"export", 900});
  retire();
  EXPECT_TRUE(begins_with_segment_of(600));
}

TEST_F(Archive, TakesNothingWhileAReadersOffsetCannotBeUnderstood) {
  take_two_snapshots();
  write_bytes(directory_.path() / "reader-projector.offset", "");
  EXPECT_TRUE(retire().empty());
}

TEST_F(Archive, TakesNothingBehindASnapshotThatIsDamaged) {
  take_two_snapshots();
  for (const NamedFile& snapshot : list_snapshots(directory_.path(), 0)) {
    const std::string whole = read_bytes(snapshot.path);
    std::string damaged = whole;
    damaged[damaged.size() / 2] ^= 1;
    write_bytes(snapshot.path, damaged);
    EXPECT_THROW(retire(), JournalError);
    EXPECT_EQ(here().size(), all_.size());
    write_bytes(snapshot.path, whole);
  }
  EXPECT_FALSE(retire().empty());
}

TEST_F(Archive, TakesNoSegmentThatIsDamagedAndNoneBehindIt) {
  take_two_snapshots();
  std::string bytes = read_bytes(all_[1].path);
  bytes[kSegmentHeaderBytes + 100] ^= 1;
  write_bytes(all_[1].path, bytes);
  EXPECT_THROW(retire(), JournalError);
  EXPECT_EQ(here().front(), all_[1].sequence);
}

TEST_F(Archive, KeepsAsManyBytesAsItIsToldTo) {
  take_two_snapshots();
  const std::uint64_t bytes = (all_.size() - 2) * kSegmentBytesMin;
  EXPECT_EQ(retire_segments(settings_, {.bytes = bytes}, kNow).size(), 2U);
  EXPECT_TRUE(retire_segments(settings_, {.bytes = bytes}, kNow).empty());
  EXPECT_TRUE(retire_segments(settings_, {}, kNow).empty()) << "without a bound all stays";
}

TEST_F(Archive, TakesSegmentsWhoseLastEntryIsOldEnough) {
  take_two_snapshots();
  const Retention hour{.age = std::chrono::hours(1)};
  const core::TimestampNs last_of_first = written_[all_[1].sequence - 2].command.timestamp_ns;
  const core::TimestampNs hour_ns = 3'600'000'000'000;
  EXPECT_TRUE(retire_segments(settings_, hour, last_of_first + hour_ns).empty());
  // The first entry of the next one is a thousand nanoseconds later.
  EXPECT_EQ(retire_segments(settings_, hour, last_of_first + hour_ns + 1'001).size(), 1U);
}

TEST_F(Archive, HoldsTheSameBytesAndAReaderGoesThroughBoth) {
  std::vector<std::string> before;
  for (const NamedFile& segment : all_) before.push_back(read_bytes(segment.path));
  take_two_snapshots();
  const auto removed = retire();
  for (std::size_t index = 0; index < removed.size(); ++index) {
    EXPECT_EQ(read_bytes(archive_.path() / removed[index].path.filename()), before[index]);
    EXPECT_FALSE(std::filesystem::exists(removed[index].path));
  }
  Reader reader(directory_.path(), 0, 1, archive_.path());
  Entry entry;
  for (const Entry& expected : written_) {
    ASSERT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEntry);
    ASSERT_EQ(entry, expected);
  }
  EXPECT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEnd);
}

TEST_F(Archive, CopiesWhereTheArchiveIsOfAnotherFileSystem) {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "openvenue-archive-XXXXXX").string();
  settings_.archive = ::mkdtemp(pattern.data());
  struct stat here {};
  struct stat there {};
  ::stat(directory_.path().c_str(), &here);
  ::stat(settings_.archive.c_str(), &there);
  if (here.st_dev == there.st_dev) GTEST_SKIP() << "there is one file system only";
  archive_segment(settings_, all_[0]);
  EXPECT_EQ(read_bytes(settings_.archive / all_[0].path.filename()), read_bytes(all_[0].path));
  EXPECT_FALSE(std::filesystem::exists(settings_.archive / "next-archive.tmp"));
  std::filesystem::remove_all(settings_.archive);
}

TEST_F(Archive, GoesOnWhereACrashCameBetweenArchivingAndRemoving) {
  take_two_snapshots();
  archive_segment(settings_, all_[0]);
  EXPECT_EQ(retire().front().sequence, all_[0].sequence);
}

TEST_F(Archive, RefusesAnArchiveThatHoldsAnotherSegmentOfTheName) {
  take_two_snapshots();
  write_bytes(archive_.path() / all_[0].path.filename(), read_bytes(all_[1].path));
  try {
    retire();
    FAIL() << "it was taken for the same";
  } catch (const JournalError& error) {
    EXPECT_THAT(error.what(), HasSubstr("belongs to another journal"));
  }
  EXPECT_EQ(here().size(), all_.size());
}

TEST_F(Archive, RecoveryGivesTheSameStateAsBefore) {
  const std::uint64_t before = recover(settings_, kSmallLimits).exchange->state_hash();
  take_two_snapshots();
  ASSERT_FALSE(retire().empty());
  settings_.archive.clear();
  EXPECT_EQ(recover(settings_, kSmallLimits).exchange->state_hash(), before);
}

TEST_F(Archive, RecoveryWithoutAUsableSnapshotNeedsTheArchive) {
  const std::uint64_t before = recover(settings_, kSmallLimits).exchange->state_hash();
  take_two_snapshots();
  retire();
  for (const NamedFile& snapshot : list_snapshots(directory_.path(), 0)) {
    write_bytes(snapshot.path, "nothing");
  }
  EXPECT_EQ(recover(settings_, kSmallLimits).exchange->state_hash(), before);
  settings_.archive.clear();
  EXPECT_THAT(refusal(settings_), HasSubstr("no snapshot"));
  EXPECT_THAT(refusal(settings_), HasSubstr("--archive-dir"));
  EXPECT_THAT(refusal(settings_), HasSubstr("passed over"));
}

TEST_F(Archive, AnEmptyDirectoryBesideAnArchiveIsRefused) {
  take_two_snapshots();
  retire();
  const TemporaryDirectory empty;
  Settings settings = empty.settings();
  settings.archive = archive_.path();
  EXPECT_THAT(refusal(settings), HasSubstr("holds no journal"));
  settings.archive = empty.path();
  EXPECT_THAT(refusal(settings), HasSubstr("at once"));
}

TEST_F(Archive, ByHandHoldsAllButTheLastTwo) {
  std::vector<core::Sequence> told;
  const auto tell = [&](const NamedFile& segment) { told.push_back(segment.sequence); };
  EXPECT_EQ(archive_closed_segments(settings_, tell), all_.size() - 2);
  EXPECT_EQ(told.size(), all_.size() - 2);
  EXPECT_EQ(archive_closed_segments(settings_, tell), 0U);
  EXPECT_EQ(here().size(), all_.size());
}

TEST(ReaderOffset, NamesAreWhatAFileCanBeCalled) {
  for (const char* name : {"projector", "a", "0", "export-2"}) EXPECT_TRUE(is_reader_name(name));
  for (const char* name : {"", "-a", "A", "a/b", "a.b", "..", "a b"}) {
    EXPECT_FALSE(is_reader_name(name)) << name;
  }
  EXPECT_FALSE(is_reader_name(std::string(64, 'a')));
}

TEST(ReaderOffset, TheLastOneStoredIsListed) {
  const TemporaryDirectory directory;
  store_reader_offset(directory.path(), {"projector", 70});
  store_reader_offset(directory.path(), {"projector", 7});
  const auto readers = list_reader_offsets(directory.path());
  ASSERT_EQ(readers.size(), 1U);
  EXPECT_EQ(readers[0].name, "projector");
  EXPECT_EQ(readers[0].sequence, 7U);
}

}  // namespace
}  // namespace openvenue::journal

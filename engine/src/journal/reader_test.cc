// Reading from any entry, behind a writer, and never beyond the durable sequence.
#include "journal/reader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "journal/format.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::journal {
namespace {

using testing::append_frames;
using testing::Ending;
using testing::Entry;
using testing::kSmallLimits;
using testing::Market;
using testing::read_journal;
using testing::TemporaryDirectory;
using testing::write_journal;

constexpr int kFramesFollowed = 2'000;
constexpr std::size_t kEntriesFollowed = 4'000;

TEST(Reader, ReadingMayBeginAtAnyEntry) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 30, 5, Ending::kClosed);
  for (core::Sequence from = 1; from <= written.size() + 1; ++from) {
    const auto back = read_journal(settings, from);
    ASSERT_EQ(back.result, Reader::Result::kEnd);
    ASSERT_TRUE(std::equal(back.entries.begin(), back.entries.end(),
                           written.begin() + static_cast<std::ptrdiff_t>(from - 1), written.end()))
        << from;
  }
}

// The reader does not list a directory of many segments at each: here it cannot list it any more.
TEST(Reader, TheNextSegmentIsFoundByItsName) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 60, 5, Ending::kClosed);
  ASSERT_GT(list_segments(directory.path(), 0).size(), 3U);
  Reader reader(settings.directory, 0, 1);
  Entry entry;
  ASSERT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEntry);
  testing::write_bytes(segment_path(directory.path(), 1, 1), "of another shard");
  for (std::size_t index = 1; index < written.size(); ++index) {
    ASSERT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEntry) << reader.error();
    ASSERT_TRUE(entry == written[index]);
  }
}

TEST(Reader, FromZeroIsFromTheFirst) {
  const TemporaryDirectory directory;
  const auto written = write_journal(directory.settings(), 2, 2, Ending::kClosed);
  EXPECT_TRUE(read_journal(directory.settings(), 0).entries == written);
}

TEST(Reader, ADirectoryWithoutAJournalIsAtItsEnd) {
  const TemporaryDirectory directory;
  EXPECT_EQ(read_journal(directory.settings()).result, Reader::Result::kEnd);
}

TEST(Reader, AMissingDirectoryIsAnError) {
  const TemporaryDirectory directory;
  Settings settings = directory.settings();
  settings.directory /= "absent";
  const auto back = read_journal(settings);
  EXPECT_EQ(back.result, Reader::Result::kDamaged);
  EXPECT_THAT(back.error, ::testing::HasSubstr("absent"));
}

TEST(Reader, NothingBeyondTheDurableSequenceIsSeen) {
  const TemporaryDirectory directory;
  const auto written = write_journal(directory.settings(), 2, 4, Ending::kKilled);
  Reader reader(directory.path(), 0, 1);
  Entry entry;
  for (core::Sequence durable = 0; durable <= written.size(); ++durable) {
    ASSERT_EQ(reader.next(entry.command, entry.events, durable),
              durable == 0 ? Reader::Result::kEnd : Reader::Result::kEntry);
    ASSERT_EQ(reader.next(entry.command, entry.events, durable), Reader::Result::kEnd);
  }
  EXPECT_TRUE(entry == written.back());
}

TEST(Reader, ADurableEntryThatIsNotThereIsDamageAndNoEnd) {
  const TemporaryDirectory directory;
  const auto written = write_journal(directory.settings(), 2, 2, Ending::kKilled);
  Reader reader(directory.path(), 0, written.size() + 1);
  Entry entry;
  EXPECT_EQ(reader.next(entry.command, entry.events, written.size() + 1), Reader::Result::kDamaged);
  EXPECT_THAT(reader.error(), ::testing::HasSubstr("are durable"));
}

TEST(Reader, ATailFollowsTheWriterAcrossSegments) {
  const TemporaryDirectory directory;
  Recovered recovered = recover(directory.settings(kSegmentBytesMin), kSmallLimits);
  Market market(5);
  Reader reader(directory.path(), 0, 1);
  for (int round = 0; round < 100; ++round) {
    const auto written = append_frames(*recovered.exchange, recovered.writer, market, 1, 3);
    Entry entry;
    for (const Entry& expected : written) {
      ASSERT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEntry) << reader.error();
      ASSERT_TRUE(entry == expected);
    }
    ASSERT_EQ(reader.next(entry.command, entry.events), Reader::Result::kEnd) << reader.error();
  }
}

// Reads while another thread writes, until `entries` have come; it must never report damage.
template <class UpTo>
void follow(const TemporaryDirectory& directory, std::size_t entries, UpTo up_to) {
  Reader reader(directory.path(), 0, 1);
  Entry entry;
  core::Sequence expected = 1;
  while (expected <= entries) {
    const Reader::Result result = reader.next(entry.command, entry.events, up_to());
    ASSERT_NE(result, Reader::Result::kDamaged) << reader.error();
    if (result != Reader::Result::kEntry) continue;
    ASSERT_EQ(entry.command.sequence, expected);
    ++expected;
  }
}

TEST(Reader, ATailBesideAWritingThreadNeverSeesDamage) {
  const TemporaryDirectory directory;
  std::atomic<core::Sequence> durable = 0;
  Recovered recovered = recover(directory.settings(kSegmentBytesMin), kSmallLimits);
  std::thread writer([&] {
    Market market(9);
    for (int frame = 0; frame < kFramesFollowed; ++frame) {
      append_frames(*recovered.exchange, recovered.writer, market, 1, 2);
      durable = recovered.exchange->last_sequence();
    }
  });
  std::thread bounded([&] { follow(directory, kEntriesFollowed, [&] { return durable.load(); }); });
  follow(directory, kEntriesFollowed, [] { return ~core::Sequence{0}; });
  writer.join();
  bounded.join();
}

}  // namespace
}  // namespace openvenue::journal

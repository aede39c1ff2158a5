// Appending: order, rolling from segment to segment, the clean end, and failures of the disk.
#include "journal/writer.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::journal {
namespace {

using testing::append_frames;
using testing::Ending;
using testing::Entry;
using testing::kSmallLimits;
using testing::Market;
using testing::read_journal;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_journal;

// While it lives, files cannot grow beyond `bytes`: later writes fail as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    previous_action_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &previous_);
    const rlimit limit{bytes, previous_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &previous_);
    std::signal(SIGXFSZ, previous_action_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  rlimit previous_{};
  void (*previous_action_)(int);
};

std::vector<FrameFlags> marks_and_frames(const Settings& settings) {
  std::vector<FrameFlags> flags;
  FrameReader frames(settings.directory, settings.shard_id, 0);
  while (frames.next(0) == FrameReader::Result::kFrame) flags.push_back(*frames.last_flags());
  return flags;
}

TEST(FrameDeathTest, AnEntryThatDoesNotFollowEndsTheProcessSayingSo) {
  Frame frame;
  frame.append({5, 1, core::EndTradingDay{}}, {core::TradingDayEnded{true}});
  EXPECT_DEATH(frame.append({7, 1, core::EndTradingDay{}}, {core::TradingDayEnded{true}}),
               "writer.cc:[0-9]+: an entry does not follow the one before it");
}

TEST(Writer, WhatWasWrittenIsReadInOrder) {
  const TemporaryDirectory directory;
  const auto written = write_journal(directory.settings(), 50, 7, Ending::kClosed);
  const auto back = read_journal(directory.settings());
  EXPECT_EQ(back.result, Reader::Result::kEnd);
  EXPECT_TRUE(back.entries == written);
}

TEST(Writer, AJournalRollsAcrossManySegmentsAndReadsAsOne) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 200, 3, Ending::kClosed);
  EXPECT_GT(list_segments(directory.path(), 0).size(), 10U);
  EXPECT_TRUE(read_journal(settings).entries == written);
}

TEST(Writer, AFrameLargerThanASegmentGetsASegmentOfItsSize) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 3, 400, Ending::kClosed);
  const auto segments = list_segments(directory.path(), 0);
  ASSERT_EQ(segments.size(), 3U);
  EXPECT_GT(std::filesystem::file_size(segments[0].path), settings.segment_bytes);
  EXPECT_TRUE(read_journal(settings).entries == written);
}

// The state after a crash between a roll and the first frame of the new segment.
TEST(Writer, AnEmptySegmentThatIsTooSmallForTheNextFrameIsReplaced) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  std::vector<Entry> written;
  Market market(3);
  {
    Recovered recovered = recover(settings, kSmallLimits);
    while (list_segments(directory.path(), 0).size() < 2) {
      const auto more = append_frames(*recovered.exchange, recovered.writer, market, 1, 2);
      written.insert(written.end(), more.begin(), more.end());
    }
  }
  const NamedFile last = list_segments(directory.path(), 0).back();
  std::string bytes = testing::read_bytes(last.path);
  std::fill(bytes.begin() + kSegmentHeaderBytes, bytes.end(), '\0');
  testing::write_bytes(last.path, bytes);
  written.resize(last.sequence - 1);

  Recovered recovered = recover(settings, kSmallLimits);
  FrameReader follower(directory.path(), 0, last.sequence);
  ASSERT_EQ(follower.next(0), FrameReader::Result::kEnd);
  for (const int entries : {400, 2}) {
    const auto more = append_frames(*recovered.exchange, recovered.writer, market, 1, entries);
    written.insert(written.end(), more.begin(), more.end());
  }
  EXPECT_EQ(follower.next(last.sequence), FrameReader::Result::kFrame) << follower.error();
  EXPECT_TRUE(read_journal(settings).entries == written);
  EXPECT_EQ(list_segments(directory.path(), 0)[1].path, last.path);
}

TEST(Writer, EverySegmentIsZeroFilledToItsFullSize) {
  const TemporaryDirectory directory;
  write_journal(directory.settings(), 1, 1, Ending::kKilled);
  const auto segments = list_segments(directory.path(), 0);
  ASSERT_EQ(segments.size(), 1U);
  EXPECT_EQ(std::filesystem::file_size(segments[0].path), std::uint64_t{1} << 20);
}

TEST(Writer, NothingIsLeftOfThePreparedSegmentAfterTheWriterIsGone) {
  const TemporaryDirectory directory;
  write_journal(directory.settings(kSegmentBytesMin), 1, 1, Ending::kKilled);
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "next-segment.tmp"));
}

TEST(Writer, MarksACleanEndOnce) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 1, 1, Ending::kClosed);
  for (int restart = 0; restart < 3; ++restart) recover(settings, kSmallLimits).writer.mark_end();
  EXPECT_EQ(marks_and_frames(settings), (std::vector{kEntries, kCleanEnd}));
}

TEST(Writer, ClosingAnUnusedJournalWritesNothing) {
  const TemporaryDirectory directory;
  recover(directory.settings(), kSmallLimits).writer.mark_end();
  EXPECT_TRUE(list_segments(directory.path(), 0).empty());
}

TEST(Writer, AppendingContinuesBehindACleanEnd) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Market market(3);
  std::vector<Entry> written;
  for (int restart = 0; restart < 40; ++restart) {
    Recovered recovered = recover(settings, kSmallLimits);
    const auto more = append_frames(*recovered.exchange, recovered.writer, market, 1, 2);
    written.insert(written.end(), more.begin(), more.end());
    recovered.writer.mark_end();
  }
  EXPECT_GT(list_segments(directory.path(), 0).size(), 1U);
  EXPECT_TRUE(read_journal(settings).entries == written);
}

TEST(Writer, AppendingContinuesBehindTheMarksOfAWriterThatHadNothingToDo) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Market market(4);
  std::vector<Entry> written;
  {
    Recovered recovered = recover(settings, kSmallLimits);
    for (int pause = 0; pause < 40; ++pause) {
      const auto more = append_frames(*recovered.exchange, recovered.writer, market, 1, 2);
      written.insert(written.end(), more.begin(), more.end());
      recovered.writer.mark_end();
      recovered.writer.mark_end();
    }
  }
  EXPECT_GT(list_segments(directory.path(), 0).size(), 1U);
  EXPECT_TRUE(read_journal(settings).entries == written);
  EXPECT_EQ(refusal(settings), "");
}

TEST(Writer, AFrameSaysWhatWasDurableWhenItWasWritten) {
  const TemporaryDirectory directory;
  Recovered recovered = recover(directory.settings(), kSmallLimits);
  Market market(1);
  std::vector<Frame> group(3);
  for (Frame& frame : group) {
    const Entry entry = market.next(*recovered.exchange);
    frame.append(entry.command, entry.events);
  }
  recovered.writer.write(group[0]);
  recovered.writer.sync();
  recovered.writer.write(group[1]);
  recovered.writer.write(group[2]);
  recovered.writer.sync();

  FrameReader frames(directory.path(), 0, 1);
  std::vector<core::Sequence> durable;
  while (frames.next(0) == FrameReader::Result::kFrame) {
    durable.push_back(frames.header().durable_sequence);
  }
  EXPECT_EQ(durable, (std::vector<core::Sequence>{0, 1, 1}));
}

TEST(Writer, ASecondWriterIsKeptOutWhileTheFirstLives) {
  const TemporaryDirectory directory;
  {
    const Recovered first = recover(directory.settings(), kSmallLimits);
    EXPECT_THAT(refusal(directory.settings()),
                ::testing::HasSubstr("in use by process " + std::to_string(::getpid())));
  }
  EXPECT_EQ(refusal(directory.settings()), "");
}

TEST(Writer, AFailedWriteThrowsWithFileAndOffsetAndIsNeverRetried) {
  const TemporaryDirectory directory;
  Recovered recovered = recover(directory.settings(), kSmallLimits);
  Market market(1);
  const auto written = append_frames(*recovered.exchange, recovered.writer, market, 2, 2);
  Frame frame;
  const Entry lost = market.next(*recovered.exchange);
  frame.append(lost.command, lost.events);
  {
    const FileSizeLimit limit(kSegmentHeaderBytes);
    try {
      recovered.writer.write(frame);
      FAIL() << "the write did not fail";
    } catch (const JournalError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr(".ovj at offset"));
      EXPECT_THAT(error.what(), ::testing::HasSubstr("free space"));
    }
  }
  EXPECT_THROW(recovered.writer.write(frame), JournalError);
  EXPECT_THROW(recovered.writer.sync(), JournalError);
  EXPECT_THROW(recovered.writer.mark_end(), JournalError);
  EXPECT_TRUE(read_journal(directory.settings()).entries == written);
}

TEST(Writer, ASegmentThatCannotBeMadeThrowsWhenItIsNeeded) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Recovered recovered = recover(settings, kSmallLimits);
  Market market(1);
  std::vector<Entry> written = append_frames(*recovered.exchange, recovered.writer, market, 1, 2);
  const FileSizeLimit limit(kSegmentBytesMin / 2);
  EXPECT_THROW(append_frames(*recovered.exchange, recovered.writer, market, 100, 2), JournalError);
  EXPECT_TRUE(testing::is_prefix(written, read_journal(settings).entries));
}

TEST(Writer, ASegmentThatCouldNotBePreparedIsPreparedAgainBeforeItIsNeeded) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(std::uint64_t{16} << 20);
  write_journal(settings, 1, 10, Ending::kKilled);
  const std::filesystem::path prepared = directory.path() / "next-segment.tmp";
  std::filesystem::create_directory(prepared);  // in its way
  Recovered recovered = recover(settings, kSmallLimits);
  Market market(1);
  const auto append_until = [&](const auto& reached) {
    while (!reached() && recovered.writer.segments_created() == 0) {
      append_frames(*recovered.exchange, recovered.writer, market, 1, 10);
    }
  };
  append_until([&] { return recovered.writer.preparation().failures > 1; });
  EXPECT_THAT(recovered.writer.preparation().last_error, ::testing::HasSubstr(prepared.string()));

  std::filesystem::remove(prepared);
  append_until([&] { return std::filesystem::is_regular_file(prepared); });
  EXPECT_EQ(recovered.writer.segments_created(), 0U);
  EXPECT_EQ(recovered.writer.preparation().waited.count(), 0);
  append_until([] { return false; });
  EXPECT_GT(recovered.writer.preparation().waited.count(), 0);
}

TEST(Writer, SegmentsOfAnImpossibleSizeAreRefused) {
  const TemporaryDirectory directory;
  EXPECT_NE(refusal(directory.settings(kSegmentBytesMin - 1)), "");
  EXPECT_NE(refusal(directory.settings(kSegmentBytesMax + 1)), "");
}

TEST(Writer, ACommandThatCouldOutgrowAFrameIsRefusedAtTheStart) {
  const TemporaryDirectory directory;
  core::Limits limits = kSmallLimits;
  limits.max_fills_per_command = 1U << 20;
  EXPECT_THAT(refusal(directory.settings(), limits), ::testing::HasSubstr("fills per command"));
}

}  // namespace
}  // namespace openvenue::journal

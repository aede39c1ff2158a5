#include "tools/journal_restore.h"

#include <gtest/gtest.h>

#include "journal/archive.h"
#include "journal/error.h"
#include "journal/journal_fixture_test.h"
#include "tools/journal_audit.h"

namespace openvenue::tools {
namespace {

using journal::JournalError;
using journal::testing::Ending;
using journal::testing::Entry;
using journal::testing::kSmallLimits;
using journal::testing::read_journal;
using journal::testing::TemporaryDirectory;
using journal::testing::write_journal;
using journal::testing::write_snapshot;
using ::testing::HasSubstr;

const OnProgress kSilent = [](std::uint64_t) {};
const auto kUntold = [](const std::filesystem::path&) {};

// A journal of 1,000 entries, a part of which lies in the archive.
class Restore : public ::testing::Test {
 protected:
  Restore() {
    settings_.archive = archive_.path();
    written_ = write_journal(settings_, 100, 10, Ending::kClosed);
    write_snapshot(settings_, kSmallLimits, 600);
    write_snapshot(settings_, kSmallLimits, 800);
    removed_ = journal::retire_segments(settings_, {.bytes = 1}, 0);
  }

  core::Sequence restore(const RestoreUntil& until) {
    return restore_journal(settings_, restored_, until, kUntold);
  }

  [[nodiscard]] journal::Settings restored_settings() const {
    journal::Settings settings = target_.settings(journal::kSegmentBytesMin);
    settings.directory = restored_;
    return settings;
  }

  std::string refusal(const RestoreUntil& until) {
    try {
      restore(until);
    } catch (const JournalError& error) {
      return error.what();
    }
    return {};
  }

  // The restored journal is whole, and can be continued.
  void expect_first(core::Sequence last) {
    const journal::Settings restored = restored_settings();
    const auto back = read_journal(restored);
    EXPECT_EQ(back.result, journal::Reader::Result::kEnd) << back.error;
    ASSERT_EQ(back.entries.size(), last);
    EXPECT_TRUE(journal::testing::is_prefix(back.entries, written_));
    const Verdict verdict = verify(restored, kSilent);
    EXPECT_EQ(verdict.stats.last_sequence, last);
    EXPECT_EQ(verdict.stats.ending, tools::Ending::kClean);
    EXPECT_TRUE(verdict.snapshot_faults.empty());
    journal::Recovered recovered = journal::recover(restored, kSmallLimits);
    EXPECT_EQ(recovered.exchange->state_hash(), verdict.state_hash);
    journal::testing::Market market(9);
    journal::testing::append_frames(*recovered.exchange, recovered.writer, market, 20, 5);
    EXPECT_EQ(verify(restored, kSilent).stats.last_sequence, last + 100);
  }

  const TemporaryDirectory directory_;
  const TemporaryDirectory archive_;
  const TemporaryDirectory target_;
  const std::filesystem::path restored_ = target_.path() / "restored";
  journal::Settings settings_ = directory_.settings(journal::kSegmentBytesMin);
  std::vector<Entry> written_;
  std::vector<journal::NamedFile> removed_;
};

TEST_F(Restore, GivesAllThatArchiveAndDirectoryHold) {
  ASSERT_FALSE(removed_.empty());
  EXPECT_EQ(restore({}), 1000U);
  EXPECT_EQ(journal::list_snapshots(restored_, 0).size(), 2U);
  expect_first(1000);
}

TEST_F(Restore, EndsBehindTheEntryThatWasAskedForWhereverItLies) {
  const core::Sequence second_segment = removed_[1].sequence;
  // Within a frame, at a frame's end, at a segment's end and beginning, and the very first.
  for (const core::Sequence last : {core::Sequence{777}, core::Sequence{780}, second_segment - 1,
                                    second_segment, core::Sequence{1}}) {
    std::filesystem::remove_all(restored_);
    EXPECT_EQ(restore(last), last);
    expect_first(last);
  }
}

TEST_F(Restore, TakesTheSnapshotsOfEntriesUpToTheEnd) {
  restore(core::Sequence{700});
  ASSERT_EQ(journal::list_snapshots(restored_, 0).size(), 1U);
  EXPECT_EQ(journal::list_snapshots(restored_, 0)[0].sequence, 600U);
}

TEST_F(Restore, EndsAtAMoment) {
  EXPECT_EQ(restore(RestoreTime{written_[432].command.timestamp_ns}), 433U);
  std::filesystem::remove_all(restored_);
  EXPECT_EQ(restore(RestoreTime{written_[432].command.timestamp_ns - 1}), 432U);
  expect_first(432);
}

TEST_F(Restore, NeedsNoDirectoryWhereTheArchiveHoldsEnough) {
  const core::Sequence last = removed_.back().sequence;
  settings_.directory = target_.path() / "lost";
  EXPECT_EQ(restore(last), last);
  expect_first(last);
}

TEST_F(Restore, RefusesWhatIsNotThere) {
  EXPECT_THAT(refusal(core::Sequence{1001}), HasSubstr("ends at entry 1000"));
  EXPECT_THAT(refusal(RestoreTime{1}), HasSubstr("Nothing is as old as that"));
  EXPECT_FALSE(std::filesystem::exists(restored_));
  std::filesystem::remove(archive_.path() / removed_[1].path.filename());
  EXPECT_THAT(refusal({}), HasSubstr("a segment is missing"));
}

TEST_F(Restore, RefusesADirectoryThatIsNotEmpty) {
  EXPECT_EQ(refusal(core::Sequence{5}), "");
  EXPECT_THAT(refusal(core::Sequence{5}), HasSubstr("not an empty directory"));
}

TEST_F(Restore, WithoutTheFirstEntriesItNeedsASnapshot) {
  settings_.archive = target_.path();  // nothing is there
  EXPECT_THAT(refusal(journal::list_segments(directory_.path(), 0).front().sequence),
              HasSubstr("no snapshot"));
  EXPECT_EQ(restore(core::Sequence{900}), 900U);
  const Verdict verdict = verify(restored_settings(), kSilent);
  EXPECT_EQ(verdict.replayed_from, 600U);
}

TEST_F(Restore, VerifyTakesAJournalWithoutItsBeginningIfASnapshotHasTheState) {
  const Verdict whole = verify(settings_, kSilent);
  EXPECT_EQ(whole.stats.first_sequence, 1U);
  EXPECT_EQ(whole.replayed_from, 0U);
  settings_.archive.clear();
  const Verdict rest = verify(settings_, kSilent);
  EXPECT_EQ(rest.state_hash, whole.state_hash);
  EXPECT_GT(rest.stats.first_sequence, 1U);
  EXPECT_EQ(rest.replayed_from, 600U);
  EXPECT_EQ(rest.snapshots, (std::vector<core::Sequence>{600, 800}));
  for (const auto& snapshot : journal::list_snapshots(directory_.path(), 0)) {
    std::filesystem::remove(snapshot.path);
  }
  EXPECT_THROW(static_cast<void>(verify(settings_, kSilent)), JournalError);
}

TEST(RestoreUntil, IsASequenceNumberOrATimeInUtc) {
  EXPECT_EQ(std::get<core::Sequence>(*parse_until("42")), 42U);
  EXPECT_EQ(std::get<RestoreTime>(*parse_until("1970-01-02T00:00:01Z")).ns, 86'401'000'000'000);
  EXPECT_EQ(std::get<RestoreTime>(*parse_until("1970-01-01T00:00:00.25Z")).ns, 250'000'000);
  for (const char* text : {"", "0", "-1", "4x", "1970-01-01", "1970-01-01T00:00:00",
                           "1970-01-01T00:00:00+01:00", "1970-01-01T00:00:00Zx"}) {
    EXPECT_FALSE(parse_until(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace openvenue::tools

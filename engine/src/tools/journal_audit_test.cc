#include "tools/journal_audit.h"

#include "journal/format.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::tools {
namespace {

using journal::JournalError;
using journal::recover;
using journal::testing::Ending;
using journal::testing::kSmallLimits;
using journal::testing::read_bytes;
using journal::testing::TemporaryDirectory;
using journal::testing::write_bytes;
using journal::testing::write_journal;

const OnProgress kSilent = [](std::uint64_t) {};

class JournalAudit : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  journal::Settings settings_ = directory_.settings(journal::kSegmentBytesMin);
};

TEST_F(JournalAudit, VerifyGivesTheStateHashThatRecoveryGives) {
  const auto written = write_journal(settings_, 40, 10, Ending::kClosed);
  const Verdict verdict = verify(settings_, kSilent);
  EXPECT_EQ(verdict.stats.last_sequence, written.size());
  EXPECT_EQ(verdict.state_hash, recover(settings_, kSmallLimits).exchange->state_hash());
}

TEST_F(JournalAudit, StatsCountEveryCommandEventAndFrame) {
  const auto written = write_journal(settings_, 40, 10, Ending::kClosed);
  const JournalStats stats = read_stats(settings_, kSilent);
  EXPECT_EQ(stats.frames, 40U);
  EXPECT_EQ(stats.frame_entries_max, 10U);
  EXPECT_EQ(stats.entries, 400U);
  EXPECT_EQ(stats.segments, journal::list_segments(directory_.path(), 0).size());
  EXPECT_EQ(stats.first_ns, written.front().command.timestamp_ns);
  EXPECT_EQ(stats.last_ns, written.back().command.timestamp_ns);
  JournalStats expected;
  for (const auto& entry : written) {
    ++expected.commands[entry.command.body.index()];
    for (const core::Event& event : entry.events) ++expected.events[event.index()];
  }
  EXPECT_EQ(stats.commands, expected.commands);
  EXPECT_EQ(stats.events, expected.events);
}

TEST_F(JournalAudit, TheEndingTellsACleanStopFromAKill) {
  write_journal(settings_, 2, 2, Ending::kKilled);
  EXPECT_EQ(read_stats(settings_, kSilent).ending, tools::Ending::kOpen);
  recover(settings_, kSmallLimits).writer.mark_end();
  EXPECT_EQ(read_stats(settings_, kSilent).ending, tools::Ending::kClean);
}

TEST_F(JournalAudit, ATornWriteIsReportedAndIsNoDamage) {
  write_journal(settings_, 2, 2, Ending::kClosed);
  const auto path = journal::list_segments(directory_.path(), 0).back().path;
  std::string bytes = read_bytes(path);
  bytes[bytes.size() - 100] = 'x';
  write_bytes(path, bytes);
  const JournalStats stats = read_stats(settings_, kSilent);
  EXPECT_EQ(stats.ending, tools::Ending::kTorn);
  EXPECT_EQ(stats.entries, 4U);
}

TEST_F(JournalAudit, DamageIsAnErrorWithFileAndOffset) {
  write_journal(settings_, 10, 5, Ending::kClosed);
  const auto path = journal::list_segments(directory_.path(), 0).front().path;
  std::string bytes = read_bytes(path);
  bytes[journal::kSegmentHeaderBytes + 100] ^= 1;
  write_bytes(path, bytes);
  try {
    static_cast<void>(verify(settings_, kSilent));
    FAIL() << "the damage was not seen";
  } catch (const JournalError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(path.string() + " at offset 4096"));
  }
}

TEST_F(JournalAudit, SnapshotsAreComparedWithTheReplayedState) {
  write_journal(settings_, 20, 10, Ending::kClosed);
  journal::testing::write_snapshot(settings_, kSmallLimits, 70);
  journal::testing::write_snapshot(settings_, kSmallLimits, 140);
  EXPECT_EQ(verify(settings_, kSilent).snapshots, (std::vector<core::Sequence>{70, 140}));

  const auto path = journal::list_snapshots(directory_.path(), 0).front().path;
  std::string bytes = read_bytes(path);
  bytes.back() ^= 1;
  write_bytes(path, bytes);
  const Verdict verdict = verify(settings_, kSilent);
  EXPECT_EQ(verdict.snapshots, (std::vector<core::Sequence>{140}));
  ASSERT_EQ(verdict.snapshot_faults.size(), 1U);
  EXPECT_THAT(verdict.snapshot_faults[0], ::testing::HasSubstr(path.string()));
}

TEST_F(JournalAudit, AnotherReplayedStateThanTheSnapshotsIsAFault) {
  write_journal(settings_, 20, 10, Ending::kClosed);
  journal::testing::write_snapshot(settings_, kSmallLimits, 70);
  const auto at_70 = journal::list_snapshots(directory_.path(), 0).front().path;
  std::filesystem::rename(at_70, journal::snapshot_path(directory_.path(), 0, 71));
  EXPECT_EQ(verify(settings_, kSilent).snapshot_faults.size(), 1U);
}

TEST_F(JournalAudit, AJournalOfTheVersionBeforeIsVerifiedWithItsSnapshots) {
  journal::testing::unpack_journal("engine/testdata/journal-v2/closed", directory_.path());
  const Verdict verdict = verify(settings_, kSilent);
  EXPECT_THAT(verdict.snapshot_faults, ::testing::IsEmpty());
  EXPECT_EQ(verdict.snapshots, (std::vector<core::Sequence>{6085, 12228}));
  EXPECT_EQ(verdict.stats.entries, 12299U);
  EXPECT_EQ(verdict.stats.ending, tools::Ending::kClean);
}

TEST_F(JournalAudit, ADirectoryWithoutAJournalIsAnError) {
  EXPECT_THROW(static_cast<void>(read_stats(settings_, kSilent)), JournalError);
}

}  // namespace
}  // namespace openvenue::tools

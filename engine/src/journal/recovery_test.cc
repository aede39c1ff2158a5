// The state after a restart equals the state before it, on every path of recovery.
#include "journal/recovery.h"

#include <gtest/gtest.h>

#include <map>

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
using testing::read_bytes;
using testing::read_journal;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_bytes;
using testing::write_journal;
using testing::write_snapshot;

std::uint64_t hash_after(const std::vector<Entry>& entries) {
  core::Exchange exchange(kSmallLimits);
  core::EventBuffer events;
  for (const Entry& entry : entries) exchange.apply(entry.command, events);
  return exchange.state_hash();
}

TEST(Recovery, ANewDirectoryIsMadeAndBeginsWithEntryOne) {
  const TemporaryDirectory directory;
  Settings settings = directory.settings();
  settings.directory /= "venue/shard-0";
  const Recovered recovered = recover(settings, kSmallLimits);
  EXPECT_EQ(recovered.writer.next_sequence(), 1U);
  EXPECT_EQ(recovered.exchange->last_sequence(), 0U);
}

TEST(Recovery, ReplayGivesTheStateThatWasLeft) {
  for (const Ending ending : {Ending::kClosed, Ending::kKilled}) {
    const TemporaryDirectory directory;
    const auto written = write_journal(directory.settings(), 40, 10, ending);
    const Recovered recovered = recover(directory.settings(), kSmallLimits);
    EXPECT_EQ(recovered.exchange->state_hash(), hash_after(written));
    EXPECT_EQ(recovered.entries_replayed, written.size());
    EXPECT_EQ(recovered.writer.next_sequence(), written.size() + 1);
    EXPECT_EQ(recovered.torn_bytes_cut, 0U);
  }
}

TEST(Recovery, ATornLastFrameIsCutOnceAndTheJournalGoesOn) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  const auto written = write_journal(settings, 3, 2, Ending::kKilled);
  FrameReader frames(directory.path(), 0, 1);
  std::uint64_t last = 0;
  while (frames.next(0) == FrameReader::Result::kFrame) last = frames.header().offset;
  std::string torn = read_bytes(frames.path());
  std::fill(torn.begin() + static_cast<std::ptrdiff_t>(last) + 100, torn.end(), '\0');
  write_bytes(frames.path(), torn);
  {
    const Recovered recovered = recover(settings, kSmallLimits);
    EXPECT_EQ(recovered.exchange->last_sequence(), written.size() - 2);
    EXPECT_GT(recovered.torn_bytes_cut, 0U);
    EXPECT_LE(recovered.torn_bytes_cut, 100U);
  }
  EXPECT_EQ(recover(settings, kSmallLimits).torn_bytes_cut, 0U);
  EXPECT_EQ(read_journal(settings).result, Reader::Result::kEnd);
}

// A power cut may leave a later write of one sync on the disk and lose an earlier one.
TEST(Recovery, AGroupOfFramesTornInItsMiddleIsCutAsAWhole) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  Market market(1);
  {
    Recovered recovered = recover(settings, kSmallLimits);
    append_frames(*recovered.exchange, recovered.writer, market, 2, 2);
    std::vector<Frame> group(3);
    for (Frame& frame : group) {
      const Entry entry = market.next(*recovered.exchange);
      frame.append(entry.command, entry.events);
      recovered.writer.write(frame);
    }
  }
  FrameReader frames(directory.path(), 0, 1);
  for (int frame = 0; frame < 4; ++frame) {
    ASSERT_EQ(frames.next(0), FrameReader::Result::kFrame);
  }
  std::string torn = read_bytes(frames.path());
  torn[frames.header().offset + kFrameHeaderBytes] ^= 1;
  write_bytes(frames.path(), torn);
  const Recovered recovered = recover(settings, kSmallLimits);
  EXPECT_EQ(recovered.exchange->last_sequence(), 5U);
}

TEST(Recovery, ASnapshotAndTheRestGiveTheSameStateAsFullReplay) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 60, 10, Ending::kClosed);
  // Also in the middle of a frame.
  for (const core::Sequence at : {core::Sequence{100}, core::Sequence{333}}) {
    EXPECT_EQ(write_snapshot(settings, kSmallLimits, at), at);
    const Recovered recovered = recover(settings, kSmallLimits);
    EXPECT_EQ(recovered.snapshot_sequence, at);
    EXPECT_EQ(recovered.entries_replayed, written.size() - at);
    EXPECT_EQ(recovered.exchange->state_hash(), hash_after(written));
    EXPECT_TRUE(recovered.warnings.empty());
  }
}

TEST(Recovery, ASnapshotCanBeTakenBesideARunningWriter) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Market market(2);
  Recovered recovered = recover(settings, kSmallLimits);
  for (int round = 1; round <= 5; ++round) {
    append_frames(*recovered.exchange, recovered.writer, market, 10, 3);
    const core::Sequence durable = recovered.exchange->last_sequence();
    EXPECT_EQ(write_snapshot(settings, kSmallLimits, durable), durable);
  }
  EXPECT_EQ(list_snapshots(directory.path(), 0).size(), kSnapshotsKept);
}

// If an old file cannot be removed, for whatever reason, the new snapshot is still whole.
TEST(Recovery, ASnapshotIsWrittenWhereAnOldOneCannotBeRemoved) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 10, 10, Ending::kClosed);
  SnapshotMaker maker(settings, kSmallLimits);
  for (const core::Sequence at : {core::Sequence{20}, core::Sequence{40}}) {
    EXPECT_EQ(maker.write(at).warning, "");
  }
  const auto oldest = list_snapshots(directory.path(), 0).front().path;
  std::filesystem::remove(oldest);
  std::filesystem::create_directories(oldest / "in the way");
  const SnapshotMaker::Newest newest = maker.write(60);
  EXPECT_EQ(newest.sequence, 60U);
  EXPECT_THAT(newest.warning, ::testing::HasSubstr(oldest.string()));
  EXPECT_EQ(recover(settings, kSmallLimits).snapshot_sequence, 60U);
}

TEST(Recovery, ASnapshotThatIsThereAlreadyIsNotTakenAgain) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 10, 10, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, 80);
  EXPECT_EQ(write_snapshot(settings, kSmallLimits, 50), 80U);
}

TEST(Recovery, ADamagedSnapshotIsPassedOverWithAWarning) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  const auto written = write_journal(settings, 10, 10, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, 40);
  write_snapshot(settings, kSmallLimits, 80);
  const std::string newest = list_snapshots(directory.path(), 0).back().path;
  const std::string bytes = read_bytes(newest);
  for (std::size_t at = 0; at < bytes.size(); at += 97) {
    std::string damaged = bytes;
    damaged[at] ^= 4;
    write_bytes(newest, damaged);
    const Recovered recovered = recover(settings, kSmallLimits);
    ASSERT_EQ(recovered.snapshot_sequence, 40U) << at;
    ASSERT_EQ(recovered.exchange->state_hash(), hash_after(written)) << at;
    ASSERT_EQ(recovered.warnings.size(), 1U);
    ASSERT_THAT(recovered.warnings[0], ::testing::HasSubstr(newest));
  }
}

TEST(Recovery, WithoutAnyUsableSnapshotTheWholeJournalIsReplayed) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  const auto written = write_journal(settings, 10, 10, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, 40);
  write_bytes(list_snapshots(directory.path(), 0).back().path, "not a snapshot");
  const Recovered recovered = recover(settings, kSmallLimits);
  EXPECT_EQ(recovered.snapshot_sequence, 0U);
  EXPECT_EQ(recovered.entries_replayed, written.size());
}

TEST(Recovery, ASnapshotAheadOfTheJournalIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 40, 5, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, written.size());
  const auto segments = list_segments(directory.path(), 0);
  // The state after an older copy of the last segment was put back.
  std::string bytes = read_bytes(segments.back().path);
  std::fill(bytes.begin() + kSegmentHeaderBytes, bytes.end(), '\0');
  write_bytes(segments.back().path, bytes);
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr("ends before it"));
}

TEST(Recovery, ASnapshotWithoutAJournalIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 4, 5, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, 20);
  std::filesystem::remove(list_segments(directory.path(), 0).front().path);
  EXPECT_NE(refusal(settings), "");
}

TEST(Recovery, ASnapshotOfAnotherJournalIsRefused) {
  const TemporaryDirectory directory;
  const TemporaryDirectory other;
  write_journal(directory.settings(), 4, 5, Ending::kClosed);
  write_snapshot(directory.settings(), kSmallLimits, 20);
  write_journal(other.settings(), 4, 5, Ending::kClosed);
  const auto snapshot = list_snapshots(directory.path(), 0).back().path;
  std::filesystem::copy_file(snapshot, other.path() / snapshot.filename());
  EXPECT_THAT(refusal(other.settings()), ::testing::HasSubstr("not taken of this journal"));
}

TEST(Recovery, OldSegmentsMayBeArchivedOnceASnapshotCoversThem) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 60, 5, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, written.size() - 10);
  std::filesystem::remove(list_segments(directory.path(), 0).front().path);
  EXPECT_EQ(recover(settings, kSmallLimits).exchange->state_hash(), hash_after(written));
  EXPECT_EQ(read_journal(settings).result, Reader::Result::kDamaged);
}

TEST(Recovery, AMissingSegmentBeforeTheSnapshotIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  const auto written = write_journal(settings, 60, 5, Ending::kClosed);
  write_snapshot(settings, kSmallLimits, written.size() - 10);
  std::filesystem::remove(list_segments(directory.path(), 0)[1].path);
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr("a segment is missing"));
}

TEST(Recovery, AnOutcomeThatReplayDoesNotRecomputeIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  Market market(1);
  {
    Recovered recovered = recover(settings, kSmallLimits);
    append_frames(*recovered.exchange, recovered.writer, market, 5, 2);
    Entry entry = market.next(*recovered.exchange);
    entry.events.emplace_back(core::Applied{});
    Frame frame;
    frame.append(entry.command, entry.events);
    recovered.writer.write(frame);
    recovered.writer.sync();
  }
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr("replaying entry 11"));
}

TEST(Recovery, AJournalThatHadLargerLimitsGetsLargerPools) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  const auto written = write_journal(settings, 10, 5, Ending::kClosed);
  core::Limits smaller = kSmallLimits;
  smaller.max_orders = 64;
  smaller.max_open_orders = 48;
  EXPECT_EQ(recover(settings, smaller).exchange->state_hash(), hash_after(written));
  write_snapshot(settings, kSmallLimits, 40);
  const Recovered recovered = recover(settings, smaller);
  EXPECT_EQ(recovered.snapshot_sequence, 40U);
  EXPECT_EQ(recovered.exchange->state_hash(), hash_after(written));
  EXPECT_EQ(recovered.exchange->capacity().max_orders, kSmallLimits.max_orders);
}

TEST(Recovery, RulesThatThisBuildDoesNotKnowAreRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  {
    Recovered recovered = recover(settings, kSmallLimits);
    Frame frame;
    frame.append({1, 1, core::Configure{kSmallLimits, core::kRulesVersion + 1}, {}},
                 {core::Applied{}});
    recovered.writer.write(frame);
    recovered.writer.sync();
  }
  const std::string versions = "under rules version " + std::to_string(core::kRulesVersion + 1) +
                               ", and this engine knows those up to " +
                               std::to_string(core::kRulesVersion);
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr(versions));
}

TEST(Recovery, ASecondEngineIsKeptOutAlsoWhereTheLockFileWasRemoved) {
  const TemporaryDirectory directory;
  const Recovered first = recover(directory.settings(), kSmallLimits);
  std::filesystem::remove(directory.path() / "lock");
  EXPECT_THAT(refusal(directory.settings()), ::testing::HasSubstr("is in use by process"));
}

TEST(Recovery, AJournalOfAVersionThatIsNotReadIsRefusedNamingThoseThatAre) {
  for (const std::uint32_t version : {core::kSchemaVersionOldest - 1, core::kSchemaVersion + 1}) {
    const TemporaryDirectory directory;
    write_journal(directory.settings(), 3, 2, Ending::kClosed);
    const auto path = list_segments(directory.path(), 0).front().path;
    std::string bytes = read_bytes(path);
    const auto page = std::as_writable_bytes(std::span(bytes))
                          .first(static_cast<std::size_t>(kSegmentHeaderBytes));
    auto header = load_header<SegmentHeader>(page);
    header.version = version;
    seal(header, page, 0);
    write_bytes(path, bytes);
    EXPECT_THAT(refusal(directory.settings()),
                ::testing::HasSubstr("is of journal format " + std::to_string(version) +
                                     ", and this engine reads formats 2 to 6"));
    EXPECT_EQ(read_bytes(path), bytes);
  }
}

// Each start is a new writer, and says so in every frame.
TEST(Recovery, EachStartWritesUnderAnEpochOfItsOwn) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Market market(1);
  for (Epoch epoch = 1; epoch <= 4; ++epoch) {
    Recovered recovered = recover(settings, kSmallLimits);
    EXPECT_EQ(recovered.writer.epoch(), epoch);
    append_frames(*recovered.exchange, recovered.writer, market, 20, 2);
  }
  FrameReader frames(directory.path(), 0, 1);
  std::map<Epoch, int> count;
  while (frames.next(0) == FrameReader::Result::kFrame) ++count[epoch_of(frames.header())];
  EXPECT_THAT(count, ::testing::ElementsAre(::testing::Pair(1, 20), ::testing::Pair(2, 20),
                                            ::testing::Pair(3, 20), ::testing::Pair(4, 20)));
}

// A writer that continued after another had taken over, because a lock failed.
TEST(Recovery, AFrameOfAnEarlierWriterBehindALaterOnesIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 2, 2, Ending::kKilled);
  const NamedFile segment = list_segments(directory.path(), 0).front();
  const std::uint64_t salt = read_segment_header(File::open(segment.path), segment, 0).salt;
  std::string bytes = read_bytes(segment.path);
  auto* first = reinterpret_cast<std::byte*>(bytes.data()) + kSegmentHeaderBytes;
  auto frame = load_header<FrameHeader>(std::span(first, kFrameHeaderBytes));
  auto* second = first + frame_bytes(frame.payload_bytes);
  auto next = load_header<FrameHeader>(std::span(second, kFrameHeaderBytes));
  frame.epoch = 2;
  seal(frame, std::span(first, frame_bytes(frame.payload_bytes)), salt);
  next.previous_checksum = frame.checksum;
  seal(next, std::span(second, frame_bytes(next.payload_bytes)), salt);
  write_bytes(segment.path, bytes);
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr("by a writer of epoch 1 follows one of"));
}

TEST(Recovery, AFrameThatDecodesToNothingSensibleIsRefused) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  write_journal(settings, 3, 2, Ending::kClosed);
  const NamedFile segment = list_segments(directory.path(), 0).front();
  const SegmentHeader header = read_segment_header(File::open(segment.path), segment, 0);
  std::string bytes = read_bytes(segment.path);
  // An unknown kind of command under a right checksum, such as a newer engine's entry.
  auto* first = reinterpret_cast<std::byte*>(bytes.data()) + kSegmentHeaderBytes;
  auto frame = load_header<FrameHeader>(std::span(first, kFrameHeaderBytes));
  first[kFrameHeaderBytes + 4 + 16 + 1] = std::byte{99};
  seal(frame, std::span(first, frame_bytes(frame.payload_bytes)), header.salt);
  write_bytes(segment.path, bytes);
  EXPECT_THAT(refusal(settings), ::testing::HasSubstr("not an entry"));
}

}  // namespace
}  // namespace openvenue::journal

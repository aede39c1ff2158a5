// Journals of older versions are read, checked and continued. Those versions' own engines made
// them: see engine/testdata/make_journals.py.
#include <gtest/gtest.h>

#include <charconv>

#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/journal_fixture_test.h"
#include "journal/replay.h"

namespace openvenue::journal {
namespace {

using testing::Entry;
using testing::read_bytes;
using testing::read_journal;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_bytes;
using testing::write_snapshot;

constexpr core::Limits kLimits{.max_orders = 2048,
                               .max_accounts = 64,
                               .max_instruments = 16,
                               .max_positions = 256,
                               .max_fills_per_command = 8,
                               .max_open_orders = 1536,
                               .max_open_orders_per_account = 384,
                               .max_client_ids = 8192};

struct Made {
  std::uint32_t version;
  core::RulesVersion rules;
  std::vector<std::string> names = {"closed", "killed"};
  std::vector<std::uint32_t> epochs;  // of the last writer of each; version 2 had none
};
void PrintTo(const Made& made, std::ostream* out) { *out << "version " << made.version; }

// A journal of an older version, with the report of the binary that made it.
class OlderJournal : public ::testing::TestWithParam<Made> {
 protected:
  void unpack(const std::string& name) {
    const std::filesystem::path from =
        "engine/testdata/journal-v" + std::to_string(version()) + "/" + name;
    ASSERT_TRUE(std::filesystem::exists(from)) << "run the tests from the project's root";
    testing::unpack_journal(from, directory_.path());
    const std::string expected = read_bytes(from / "expected.json");
    last_ = number_behind(expected, "\"last_sequence\": ", 10);
    state_hash_ = number_behind(expected, "\"state_hash\": \"", 16);
  }

  static std::uint32_t version() { return GetParam().version; }

  static std::uint64_t number_behind(const std::string& text, const std::string& key, int base) {
    const std::size_t at = text.find(key);
    EXPECT_NE(at, std::string::npos) << key;
    std::uint64_t number = 0;
    std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number, base);
    return number;
  }

  // The first entry of the next start, as the engine writes it: its limits and rules.
  Entry configure(Recovered& recovered) {
    Entry entry;
    entry.command = {recovered.exchange->last_sequence() + 1,
                     recovered.exchange->last_timestamp_ns(),
                     core::Configure{kLimits},
                     {}};
    append(recovered, entry);
    return entry;
  }

  void append(Recovered& recovered, Entry& entry) {
    recovered.exchange->apply(entry.command, entry.events);
    Frame frame;
    frame.append(entry.command, entry.events);
    recovered.writer.write(frame);
    recovered.writer.sync();
  }

  std::vector<std::uint32_t> segment_versions() const {
    std::vector<std::uint32_t> versions;
    for (const NamedFile& segment : list_segments(directory_.path(), 0)) {
      versions.push_back(read_segment_header(File::open(segment.path), segment, 0).version);
    }
    return versions;
  }

  const TemporaryDirectory directory_;
  const Settings settings_ = directory_.settings();
  core::Sequence last_ = 0;
  std::uint64_t state_hash_ = 0;
};

TEST_P(OlderJournal, IsReplayedFromItsFirstEntryToTheStateThatItsMakerHad) {
  for (const std::string& name : GetParam().names) {
    unpack(name);
    Replay replay(settings_, kLimits, Replay::Start::kBeginning);
    EXPECT_EQ(replay.run(last_ + 1, 0), Replay::Stop::kEnd);
    EXPECT_EQ(replay.exchange().last_sequence(), last_);
    EXPECT_EQ(replay.exchange().state_hash(version()), state_hash_) << name;
    EXPECT_EQ(replay.exchange().rules_version(), GetParam().rules);
    for (const auto& file : std::filesystem::directory_iterator(directory_.path())) {
      std::filesystem::remove(file.path());
    }
  }
}

TEST_P(OlderJournal, ItsSnapshotIsUsed) {
  unpack("closed");
  const auto snapshots = list_snapshots(directory_.path(), 0);
  ASSERT_EQ(snapshots.size(), 2U);
  const Recovered recovered = recover(settings_, kLimits);
  EXPECT_EQ(recovered.snapshot_sequence, snapshots.back().sequence);
  EXPECT_THAT(recovered.warnings, ::testing::IsEmpty());
  EXPECT_EQ(recovered.exchange->state_hash(version()), state_hash_);
}

// Segments that both snapshots cover may have been archived before the engine was replaced.
TEST_P(OlderJournal, IsRecoveredWithoutTheSegmentsThatWereArchived) {
  unpack("closed");
  const auto segments = list_segments(directory_.path(), 0);
  ASSERT_GE(segments.size(), 2U);
  std::filesystem::remove(list_snapshots(directory_.path(), 0).front().path);
  std::filesystem::remove(segments.front().path);
  EXPECT_EQ(recover(settings_, kLimits).exchange->state_hash(version()), state_hash_);
}

TEST_P(OlderJournal, ADamagedSnapshotOfItIsPassedOver) {
  unpack("closed");
  const auto newest = list_snapshots(directory_.path(), 0).back().path;
  std::string bytes = read_bytes(newest);
  bytes[bytes.size() / 2] ^= 1;
  write_bytes(newest, bytes);
  const Recovered recovered = recover(settings_, kLimits);
  EXPECT_EQ(recovered.snapshot_sequence, list_snapshots(directory_.path(), 0).front().sequence);
  EXPECT_EQ(recovered.exchange->state_hash(version()), state_hash_);
}

TEST_P(OlderJournal, GoesOnInANewSegmentOfTheNewestVersion) {
  for (std::size_t each = 0; each < GetParam().names.size(); ++each) {
    unpack(GetParam().names[each]);
    const auto before = read_journal(settings_);
    ASSERT_EQ(before.result, Reader::Result::kEnd) << before.error;
    const std::size_t segments = segment_versions().size();
    std::vector<Entry> more;
    std::uint64_t left = 0;
    {
      Recovered recovered = recover(settings_, kLimits);
      EXPECT_EQ(recovered.writer.epoch(), GetParam().epochs[each] + 1);
      more.push_back(configure(recovered));
      Entry adjusted;
      adjusted.command = {last_ + 2, recovered.exchange->last_timestamp_ns() + 1,
                          core::AdjustBalance{1, 5}, core::Actor("ops")};
      append(recovered, adjusted);
      more.push_back(adjusted);
      recovered.writer.mark_end();
      left = recovered.exchange->state_hash();
      EXPECT_EQ(recovered.exchange->rules_version(), core::kRulesVersion);
    }
    const auto versions = segment_versions();
    ASSERT_EQ(versions.size(), segments + 1);
    EXPECT_EQ(versions.back(), core::kSchemaVersion);
    EXPECT_EQ(std::count(versions.begin(), versions.end(), version()), segments);

    const auto back = read_journal(settings_);
    EXPECT_EQ(back.result, Reader::Result::kEnd) << back.error;
    ASSERT_EQ(back.entries.size(), before.entries.size() + more.size());
    EXPECT_TRUE(testing::is_prefix(before.entries, back.entries));
    EXPECT_TRUE(std::equal(more.begin(), more.end(), back.entries.end() - 2));

    // From here on it is like any journal, with snapshots of its own version.
    write_snapshot(settings_, kLimits, last_ + 1);
    Recovered again = recover(settings_, kLimits);
    EXPECT_EQ(again.snapshot_sequence, last_ + 1);
    EXPECT_EQ(again.exchange->state_hash(), left);
    EXPECT_EQ(again.writer.epoch(), GetParam().epochs[each] + 2);
    for (const auto& file : std::filesystem::directory_iterator(directory_.path())) {
      std::filesystem::remove(file.path());
    }
  }
}

// Only the mark that says where the journal continues is written into the old segment.
TEST_P(OlderJournal, ItsLastSegmentKeepsItsEntriesAndSaysThatTheJournalGoesOn) {
  unpack("killed");
  const auto path = list_segments(directory_.path(), 0).back().path;
  const std::string before = read_bytes(path);
  FrameReader frames(directory_.path(), 0, 1);
  while (frames.next(0) == FrameReader::Result::kFrame) continue;
  const std::uint64_t end = frames.offset();
  {
    Recovered recovered = recover(settings_, kLimits);
    configure(recovered);
  }
  const std::string after = read_bytes(path);
  EXPECT_EQ(after.substr(0, end), before.substr(0, end));
  EXPECT_EQ(after.find_first_not_of('\0', end + kFrameHeaderBytes), std::string::npos);
  std::filesystem::remove(list_segments(directory_.path(), 0).back().path);
  EXPECT_THAT(refusal(settings_, kLimits), ::testing::HasSubstr("is missing"));
}

TEST_P(OlderJournal, ATornEndOfItIsCut) {
  unpack("killed");
  const auto path = list_segments(directory_.path(), 0).back().path;
  FrameReader frames(directory_.path(), 0, 1);
  while (frames.next(0) == FrameReader::Result::kFrame) continue;
  std::string bytes = read_bytes(path);
  bytes.replace(frames.offset(), 40, bytes, kSegmentHeaderBytes, 40);
  write_bytes(path, bytes);
  const Recovered recovered = recover(settings_, kLimits);
  EXPECT_GT(recovered.torn_bytes_cut, 0U);
  EXPECT_EQ(recovered.exchange->state_hash(version()), state_hash_);
}

TEST_P(OlderJournal, DamageThatALaterFrameDisprovesIsRefused) {
  unpack("killed");
  const auto path = list_segments(directory_.path(), 0).back().path;
  FrameReader frames(directory_.path(), 0, 1);
  for (int frame = 0; frame < 40; ++frame) {
    ASSERT_EQ(frames.next(0), FrameReader::Result::kFrame);
  }
  std::string bytes = read_bytes(path);
  bytes[frames.header().offset + kFrameHeaderBytes + 3] ^= 1;
  write_bytes(path, bytes);
  EXPECT_THAT(refusal(settings_, kLimits), ::testing::HasSubstr("says that it was durable"));
}

// A crash right after the old engine's roll leaves a last segment without a frame.
TEST_P(OlderJournal, AnEmptyLastSegmentOfItIsReplaced) {
  unpack("closed");
  for (const NamedFile& snapshot : list_snapshots(directory_.path(), 0)) {
    std::filesystem::remove(snapshot.path);
  }
  const NamedFile segment = list_segments(directory_.path(), 0).back();
  std::string bytes = read_bytes(segment.path);
  std::fill(bytes.begin() + kSegmentHeaderBytes, bytes.end(), '\0');
  write_bytes(segment.path, bytes);
  {
    Recovered recovered = recover(settings_, kLimits);
    ASSERT_EQ(recovered.writer.next_sequence(), segment.sequence);
    configure(recovered);
  }
  const std::vector<std::uint32_t> versions = segment_versions();
  EXPECT_EQ(versions[versions.size() - 2], version());
  EXPECT_EQ(versions.back(), core::kSchemaVersion);
  EXPECT_EQ(read_journal(settings_).entries.size(), segment.sequence);
  EXPECT_EQ(refusal(settings_, kLimits), "");
}

INSTANTIATE_TEST_SUITE_P(Versions, OlderJournal,
                         ::testing::Values(Made{.version = 2, .rules = 1, .epochs = {0, 0}},
                                           Made{.version = 3, .rules = 3, .epochs = {2, 1}},
                                           Made{.version = 4, .rules = 3, .epochs = {2, 1}},
                                           Made{.version = 5, .rules = 3, .epochs = {2, 1}}));

}  // namespace
}  // namespace openvenue::journal

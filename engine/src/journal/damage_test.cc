// Promise: after any change to a journal's bytes, reading gives exactly a prefix of what was
// written, or a refusal.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "journal/codec.h"
#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::journal {
namespace {

using testing::append_frames;
using testing::Ending;
using testing::Entry;
using testing::is_prefix;
using testing::kSmallLimits;
using testing::Market;
using testing::read_bytes;
using testing::read_journal;
using testing::ReadBack;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_bytes;
using testing::write_journal;

constexpr int kFrames = 12;
constexpr int kEntriesPerFrame = 4;

class Damage : public ::testing::Test {
 protected:
  // A journal of two segments, and the bytes of both.
  void make_journal(Ending ending) {
    written_ = write_journal(settings_, kFrames, kEntriesPerFrame, ending);
    for (const NamedFile& segment : list_segments(directory_.path(), 0)) {
      paths_.push_back(segment.path);
      bytes_.push_back(read_bytes(segment.path));
    }
    ASSERT_EQ(paths_.size(), 2U);
    FrameReader frames(directory_.path(), 0, 1);
    while (frames.next(0) == FrameReader::Result::kFrame) {
      const bool second = frames.path() == paths_[1];
      frames_.push_back({second ? 1U : 0U, frames.header().offset,
                         frame_bytes(frames.header().payload_bytes), frames.next_sequence() - 1});
    }
  }

  void restore() {
    for (std::size_t segment = 0; segment < paths_.size(); ++segment) {
      write_bytes(paths_[segment], bytes_[segment]);
    }
  }

  // Number of entries in the frames before the first one that differs in its segment's `bytes`.
  std::size_t entries_whole_in(std::size_t segment, const std::string& bytes) const {
    std::size_t entries = 0;
    for (const FramePlace& frame : frames_) {
      const bool whole =
          frame.segment != segment ||
          bytes.compare(frame.offset, frame.bytes, bytes_[segment], frame.offset, frame.bytes) == 0;
      if (!whole) break;
      entries = frame.last_sequence;
    }
    return entries;
  }

  // Recovers, appends, and reads everything back: the recovered entries, then the appended ones.
  void expect_usable_after(std::size_t entries) {
    std::vector<Entry> expected(written_.begin(),
                                written_.begin() + static_cast<std::ptrdiff_t>(entries));
    {
      Recovered recovered = recover(settings_, kSmallLimits);
      ASSERT_EQ(recovered.exchange->last_sequence(), entries);
      Market market(11);
      const auto more = append_frames(*recovered.exchange, recovered.writer, market, 2, 2);
      expected.insert(expected.end(), more.begin(), more.end());
    }
    const ReadBack back = read_journal(settings_);
    EXPECT_EQ(back.result, Reader::Result::kEnd) << back.error;
    EXPECT_TRUE(back.entries == expected);
  }

  struct FramePlace {
    std::size_t segment;
    std::uint64_t offset;
    std::uint64_t bytes;
    core::Sequence last_sequence;
  };

  TemporaryDirectory directory_;
  Settings settings_ = directory_.settings(kSegmentBytesMin);
  std::vector<Entry> written_;
  std::vector<std::filesystem::path> paths_;
  std::vector<std::string> bytes_;
  std::vector<FramePlace> frames_;
};

TEST_F(Damage, AnyFlippedBitGivesAPrefixOrARefusal) {
  make_journal(Ending::kClosed);
  for (std::size_t segment = 0; segment < 2; ++segment) {
    std::fstream file(paths_[segment], std::ios::in | std::ios::out | std::ios::binary);
    for (std::size_t bit = 0; bit < bytes_[segment].size() * 8; ++bit) {
      const std::size_t at = bit / 8;
      const char flipped = static_cast<char>(bytes_[segment][at] ^ (1 << bit % 8));
      file.seekp(static_cast<std::streamoff>(at)).put(flipped).flush();
      const ReadBack back = read_journal(settings_);
      ASSERT_TRUE(is_prefix(back.entries, written_)) << segment << ':' << at;
      // After a clean end no acknowledged entry may be missing without a refusal.
      if (back.result != Reader::Result::kDamaged) {
        ASSERT_EQ(back.entries.size(), written_.size()) << segment << ':' << at;
      }
      file.seekp(static_cast<std::streamoff>(at)).put(bytes_[segment][at]).flush();
    }
  }
}

TEST_F(Damage, RecoveryAfterAFlippedByteRefusesOrContinuesAPrefix) {
  make_journal(Ending::kKilled);
  std::size_t refused = 0;
  std::size_t continued = 0;
  for (std::size_t segment = 0; segment < 2; ++segment) {
    // All written bytes; only some of the zeros between.
    for (std::size_t at = 0; at < bytes_[segment].size();
         at += bytes_[segment][at] != 0 || at % 512 < 64 ? 3 : 61) {
      std::string damaged = bytes_[segment];
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 8));
      write_bytes(paths_[segment], damaged);
      if (refusal(settings_).empty()) {
        ++continued;
        const ReadBack back = read_journal(settings_);
        ASSERT_TRUE(is_prefix(back.entries, written_)) << segment << ':' << at;
        ASSERT_NO_FATAL_FAILURE(expect_usable_after(back.entries.size())) << segment << ':' << at;
      } else {
        ++refused;
      }
      for (const NamedFile& file : list_segments(directory_.path(), 0)) {
        std::filesystem::remove(file.path);
      }
      restore();
    }
  }
  EXPECT_GT(refused, 0U);
  EXPECT_GT(continued, 0U);
}

// Damage that checksums do not detect, by a bug or by hand: another value in any field of a header
// or byte of a payload, under a right checksum. Reading gives what the bytes say.
TEST_F(Damage, AnyChangeUnderARightChecksumIsRefusedOrReadAsItIs) {
  make_journal(Ending::kKilled);
  std::mt19937_64 random(1);
  const NamedFile first = list_segments(directory_.path(), 0).front();
  const SegmentHeader segment = read_segment_header(File::open(first.path), first, 0);
  std::size_t refused = 0;
  std::size_t read = 0;
  for (int round = 0; round < 5'000 && !HasFailure(); ++round) {
    const FramePlace& frame = frames_[random() % 3];
    std::string bytes = bytes_[0];
    auto* begin = reinterpret_cast<std::byte*>(bytes.data()) + frame.offset;
    // Headers and the first entry are changed more often than the rest.
    const std::size_t reach = round % 2 == 0 ? kFrameHeaderBytes + 32 : frame.bytes;
    begin[random() % reach] ^= static_cast<std::byte>(1 + random() % 255);
    auto header = load_header<FrameHeader>(std::span(begin, kFrameHeaderBytes));
    const std::uint64_t claimed = frame_bytes(header.payload_bytes);
    if (claimed > bytes.size() - frame.offset) continue;
    seal(header, std::span(begin, claimed), segment.salt);
    std::fstream(paths_[0], std::ios::in | std::ios::out | std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));

    Reader reader(directory_.path(), 0, 1);
    Entry entry;
    std::vector<std::byte> payload;
    std::uint64_t at = 0;
    Reader::Result result{};
    while ((result = reader.next(entry.command, entry.events)) == Reader::Result::kEntry) {
      if (reader.frames().path() != paths_[0]) continue;
      if (reader.frames().header().offset != at) payload.clear();
      at = reader.frames().header().offset;
      const std::size_t before = payload.size();
      payload.resize(before + entry_bytes_max(entry.events.size()));
      payload.resize(before + encode_entry(entry.command, entry.events, &payload[before]));
      ASSERT_LE(payload.size(), reader.frames().payload().size());
      ASSERT_TRUE(std::equal(payload.begin(), payload.end(), reader.frames().payload().begin()));
      if (at == frame.offset) ++read;
    }
    if (result == Reader::Result::kDamaged) ++refused;
  }
  EXPECT_GT(refused, 0U);
  EXPECT_GT(read, 0U);
}

TEST_F(Damage, AWriteTornAtAnyByteLeavesExactlyTheFramesBeforeIt) {
  make_journal(Ending::kKilled);
  const std::uint64_t end = frames_.back().offset + frames_.back().bytes;
  for (std::uint64_t at = frames_[frames_.size() - 2].offset; at <= end; ++at) {
    std::string torn = bytes_[1];
    std::fill(torn.begin() + static_cast<std::ptrdiff_t>(at), torn.end(), '\0');
    write_bytes(paths_[1], torn);
    const std::size_t expected = entries_whole_in(1, torn);
    ASSERT_EQ(read_journal(settings_).entries.size(), expected) << at;
    ASSERT_NO_FATAL_FAILURE(expect_usable_after(expected)) << at;
    for (const NamedFile& file : list_segments(directory_.path(), 0)) {
      std::filesystem::remove(file.path);
    }
    restore();
  }
}

TEST_F(Damage, ATruncatedSegmentIsRefusedAtEveryLength) {
  make_journal(Ending::kKilled);
  for (std::size_t segment = 0; segment < 2; ++segment) {
    for (std::size_t size = bytes_[segment].size(); size-- > 0;) {
      std::filesystem::resize_file(paths_[segment], size);
      const ReadBack back = read_journal(settings_);
      ASSERT_EQ(back.result, Reader::Result::kDamaged) << segment << ':' << size;
      ASSERT_TRUE(is_prefix(back.entries, written_)) << segment << ':' << size;
    }
    restore();
  }
}

TEST_F(Damage, ADamagedFrameBeforeOthersIsRefusedWithFileAndOffset) {
  make_journal(Ending::kKilled);
  for (std::size_t index = 0; index + 1 < frames_.size(); ++index) {
    const FramePlace& frame = frames_[index];
    std::string damaged = bytes_[frame.segment];
    damaged[frame.offset + frame.bytes / 2] ^= 1;
    write_bytes(paths_[frame.segment], damaged);
    const std::string message = refusal(settings_);
    EXPECT_THAT(message, ::testing::HasSubstr(paths_[frame.segment].string()));
    EXPECT_THAT(message, ::testing::HasSubstr("offset " + std::to_string(frame.offset)));
    EXPECT_THAT(message, ::testing::HasSubstr("backup"));
    restore();
  }
}

TEST_F(Damage, AFrameOverwrittenByZerosIsRefused) {
  make_journal(Ending::kKilled);
  for (std::size_t index = 0; index + 1 < frames_.size(); ++index) {
    const FramePlace& frame = frames_[index];
    std::string damaged = bytes_[frame.segment];
    damaged.replace(frame.offset, frame.bytes, frame.bytes, '\0');
    write_bytes(paths_[frame.segment], damaged);
    EXPECT_NE(refusal(settings_), "") << "frame " << index;
    restore();
  }
}

TEST_F(Damage, ALengthThatHidesTheFramesBehindItIsRefused) {
  make_journal(Ending::kKilled);
  const FramePlace& frame = frames_[frames_.size() - 2];
  std::string damaged = bytes_[frame.segment];
  damaged[frame.offset + offsetof(FrameHeader, payload_bytes) + 1] ^= 0x7F;
  write_bytes(paths_[frame.segment], damaged);
  EXPECT_NE(refusal(settings_), "");
}

TEST_F(Damage, ADamagedLastFrameBeforeACleanEndIsRefused) {
  make_journal(Ending::kClosed);
  const FramePlace& mark = frames_.back();
  std::string damaged = bytes_[1];
  damaged[mark.offset - 8] ^= 1;
  write_bytes(paths_[1], damaged);
  EXPECT_THAT(refusal(settings_), ::testing::HasSubstr("was durable"));
}

TEST_F(Damage, AMissingSegmentIsRefusedWhicheverItIs) {
  make_journal(Ending::kKilled);
  std::filesystem::remove(paths_[0]);
  EXPECT_NE(refusal(settings_), "");
  restore();
  std::filesystem::remove(paths_[1]);
  EXPECT_THAT(refusal(settings_), ::testing::HasSubstr("is missing"));
}

// The state after a crash between naming the next segment and writing the mark, or within the mark.
TEST_F(Damage, AMissingOrTornSegmentEndIsWrittenAgain) {
  make_journal(Ending::kKilled);
  const auto in_first = [](const FramePlace& frame) { return frame.segment == 0; };
  const auto last = std::find_if(frames_.rbegin(), frames_.rend(), in_first);
  const std::uint64_t mark = last->offset + last->bytes;
  for (const std::size_t kept : {std::size_t{0}, std::size_t{20}, std::size_t{60}}) {
    std::string without = bytes_[0];
    std::fill(without.begin() + static_cast<std::ptrdiff_t>(mark + kept), without.end(), '\0');
    write_bytes(paths_[0], without);
    ASSERT_EQ(refusal(settings_), "");
    EXPECT_TRUE(read_bytes(paths_[0]) == bytes_[0]) << kept;
  }
}

TEST_F(Damage, TheSegmentBeforeTheLastIsReadAlsoWhereASnapshotCoversIt) {
  make_journal(Ending::kKilled);
  testing::write_snapshot(settings_, kSmallLimits, written_.size());
  std::string damaged = bytes_[0];
  damaged[frames_[0].offset + 70] ^= 1;
  write_bytes(paths_[0], damaged);
  EXPECT_THAT(refusal(settings_), ::testing::HasSubstr(paths_[0].string()));
}

TEST_F(Damage, SwappedSegmentsAreRefused) {
  make_journal(Ending::kKilled);
  write_bytes(paths_[0], bytes_[1]);
  write_bytes(paths_[1], bytes_[0]);
  EXPECT_NE(refusal(settings_), "");
}

TEST_F(Damage, AFrameOfAnotherPlaceIsRefused) {
  make_journal(Ending::kKilled);
  const FramePlace& first = frames_[0];
  const FramePlace& second = frames_[1];
  std::string damaged = bytes_[0];
  damaged.replace(second.offset, first.bytes, bytes_[0], first.offset, first.bytes);
  write_bytes(paths_[0], damaged);
  EXPECT_NE(refusal(settings_), "");
}

TEST_F(Damage, AnotherShardsJournalIsRefused) {
  make_journal(Ending::kClosed);
  Settings other = settings_;
  other.shard_id = 1;
  EXPECT_THAT(refusal(other), ::testing::HasSubstr("shard 0"));
}

TEST_F(Damage, ASegmentRenamedToAnotherShardIsRefused) {
  make_journal(Ending::kClosed);
  std::filesystem::rename(paths_[0], segment_path(directory_.path(), 1, 1));
  std::filesystem::remove(paths_[1]);
  Settings other = settings_;
  other.shard_id = 1;
  EXPECT_THAT(refusal(other), ::testing::HasSubstr("named otherwise"));
}

TEST_F(Damage, ARefusalChangesNothing) {
  make_journal(Ending::kKilled);
  std::string damaged = bytes_[0];
  damaged[frames_[1].offset] ^= 1;
  write_bytes(paths_[0], damaged);
  ASSERT_NE(refusal(settings_), "");
  EXPECT_EQ(read_bytes(paths_[0]), damaged);
  EXPECT_EQ(read_bytes(paths_[1]), bytes_[1]);
}

}  // namespace
}  // namespace openvenue::journal

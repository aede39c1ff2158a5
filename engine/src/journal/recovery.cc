#include "journal/recovery.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "journal/error.h"
#include "journal/file.h"
#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/segment.h"
#include "journal/tail.h"

namespace openvenue::journal {
namespace {

void check_settings(const Settings& settings, const core::Limits& limits) {
  if (settings.segment_bytes < kSegmentBytesMin || settings.segment_bytes > kSegmentBytesMax) {
    throw JournalError(fmt::format("Segments of {} bytes cannot be: choose {} to {} bytes.",
                                   settings.segment_bytes, kSegmentBytesMin, kSegmentBytesMax));
  }
  if (limits.max_fills_per_command > core::kFillsPerCommandMax) {
    throw JournalError(fmt::format(
        "A command of {} fills would not fit into one journal frame and one message of the event "
        "stream: allow at most {} fills per command.",
        limits.max_fills_per_command, core::kFillsPerCommandMax));
  }
}

void make_archive(const Settings& settings) {
  make_directories(settings.archive);
  if (!std::filesystem::equivalent(settings.archive, settings.directory)) return;
  throw JournalError(
      fmt::format("{} is the archive and the journal at once: give the archive a "
                  "directory of its own.",
                  settings.archive.string()));
}

// A journal must not begin anew beside an archive that holds the one before it.
void check_not_lost(const Settings& settings, const std::vector<NamedFile>& segments) {
  if (!segments.empty() || settings.archive.empty()) return;
  const auto archived = list_segments(settings.archive, settings.shard_id);
  if (archived.empty()) return;
  throw JournalError(fmt::format(
      "{} holds no journal, but {} holds the segments of one: this is the wrong directory, or it "
      "was lost. Make it anew by `openvenue journal restore`, or give a new venue an archive of "
      "its own.",
      settings.directory.string(), settings.archive.string()));
}

}  // namespace

class Recovery {
 public:
  static Recovered run(const Settings& settings, const core::Limits& limits,
                       const std::stop_token& stop) {
    check_settings(settings, limits);
    make_directories(settings.directory);
    if (!settings.archive.empty()) make_archive(settings);
    DirectoryLock lock(settings.directory);
    const std::vector<NamedFile> segments = list_segments(settings.directory, settings.shard_id);
    check_not_lost(settings, segments);
    check_segment_links(segments, settings.shard_id);
    forget_cached(segments);

    // Read and check everything first, so that a refusal changes nothing.
    Replay replay(settings, limits, Replay::Start::kNewestSnapshot);
    const Replay::Stop ended = replay.run(~core::Sequence{0}, 0, stop);
    std::optional<SegmentEnd> end = find_end_before_last(settings, segments);
    Tail tail = find_tail(settings, std::move(lock), replay.frames());

    const std::uint64_t torn_bytes =
        ended == Replay::Stop::kTorn ? replay.frames().torn_bytes() : 0;
    if (tail.file.is_open()) make_durable(tail, replay.frames(), end, torn_bytes);
    return {replay.take_exchange(),
            Writer(std::move(tail)),
            replay.snapshot_sequence(),
            replay.entries_replayed(),
            torn_bytes,
            replay.warnings()};
  }

 private:
  // The end of a segment that another one follows, and the mark that belongs there.
  struct SegmentEnd {
    File file;
    SegmentHeader segment;
    FrameHeader mark;
  };

  // After a failed sync the kernel may hold pages as clean that it never wrote. Only a writer's
  // last two segments can have such pages: it ends with the first failure, and makes a segment
  // durable, except for its end mark, before it names the next one.
  static void forget_cached(const std::vector<NamedFile>& segments) {
    for (auto segment = segments.rbegin(); segment != segments.rend(); ++segment) {
      if (segment - segments.rbegin() == 2) break;
      File file = File::open_for_writing(segment->path);
      file.sync();  // dirty pages cannot be dropped
      file.drop_cache();
    }
  }

  // Reads the whole segment before the last one, whether or not the snapshot covers it, because the
  // last one builds on it. Nothing if there is only one segment.
  static std::optional<SegmentEnd> find_end_before_last(const Settings& settings,
                                                        const std::vector<NamedFile>& segments) {
    if (segments.size() < 2) return std::nullopt;
    const NamedFile& segment = segments[segments.size() - 2];
    SegmentEnd end{File::open_for_writing(segment.path), {}, {}};
    FrameReader frames(settings.directory, settings.shard_id, segment.sequence);
    FrameReader::Result result{};
    while ((result = frames.next(0)) == FrameReader::Result::kFrame &&
           frames.path() == segment.path) {
      end.segment = frames.segment();
      end.mark = new_frame_header(end.segment.version, frames.epoch());
      end.mark.offset = frames.offset();
      end.mark.previous_checksum = frames.chain();
    }
    if (result == FrameReader::Result::kDamaged) throw JournalError(frames.error());
    end.mark.flags = kSegmentEnd;
    end.mark.shard_id = settings.shard_id;
    end.mark.first_sequence = segments.back().sequence;
    end.mark.durable_sequence = end.mark.first_sequence - 1;
    // The writer of the mark may be a later one than that of the last frame.
    std::array<std::byte, kFrameHeaderBytes> bytes{};
    static_cast<void>(end.file.read_at(end.mark.offset, bytes));
    const auto found = load_header<FrameHeader>(bytes);
    if (found.checksum == checksum_of(bytes, end.segment.salt) && found.flags == kSegmentEnd) {
      end.mark.epoch = found.epoch;
    }
    return end;
  }

  static Tail find_tail(const Settings& settings, DirectoryLock lock, const FrameReader& frames) {
    if (!frames.has_segment()) return {settings, std::move(lock), {}, {}};
    CHECK(frames.epoch() < std::numeric_limits<Epoch>::max(), "epochs are used up");
    return {settings,
            std::move(lock),
            File::open_for_writing(frames.path()),
            frames.segment(),
            frames.offset(),
            frames.chain(),
            frames.next_sequence(),
            frames.last_flags() == kEntries,
            frames.epoch() + 1};
  }

  // Syncs everything that was read before the writer appends after it, because it may have come
  // from the page cache. Every step can safely be repeated: it writes the same bytes to the same
  // places.
  static void make_durable(Tail& tail, const FrameReader& frames, std::optional<SegmentEnd>& end,
                           std::uint64_t torn_bytes) {
    // The crash may have come before the last segment's name was durable, or before the segment end
    // in the one before: without that mark, the loss of the last segment would go unnoticed.
    sync_directory(tail.settings.directory);
    if (end) write_mark(end->file, end->segment, end->mark);
    tail.file.rewrite(frames.last_group_offset(), tail.offset);
    // A torn write is cut off: what was never acknowledged becomes zeros again.
    tail.file.write_zeros(tail.offset, tail.offset + torn_bytes);
  }
};

Recovered recover(const Settings& settings, const core::Limits& limits,
                  const std::stop_token& stop) {
  return Recovery::run(settings, limits, stop);
}

}  // namespace openvenue::journal

#include "journal/recovery.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "journal/error.h"
#include "journal/file.h"
#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/segment.h"
#include "journal/tail.h"

namespace openvenue::journal {
namespace {

void check_settings(const Settings& settings, const core::Limits& capacity) {
  if (settings.segment_bytes < kSegmentBytesMin || settings.segment_bytes > kSegmentBytesMax) {
    throw JournalError(fmt::format("Segments of {} bytes cannot be: choose {} to {} bytes.",
                                   settings.segment_bytes, kSegmentBytesMin, kSegmentBytesMax));
  }
  const std::uint64_t entry_bytes_max =
      kCommandBytesMax + VenueExchange::max_events_per_command(capacity) * kEventBytesMax;
  if (kFrameFullBytes + entry_bytes_max > kFramePayloadBytesMax) {
    const std::uint64_t fills_max =
        (kFramePayloadBytesMax - kFrameFullBytes - kCommandBytesMax) / kEventBytesMax -
        (VenueExchange::max_events_per_command(capacity) - capacity.max_fills_per_command);
    throw JournalError(fmt::format(
        "A command of {} fills would not fit into one journal frame: allow at most {} fills per "
        "command.",
        capacity.max_fills_per_command, fills_max));
  }
}

void ensure_directory(const std::filesystem::path& directory) {
  std::error_code error;
  const bool created = std::filesystem::create_directories(directory, error);
  if (error) {
    throw JournalError(fmt::format("Creating {} failed: {}. Check the path and its permissions.",
                                   directory.string(), error.message()));
  }
  if (created) sync_directory(std::filesystem::absolute(directory).parent_path());
}

}  // namespace

class Recovery {
 public:
  static Recovered run(const Settings& settings, const core::Limits& capacity) {
    check_settings(settings, capacity);
    ensure_directory(settings.directory);
    DirectoryLock lock(settings.directory);
    check_segment_links(list_segments(settings.directory, settings.shard_id), settings.shard_id);

    Replay replay(settings, capacity, Replay::Start::kNewestSnapshot);
    const Replay::Stop stop = replay.run(~core::Sequence{0}, 0);
    Tail tail = find_tail(settings, std::move(lock), replay.frames());
    std::uint64_t torn_bytes_cut = 0;
    if (stop == Replay::Stop::kTorn) {
      torn_bytes_cut = replay.frames().torn_bytes();
      tail.file.write_zeros(tail.offset, tail.offset + torn_bytes_cut);
    }
    return {replay.take_exchange(),    Writer(std::move(tail)), replay.snapshot_sequence(),
            replay.entries_replayed(), torn_bytes_cut,          replay.warnings()};
  }

 private:
  static Tail find_tail(const Settings& settings, DirectoryLock lock, const FrameReader& frames) {
    if (!frames.has_segment()) return {settings, std::move(lock), {}, {}};
    return {settings,
            std::move(lock),
            File::open_for_writing(frames.path()),
            frames.segment(),
            frames.offset(),
            frames.chain(),
            frames.next_sequence(),
            frames.last_flags() == kEntries};
  }
};

Recovered recover(const Settings& settings, const core::Limits& capacity) {
  return Recovery::run(settings, capacity);
}

core::Sequence write_snapshot(const Settings& settings, const core::Limits& capacity,
                              core::Sequence up_to) {
  Replay replay(settings, capacity, Replay::Start::kNewestSnapshot);
  if (replay.snapshot_sequence() >= up_to) return replay.snapshot_sequence();
  replay.run(up_to, up_to);
  save_snapshot(settings, replay.exchange(), replay.frame_checksum());
  return replay.exchange().last_sequence();
}

}  // namespace openvenue::journal

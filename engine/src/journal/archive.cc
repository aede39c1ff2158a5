#include "journal/archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/base/check.h"
#include "journal/error.h"
#include "journal/file.h"
#include "journal/frame_reader.h"
#include "journal/reader.h"
#include "journal/reader_offset.h"
#include "journal/snapshot.h"

namespace openvenue::journal {
namespace {

// A start reads the last two in any case and may write at their ends.
constexpr std::size_t kSegmentsKept = 2;

// Reads every frame from the disk.
void check_frames(const Settings& settings, const NamedFile& segment, const std::stop_token& stop) {
  File::open(segment.path).drop_cache();
  FrameReader frames(settings.directory, settings.shard_id, segment.sequence);
  FrameReader::Result result{};
  do {
    if (stop.stop_requested()) throw Stopped("archiving was abandoned");
    result = frames.next(0);
  } while (result == FrameReader::Result::kFrame && frames.path() == segment.path);
  if (frames.path() != segment.path) return;  // it went on to the next one
  throw JournalError(result == FrameReader::Result::kDamaged
                         ? frames.error()
                         : describe_damage(segment.path, frames.offset(), "it ends here"));
}

JournalError refuse_other(const NamedFile& segment, const std::filesystem::path& archived) {
  return JournalError(fmt::format(
      "{} is there already and is not the same as {}: the archive belongs to another journal, or "
      "the file is damaged. Give each journal an archive of its own, or remove the damaged file.",
      archived.string(), segment.path.string()));
}

void copy_segment(const NamedFile& segment, const std::filesystem::path& archived,
                  const std::stop_token& stop) {
  File copy = copy_durably(segment.path, archived.parent_path() / "next-archive.tmp", stop);
  copy.drop_cache();
  if (!same_bytes(File::open(segment.path), copy)) throw refuse_other(segment, copy.path());
  copy.rename(archived);
}

// True if both are of one file system that has hard links.
bool link_segment(const NamedFile& segment, const std::filesystem::path& archived) {
  std::error_code error;
  std::filesystem::create_hard_link(segment.path, archived, error);
  if (error) return false;
  sync_directory(archived.parent_path());
  return true;
}

bool is_older(const Settings& settings, const NamedFile& next, core::TimestampNs than_ns) {
  Reader reader(settings.directory, settings.shard_id, next.sequence);
  core::Command command;
  core::EventBuffer events;
  return reader.next(command, events) == Reader::Result::kEntry && command.timestamp_ns < than_ns;
}

// The oldest segments that `retention` does not keep.
std::vector<NamedFile> beyond(const Settings& settings, const Retention& retention,
                              core::TimestampNs now_ns) {
  const std::vector<NamedFile> segments = list_segments(settings.directory, settings.shard_id);
  std::uint64_t bytes = 0;
  for (const NamedFile& segment : segments) bytes += std::filesystem::file_size(segment.path);
  const core::TimestampNs than_ns = now_ns - std::chrono::nanoseconds(retention.age).count();
  std::vector<NamedFile> found;
  for (std::size_t index = 0; index + kSegmentsKept < segments.size(); ++index) {
    const bool too_many = retention.bytes != 0 && bytes > retention.bytes;
    const bool too_old =
        retention.age.count() != 0 && is_older(settings, segments[index + 1], than_ns);
    if (!too_many && !too_old) break;
    found.push_back(segments[index]);
    bytes -= std::filesystem::file_size(segments[index].path);
  }
  return found;
}

// The entry from which on the journal is needed; 0: all of it is.
core::Sequence needed_from(const Settings& settings) {
  const auto snapshots = list_snapshots(settings.directory, settings.shard_id);
  if (snapshots.size() < kSnapshotsKept) return 0;
  core::Sequence needed = snapshots[snapshots.size() - kSnapshotsKept].sequence;
  for (const ReaderOffset& reader : list_reader_offsets(settings.directory)) {
    needed = std::min(needed, reader.sequence);
  }
  return needed;
}

// Throws JournalError where one of the snapshots that a start would fall back on cannot be used.
void check_snapshots(const Settings& settings) {
  const auto snapshots = list_snapshots(settings.directory, settings.shard_id);
  for (const NamedFile& name : snapshots) check_snapshot(name, settings);
}

}  // namespace

void archive_segment(const Settings& settings, const NamedFile& segment,
                     const std::stop_token& stop) {
  CHECK(!settings.archive.empty(), "there is no archive");
  const std::filesystem::path archived = settings.archive / segment.path.filename();
  check_frames(settings, segment, stop);
  if (std::filesystem::exists(archived)) {
    if (!same_bytes(File::open(segment.path), File::open(archived))) {
      throw refuse_other(segment, archived);
    }
    // The crash may have come before its name was durable.
    sync_directory(settings.archive);
  } else if (!link_segment(segment, archived)) {
    copy_segment(segment, archived, stop);
  }
}

std::uint64_t archive_closed_segments(const Settings& settings,
                                      const std::function<void(const NamedFile&)>& on_segment) {
  std::vector<NamedFile> segments = list_segments(settings.directory, settings.shard_id);
  segments.resize(segments.size() - std::min(segments.size(), kSegmentsKept));
  std::uint64_t archived = 0;
  for (const NamedFile& segment : segments) {
    on_segment(segment);
    const bool is_new = !std::filesystem::exists(settings.archive / segment.path.filename());
    archive_segment(settings, segment);
    if (is_new) ++archived;
  }
  return archived;
}

std::vector<NamedFile> retire_segments(const Settings& settings, const Retention& retention,
                                       core::TimestampNs now_ns, const std::stop_token& stop) {
  std::vector<NamedFile> segments = beyond(settings, retention, now_ns);
  const core::Sequence needed = needed_from(settings);
  const auto all = list_segments(settings.directory, settings.shard_id);
  // A segment ends where the next one begins. The entry `needed` itself is needed too.
  std::erase_if(segments, [&](const NamedFile& segment) {
    const auto next = std::find_if(all.begin(), all.end(), [&](const NamedFile& other) {
      return other.sequence > segment.sequence;
    });
    return next == all.end() || next->sequence > needed;
  });
  if (segments.empty()) return {};
  check_snapshots(settings);
  std::vector<NamedFile> removed;
  for (const NamedFile& segment : segments) {
    archive_segment(settings, segment, stop);
    remove_file(segment.path);  // durable before the next: no crash leaves a gap
    removed.push_back(segment);
  }
  return removed;
}

}  // namespace openvenue::journal

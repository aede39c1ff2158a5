#include "tools/journal_restore.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/base/byte_io.h"
#include "journal/codec.h"
#include "journal/error.h"
#include "journal/file.h"
#include "journal/frame_reader.h"
#include "journal/reader.h"
#include "journal/segment.h"
#include "journal/snapshot.h"

namespace openvenue::tools {
namespace {

using journal::FrameReader;
using journal::JournalError;
using journal::NamedFile;

constexpr core::TimestampNs kNsPerSecond = 1'000'000'000;

std::vector<NamedFile> find_segments(const journal::Settings& from) {
  std::vector<NamedFile> segments;
  if (std::filesystem::is_directory(from.directory)) {
    segments = journal::list_segments(from.directory, from.archive, from.shard_id);
  } else {
    segments = journal::list_segments(from.archive, from.shard_id);
  }
  if (segments.empty()) {
    throw JournalError(fmt::format("Neither {} nor {} holds a segment of shard {}. Check both.",
                                   from.directory.string(), from.archive.string(), from.shard_id));
  }
  journal::check_segment_links(segments, from.shard_id);
  return segments;
}

// From a place that holds all of `segments`.
journal::Reader read_from(const journal::Settings& from, core::Sequence sequence) {
  const bool there = std::filesystem::is_directory(from.directory);
  return {there ? from.directory : from.archive, from.shard_id, sequence, from.archive};
}

core::TimestampNs first_time(const journal::Settings& from, const NamedFile& segment) {
  journal::Reader reader = read_from(from, segment.sequence);
  core::Command command;
  core::EventBuffer events;
  if (reader.next(command, events) == journal::Reader::Result::kEntry) return command.timestamp_ns;
  return std::numeric_limits<core::TimestampNs>::max();  // it has no entry yet
}

// The last entry that may be in the restored journal, of those that are there.
core::Sequence find_last(const journal::Settings& from, const std::vector<NamedFile>& segments,
                         const RestoreUntil& until) {
  const auto* sequence = std::get_if<core::Sequence>(&until);
  const auto* time = std::get_if<RestoreTime>(&until);
  const auto wanted = [&](const NamedFile& segment) {
    if (sequence != nullptr) return segment.sequence <= *sequence;
    return time == nullptr || first_time(from, segment) <= time->ns;
  };
  const auto segment = std::find_if(segments.rbegin(), segments.rend(), wanted);
  core::Sequence last = 0;
  if (segment != segments.rend()) {
    journal::Reader reader = read_from(from, segment->sequence);
    core::Command command;
    core::EventBuffer events;
    journal::Reader::Result result{};
    while ((result = reader.next(command, events)) == journal::Reader::Result::kEntry) {
      if (sequence != nullptr && command.sequence > *sequence) break;
      if (time != nullptr && command.timestamp_ns > time->ns) break;
      last = command.sequence;
    }
    if (result == journal::Reader::Result::kDamaged) throw JournalError(reader.error());
  }
  if (last == 0) {
    throw JournalError(fmt::format(
        "Nothing is as old as that: the first entry that is there is {}, in {}. Give a later "
        "--until, or the archive that holds what comes before.",
        segments.front().sequence, segments.front().path.string()));
  }
  if (sequence != nullptr && last < *sequence) {
    throw JournalError(
        fmt::format("The journal ends at entry {}; leave --until out to get all.", last));
  }
  return last;
}

// Without the first entries, a state can only come from a snapshot behind them.
void check_state_can_be_made(const std::vector<NamedFile>& segments,
                             const std::vector<NamedFile>& snapshots) {
  if (segments.front().sequence == 1 || !snapshots.empty()) return;
  throw JournalError(fmt::format(
      "The oldest segment is {}, which begins with entry {}, and no snapshot lies between it and "
      "the end that was asked for: name the archive that holds what comes before.",
      segments.front().path.string(), segments.front().sequence));
}

// Bytes that the first entries of the frame take, up to and with `last`.
std::uint64_t payload_up_to(const FrameReader& frames, core::Sequence last) {
  core::ByteReader payload(frames.payload());
  core::Command command;
  core::EventBuffer events;
  do {
    if (!journal::decode_entry(payload, frames.header().version, command, events)) {
      throw JournalError(journal::describe_damage(frames.path(), frames.header().offset,
                                                  "an entry cannot be read"));
    }
  } while (command.sequence < last);
  return frames.payload().size() - payload.remaining();
}

// Ends the copied segment behind entry `last`, as a writer does that stops there.
void cut(journal::File& file, FrameReader& frames, core::Sequence last) {
  while (frames.next_sequence() <= last) {
    if (frames.next(0) == FrameReader::Result::kFrame) continue;
    throw JournalError(frames.error());
  }
  const journal::SegmentHeader& segment = frames.segment();
  journal::FrameHeader header = frames.header();
  header.payload_bytes = static_cast<std::uint32_t>(payload_up_to(frames, last));
  header.count = static_cast<std::uint32_t>(last - header.first_sequence + 1);
  std::vector<std::byte> bytes(journal::frame_bytes(header.payload_bytes));
  std::copy_n(frames.payload().begin(), header.payload_bytes,
              bytes.begin() + journal::kFrameHeaderBytes);
  journal::seal(header, std::span(bytes), segment.salt);
  file.write_at(header.offset, bytes);

  journal::FrameHeader mark = journal::new_frame_header(segment.version, frames.epoch());
  mark.flags = journal::kCleanEnd;
  mark.shard_id = header.shard_id;
  mark.first_sequence = last + 1;
  mark.durable_sequence = last;
  mark.offset = header.offset + bytes.size();
  mark.previous_checksum = header.checksum;
  file.write_zeros(mark.offset, segment.segment_bytes);
  journal::write_mark(file, segment, mark);
}

void check_empty(const std::filesystem::path& to) {
  if (std::filesystem::exists(to) &&
      (!std::filesystem::is_directory(to) || !std::filesystem::is_empty(to))) {
    throw JournalError(
        fmt::format("{} is there and is not an empty directory. Give another one.", to.string()));
  }
  journal::make_directories(to);
}

}  // namespace

std::optional<RestoreUntil> parse_until(const std::string& text) {
  core::Sequence sequence = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (error == std::errc() && end == text.data() + text.size()) {
    return sequence == 0 ? std::nullopt : std::optional<RestoreUntil>(sequence);
  }
  std::tm time{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time);
  if (rest == nullptr) return std::nullopt;
  double fraction = 0;
  if (*rest == '.') {
    char* behind = nullptr;
    fraction = std::strtod(rest, &behind);
    rest = behind;
  }
  if (std::string_view(rest) != "Z") return std::nullopt;
  return RestoreTime{::timegm(&time) * kNsPerSecond + std::llround(fraction * 1e9)};
}

core::Sequence restore_journal(const journal::Settings& from, const std::filesystem::path& to,
                               const RestoreUntil& until,
                               const std::function<void(const std::filesystem::path&)>& on_file) {
  std::vector<NamedFile> segments = find_segments(from);
  const core::Sequence last = find_last(from, segments, until);
  std::erase_if(segments, [&](const NamedFile& file) { return file.sequence > last; });
  std::vector<NamedFile> snapshots;
  if (std::filesystem::is_directory(from.directory)) {
    snapshots = journal::list_snapshots(from.directory, from.shard_id);
  }
  std::erase_if(snapshots, [&](const NamedFile& file) {
    return file.sequence > last || file.sequence < segments.front().sequence;
  });
  check_state_can_be_made(segments, snapshots);
  check_empty(to);
  for (const std::vector<NamedFile>& files : {snapshots, segments}) {
    for (const NamedFile& name : files) {
      on_file(name.path);
      journal::File copy = journal::copy_durably(name.path, to / "next-restored.tmp");
      if (name.path == segments.back().path) {
        FrameReader frames(name.path.parent_path(), from.shard_id, name.sequence, from.archive);
        cut(copy, frames, last);
      }
      copy.rename(to / name.path.filename());
    }
  }
  return last;
}

}  // namespace openvenue::tools

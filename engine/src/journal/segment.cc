#include "journal/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "journal/error.h"

namespace openvenue::journal {
namespace {

struct Kind {
  std::string_view prefix;
  std::string_view suffix;
};
constexpr Kind kSegment{"journal-", ".ovj"};
constexpr Kind kSnapshot{"snapshot-", ".ovs"};
constexpr std::size_t kShardDigits = 10;
constexpr std::size_t kSequenceDigits = 20;

struct Name {
  std::uint32_t shard_id = 0;
  core::Sequence sequence = 0;
};

std::string format_name(const Kind& kind, std::uint32_t shard_id, core::Sequence sequence) {
  return fmt::format("{}{:010}-{:020}{}", kind.prefix, shard_id, sequence, kind.suffix);
}

// Parses a name character by character; nothing if it is not of this kind.
std::optional<Name> parse_name(const Kind& kind, const std::string& text) {
  if (text.size() != kind.prefix.size() + kShardDigits + 1 + kSequenceDigits + kind.suffix.size()) {
    return std::nullopt;
  }
  Name name;
  const char* shard = text.data() + kind.prefix.size();
  const char* sequence = shard + kShardDigits + 1;
  std::from_chars(shard, shard + kShardDigits, name.shard_id);
  std::from_chars(sequence, sequence + kSequenceDigits, name.sequence);
  if (format_name(kind, name.shard_id, name.sequence) != text) return std::nullopt;
  return name;
}

std::vector<NamedFile> list(const Kind& kind, const std::filesystem::path& directory,
                            std::uint32_t shard_id) {
  std::vector<NamedFile> files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const auto name = parse_name(kind, it->path().filename().string());
    if (!name) continue;
    if (name->shard_id != shard_id) {
      throw JournalError(fmt::format(
          "{} belongs to shard {}, but this is shard {}. Each shard needs a directory of its own: "
          "check the data directory and the shard id.",
          it->path().string(), name->shard_id, shard_id));
    }
    files.push_back({name->sequence, it->path()});
  }
  if (error == std::errc::too_many_files_open || error == std::errc::not_enough_memory) {
    throw OutOfResources(fmt::format("Listing {} failed: {}. Raise the limit on open files.",
                                     directory.string(), error.message()));
  }
  if (error) {
    throw JournalError(fmt::format("Listing {} failed: {}. Check the path and its permissions.",
                                   directory.string(), error.message()));
  }
  std::sort(files.begin(), files.end(),
            [](const NamedFile& a, const NamedFile& b) { return a.sequence < b.sequence; });
  return files;
}

}  // namespace

std::filesystem::path segment_path(const std::filesystem::path& directory, std::uint32_t shard_id,
                                   core::Sequence first) {
  return directory / format_name(kSegment, shard_id, first);
}

std::filesystem::path snapshot_path(const std::filesystem::path& directory, std::uint32_t shard_id,
                                    core::Sequence last) {
  return directory / format_name(kSnapshot, shard_id, last);
}

std::vector<NamedFile> list_segments(const std::filesystem::path& directory,
                                     std::uint32_t shard_id) {
  return list(kSegment, directory, shard_id);
}

std::vector<NamedFile> list_segments(const std::filesystem::path& directory,
                                     const std::filesystem::path& archive, std::uint32_t shard_id) {
  std::vector<NamedFile> segments = list_segments(directory, shard_id);
  if (archive.empty()) return segments;
  const core::Sequence oldest = segments.empty() ? ~core::Sequence{0} : segments.front().sequence;
  std::vector<NamedFile> all = list_segments(archive, shard_id);
  std::erase_if(all, [&](const NamedFile& archived) { return archived.sequence >= oldest; });
  all.insert(all.end(), segments.begin(), segments.end());
  return all;
}

std::vector<NamedFile> list_snapshots(const std::filesystem::path& directory,
                                      std::uint32_t shard_id) {
  return list(kSnapshot, directory, shard_id);
}

SegmentHeader read_segment_header(const File& file, const NamedFile& name, std::uint32_t shard_id) {
  std::array<std::byte, kSegmentHeaderBytes> bytes{};
  const auto refuse = [&](std::string_view what) {
    return JournalError(describe_damage(name.path, 0, what));
  };
  if (file.read_at(0, bytes) != bytes.size()) throw refuse("shorter than a segment header");
  const auto header = load_header<SegmentHeader>(bytes);
  if (header.magic != kSegmentMagic) throw refuse("not a journal segment");
  if (header.checksum != checksum_of(bytes, 0)) throw refuse("the segment header is damaged");
  if (!core::can_read(header.version)) {
    throw JournalError(describe_version(name.path, header.version));
  }
  if (header.shard_id != shard_id || header.first_sequence != name.sequence) {
    throw refuse(
        fmt::format("the file is named otherwise than its header says (shard {}, first "
                    "entry {})",
                    header.shard_id, header.first_sequence));
  }
  if (file.size() != header.segment_bytes) {
    throw refuse(fmt::format("the file has {} bytes, its header says {}", file.size(),
                             header.segment_bytes));
  }
  return header;
}

void write_mark(File& file, const SegmentHeader& segment, FrameHeader& header) {
  CHECK(header.offset + kFrameHeaderBytes <= segment.segment_bytes, "a mark has no room");
  std::array<std::byte, kFrameHeaderBytes> bytes{};
  seal(header, std::span<std::byte>(bytes), segment.salt);
  file.write_at(header.offset, bytes);
  file.sync();
}

void check_segment_links(const std::vector<NamedFile>& segments, std::uint32_t shard_id) {
  for (std::size_t index = 1; index < segments.size(); ++index) {
    const NamedFile& segment = segments[index];
    const SegmentHeader header = read_segment_header(File::open(segment.path), segment, shard_id);
    if (header.previous_first_sequence != segments[index - 1].sequence) {
      throw JournalError(describe_damage(
          segment.path, 0,
          fmt::format("a segment is missing before it: it follows the one that begins with entry "
                      "{}, but the nearest here begins with entry {}",
                      header.previous_first_sequence, segments[index - 1].sequence)));
    }
  }
}

std::string describe_version(const std::filesystem::path& path, std::uint32_t version) {
  return fmt::format(
      "{} is of journal format {}, and this engine reads formats {} to {}. Use an engine that "
      "reads "
      "it: the version that wrote it, or the one after that.",
      path.string(), version, core::kSchemaVersionOldest, core::kSchemaVersion);
}

std::string describe_removed(const NamedFile& oldest, core::Sequence wanted) {
  return fmt::format(
      "entry {} was asked for, but the oldest segment here is {}, which begins with entry {}: "
      "those "
      "before it were archived. Name their directory with --archive-dir, or make a whole journal "
      "of both with `openvenue journal restore`.",
      wanted, oldest.path.string(), oldest.sequence);
}

std::string describe_damage(const std::filesystem::path& path, std::uint64_t offset,
                            std::string_view what) {
  return fmt::format(
      "{} at offset {}: {}. The journal is damaged and nothing was changed. Put the file back from "
      "a "
      "copy, or restore the whole directory from a backup; `openvenue-engine journal verify {}` "
      "checks it.",
      path.string(), offset, what, path.parent_path().string());
}

}  // namespace openvenue::journal

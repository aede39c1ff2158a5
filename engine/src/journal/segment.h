// A directory's segments and snapshots by name, and the headers of segments.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"
#include "journal/file.h"
#include "journal/format.h"

namespace openvenue::journal {

// A segment or snapshot file, with the shard and sequence number of its name.
struct NamedFile {
  core::Sequence sequence = 0;  // the first entry of a segment, the last one in a snapshot
  std::filesystem::path path;
};

[[nodiscard]] std::filesystem::path segment_path(const std::filesystem::path& directory,
                                                 std::uint32_t shard_id, core::Sequence first);
[[nodiscard]] std::filesystem::path snapshot_path(const std::filesystem::path& directory,
                                                  std::uint32_t shard_id, core::Sequence last);

// In ascending order. Throws JournalError if the directory cannot be read or has another shard's
// files.
[[nodiscard]] std::vector<NamedFile> list_segments(const std::filesystem::path& directory,
                                                   std::uint32_t shard_id);
// The same with those that only the archive holds (empty: there is none).
[[nodiscard]] std::vector<NamedFile> list_segments(const std::filesystem::path& directory,
                                                   const std::filesystem::path& archive,
                                                   std::uint32_t shard_id);
[[nodiscard]] std::vector<NamedFile> list_snapshots(const std::filesystem::path& directory,
                                                    std::uint32_t shard_id);

// The segment's header, checked against its checksum, its name and the file's size. Throws
// JournalError if they disagree: a segment gets its name only once it is whole, so no crash leaves
// a bad header or a short file behind.
[[nodiscard]] SegmentHeader read_segment_header(const File& file, const NamedFile& name,
                                                std::uint32_t shard_id);

// Writes a mark, a frame without entries, at the header's offset, and makes it durable. Sets the
// header's checksum. Precondition: the segment has room for it.
void write_mark(File& file, const SegmentHeader& segment, FrameHeader& header);

// Checks that every segment from the oldest on names the one before it, so that none is missing.
void check_segment_links(const std::vector<NamedFile>& segments, std::uint32_t shard_id);

// Says that this engine does not read the file's version, and which versions it reads.
[[nodiscard]] std::string describe_version(const std::filesystem::path& path,
                                           std::uint32_t version);

// That entries before the oldest segment were asked for, and how to come by them.
[[nodiscard]] std::string describe_removed(const NamedFile& oldest, core::Sequence wanted);

// "FILE at offset N: WHAT" with what to do about damage.
[[nodiscard]] std::string describe_damage(const std::filesystem::path& path, std::uint64_t offset,
                                          std::string_view what);

}  // namespace openvenue::journal

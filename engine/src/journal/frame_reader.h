// Reads a journal's frames in order across its segments, also while it is written. Distinguishes
// the end of a journal from a torn write, and both from damage.
//
// The bytes at the next frame's place decide:
//   a valid frame that continues the chain     the next frame
//   the next segment continues the chain here  continue there; the rest of this one is unused
//   only zeros to the end of the last segment  the end
//   something else, and no later valid frame of this segment reports the missing part as durable
//                                              a torn write
//   anything else                              damage
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/types.h"
#include "journal/file.h"
#include "journal/format.h"
#include "journal/segment.h"

namespace openvenue::journal {

class FrameReader {
 public:
  enum class Result { kFrame, kEnd, kTorn, kDamaged };

  // Begins with the segment of entry `from` (0: the oldest), also with its earlier frames. Segments
  // that the directory no longer has come from the archive, if one is given. Opening errors appear
  // at the first next().
  FrameReader(std::filesystem::path directory, std::uint32_t shard_id, core::Sequence from,
              std::filesystem::path archive = {});

  // Moves to the next frame. The caller knows entries up to `durable` to be durable: if one of them
  // cannot be read, that is damage and never a torn write. kDamaged is final; other results may
  // change as the journal grows. Throws OutOfResources.
  [[nodiscard]] Result next(core::Sequence durable);

  // The frame that next() moved to; valid until the next call.
  [[nodiscard]] const FrameHeader& header() const { return frame_; }
  [[nodiscard]] std::span<const std::byte> payload() const;

  // Reason of kTorn or kDamaged: file, offset, what is wrong, what to do.
  [[nodiscard]] const std::string& error() const { return error_; }

  // The first entry of the next frame; 0 before the first segment was opened.
  [[nodiscard]] core::Sequence next_sequence() const { return next_sequence_; }

  // The writer of the last frame; 0 before the first, and in version 2.
  [[nodiscard]] Epoch epoch() const { return epoch_; }

  // Position of that frame, for a writer that continues the journal; valid once a segment is open.
  [[nodiscard]] bool has_segment() const { return file_.is_open(); }
  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }
  [[nodiscard]] const SegmentHeader& segment() const { return segment_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t chain() const { return chain_; }
  // Offset of the open segment's last commit group: frames that no later frame reports as synced.
  [[nodiscard]] std::uint64_t last_group_offset() const { return last_group_offset_; }
  // Flags of the last frame read from the open segment; nothing if there was none.
  [[nodiscard]] std::optional<FrameFlags> last_flags() const { return last_flags_; }
  // After kTorn: the bytes from offset() to the last one that is not zero.
  [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  // Content of the last segment behind the point where no valid frame begins.
  struct Remains {
    std::uint64_t bytes = 0;                  // up to the last one that is not zero
    std::optional<std::uint64_t> vouched_at;  // a valid frame that reports ours as durable
  };

  [[nodiscard]] Result advance(core::Sequence durable);
  [[nodiscard]] bool open_first();
  void enter(const NamedFile& name);
  // True if another file replaced the open, empty segment; then opens that one.
  [[nodiscard]] bool reopen();
  // True if a valid frame begins at offset_; then it is in the window.
  [[nodiscard]] bool load_frame();
  [[nodiscard]] bool frame_in_window() const;
  // Accepts the valid frame at offset_. False if it was a segment end and the next segment was
  // entered. Throws if it is valid, but not the frame that belongs here.
  [[nodiscard]] bool accept_frame();
  [[nodiscard]] std::optional<NamedFile> following_segment() const;
  [[nodiscard]] Remains inspect_remains() const;
  [[nodiscard]] bool vouches_for_missing(std::uint64_t offset) const;

  std::filesystem::path directory_;
  std::filesystem::path archive_;
  std::uint32_t shard_id_;
  core::Sequence from_;

  File file_;
  SegmentHeader segment_;
  std::uint64_t offset_ = 0;
  std::uint64_t chain_ = 0;
  core::Sequence next_sequence_ = 0;
  Epoch epoch_ = 0;
  std::uint64_t last_group_offset_ = 0;
  core::Sequence last_group_durable_ = 0;
  std::optional<FrameFlags> last_flags_;
  std::uint64_t torn_bytes_ = 0;

  FrameHeader frame_;
  std::uint64_t frame_offset_ = 0;
  std::vector<std::byte> window_;  // bytes of the file from window_offset_ on
  std::uint64_t window_offset_ = 0;

  bool damaged_ = false;
  std::string error_;
};

}  // namespace openvenue::journal

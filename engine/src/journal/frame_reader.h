// Walks a journal's frames in order across its segments, while it is being written or not, and
// tells the end of a journal from a torn write, and both from damage.
//
// What lies where the next frame would begin decides:
//   a valid frame that continues the chain     the next frame
//   the next segment continues the chain here  go on there; what is left in this one is unused
//   only zeros to the end of the last segment  the end
//   something else, and no later valid frame of this segment says that what is missing was durable
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

#include "core/types.h"
#include "journal/file.h"
#include "journal/format.h"
#include "journal/segment.h"

namespace openvenue::journal {

class FrameReader {
 public:
  enum class Result { kFrame, kEnd, kTorn, kDamaged };

  // Begins with the segment that holds entry `from` (0: the oldest there is); frames before that
  // entry come too. Segments that the directory does not have any more come from the archive, if
  // one is named. Opening errors appear at the first next().
  FrameReader(std::filesystem::path directory, std::uint32_t shard_id, core::Sequence from,
              std::filesystem::path archive = {});

  // Moves to the next frame. The caller knows entries up to `durable` to be durable: where one of
  // them is not to be read, that is damage and never a torn write. kDamaged stays; the others may
  // change as the journal grows. Throws OutOfResources.
  [[nodiscard]] Result next(core::Sequence durable);

  // The frame that next() moved to; valid until the next call.
  [[nodiscard]] const FrameHeader& header() const { return frame_; }
  [[nodiscard]] std::span<const std::byte> payload() const;

  // Why kTorn or kDamaged: file, offset, what is wrong, what to do.
  [[nodiscard]] const std::string& error() const { return error_; }

  // The first entry of the frame that would come next; 0 before the first segment was opened.
  [[nodiscard]] core::Sequence next_sequence() const { return next_sequence_; }

  // The writer of the last frame; 0 before the first, and in version 2.
  [[nodiscard]] Epoch epoch() const { return epoch_; }

  // Where that frame begins, for whoever continues the journal; meaningful once a segment is open.
  [[nodiscard]] bool has_segment() const { return file_.is_open(); }
  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }
  [[nodiscard]] const SegmentHeader& segment() const { return segment_; }
  [[nodiscard]] std::uint64_t offset() const { return offset_; }
  [[nodiscard]] std::uint64_t chain() const { return chain_; }
  // Where the frames of the open segment begin that no later one says were synced: the last group.
  [[nodiscard]] std::uint64_t last_group_offset() const { return last_group_offset_; }
  // The last frame read from the open segment; nothing if there was none.
  [[nodiscard]] std::optional<FrameFlags> last_flags() const { return last_flags_; }
  // After kTorn: the bytes from offset() to the last one that is not zero.
  [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }

 private:
  // What is in the last segment behind the point where no valid frame begins.
  struct Remains {
    std::uint64_t bytes = 0;                  // up to the last one that is not zero
    std::optional<std::uint64_t> vouched_at;  // a valid frame that says that ours was durable
  };

  [[nodiscard]] Result advance(core::Sequence durable);
  [[nodiscard]] bool open_first();
  void enter(const NamedFile& name);
  // Whether the open segment, in which nothing is, was replaced by another; then that one is open.
  [[nodiscard]] bool reopen();
  // Whether a valid frame begins at offset_; if so it is in the window.
  [[nodiscard]] bool load_frame();
  [[nodiscard]] bool frame_in_window() const;
  // Takes the valid frame at offset_ in; false where it was a segment end, and the next segment has
  // been entered. Throws where it is valid, but not the frame that belongs here.
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

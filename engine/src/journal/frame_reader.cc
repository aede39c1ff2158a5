#include "journal/frame_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <string_view>
#include <system_error>
#include <utility>

#include "journal/error.h"
#include "journal/journal_end.h"

namespace openvenue::journal {
namespace {

// Large enough to read fast, small enough to follow a live journal cheaply, frame by frame.
constexpr std::uint64_t kWindowBytes = std::uint64_t{64} << 10;
constexpr std::uint64_t kInspectBytes = std::uint64_t{1} << 20;

// True if `bytes` begin with a whole frame of this segment that belongs at `offset`.
bool is_valid_frame(std::span<const std::byte> bytes, std::uint64_t offset,
                    const SegmentHeader& segment) {
  if (bytes.size() < kFrameHeaderBytes) return false;
  const auto header = load_header<FrameHeader>(bytes);
  if (!has_magic(header, segment.version) || header.offset != offset) return false;
  if (header.payload_bytes > kFramePayloadBytesMax) return false;
  const std::uint64_t size = frame_bytes(header.payload_bytes);
  return size <= bytes.size() && header.checksum == checksum_of(bytes.first(size), segment.salt);
}

// The size that the frame at the beginning of `bytes` claims, or a header's size if the claim is
// impossible. It decides how much to read, never what to believe.
std::uint64_t claimed_bytes(std::span<const std::byte> bytes, std::uint32_t version) {
  if (bytes.size() < kFrameHeaderBytes) return kFrameHeaderBytes;
  const auto header = load_header<FrameHeader>(bytes);
  if (!has_magic(header, version) || header.payload_bytes > kFramePayloadBytesMax) {
    return kFrameHeaderBytes;
  }
  return frame_bytes(header.payload_bytes);
}

}  // namespace

FrameReader::FrameReader(std::filesystem::path directory, std::uint32_t shard_id,
                         core::Sequence from, std::filesystem::path archive)
    : directory_(std::move(directory)),
      archive_(std::move(archive)),
      shard_id_(shard_id),
      from_(from) {}

std::span<const std::byte> FrameReader::payload() const {
  return std::span(window_).subspan(frame_offset_ + kFrameHeaderBytes - window_offset_,
                                    frame_.payload_bytes);
}

FrameReader::Result FrameReader::next(core::Sequence durable) {
  if (damaged_) return Result::kDamaged;
  try {
    return advance(durable);
  } catch (const OutOfResources&) {
    throw;  // it is no damage
  } catch (const JournalError& error) {
    damaged_ = true;
    error_ = error.what();
    return Result::kDamaged;
  }
}

FrameReader::Result FrameReader::advance(core::Sequence durable) {
  if (!file_.is_open() && !open_first()) return Result::kEnd;
  for (;;) {
    if (load_frame()) {
      if (accept_frame()) return Result::kFrame;
      continue;
    }
    // No frame, or not one yet. Gather evidence first, then read again: a frame that the writer
    // completed meanwhile is no damage, whatever came after it.
    const std::optional<NamedFile> following = following_segment();
    const Remains remains = following ? Remains{} : inspect_remains();
    if (load_frame()) continue;
    if (!following && offset_ == kSegmentHeaderBytes && reopen()) continue;
    switch (judge({.next_segment = following.has_value(),
                   .bytes = remains.bytes,
                   .later_frame_vouches = remains.vouched_at.has_value(),
                   .caller_vouches = next_sequence_ <= durable})) {
      case EndVerdict::kNextSegment:
        enter(*following);
        continue;
      case EndVerdict::kDamage:
        throw JournalError(describe_damage(
            file_.path(), offset_,
            fmt::format("entry {} should begin here and does not, but {}", next_sequence_,
                        remains.vouched_at
                            ? fmt::format("a valid frame at offset {} says that it was durable",
                                          *remains.vouched_at)
                            : fmt::format("entries up to {} are durable", durable))));
      case EndVerdict::kTorn:
        torn_bytes_ = remains.bytes;
        error_ = fmt::format(
            "{} at offset {}: {} bytes of a write that was never completed, in place of entry {}. "
            "Nothing of it was acknowledged; the engine cuts it off at its next start.",
            file_.path().string(), offset_, remains.bytes, next_sequence_);
        return Result::kTorn;
      case EndVerdict::kEnd:
        torn_bytes_ = 0;
        return Result::kEnd;
    }
  }
}

bool FrameReader::open_first() {
  const std::vector<NamedFile> segments = list_segments(directory_, archive_, shard_id_);
  if (segments.empty()) return false;
  auto after = std::upper_bound(
      segments.begin(), segments.end(), from_,
      [](core::Sequence from, const NamedFile& segment) { return from < segment.sequence; });
  if (after == segments.begin()) {
    if (from_ > 0) {
      throw JournalError(describe_removed(segments.front(), from_));
    }
    ++after;
  }
  enter(*std::prev(after));
  return true;
}

void FrameReader::enter(const NamedFile& name) {
  File file = File::open(name.path);
  const SegmentHeader header = read_segment_header(file, name, shard_id_);
  if (file_.is_open()) {
    const bool continues = header.first_sequence == next_sequence_ &&
                           header.previous_checksum == chain_ &&
                           header.previous_first_sequence == segment_.first_sequence;
    if (!continues) {
      throw JournalError(describe_damage(
          file_.path(), offset_,
          fmt::format("entry {} should begin here and does not, and {} does not follow (it begins "
                      "with entry {})",
                      next_sequence_, name.path.filename().string(), header.first_sequence)));
    }
  }
  file_ = std::move(file);
  segment_ = header;
  offset_ = kSegmentHeaderBytes;
  last_group_offset_ = offset_;
  chain_ = header.previous_checksum;
  next_sequence_ = header.first_sequence;
  last_flags_.reset();
  window_.clear();
}

// The writer replaces an empty segment by a larger file if the next frame does not fit into it.
bool FrameReader::reopen() {
  File file = File::open(file_.path());
  const SegmentHeader header =
      read_segment_header(file, {segment_.first_sequence, file_.path()}, shard_id_);
  if (header.salt == segment_.salt) return false;
  file_ = std::move(file);
  segment_ = header;
  window_.clear();
  return true;
}

bool FrameReader::load_frame() {
  if (frame_in_window()) return true;
  // Missing, cut off by the window's end, or read before it was written.
  const std::uint64_t left = segment_.segment_bytes - offset_;
  const auto read = [&](std::uint64_t size) {
    window_.resize(std::min(size, left));
    window_.resize(file_.read_at(offset_, window_));
    window_offset_ = offset_;
  };
  read(kWindowBytes);
  const std::uint64_t claimed = claimed_bytes(window_, segment_.version);
  if (claimed > window_.size()) read(claimed);
  return frame_in_window();
}

bool FrameReader::frame_in_window() const {
  if (offset_ < window_offset_ || offset_ >= window_offset_ + window_.size()) return false;
  return is_valid_frame(std::span(window_).subspan(offset_ - window_offset_), offset_, segment_);
}

bool FrameReader::accept_frame() {
  frame_ = load_header<FrameHeader>(std::span(window_).subspan(offset_ - window_offset_));
  const bool has_entries = frame_.flags == kEntries;
  if (frame_.version != segment_.version || frame_.flags > kSegmentEnd ||
      has_entries != (frame_.count > 0) || has_entries != (frame_.payload_bytes > 0)) {
    throw JournalError(
        describe_damage(file_.path(), offset_, "a frame of a kind that this engine does not know"));
  }
  if (frame_.shard_id != shard_id_ || frame_.first_sequence != next_sequence_ ||
      frame_.previous_checksum != chain_ || frame_.durable_sequence >= next_sequence_) {
    throw JournalError(describe_damage(
        file_.path(), offset_,
        fmt::format("a frame that does not continue the one before it: entry {} of shard {}, "
                    "expected entry {} of shard {}",
                    frame_.first_sequence, frame_.shard_id, next_sequence_, shard_id_)));
  }
  if (epoch_of(frame_) < epoch_) {
    throw JournalError(describe_damage(
        file_.path(), offset_,
        fmt::format("a frame by a writer of epoch {} follows one of epoch {}: the earlier writer "
                    "went on after a later one had begun",
                    epoch_of(frame_), epoch_)));
  }
  epoch_ = epoch_of(frame_);
  if (frame_.flags == kSegmentEnd) {
    const std::optional<NamedFile> following = following_segment();
    if (!following) {
      throw JournalError(describe_damage(
          file_.path(), offset_,
          fmt::format("the segment ends here, but the next one, with entry {}, is missing",
                      next_sequence_)));
    }
    enter(*following);
    return false;
  }
  // Frames between two syncs report the same durable sequence.
  if (!last_flags_ || frame_.durable_sequence != last_group_durable_) last_group_offset_ = offset_;
  last_group_durable_ = frame_.durable_sequence;
  frame_offset_ = offset_;
  offset_ += frame_bytes(frame_.payload_bytes);
  chain_ = frame_.checksum;
  next_sequence_ += frame_.count;
  last_flags_ = static_cast<FrameFlags>(frame_.flags);
  return true;
}

// Finds the next segment by its name, which has its first entry. Only if that file is missing,
// lists the directory for a later one, which would mean damage.
std::optional<NamedFile> FrameReader::following_segment() const {
  if (next_sequence_ > segment_.first_sequence) {
    std::error_code ignored;  // the listing reports problems of the directory
    for (const std::filesystem::path& place : {directory_, archive_}) {
      if (place.empty()) continue;
      const NamedFile next{next_sequence_, segment_path(place, shard_id_, next_sequence_)};
      if (std::filesystem::exists(next.path, ignored)) return next;
    }
  }
  for (NamedFile& segment : list_segments(directory_, shard_id_)) {
    if (segment.sequence > segment_.first_sequence) return std::move(segment);
  }
  return std::nullopt;
}

FrameReader::Remains FrameReader::inspect_remains() const {
  Remains remains;
  std::vector<std::byte> chunk;
  for (std::uint64_t at = offset_; at < segment_.segment_bytes; at += chunk.size()) {
    chunk.resize(std::min(kInspectBytes, segment_.segment_bytes - at));
    chunk.resize(file_.read_at(at, chunk));
    if (chunk.empty()) break;
    for (std::size_t index = 0; index < chunk.size(); index += kFrameAlignmentBytes) {
      std::uint64_t word = 0;
      const std::size_t word_bytes = std::min(sizeof word, chunk.size() - index);
      std::memcpy(&word, chunk.data() + index, word_bytes);
      if (word == 0) continue;
      const auto used_bytes = (std::bit_width(word) + 7U) / 8U;
      remains.bytes = at + index + static_cast<std::uint64_t>(used_bytes) - offset_;
      if (!remains.vouched_at && begins_frame(word, segment_.version) &&
          vouches_for_missing(at + index)) {
        remains.vouched_at = at + index;
      }
    }
  }
  return remains;
}

bool FrameReader::vouches_for_missing(std::uint64_t offset) const {
  std::vector<std::byte> bytes(kFrameHeaderBytes);
  bytes.resize(file_.read_at(offset, bytes));
  bytes.resize(claimed_bytes(bytes, segment_.version));
  bytes.resize(file_.read_at(offset, bytes));
  return is_valid_frame(bytes, offset, segment_) &&
         load_header<FrameHeader>(bytes).durable_sequence >= next_sequence_;
}

}  // namespace openvenue::journal

#include "journal/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <utility>

#include "core/base/check.h"
#include "journal/codec.h"
#include "journal/format.h"
#include "journal/segment.h"
#include "journal/segment_pipeline.h"
#include "journal/tail.h"

namespace openvenue::journal {
namespace {

constexpr std::uint64_t round_up_to_page(std::uint64_t bytes) {
  return (bytes + kSegmentHeaderBytes - 1) / kSegmentHeaderBytes * kSegmentHeaderBytes;
}

std::uint64_t random_salt() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

// Default-initialized: a value would touch all of it.
Frame::Frame() : bytes_(new std::byte[frame_bytes(kFramePayloadBytesMax)]) {}

void Frame::clear() {
  payload_bytes_ = 0;
  first_sequence_ = 0;
  count_ = 0;
}

void Frame::append(const core::Command& command, const core::EventBuffer& events) {
  if (empty()) first_sequence_ = command.sequence;
  CHECK(command.sequence == first_sequence_ + count_, "an entry does not follow the one before it");
  CHECK(payload_bytes_ + entry_bytes_max(events.size()) <= kFramePayloadBytesMax,
        "a frame has no room for an entry");
  payload_bytes_ +=
      encode_entry(command, events, bytes_.get() + kFrameHeaderBytes + payload_bytes_);
  ++count_;
}

bool Frame::full() const { return payload_bytes_ >= kFrameFullBytes; }

struct Writer::State {
  explicit State(Tail tail_found)
      : tail(std::move(tail_found)),
        pipeline(tail.settings.directory, round_up_to_page(tail.settings.segment_bytes)),
        durable_(tail.next_sequence - 1) {}

  void write(Frame& frame);
  void sync();
  void mark_end();

  // After one failure every further attempt fails too, because the disk's content is unknown.
  template <class Action>
  void attempt(Action action) {
    if (failed_) {
      throw JournalError(fmt::format("The journal in {} failed before. Start the engine again.",
                                     tail.settings.directory.string()));
    }
    failed_ = true;
    action();
    failed_ = false;
  }

  Tail tail;
  SegmentPipeline pipeline;
  std::uint64_t bytes_written = 0;
  std::uint64_t segments_created = 0;

 private:
  [[nodiscard]] FrameHeader next_header(FrameFlags flags) const;
  void append_mark(FrameFlags flags);
  void roll(std::uint64_t frame_size);

  bool failed_ = false;
  core::Sequence durable_;
};

FrameHeader Writer::State::next_header(FrameFlags flags) const {
  FrameHeader header = new_frame_header(tail.segment.version, tail.epoch);
  header.flags = flags;
  header.shard_id = tail.settings.shard_id;
  header.first_sequence = tail.next_sequence;
  header.durable_sequence = durable_;
  header.offset = tail.offset;
  header.previous_checksum = tail.chain;
  return header;
}

// A segment of an older version gets no more entries: the first one begins a new segment.
void Writer::State::write(Frame& frame) {
  CHECK(!frame.empty() && frame.first_sequence() == tail.next_sequence,
        "a frame does not follow the one before it");
  const std::uint64_t payload_bytes = frame.payload_bytes();
  const std::uint64_t size = frame_bytes(payload_bytes);
  if (tail.segment.version != kFormatVersion ||
      tail.offset + size + kSegmentReserveBytes > tail.segment.segment_bytes) {
    roll(size);
  }

  FrameHeader header = next_header(kEntries);
  header.payload_bytes = static_cast<std::uint32_t>(payload_bytes);
  header.count = frame.count();
  const std::span<std::byte> bytes(frame.bytes_.get(), size);
  const auto padding = bytes.subspan(kFrameHeaderBytes + payload_bytes);
  std::fill(padding.begin(), padding.end(), std::byte{0});
  seal(header, bytes, tail.segment.salt);
  tail.file.write_at(tail.offset, bytes);

  tail.offset += size;
  tail.chain = header.checksum;
  tail.next_sequence += header.count;
  tail.ends_with_entries = true;
  bytes_written += size;
}

void Writer::State::sync() {
  if (durable_ + 1 == tail.next_sequence) return;
  tail.file.sync();
  durable_ = tail.next_sequence - 1;
  pipeline.retry_if_failed(tail.offset, tail.segment.segment_bytes);
}

// A mark only follows entries, so that no segment holds only marks and no two segments begin with
// the same entry.
void Writer::State::mark_end() {
  if (!tail.ends_with_entries) return;
  sync();
  append_mark(kCleanEnd);
}

void Writer::State::append_mark(FrameFlags flags) {
  FrameHeader header = next_header(flags);
  write_mark(tail.file, tail.segment, header);
  tail.offset += kFrameHeaderBytes;
  tail.chain = header.checksum;
  tail.ends_with_entries = false;
  bytes_written += kFrameHeaderBytes;
}

// The old segment is durable before the new one has its name, and the new one has its name before
// the old one gets its end mark: a crash at any moment leaves a journal that reads whole.
//
// A segment that a crash left empty may be too small for the next frame. The new one then takes its
// name and place, and no segment ends.
void Writer::State::roll(std::uint64_t frame_size) {
  const bool replaces = tail.file.is_open() && tail.offset == kSegmentHeaderBytes;
  sync();
  SegmentHeader header;
  header.shard_id = tail.settings.shard_id;
  header.first_sequence = tail.next_sequence;
  header.previous_first_sequence =
      replaces ? tail.segment.previous_first_sequence : tail.segment.first_sequence;
  header.previous_checksum = tail.chain;
  header.segment_bytes = round_up_to_page(std::max(
      tail.settings.segment_bytes, kSegmentHeaderBytes + frame_size + kSegmentReserveBytes));
  header.salt = random_salt();
  std::vector<std::byte> page(kSegmentHeaderBytes);
  seal(header, std::span(page), 0);

  File next = pipeline.take(header.segment_bytes);
  next.write_at(0, page);
  next.sync();
  next.rename(segment_path(tail.settings.directory, header.shard_id, header.first_sequence));
  if (tail.file.is_open() && !replaces) append_mark(kSegmentEnd);

  tail.file = std::move(next);
  tail.segment = header;
  tail.offset = kSegmentHeaderBytes;
  tail.chain = header.previous_checksum;
  tail.ends_with_entries = false;
  ++segments_created;
  pipeline.prepare();
}

Writer::Writer(Tail tail) : state_(std::make_unique<State>(std::move(tail))) {}
Writer::~Writer() = default;
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;

void Writer::write(Frame& frame) {
  state_->attempt([&] { state_->write(frame); });
}

void Writer::sync() {
  state_->attempt([&] { state_->sync(); });
}

void Writer::mark_end() {
  state_->attempt([&] { state_->mark_end(); });
}

core::Sequence Writer::next_sequence() const { return state_->tail.next_sequence; }
Epoch Writer::epoch() const { return state_->tail.epoch; }
std::uint64_t Writer::bytes_written() const { return state_->bytes_written; }
std::uint64_t Writer::segments_created() const { return state_->segments_created; }
const SegmentPipeline::Statistics& Writer::preparation() const {
  return state_->pipeline.statistics();
}

}  // namespace openvenue::journal

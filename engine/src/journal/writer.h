// Appends frames to the journal's segments and makes them durable.
//
// One thread builds frames (the shard), another writes and syncs them (the journal thread); a Frame
// belongs to one of them at a time. Errors throw JournalError: after a failed write or sync the
// process must end, because the kernel may have dropped the dirty pages, and a retry would falsely
// succeed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "core/schema/command.h"
#include "core/schema/event.h"
#include "journal/error.h"
#include "journal/format.h"
#include "journal/segment_pipeline.h"

namespace openvenue::journal {

struct Settings {
  std::filesystem::path directory;
  std::uint32_t shard_id = 0;
  // Size of new segments, rounded up to 4,096; kSegmentBytesMin to kSegmentBytesMax (format.h). A
  // frame that is larger gets a segment of its own size.
  std::uint64_t segment_bytes = std::uint64_t{64} << 20;
  // Free bytes of the disk that snapshots leave to the journal. The runtime keeps them free of new
  // orders as well, see runtime/disk_reserve.h.
  std::uint64_t disk_reserve_bytes = 0;
  // Where segments lie that are not needed for a start, see archive.h; empty: nowhere.
  std::filesystem::path archive = {};
};

struct Tail;

// Consecutive entries on their way to the disk. The buffer is made once, for the largest possible
// frame, and reused; unused pages take no memory.
class Frame {
 public:
  Frame();
  void clear();
  // Precondition: command.sequence follows the last appended one, and the frame is not full.
  void append(const core::Command& command, const core::EventBuffer& events);
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] core::Sequence first_sequence() const { return first_sequence_; }
  [[nodiscard]] core::Sequence last_sequence() const { return first_sequence_ + count_ - 1; }
  [[nodiscard]] std::size_t payload_bytes() const { return payload_bytes_; }
  // True once the shard should hand it over.
  [[nodiscard]] bool full() const;

 private:
  friend class Writer;
  std::unique_ptr<std::byte[]> bytes_;  // header space, then payload, then room for padding
  std::size_t payload_bytes_ = 0;
  core::Sequence first_sequence_ = 0;
  std::uint32_t count_ = 0;
};

class Writer {
 public:
  // Continues after `next_sequence - 1`, at the tail that recovery found (see recovery.h), holding
  // the directory's exclusive lock; use recover() to get one.
  ~Writer();
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;

  // Seals the frame (header, checksum) and writes it, to a new segment if it does not fit. Not
  // durable before sync().
  void write(Frame& frame);
  // One fdatasync of everything written since the last.
  void sync();
  // Syncs, and records that everything up to here was synced, so that damage to the last commit
  // group is distinguished from a torn write. Does nothing if that is recorded. More frames may
  // follow.
  void mark_end();

  [[nodiscard]] core::Sequence next_sequence() const;
  // The number in each frame that it writes, above that of every earlier writer.
  [[nodiscard]] Epoch epoch() const;
  [[nodiscard]] std::uint64_t bytes_written() const;
  [[nodiscard]] std::uint64_t segments_created() const;
  [[nodiscard]] const SegmentPipeline::Statistics& preparation() const;

 private:
  friend class Recovery;
  struct State;
  explicit Writer(Tail tail);
  std::unique_ptr<State> state_;
};

}  // namespace openvenue::journal

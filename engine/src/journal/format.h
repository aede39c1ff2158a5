// The format of a journal on disk, as constants and structs. docs/journal.md describes it for
// people.
//
//   journal-SSSSSSSSSS-NNNNNNNNNNNNNNNNNNNN.ovj     a segment of shard S that begins with entry N
//     0      SegmentHeader, zeros up to 4,096
//     4096   frame │ frame │ … │ zeros up to segment_bytes
//   frame
//     0      FrameHeader
//     64     payload: `count` entries (codec.h), zeros up to a multiple of 8
//   snapshot-SSSSSSSSSS-NNNNNNNNNNNNNNNNNNNN.ovs    the state after entry N
//     0      SnapshotHeader
//     64     Exchange::serialize
//
// All integers are little-endian. Each header ends in its checksum: XXH3-64 of what follows the
// header, seeded with the XXH3-64 of the header before that field, seeded with a salt. The salt is
// random and belongs to the segment, so that no client can make its order look like a frame.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/schema/version.h"

struct XXH3_state_s;  // xxhash.h

namespace openvenue::journal {

// One version for the files' layout and for the fields in them.
constexpr std::uint16_t kFormatVersion = core::kSchemaVersion;

// Number of a journal's writer: each start takes the last one found plus 1.
using Epoch = std::uint32_t;

// First bytes of each structure: readable in a dump, and never part of UTF-8 text.
constexpr std::uint64_t kSegmentMagic = 0xFF314745534A564FULL;   // "OVJSEG1\xFF"
constexpr std::uint64_t kSnapshotMagic = 0xFF31504E534A564FULL;  // "OVJSNP1\xFF"
constexpr std::uint32_t kFrameMagic = 0xFF46564FU;               // "OVF\xFF"
// Version 2 had eight bytes, the present four and the epoch.
constexpr std::uint64_t kFrameMagicOfVersion2 = 0xFF314D52464A564FULL;  // "OVJFRM1\xFF"

constexpr std::uint64_t kSegmentHeaderBytes = 4096;
constexpr std::uint64_t kFrameHeaderBytes = 64;
constexpr std::uint64_t kFrameAlignmentBytes = 8;
constexpr std::uint64_t kFramePayloadBytesMax = std::uint64_t{16} << 20;
// The shard hands over a frame of this size: large enough to make headers and system calls
// negligible, small enough to be on its way to the disk within a millisecond.
constexpr std::uint64_t kFrameFullBytes = std::uint64_t{1} << 20;
// Bounds of one encoded command without its events, and of one encoded event.
constexpr std::uint64_t kCommandBytesMax = 256;
constexpr std::uint64_t kEventBytesMax = 160;
// Kept free at the end of a segment for its two marks: one clean end, one segment end.
constexpr std::uint64_t kSegmentReserveBytes = 2 * kFrameHeaderBytes;
constexpr std::uint64_t kSegmentBytesMin = kSegmentHeaderBytes + 4096;
constexpr std::uint64_t kSegmentBytesMax = std::uint64_t{4} << 30;

struct SegmentHeader {
  std::uint64_t magic = kSegmentMagic;
  std::uint32_t version = kFormatVersion;
  std::uint32_t shard_id = 0;
  core::Sequence first_sequence = 0;
  core::Sequence previous_first_sequence = 0;  // of the segment before; 0: this is the first
  std::uint64_t previous_checksum = 0;         // of the last frame before, segment ends left out
  std::uint64_t segment_bytes = 0;             // size of the file
  std::uint64_t salt = 0;
  std::uint64_t checksum = 0;  // over all 4,096 bytes, salt 0
};

enum FrameFlags : std::uint16_t {
  kEntries = 0,
  kCleanEnd = 1,    // no entries: all before was synced, and the writer stopped or was idle
  kSegmentEnd = 2,  // no entries: the journal continues in the next segment, which exists
};

struct FrameHeader {
  std::uint32_t magic = kFrameMagic;
  Epoch epoch = 0;  // of the writer; part of the magic in version 2, see epoch_of()
  std::uint16_t version = kFormatVersion;
  std::uint16_t flags = kEntries;
  std::uint32_t payload_bytes = 0;
  core::Sequence first_sequence = 0;  // of the next entry, if there are none
  std::uint32_t count = 0;
  std::uint32_t shard_id = 0;
  // Everything up to here was synced before this frame was written. A bad frame before a valid one
  // is a torn write only if the valid one does not report it as synced.
  core::Sequence durable_sequence = 0;
  std::uint64_t offset = 0;             // of this frame in its file
  std::uint64_t previous_checksum = 0;  // of the frame before: the chain
  std::uint64_t checksum = 0;           // over header and payload, the segment's salt
};

struct SnapshotHeader {
  std::uint64_t magic = kSnapshotMagic;
  std::uint32_t version = kFormatVersion;
  std::uint32_t shard_id = 0;
  core::Sequence sequence = 0;
  std::uint64_t frame_checksum = 0;  // of the frame that holds entry `sequence`
  std::uint64_t state_hash = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t salt = 0;      // always 0
  std::uint64_t checksum = 0;  // over header and payload
};

// All three headers are 64 bytes without padding and end in their checksum.
template <class T>
concept Header = std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T> &&
                     sizeof(T) == 64 &&
                 offsetof(T, checksum) == 56;

static_assert(Header<SegmentHeader> && Header<FrameHeader> && Header<SnapshotHeader>);
static_assert(kFrameHeaderBytes == sizeof(FrameHeader));
static_assert(kSegmentHeaderBytes % kFrameAlignmentBytes == 0);
static_assert(kFrameHeaderBytes % kFrameAlignmentBytes == 0);
// A frame that is not full has room for one more command with the largest number of events.
static_assert(kFrameFullBytes + kCommandBytesMax +
                  (core::kFillsPerCommandMax + std::uint64_t{4}) * kEventBytesMax <=
              kFramePayloadBytesMax);

// A new header of a writer of `epoch` in a segment of `version`.
[[nodiscard]] constexpr FrameHeader new_frame_header(std::uint32_t version, Epoch epoch) {
  FrameHeader header;
  header.version = static_cast<std::uint16_t>(version);
  header.epoch = epoch;
  if (version == 2) {
    header.magic = static_cast<std::uint32_t>(kFrameMagicOfVersion2);
    header.epoch = static_cast<Epoch>(kFrameMagicOfVersion2 >> 32);
  }
  return header;
}

// True if a frame of a segment of `version` can begin with these eight bytes.
[[nodiscard]] constexpr bool begins_frame(std::uint64_t word, std::uint32_t version) {
  return version == 2 ? word == kFrameMagicOfVersion2
                      : static_cast<std::uint32_t>(word) == kFrameMagic;
}
[[nodiscard]] constexpr bool has_magic(const FrameHeader& header, std::uint32_t version) {
  return begins_frame(std::uint64_t{header.epoch} << 32 | header.magic, version);
}

// 0 in version 2, which has none.
[[nodiscard]] constexpr Epoch epoch_of(const FrameHeader& header) {
  return header.version == 2 ? 0 : header.epoch;
}

[[nodiscard]] constexpr std::uint64_t frame_bytes(std::uint64_t payload_bytes) {
  return (kFrameHeaderBytes + payload_bytes + kFrameAlignmentBytes - 1) / kFrameAlignmentBytes *
         kFrameAlignmentBytes;
}

// Checksum of the header that begins `bytes` and of everything after it, ignoring the header's own
// checksum field. Precondition: bytes.size() >= 64.
[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t salt);

// The same for a header without its checksum and for the following bytes, piece by piece.
class PiecewiseChecksum {
 public:
  template <Header T>
  PiecewiseChecksum(const T& header, std::uint64_t salt)
      : PiecewiseChecksum(std::as_bytes(std::span(&header, 1)), salt) {}

  void add(std::span<const std::byte> piece);
  [[nodiscard]] std::uint64_t value() const;

 private:
  PiecewiseChecksum(std::span<const std::byte> header, std::uint64_t salt);

  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

template <Header T>
[[nodiscard]] T load_header(std::span<const std::byte> bytes) {
  T header;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

// Writes the header, with its checksum over all of `bytes`, to the front of `bytes`.
template <Header T>
void seal(T& header, std::span<std::byte> bytes, std::uint64_t salt) {
  std::memcpy(bytes.data(), &header, sizeof header);
  header.checksum = checksum_of(bytes, salt);
  std::memcpy(bytes.data(), &header, sizeof header);
}

}  // namespace openvenue::journal

// Files with the state after one entry, so that a start replays only what came later.
//
// A snapshot is used only if its checksum, the hash of its state, and the checksum of the journal
// frame at its place all agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/exchange/exchange.h"
#include "journal/format.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace openvenue::journal {

constexpr std::size_t kSnapshotsKept = 2;

struct Snapshot {
  SnapshotHeader header;
  std::vector<std::byte> bytes;  // header and state
};

// The file with a valid checksum. Throws JournalError with the problem.
[[nodiscard]] Snapshot read_snapshot(const NamedFile& name, std::uint32_t shard_id);

// The snapshot's state, in pools as large as `limits`, or as it needs if that is more. Throws
// JournalError if it does not match the header.
[[nodiscard]] std::unique_ptr<core::Exchange> restore_snapshot(const NamedFile& name,
                                                               const Snapshot& snapshot,
                                                               const core::Limits& limits);

// Reads the file from the disk, a piece at a time, and compares it with the journal's frame that it
// was taken at. Throws JournalError saying why it cannot be used.
void check_snapshot(const NamedFile& name, const Settings& settings);

// Makes the snapshot of `exchange` durable, then removes all but the newest kSnapshotsKept.
// `frame_checksum` is that of the frame with the last applied entry. Needs little memory beside the
// state. Returns a sentence with the older snapshots that could not be removed, or nothing. Throws
// JournalError, and Stopped if `stop` was requested; it leaves no part of a file.
std::string save_snapshot(const Settings& settings, const core::Exchange& exchange,
                          std::uint64_t frame_checksum, const std::stop_token& stop = {});

}  // namespace openvenue::journal

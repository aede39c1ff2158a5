// The state after one entry, in a file, so that a start replays only what came later.
//
// A snapshot is never trusted further than it can be checked: its checksum, the hash of the state
// it gives, and the checksum of the journal frame it was taken at must all agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/exchange.h"
#include "journal/format.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace openvenue::journal {

using VenueExchange = core::Exchange;

constexpr std::size_t kSnapshotsKept = 2;

struct Snapshot {
  SnapshotHeader header;
  std::vector<std::byte> bytes;  // header and state
};

// The file, its checksum verified. Throws JournalError saying what is wrong with it.
[[nodiscard]] Snapshot read_snapshot(const NamedFile& name, std::uint32_t shard_id);

// The state it holds, in pools as large as `limits`, or as it needs where that is more. Throws
// JournalError where it is not what the header says.
[[nodiscard]] std::unique_ptr<VenueExchange> restore_snapshot(const NamedFile& name,
                                                              const Snapshot& snapshot,
                                                              const core::Limits& limits);

// Reads the file from the disk, a piece at a time, and compares it with the journal's frame that it
// was taken at. Throws JournalError saying why it cannot be used.
void check_snapshot(const NamedFile& name, const Settings& settings);

// Makes the snapshot of `exchange` durable, then removes all but the newest kSnapshotsKept.
// `frame_checksum` is of the frame that holds the last entry applied. Needs little memory beside
// the state. Returns which older snapshots could not be removed and why, in a sentence, or nothing.
// Throws JournalError, and Stopped where `stop` was requested; no part of a file is left.
std::string save_snapshot(const Settings& settings, const VenueExchange& exchange,
                          std::uint64_t frame_checksum, const std::stop_token& stop = {});

}  // namespace openvenue::journal

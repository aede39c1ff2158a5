// From a journal directory to a running state: newest valid snapshot, then replay of what follows,
// asserting that every recomputed event equals the recorded one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/exchange.h"
#include "journal/replay.h"
#include "journal/writer.h"

namespace openvenue::journal {

struct Recovered {
  std::unique_ptr<VenueExchange> exchange;  // never null
  Writer writer;
  core::Sequence snapshot_sequence = 0;  // the snapshot it started from; 0: none
  std::uint64_t entries_replayed = 0;
  std::uint64_t torn_bytes_cut = 0;   // > 0: a torn last frame was cut off (never acknowledged)
  std::vector<std::string> warnings;  // for the log: snapshots that were passed over, and why
};

// Locks the directory (creating it if missing) against a second engine, recovers, and opens the
// journal for appending. Throws JournalError for damage, a held lock, another shard's journal, a
// state that exceeds `capacity`, or a replay that does not recompute what was recorded.
[[nodiscard]] Recovered recover(const Settings& settings, const core::Limits& capacity);

// Reads the newest snapshot and the segments since into a state of its own, up to `up_to` (which
// must be durable), and writes a snapshot of it. Safe beside a running Writer. Returns the
// snapshot's sequence; throws JournalError.
core::Sequence write_snapshot(const Settings& settings, const core::Limits& capacity,
                              core::Sequence up_to);

}  // namespace openvenue::journal

// Recovers a running state from a journal directory: restores the newest valid snapshot, then
// replays the rest and asserts that every recomputed event equals the recorded one.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/exchange/exchange.h"
#include "journal/replay.h"
#include "journal/writer.h"

namespace openvenue::journal {

struct Recovered {
  std::unique_ptr<core::Exchange> exchange;  // never null
  Writer writer;
  core::Sequence snapshot_sequence = 0;  // the snapshot it started from; 0: none
  std::uint64_t entries_replayed = 0;
  std::uint64_t torn_bytes_cut = 0;   // > 0: a torn last frame was cut off (never acknowledged)
  std::vector<std::string> warnings;  // for the log: skipped snapshots, and why
};

// Locks the directory (creating it if missing) against a second engine, recovers, and opens the
// journal for appending. The state's pools are as large as `limits`, or as the journal needs if
// that is more. Throws JournalError for damage, a held lock, another shard's journal, impossible
// settings, or a replay that differs from the recorded events; OutOfResources; Stopped if `stop`
// was requested meanwhile.
[[nodiscard]] Recovered recover(const Settings& settings, const core::Limits& limits,
                                const std::stop_token& stop = {});

}  // namespace openvenue::journal

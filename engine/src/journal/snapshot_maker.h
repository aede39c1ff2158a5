// Makes one snapshot after the other, beside order flow.
//
// It keeps the state that it replayed, so the next snapshot costs only the entries since, and no
// reading of the last one. That takes as much memory as the running state. Making a single snapshot
// does too, so the engine's peak memory is no higher.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "core/exchange/exchange.h"
#include "journal/replay.h"
#include "journal/writer.h"

namespace openvenue::journal {

class SnapshotMaker {
 public:
  struct Newest {
    core::Sequence sequence = 0;
    std::string warning;  // for the log: older snapshots that could not be removed; or empty
  };

  SnapshotMaker(const Settings& settings, const core::Limits& limits)
      : settings_(settings), limits_(limits) {}

  // Follows the journal to `up_to` (which must be durable) and writes a snapshot, unless the newest
  // is as new. Returns the newest one. Safe beside a running Writer. Throws JournalError,
  // std::bad_alloc, and Stopped if `stop` was requested; the next call then starts again from the
  // newest snapshot on disk.
  Newest write(core::Sequence up_to, const std::stop_token& stop = {});

 private:
  const Settings settings_;
  const core::Limits limits_;
  std::optional<Replay> replay_;  // at the newest snapshot
};

}  // namespace openvenue::journal

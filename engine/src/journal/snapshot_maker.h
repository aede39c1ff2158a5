// Makes one snapshot after the other, off the order flow's way.
//
// It keeps the state that it replayed, so that the next snapshot costs the entries since and not
// the reading of the last one. That takes as much memory as the running state, as making a snapshot
// did anyway for as long as it took: the most that the engine needs is no higher for it.
#pragma once

#include <optional>
#include <stop_token>
#include <string>

#include "core/exchange.h"
#include "journal/replay.h"
#include "journal/writer.h"

namespace openvenue::journal {

class SnapshotMaker {
 public:
  struct Newest {
    core::Sequence sequence = 0;
    std::string warning;  // for the log: which older snapshots could not be removed; or empty
  };

  SnapshotMaker(const Settings& settings, const core::Limits& limits)
      : settings_(settings), limits_(limits) {}

  // Follows the journal to `up_to` (which must be durable) and writes a snapshot, unless the newest
  // is as new. Returns the newest one. Safe beside a running Writer. Throws JournalError,
  // std::bad_alloc, and Stopped where `stop` was requested; the next call then begins anew from the
  // newest snapshot on disk.
  Newest write(core::Sequence up_to, const std::stop_token& stop = {});

 private:
  const Settings settings_;
  const core::Limits limits_;
  std::optional<Replay> replay_;  // at the newest snapshot
};

}  // namespace openvenue::journal

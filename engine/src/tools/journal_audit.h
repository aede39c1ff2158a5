// The checks of `journal verify` and `journal stats`.
//
// Both throw journal::JournalError if the journal is damaged, unreadable or missing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "core/schema/command.h"
#include "core/schema/event.h"
#include "journal/writer.h"

namespace openvenue::tools {

// Called at intervals with the number of entries read so far.
using OnProgress = std::function<void(std::uint64_t entries)>;

enum class Ending {
  kClean,  // all was synced: the writer stopped, or is or was idle
  kOpen,   // it is running, or was killed soon after a write
  kTorn,   // it was killed within a write, or is writing now
};

struct JournalStats {
  std::uint64_t segments = 0;
  std::uint64_t frames = 0;       // with entries
  std::uint64_t frame_bytes = 0;  // headers and padding included
  std::uint64_t frame_entries_max = 0;
  std::uint64_t entries = 0;
  core::Sequence first_sequence = 0;
  core::Sequence last_sequence = 0;
  core::TimestampNs first_ns = 0;
  core::TimestampNs last_ns = 0;
  std::array<std::uint64_t, std::variant_size_v<core::CommandBody>> commands{};
  std::array<std::uint64_t, std::variant_size_v<core::Event>> events{};
  Ending ending = Ending::kOpen;
  std::uint64_t torn_bytes = 0;
};

struct Verdict {
  JournalStats stats;
  std::uint64_t state_hash = 0;
  core::Sequence replayed_from = 0;       // the snapshot that replay began with; 0: the beginning
  std::vector<core::Sequence> snapshots;  // that agree with the replayed state
  std::vector<std::string> snapshot_faults;  // one sentence for each that does not
};

// Reads every frame and decodes every entry; checks chain and checksums.
[[nodiscard]] JournalStats read_stats(const journal::Settings& settings,
                                      const OnProgress& on_progress);

// The same, and replays every entry, from the first or, if segments were archived, from the oldest
// snapshot: each command must cause the recorded events, and each snapshot must have the state at
// its place.
[[nodiscard]] Verdict verify(const journal::Settings& settings, const OnProgress& on_progress);

}  // namespace openvenue::tools

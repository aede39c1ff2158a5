#include "tools/journal_audit.h"

#include <fmt/format.h>

#include <algorithm>

#include "journal/frame_reader.h"
#include "journal/reader.h"
#include "journal/replay.h"
#include "journal/segment.h"
#include "journal/snapshot.h"

namespace openvenue::tools {
namespace {

constexpr std::uint64_t kProgressEntries = 20'000;

// Replay allocates what the journal configures.
constexpr core::Limits kSmallest{.max_orders = 2,
                                 .max_accounts = 1,
                                 .max_instruments = 1,
                                 .max_positions = 1,
                                 .max_fills_per_command = 1,
                                 .max_open_orders = 1,
                                 .max_open_orders_per_account = 1,
                                 .max_client_ids = 2};

void count(const core::Command& command, const core::EventBuffer& events, JournalStats& stats) {
  if (stats.entries == 0) {
    stats.first_ns = command.timestamp_ns;
    stats.first_sequence = command.sequence;
  }
  stats.last_ns = command.timestamp_ns;
  stats.last_sequence = command.sequence;
  ++stats.entries;
  ++stats.commands[command.body.index()];
  for (const core::Event& event : events) ++stats.events[event.index()];
}

void count(const journal::FrameHeader& frame, JournalStats& stats) {
  ++stats.frames;
  stats.frame_bytes += journal::frame_bytes(frame.payload_bytes);
  stats.frame_entries_max = std::max<std::uint64_t>(stats.frame_entries_max, frame.count);
}

// Checks that the snapshot's state is the one that replay has just reached.
void compare_snapshot(const journal::Settings& settings, const journal::NamedFile& name,
                      const journal::Replay& replay, Verdict& verdict) {
  if (!std::filesystem::exists(name.path)) return;  // the running engine has replaced it
  try {
    const journal::Snapshot snapshot = journal::read_snapshot(name, settings.shard_id);
    static_cast<void>(journal::restore_snapshot(name, snapshot, kSmallest));
    if (snapshot.header.state_hash == replay.exchange().state_hash(snapshot.header.version) &&
        snapshot.header.frame_checksum == replay.frame_checksum()) {
      verdict.snapshots.push_back(name.sequence);
    } else {
      verdict.snapshot_faults.push_back(
          fmt::format("{}: not the state that the journal gives at entry {}", name.path.string(),
                      name.sequence));
    }
  } catch (const journal::JournalError& error) {
    verdict.snapshot_faults.emplace_back(error.what());
  }
}

}  // namespace

JournalStats read_stats(const journal::Settings& settings, const OnProgress& on_progress) {
  JournalStats stats;
  const auto segments =
      journal::list_segments(settings.directory, settings.archive, settings.shard_id);
  if (segments.empty()) {
    throw journal::JournalError(fmt::format(
        "{} holds no journal of shard {}. Give the engine's data directory and its shard.",
        settings.directory.string(), settings.shard_id));
  }
  journal::check_segment_links(segments, settings.shard_id);
  stats.segments = segments.size();

  journal::Reader reader(settings.directory, settings.shard_id, segments.front().sequence,
                         settings.archive);
  core::Command command;
  core::EventBuffer events;
  for (;;) {
    switch (reader.next(command, events)) {
      case journal::Reader::Result::kEntry: {
        const journal::FrameHeader& frame = reader.frames().header();
        if (command.sequence == frame.first_sequence) count(frame, stats);
        count(command, events, stats);
        if (stats.entries % kProgressEntries == 0) on_progress(stats.entries);
        continue;
      }
      case journal::Reader::Result::kEnd:
        if (reader.frames().last_flags() == journal::kCleanEnd) stats.ending = Ending::kClean;
        return stats;
      case journal::Reader::Result::kTorn:
        stats.ending = Ending::kTorn;
        stats.torn_bytes = reader.frames().torn_bytes();
        return stats;
      case journal::Reader::Result::kDamaged:
        throw journal::JournalError(reader.error());
    }
  }
}

Verdict verify(const journal::Settings& settings, const OnProgress& on_progress) {
  Verdict verdict;
  // List first: a running engine's later snapshots are of entries beyond those read here.
  const auto snapshots = journal::list_snapshots(settings.directory, settings.shard_id);
  verdict.stats = read_stats(settings, on_progress);
  const bool from_snapshot = verdict.stats.first_sequence > 1;
  journal::Replay replay(
      settings, kSmallest,
      from_snapshot ? journal::Replay::Start::kOldestSnapshot : journal::Replay::Start::kBeginning);
  verdict.replayed_from = replay.snapshot_sequence();
  auto snapshot = snapshots.begin();
  // Restoring it has compared the one that replay begins with; of those passed over it told why.
  verdict.snapshot_faults = replay.warnings();
  while (snapshot != snapshots.end() && snapshot->sequence <= verdict.replayed_from) {
    if (snapshot->sequence == verdict.replayed_from)
      verdict.snapshots.push_back(snapshot->sequence);
    ++snapshot;
  }
  const core::Sequence last = verdict.stats.last_sequence;
  while (replay.exchange().last_sequence() < last) {
    core::Sequence stop = std::min(replay.exchange().last_sequence() + kProgressEntries, last);
    if (snapshot != snapshots.end()) stop = std::min(stop, snapshot->sequence);
    replay.run(stop, last);
    if (snapshot != snapshots.end() && stop == snapshot->sequence) {
      compare_snapshot(settings, *snapshot++, replay, verdict);
    }
    on_progress(verdict.stats.entries + replay.entries_replayed());
  }
  for (; snapshot != snapshots.end(); ++snapshot) {
    verdict.snapshot_faults.push_back(fmt::format("{}: of an entry beyond the journal's last, {}",
                                                  snapshot->path.string(), last));
  }
  verdict.state_hash = replay.exchange().state_hash();
  return verdict;
}

}  // namespace openvenue::tools

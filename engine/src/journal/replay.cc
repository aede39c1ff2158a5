#include "journal/replay.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "journal/error.h"
#include "journal/frame_reader.h"
#include "journal/segment.h"

namespace openvenue::journal {
namespace {

constexpr core::Sequence kUnbounded = ~core::Sequence{0};

}  // namespace

Replay::Replay(const Settings& settings, const core::Limits& limits, Start start)
    : settings_(settings) {
  if (start != Start::kBeginning) restore_snapshot_of(start, limits);
  if (!exchange_) {
    check_begins_with_entry_one();
    exchange_ = std::make_unique<core::Exchange>(limits);
    reader_ = std::make_unique<Reader>(settings.directory, settings.shard_id, 1, settings.archive);
  }
  reserve_events();
}

void Replay::reserve_events() {
  const std::size_t events = core::Exchange::max_events_per_command(exchange_->capacity());
  recorded_.reserve(events);
  recomputed_.reserve(events);
}

void Replay::check_begins_with_entry_one() const {
  const auto segments = list_segments(settings_.directory, settings_.archive, settings_.shard_id);
  if (segments.empty() || segments.front().sequence == 1) return;
  throw JournalError(
      fmt::format("The state cannot be made: no snapshot in {} can be used, and {} {}",
                  settings_.directory.string(), describe_removed(segments.front(), 1),
                  fmt::join(warnings_, " ")));
}

void Replay::restore_snapshot_of(Start start, const core::Limits& limits) {
  std::vector<NamedFile> snapshots = list_snapshots(settings_.directory, settings_.shard_id);
  if (start == Start::kNewestSnapshot) std::reverse(snapshots.begin(), snapshots.end());
  for (const NamedFile& name : snapshots) {
    Snapshot snapshot;
    try {
      snapshot = read_snapshot(name, settings_.shard_id);
      exchange_ = restore_snapshot(name, snapshot, limits);
    } catch (const OutOfResources&) {
      throw;  // the snapshot is not at fault
    } catch (const JournalError& error) {
      warnings_.push_back(fmt::format("A snapshot is passed over. {}.", error.what()));
      continue;
    }
    check_snapshot_is_of_journal(snapshot, name);
    snapshot_sequence_ = snapshot.header.sequence;
    return;
  }
}

// Leaves the reader behind the snapshot's last entry.
void Replay::check_snapshot_is_of_journal(const Snapshot& snapshot, const NamedFile& name) {
  const core::Sequence sequence = snapshot.header.sequence;
  reader_ = std::make_unique<Reader>(settings_.directory, settings_.shard_id, sequence);
  switch (reader_->next(command_, recorded_)) {
    case Reader::Result::kEntry:
      break;
    case Reader::Result::kDamaged:
      throw JournalError(reader_->error());
    case Reader::Result::kEnd:
    case Reader::Result::kTorn:
      throw JournalError(fmt::format(
          "{} is of entry {}, but the journal ends before it: acknowledged entries are missing. "
          "Restore the whole directory from a backup.",
          name.path.string(), sequence));
  }
  frame_checksum_ = reader_->frames().header().checksum;
  if (frame_checksum_ != snapshot.header.frame_checksum) {
    throw JournalError(fmt::format(
        "{} was not taken of this journal: {} holds another frame at entry {}. Restore the whole "
        "directory from one backup, or remove the snapshot if the journal is the right one.",
        name.path.string(), reader_->frames().path().string(), sequence));
  }
}

Replay::Stop Replay::run(core::Sequence up_to, core::Sequence durable,
                         const std::stop_token& stop) {
  while (exchange_->last_sequence() < up_to) {
    if (stop.stop_requested()) throw Stopped("the replay of the journal was abandoned");
    // If nothing is known to be durable, the reader has to find the end in the files.
    switch (reader_->next(command_, recorded_, durable == 0 ? kUnbounded : durable)) {
      case Reader::Result::kEntry:
        apply_and_compare();
        break;
      case Reader::Result::kEnd:
        return Stop::kEnd;
      case Reader::Result::kTorn:
        return Stop::kTorn;
      case Reader::Result::kDamaged:
        throw JournalError(reader_->error());
    }
  }
  return Stop::kReached;
}

// Limits of the past may be above those of today.
void Replay::prepare_for(const core::Configure& configure) {
  if (configure.rules_version > core::kRulesVersion) {
    throw JournalError(
        fmt::format("From entry {} on, the journal in {} was made under rules version {}, and this "
                    "engine knows "
                    "those up to {}. Start the version that wrote it, or a later one.",
                    command_.sequence, settings_.directory.string(), configure.rules_version,
                    core::kRulesVersion));
  }
  const core::Limits capacity = core::larger_of(exchange_->capacity(), configure.limits);
  if (capacity == exchange_->capacity()) return;
  exchange_ = core::Exchange::resized(std::move(exchange_), capacity);
  reserve_events();
}

void Replay::apply_and_compare() {
  const FrameReader& frames = reader_->frames();
  if (const auto* configure = std::get_if<core::Configure>(&command_.body)) prepare_for(*configure);
  exchange_->apply(command_, recomputed_);
  if (recomputed_ != recorded_) {
    throw Divergence(fmt::format(
        "{} at offset {}: replaying entry {} gives other events than were recorded with it. This "
        "build decides differently from the one that wrote the journal, or its state was damaged "
        "in "
        "memory: start the version that wrote it, and keep the directory for analysis.",
        frames.path().string(), frames.header().offset, command_.sequence));
  }
  frame_checksum_ = frames.header().checksum;
  ++entries_replayed_;
}

}  // namespace openvenue::journal

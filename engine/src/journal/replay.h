// Rebuilds a state from a journal: applies its commands again and asserts that each causes exactly
// the recorded events.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/exchange/exchange.h"
#include "core/schema/event.h"
#include "journal/reader.h"
#include "journal/snapshot.h"
#include "journal/writer.h"

namespace openvenue::journal {

class Replay {
 public:
  enum class Start {
    kBeginning,
    kNewestSnapshot,  // the newest usable one; warnings() has the others, with the reasons
    kOldestSnapshot,  // the oldest usable one; the same
  };
  enum class Stop { kReached, kEnd, kTorn };

  // The state's pools begin as large as `limits` and grow if the journal needs more. Throws
  // JournalError if no segment holds the first entry needed, or if the newest snapshot is not of
  // this journal (the journal ends before it, or holds another frame at its place); OutOfResources.
  Replay(const Settings& settings, const core::Limits& limits, Start start);

  // Applies entries up to `up_to`, or to the end. Entries up to `durable` are known to exist.
  // Throws JournalError for damage, for events that differ from the recorded ones, or for rules
  // that this build does not know; Stopped, between two entries, if `stop` was requested.
  Stop run(core::Sequence up_to, core::Sequence durable, const std::stop_token& stop = {});

  [[nodiscard]] const core::Exchange& exchange() const { return *exchange_; }
  [[nodiscard]] std::unique_ptr<core::Exchange> take_exchange() { return std::move(exchange_); }
  [[nodiscard]] const FrameReader& frames() const { return reader_->frames(); }
  // Reason of run()'s kTorn.
  [[nodiscard]] const std::string& torn_reason() const { return reader_->error(); }
  [[nodiscard]] core::Sequence snapshot_sequence() const { return snapshot_sequence_; }
  [[nodiscard]] std::uint64_t entries_replayed() const { return entries_replayed_; }
  // Checksum of the frame with the last applied entry; 0 before the first.
  [[nodiscard]] std::uint64_t frame_checksum() const { return frame_checksum_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  void restore_snapshot_of(Start start, const core::Limits& limits);
  void check_begins_with_entry_one() const;
  void check_snapshot_is_of_journal(const Snapshot& snapshot, const NamedFile& name);
  void prepare_for(const core::Configure& configure);
  void reserve_events();
  void apply_and_compare();

  Settings settings_;
  std::unique_ptr<core::Exchange> exchange_;
  std::unique_ptr<Reader> reader_;
  core::Command command_;
  core::EventBuffer recorded_;
  core::EventBuffer recomputed_;
  core::Sequence snapshot_sequence_ = 0;
  std::uint64_t entries_replayed_ = 0;
  std::uint64_t frame_checksum_ = 0;
  std::vector<std::string> warnings_;
};

}  // namespace openvenue::journal

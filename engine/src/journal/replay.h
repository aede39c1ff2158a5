// Rebuilds a state from a journal: applies its commands again and asserts that each causes exactly
// the events that were recorded with it.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "core/event.h"
#include "core/exchange.h"
#include "journal/reader.h"
#include "journal/snapshot.h"
#include "journal/writer.h"

namespace openvenue::journal {

class Replay {
 public:
  enum class Start {
    kBeginning,
    kNewestSnapshot,  // that can be used; warnings() says which could not, and why
    kOldestSnapshot,  // the same
  };
  enum class Stop { kReached, kEnd, kTorn };

  // The state's pools begin as large as `limits` and grow where the journal needs more. Throws
  // JournalError where no segment holds the first entry needed, or the newest snapshot is not of
  // this journal (the journal ends before it, or holds another frame at its place); OutOfResources.
  Replay(const Settings& settings, const core::Limits& limits, Start start);

  // Applies entries up to `up_to`, or to the end. Entries up to `durable` are known to be there.
  // Throws JournalError for damage, a recorded outcome that is not recomputed, or rules that this
  // build does not know; Stopped, between two entries, where `stop` was requested.
  Stop run(core::Sequence up_to, core::Sequence durable, const std::stop_token& stop = {});

  [[nodiscard]] const VenueExchange& exchange() const { return *exchange_; }
  [[nodiscard]] std::unique_ptr<VenueExchange> take_exchange() { return std::move(exchange_); }
  [[nodiscard]] const FrameReader& frames() const { return reader_->frames(); }
  // Why run() gave kTorn.
  [[nodiscard]] const std::string& torn_reason() const { return reader_->error(); }
  [[nodiscard]] core::Sequence snapshot_sequence() const { return snapshot_sequence_; }
  [[nodiscard]] std::uint64_t entries_replayed() const { return entries_replayed_; }
  // Of the frame that holds the last entry applied; 0 before the first.
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
  std::unique_ptr<VenueExchange> exchange_;
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

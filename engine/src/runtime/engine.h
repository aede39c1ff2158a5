// A running shard: ingress ring ▸ shard thread ▸ journal thread ▸ publisher.
//
// Promises: commands get one total order; the engine answers nothing that depends on a command
// before the command is durable; every queue is bounded; a stop answers everything that was
// accepted.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "core/schema/command.h"
#include "journal/recovery.h"
#include "runtime/committer.h"
#include "runtime/disk_reserve.h"
#include "runtime/disk_usage.h"
#include "runtime/durable_watermark.h"
#include "runtime/flight.h"
#include "runtime/frame_sink.h"
#include "runtime/ingress_ring.h"
#include "runtime/metrics.h"
#include "runtime/publisher.h"
#include "runtime/retention.h"
#include "runtime/shard.h"
#include "runtime/snapshotter.h"
#include "runtime/trading_day.h"
#include "runtime/venue_clock.h"

namespace openvenue::runtime {

struct EngineSettings {
  journal::Settings journal;
  core::Limits limits;
  journal::Retention retention;
  std::uint64_t ring_size = 65'536;              // operations, see weight()
  core::Sequence snapshot_interval = 1'000'000;  // sequence numbers; 0: only on request
  TradingDay trading_day{std::chrono::minutes(0)};
  // Largest step of the system's clock, and of the journal's last entry, ahead.
  std::chrono::seconds clock_tolerance{300};
  bool accept_journal_ahead = false;  // start anyway, with stamps that almost stand still
};

// Parts that tests replace. The defaults are the product's.
struct EngineSeams {
  Clock clock = wall_clock_ns;
  Clock boot_clock = boot_clock_ns;
  DiskReserve::FreeBytes free_bytes;  // of the journal's disk; none: as the system says
  // Wraps the journal that recovery opened.
  std::function<std::unique_ptr<FrameSink>(std::unique_ptr<FrameSink>)> wrap_sink;
  std::function<Snapshotter::Write(Snapshotter::Write)> wrap_snapshot;
};

class Engine {
 public:
  // Recovers the journal and starts the threads. `on_failure` is called from the journal thread
  // (see Committer::OnFailure). Throws journal::JournalError if the journal cannot be recovered or
  // opened, or refuses the limits; ClockError if the clock is far behind it; journal::Stopped if
  // `stop` was requested before it was recovered. `metrics` must outlive the engine.
  Engine(const EngineSettings& settings, Metrics& metrics, Committer::OnFailure on_failure,
         const EngineSeams& seams = {}, const std::stop_token& stop = {});
  ~Engine();

  // Never blocks. Each operation gets exactly one reply, unless the journal fails. If the batch is
  // not accepted, the caller answers the operations left in it. Commands that the disk has no room
  // for are removed from it and answered at once.
  [[nodiscard]] Admission submit(Batch& batch);

  // Largest weight of one sink's waiting batches, see IngressRing.
  [[nodiscard]] std::uint64_t queue_share() const { return ring_.share(); }

  // False if orders would wait or be refused: the disk has not finished a sync for ten seconds, or
  // replay has shown that the state cannot be trusted.
  [[nodiscard]] bool healthy() const;

  // Refuses further batches, answers all accepted ones and closes the journal. Idempotent.
  void stop();

  [[nodiscard]] Retention& retention() { return retention_; }
  [[nodiscard]] DurableWatermark& durable() { return watermark_; }
  [[nodiscard]] std::optional<std::future<core::Sequence>> take_snapshot() {
    return snapshotter_.request();
  }

  // True while new orders are refused because the journal's disk is nearly full.
  [[nodiscard]] bool read_only() const {
    return disk_reserve_.room() != DiskReserve::Room::kForAll;
  }

  [[nodiscard]] const EngineSettings& settings() const { return settings_; }
  [[nodiscard]] core::Sequence applied_sequence() const { return shard_->applied_sequence(); }
  [[nodiscard]] core::Sequence snapshot_sequence() const { return snapshotter_.newest(); }
  [[nodiscard]] core::TimestampNs next_day_end_ns() const { return shard_->next_day_end_ns(); }
  [[nodiscard]] core::TimestampNs started_ns() const { return started_ns_; }

 private:
  struct Origin;  // the result of recovery
  Engine(const EngineSettings& settings, Metrics& metrics, Committer::OnFailure on_failure,
         const EngineSeams& seams, Origin origin);
  void start();
  void add_gauges();
  void stop_order_entry(const std::string& why);
  void refuse_for_want_of_disk(Batch& batch);

  // In flight between shard, journal and publisher: enough that matching continues during a sync.
  static constexpr std::size_t kFlights = 16;

  const EngineSettings settings_;
  const core::TimestampNs started_ns_;
  Metrics& metrics_;
  std::vector<std::unique_ptr<Flight>> flights_;
  FlightQueue free_flights_;
  FlightQueue handed_over_;
  FlightQueue durable_flights_;
  IngressRing ring_;
  DurableWatermark watermark_;
  VenueClock clock_;
  DiskUsage disk_usage_;
  DiskReserve disk_reserve_;
  Retention retention_;
  std::atomic<bool> order_entry_stopped_ = false;
  Snapshotter snapshotter_;
  std::unique_ptr<Shard> shard_;
  std::unique_ptr<Committer> committer_;
  Publisher publisher_;
  std::thread shard_thread_;
  std::thread journal_thread_;
  std::thread publisher_thread_;
  std::thread snapshot_thread_;
  std::jthread disk_thread_;
  std::jthread retention_thread_;
};

}  // namespace openvenue::runtime

// The engine's Prometheus metrics. Names start with openvenue_engine_, times are in seconds.
//
// The stages of an order, observed once per batch to keep the hot path cheap:
//   decode   a message's wire form to operations
//   queue    a batch until the shard starts it; a slow disk shows here
//   match    all operations of a batch: sequence, apply, capture replies
//   journal  a frame from its hand-over until it is durable
//   publish  a frame's replies from durable until handed to their sessions
#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "core/schema/command.h"
#include "core/schema/event.h"

namespace openvenue::runtime {

// Gauges that are read when Prometheus asks.
class SampledGauges final : public prometheus::Collectable {
 public:
  using Sample = std::function<double()>;

  void add(std::string name, std::string help, Sample sample);
  // Afterwards no sample runs, now or later, so what they read may be destroyed.
  void clear();
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Gauge {
    std::string name;
    std::string help;
    Sample sample;
  };
  mutable std::mutex mutex_;
  std::vector<Gauge> gauges_;
};

// Commands and rejections counted by one thread, without atomics.
struct CommandTally {
  static constexpr std::size_t kKinds = std::variant_size_v<core::CommandBody>;
  static constexpr std::size_t kReasons = 64;  // above all numbers of Reason

  void count(const core::Command& command, const core::EventBuffer& events);

  std::array<std::uint64_t, kKinds> commands{};
  std::array<std::uint64_t, kReasons> rejects{};
};

class Metrics {
 public:
  Metrics();

  [[nodiscard]] std::shared_ptr<prometheus::Registry> registry() const { return registry_; }
  [[nodiscard]] std::shared_ptr<SampledGauges> gauges() const { return gauges_; }

  prometheus::Histogram& decode_seconds;
  prometheus::Histogram& queue_seconds;
  prometheus::Histogram& match_seconds;
  prometheus::Histogram& journal_seconds;
  prometheus::Histogram& publish_seconds;
  prometheus::Histogram& sync_seconds;
  prometheus::Histogram& frame_entries;
  prometheus::Counter& ring_full;
  prometheus::Counter& read_only_refusals;
  prometheus::Counter& invalid_requests;
  prometheus::Counter& abandoned_queries;
  prometheus::Counter& stalled_clients;
  prometheus::Counter& refused_streams;
  prometheus::Counter& refused_connections;
  prometheus::Counter& refused_admin_calls;
  prometheus::Histogram& snapshot_seconds;
  prometheus::Counter& snapshots;
  prometheus::Counter& snapshot_failures;
  prometheus::Counter& segments_archived;
  prometheus::Counter& archive_failures;
  prometheus::Counter& replay_divergences;
  prometheus::Counter& journal_written_bytes;
  prometheus::Counter& journal_failures;
  prometheus::Counter& segment_failures;
  prometheus::Counter& segment_wait_seconds;

  // Adds the counts since the last call and zeroes the tally.
  void add(CommandTally& tally);

 private:
  explicit Metrics(std::shared_ptr<prometheus::Registry> registry);

  std::shared_ptr<prometheus::Registry> registry_;
  std::shared_ptr<SampledGauges> gauges_ = std::make_shared<SampledGauges>();
  std::array<prometheus::Counter*, CommandTally::kKinds> commands_{};
  std::array<prometheus::Counter*, CommandTally::kReasons> rejects_{};
};

// Observes the time from its construction to its destruction.
class StageTimer {
 public:
  explicit StageTimer(prometheus::Histogram& seconds) : seconds_(seconds) {}
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  prometheus::Histogram& seconds_;
  std::chrono::steady_clock::time_point started_at_ = std::chrono::steady_clock::now();
};

[[nodiscard]] inline double seconds_between(std::chrono::steady_clock::time_point from,
                                            std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace openvenue::runtime

#include "runtime/metrics.h"

#include <string>
#include <string_view>
#include <utility>

#include "core/schema/names.h"

namespace openvenue::runtime {
namespace {

// 1 µs to about 8 s, each bound twice the one before.
std::vector<double> latency_bounds_seconds() {
  std::vector<double> bounds;
  for (double bound = 1e-6; bound < 10; bound *= 2) bounds.push_back(bound);
  return bounds;
}

// 10 ms to about 20 minutes.
std::vector<double> snapshot_bounds_seconds() {
  std::vector<double> bounds;
  for (double bound = 0.01; bound < 2000; bound *= 4) bounds.push_back(bound);
  return bounds;
}

std::vector<double> entry_count_bounds() {
  std::vector<double> bounds;
  for (double bound = 1; bound <= 65536; bound *= 4) bounds.push_back(bound);
  return bounds;
}

prometheus::Histogram& stage(prometheus::Registry& registry, const char* name) {
  return prometheus::BuildHistogram()
      .Name("openvenue_engine_stage_seconds")
      .Help("Time that a batch spends in each stage of the engine")
      .Register(registry)
      .Add({{"stage", name}}, latency_bounds_seconds());
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

void SampledGauges::add(std::string name, std::string help, Sample sample) {
  const std::lock_guard lock(mutex_);
  gauges_.push_back({std::move(name), std::move(help), std::move(sample)});
}

void SampledGauges::clear() {
  const std::lock_guard lock(mutex_);
  gauges_.clear();
}

std::vector<prometheus::MetricFamily> SampledGauges::Collect() const {
  const std::lock_guard lock(mutex_);
  std::vector<prometheus::MetricFamily> families;
  families.reserve(gauges_.size());
  for (const Gauge& gauge : gauges_) {
    prometheus::ClientMetric metric;
    metric.gauge.value = gauge.sample();
    families.push_back({gauge.name, gauge.help, prometheus::MetricType::Gauge, {metric}});
  }
  return families;
}

void CommandTally::count(const core::Command& command, const core::EventBuffer& events) {
  ++commands[command.body.index()];
  if (const auto* rejected = std::get_if<core::Rejected>(&events.front())) {
    ++rejects.at(static_cast<std::size_t>(rejected->reason));
  }
}

Metrics::Metrics() : Metrics(std::make_shared<prometheus::Registry>()) {}

Metrics::Metrics(std::shared_ptr<prometheus::Registry> registry)
    : decode_seconds(stage(*registry, "decode")),
      queue_seconds(stage(*registry, "queue")),
      match_seconds(stage(*registry, "match")),
      journal_seconds(stage(*registry, "journal")),
      publish_seconds(stage(*registry, "publish")),
      sync_seconds(prometheus::BuildHistogram()
                       .Name("openvenue_engine_journal_sync_seconds")
                       .Help("Time of one fdatasync of the journal")
                       .Register(*registry)
                       .Add({}, latency_bounds_seconds())),
      frame_entries(prometheus::BuildHistogram()
                        .Name("openvenue_engine_journal_frame_entries")
                        .Help("Commands in one journal frame")
                        .Register(*registry)
                        .Add({}, entry_count_bounds())),
      ring_full(counter(*registry, "openvenue_engine_ring_full_total",
                        "Batches refused because the ingress ring was full")),
      read_only_refusals(counter(*registry, "openvenue_engine_read_only_refusals_total",
                                 "Commands refused because the journal's disk is nearly full")),
      invalid_requests(counter(*registry, "openvenue_engine_invalid_requests_total",
                               "Requests that could not be a command or query")),
      abandoned_queries(counter(*registry, "openvenue_engine_abandoned_queries_total",
                                "Queries not carried out because their caller had gone")),
      stalled_clients(counter(*registry, "openvenue_engine_stalled_clients_total",
                              "Streams ended because the client did not read them")),
      refused_streams(counter(*registry, "openvenue_engine_refused_streams_total",
                              "Sessions, journal streams and reflection refused at their limit")),
      refused_connections(counter(*registry, "openvenue_engine_refused_connections_total",
                                  "Connections closed at once because there were too many")),
      refused_admin_calls(counter(*registry, "openvenue_engine_refused_admin_calls_total",
                                  "Administrative calls without a token that is good there")),
      snapshot_seconds(prometheus::BuildHistogram()
                           .Name("openvenue_engine_snapshot_seconds")
                           .Help("Time of one snapshot, from reading the journal to the disk")
                           .Register(*registry)
                           .Add({}, snapshot_bounds_seconds())),
      snapshots(counter(*registry, "openvenue_engine_snapshots_total", "Snapshots written")),
      snapshot_failures(counter(*registry, "openvenue_engine_snapshot_failures_total",
                                "Snapshots that could not be written")),
      segments_archived(counter(*registry, "openvenue_engine_segments_archived_total",
                                "Journal segments moved to the archive")),
      archive_failures(counter(*registry, "openvenue_engine_archive_failures_total",
                               "Attempts to archive segments that failed; the segments stay")),
      replay_divergences(counter(*registry, "openvenue_engine_replay_divergences_total",
                                 "Replays that gave other events than were recorded")),
      journal_written_bytes(counter(*registry, "openvenue_engine_journal_written_bytes_total",
                                    "Bytes of frames written to the journal")),
      journal_failures(counter(*registry, "openvenue_engine_journal_failures_total",
                               "Journal writes or syncs that failed; the first ends the engine")),
      segment_failures(counter(*registry, "openvenue_engine_journal_segment_failures_total",
                               "Journal segments that could not be prepared, each tried again")),
      segment_wait_seconds(
          counter(*registry, "openvenue_engine_journal_segment_wait_seconds_total",
                  "Time that the journal waited for a segment that was not prepared in time")),
      registry_(std::move(registry)) {
  auto& commands = prometheus::BuildCounter()
                       .Name("openvenue_engine_commands_total")
                       .Help("Commands sequenced, by kind")
                       .Register(*registry_);
  for (std::size_t kind = 0; kind < core::kCommandNames.size(); ++kind) {
    commands_[kind] = &commands.Add({{"kind", std::string(core::kCommandNames[kind])}});
  }
  auto& rejects = prometheus::BuildCounter()
                      .Name("openvenue_engine_rejects_total")
                      .Help("Commands sequenced and refused, by reason")
                      .Register(*registry_);
  for (std::size_t reason = 1; reason < static_cast<std::size_t>(core::Reason::kUserCanceled);
       ++reason) {
    const std::string_view name = core::name_of(static_cast<core::Reason>(reason));
    if (!name.empty()) rejects_.at(reason) = &rejects.Add({{"reason", std::string(name)}});
  }
}

void Metrics::add(CommandTally& tally) {
  for (std::size_t kind = 0; kind < tally.commands.size(); ++kind) {
    if (tally.commands[kind] != 0) {
      commands_[kind]->Increment(static_cast<double>(tally.commands[kind]));
    }
  }
  for (std::size_t reason = 0; reason < tally.rejects.size(); ++reason) {
    if (tally.rejects[reason] != 0 && rejects_[reason] != nullptr) {
      rejects_[reason]->Increment(static_cast<double>(tally.rejects[reason]));
    }
  }
  tally = {};
}

StageTimer::~StageTimer() {
  seconds_.Observe(seconds_between(started_at_, std::chrono::steady_clock::now()));
}

}  // namespace openvenue::runtime

#include "runtime/engine.h"

#include <fmt/format.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "journal/file.h"
#include "journal/reader.h"
#include "journal/snapshot_maker.h"
#include "runtime/wait.h"

namespace openvenue::runtime {
namespace {

// Far longer than a sync on a working disk.
constexpr std::chrono::seconds kSyncMax{10};

// Often enough that the fastest order flow takes a small part of a reserve in between.
constexpr std::chrono::milliseconds kDiskLook{100};

// Names the thread for ps, top and core dumps; at most 15 bytes.
void name_this_thread(const char* name) { pthread_setname_np(pthread_self(), name); }

// A tenth of the weight of a thread that works on orders. Less would be too little: on a host whose
// processors are always taken, a snapshot and the engine's stop wait for this thread, and whoever
// meets a lock that it holds waits as well.
constexpr int kSnapshotNice = 10;

// Linux has a nice value for each thread.
void yield_to_order_flow() {
  if (setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kSnapshotNice) != 0) {
    spdlog::warn("snapshots run at the priority of orders: the system refuses a lower one");
  }
}

// True if a crash fell between the commands that end one trading day, by the journal's last entry.
// Limits of starts that ended before they finished the day may follow it.
bool ends_within_day_end(const journal::Settings& settings, core::Sequence last_sequence) {
  core::Command command;
  core::EventBuffer events;
  for (core::Sequence sequence = last_sequence; sequence > 0; --sequence) {
    journal::Reader reader(settings.directory, settings.shard_id, sequence);
    if (reader.next(command, events) != journal::Reader::Result::kEntry) return false;
    if (std::holds_alternative<core::Configure>(command.body)) continue;
    const auto* ended = std::get_if<core::TradingDayEnded>(&events.back());
    return ended != nullptr && !ended->complete;
  }
  return false;
}

std::string describe_what_does_not_fit(const core::Exchange& exchange, const core::Limits& limits) {
  const core::Limits& before = exchange.limits();
  return fmt::format(
      "The limits are not valid, or below what the venue holds: {} open orders (limit {}), {} "
      "accounts ({}), {} instruments ({}), {} pairs of account and instrument ({}). Start with "
      "what "
      "was in force before (--max-orders {} --max-open-orders {} --max-accounts {} "
      "--max-instruments {} --max-positions {}), or with limits that hold it.",
      exchange.open_order_count(), limits.max_open_orders, exchange.account_count(),
      limits.max_accounts, exchange.instrument_count(), limits.max_instruments,
      exchange.position_count(), limits.max_positions, before.max_orders, before.max_open_orders,
      before.max_accounts, before.max_instruments, before.max_positions);
}

// Journals the configured limits and this build's rules if they differ from those in force. Only
// the very first entry takes the clock's time: a later one must not move the journal's time past
// the end of a trading day whose orders have not expired yet.
void configure(core::Exchange& exchange, FrameSink& sink, const core::Limits& limits,
               core::TimestampNs now_ns) {
  const bool in_force =
      exchange.limits() == limits && exchange.rules_version() == core::kRulesVersion;
  if (exchange.last_sequence() != 0 && in_force) return;
  core::EventBuffer events;
  events.reserve(core::Exchange::max_events_per_command(limits));
  const core::TimestampNs timestamp_ns =
      exchange.last_sequence() == 0 ? now_ns : exchange.last_timestamp_ns();
  const core::Command command{
      exchange.last_sequence() + 1, timestamp_ns, core::Configure{limits}, {}};
  exchange.apply(command, events);
  if (std::holds_alternative<core::Rejected>(events.front())) {
    throw journal::JournalError(describe_what_does_not_fit(exchange, limits));
  }
  journal::Frame frame;
  frame.append(command, events);
  sink.write(frame);
  sink.sync();
}

Snapshotter::Write write_snapshots(const EngineSettings& settings, const EngineSeams& seams) {
  const auto maker = std::make_shared<journal::SnapshotMaker>(settings.journal, settings.limits);
  const Snapshotter::Write write = [maker](core::Sequence up_to, const std::stop_token& stop) {
    const journal::SnapshotMaker::Newest newest = maker->write(up_to, stop);
    if (!newest.warning.empty()) spdlog::warn("{}", newest.warning);
    return newest.sequence;
  };
  return seams.wrap_snapshot ? seams.wrap_snapshot(write) : write;
}

DiskReserve::FreeBytes free_bytes_of(const std::filesystem::path& directory) {
  return [directory] { return journal::free_bytes(directory); };
}

bool has_command(const Batch& batch) {
  return std::any_of(batch.operations.begin(), batch.operations.end(), [](const Operation& each) {
    return !std::holds_alternative<Query>(each.body);
  });
}

constexpr const char* kReadOnlySentence =
    "the venue is read-only because its disk is nearly full; nothing was changed: send it again "
    "later";

double seconds(core::TimestampNs ns) { return static_cast<double>(ns) / 1e9; }

// Stamps never go back, so a journal far ahead would hold back those of all later commands.
void check_clock(const EngineSettings& settings, const core::Exchange& exchange,
                 core::TimestampNs now_ns) {
  const auto ahead = std::chrono::nanoseconds(exchange.last_timestamp_ns() - now_ns);
  if (ahead <= settings.clock_tolerance) return;
  const auto ahead_s = std::chrono::duration_cast<std::chrono::seconds>(ahead).count();
  if (settings.accept_journal_ahead) {
    spdlog::warn("the journal's last entry is {} s ahead of the system's clock", ahead_s);
    return;
  }
  throw ClockError(
      "the journal's last entry is " + std::to_string(ahead_s) +
      " s ahead of the system's clock. Set the clock right and start again. Where the clock is "
      "right and was wrong when the journal was written, restore a backup from before, or start "
      "with --accept-journal-ahead: times then stand almost still until the clock is there");
}

}  // namespace

struct Engine::Origin {
  std::unique_ptr<core::Exchange> exchange;
  std::unique_ptr<FrameSink> sink;
  core::Sequence snapshot_sequence = 0;
  bool day_end_unfinished = false;
  bool pools_shrank = false;

  static Origin recover(const EngineSettings& settings, Metrics& metrics, const EngineSeams& seams,
                        const std::stop_token& stop) {
    journal::Recovered recovered = journal::recover(settings.journal, settings.limits, stop);
    for (const std::string& warning : recovered.warnings) spdlog::warn("{}", warning);
    spdlog::info(
        "journal recovered directory={} sequence={} snapshot_sequence={} replayed={} "
        "torn_bytes_cut={} epoch={}",
        settings.journal.directory.string(), recovered.exchange->last_sequence(),
        recovered.snapshot_sequence, recovered.entries_replayed, recovered.torn_bytes_cut,
        recovered.writer.epoch());
    check_clock(settings, *recovered.exchange, seams.clock());
    Origin origin;
    origin.snapshot_sequence = recovered.snapshot_sequence;
    origin.exchange = std::move(recovered.exchange);
    origin.sink = std::make_unique<JournalSink>(std::move(recovered.writer), metrics);
    if (seams.wrap_sink) origin.sink = seams.wrap_sink(std::move(origin.sink));
    origin.day_end_unfinished =
        ends_within_day_end(settings.journal, origin.exchange->last_sequence());
    configure(*origin.exchange, *origin.sink, settings.limits, seams.clock());
    // The state came in larger pools if the venue had larger limits.
    if (origin.exchange->capacity() != settings.limits) {
      origin.exchange = core::Exchange::resized(std::move(origin.exchange), settings.limits);
      origin.pools_shrank = true;
    }
    return origin;
  }
};

Engine::Engine(const EngineSettings& settings, Metrics& metrics, Committer::OnFailure on_failure,
               const EngineSeams& seams, const std::stop_token& stop)
    : Engine(settings, metrics, std::move(on_failure), seams,
             Origin::recover(settings, metrics, seams, stop)) {}

Engine::Engine(const EngineSettings& settings, Metrics& metrics, Committer::OnFailure on_failure,
               const EngineSeams& seams, Origin origin)
    : settings_(settings),
      started_ns_(seams.clock()),
      metrics_(metrics),
      ring_(settings.ring_size),
      watermark_(origin.exchange->last_sequence()),
      clock_(seams.clock, seams.boot_clock, settings.clock_tolerance),
      disk_usage_(settings.journal, [&metrics] { return metrics.journal_written_bytes.Value(); }),
      disk_reserve_(
          settings.journal.disk_reserve_bytes,
          seams.free_bytes ? seams.free_bytes : free_bytes_of(settings.journal.directory)),
      retention_(settings.journal, settings.retention, seams.clock, metrics),
      snapshotter_(write_snapshots(settings, seams), settings.snapshot_interval,
                   origin.snapshot_sequence, watermark_, metrics,
                   [this](const std::string& what) { stop_order_entry(what); }),
      publisher_(durable_flights_, free_flights_, metrics) {
  for (std::size_t flight = 0; flight < kFlights; ++flight) {
    free_flights_.push(flights_.emplace_back(std::make_unique<Flight>()).get());
  }
  shard_ = std::make_unique<Shard>(std::move(origin.exchange), settings.trading_day,
                                   origin.day_end_unfinished, clock_, settings.clock_tolerance,
                                   ring_, disk_reserve_, free_flights_, handed_over_, metrics);
  committer_ = std::make_unique<Committer>(
      std::move(origin.sink), handed_over_, durable_flights_, free_flights_, watermark_,
      [this](core::Sequence sequence) { snapshotter_.on_durable(sequence); },
      [this, on_failure = std::move(on_failure)](const std::string& what) {
        ring_.close();
        on_failure(what);
      },
      metrics);
  // The next start then needs no more memory than this one's limits.
  if (origin.pools_shrank) static_cast<void>(take_snapshot());
  start();
}

Engine::~Engine() { stop(); }

void Engine::add_gauges() {
  auto& gauges = *metrics_.gauges();
  const auto add = [&](const char* name, const char* help, auto sample) {
    gauges.add(name, help, [sample] { return static_cast<double>(sample()); });
  };
  add("openvenue_engine_ring_depth", "Operations waiting in the ingress ring",
      [this] { return ring_.depth(); });
  add("openvenue_engine_ring_capacity", "Operations that the ingress ring can hold",
      [this] { return ring_.capacity(); });
  add("openvenue_engine_applied_sequence", "Last command applied to the state",
      [this] { return applied_sequence(); });
  add("openvenue_engine_durable_sequence", "Last command on the disk",
      [this] { return watermark_.get(); });
  add("openvenue_engine_snapshot_sequence", "Newest snapshot on the disk",
      [this] { return snapshot_sequence(); });
  add("openvenue_engine_open_orders", "Orders resting in the books",
      [this] { return shard_->open_orders(); });
  add("openvenue_engine_client_ids", "Client order ids that are remembered",
      [this] { return shard_->client_ids(); });
  add("openvenue_engine_client_ids_floor_sequence",
      "Client order ids of orders that opened after this command are all remembered",
      [this] { return shard_->client_ids_floor(); });
  add("openvenue_engine_client_ids_filter_load",
      "Forgotten client order ids, as a part of those that their filter is made for",
      [this] { return shard_->client_ids_filter_load(); });
  add("openvenue_engine_clock_step_seconds",
      "Step of the system's clock ahead that is too large to be followed; 0: none",
      [this] { return seconds(clock_.step_ns()); });
  add("openvenue_engine_stamp_ahead_seconds", "Last command's time ahead of the system's clock",
      [this] {
        return seconds(
            std::max<core::TimestampNs>(0, shard_->applied_timestamp_ns() - wall_clock_ns()));
      });
  add("openvenue_engine_order_entry_stopped",
      "1: replay of the journal differs from it, and commands are refused",
      [this] { return order_entry_stopped_ ? 1 : 0; });
  add("openvenue_engine_journal_sync_under_way_seconds",
      "Time that the running sync of the journal has taken; 0: none runs",
      [this] { return std::chrono::duration<double>(committer_->sync_under_way()).count(); });
  add("openvenue_engine_read_only",
      "1: the journal's disk is nearly full, and only cancels are taken; 2: not even those",
      [this] {
        return static_cast<int>(DiskReserve::Room::kForAll) -
               static_cast<int>(disk_reserve_.room());
      });
  add("openvenue_engine_disk_reserve_bytes",
      "Free bytes of the journal's disk below which the engine is read-only",
      [this] { return disk_reserve_.reserve_bytes(); });
  add("openvenue_engine_journal_reader_sequence",
      "Lowest entry that a registered reader has acknowledged; +Inf: there is none",
      [this] { return retention_.lowest_offset(); });
  const auto add_usage = [&](const char* name, const char* help, auto field) {
    add(name, help, [this, field] { return disk_usage_.at(DiskUsage::SteadyClock::now()).*field; });
  };
  using Usage = DiskUsage::Usage;
  add_usage("openvenue_engine_journal_bytes", "Size of all segments and snapshots",
            &Usage::journal_bytes);
  add_usage("openvenue_engine_journal_free_bytes", "Free bytes of the journal's disk",
            &Usage::free_bytes);
  add_usage("openvenue_engine_journal_oldest_sequence", "First command in the oldest segment",
            &Usage::oldest_sequence);
  add_usage("openvenue_engine_snapshot_age_seconds", "Age of the newest snapshot; +Inf: none",
            &Usage::snapshot_age_s);
  add_usage("openvenue_engine_journal_seconds_until_full",
            "Time until the journal's disk is full at the rate of the last minutes",
            &Usage::seconds_until_full);
}

void Engine::start() {
  add_gauges();
  shard_thread_ = std::thread([this] {
    name_this_thread("shard");
    shard_->run();
  });
  journal_thread_ = std::thread([this] {
    name_this_thread("journal");
    committer_->run();
  });
  publisher_thread_ = std::thread([this] {
    name_this_thread("publisher");
    publisher_.run();
  });
  snapshot_thread_ = std::thread([this] {
    name_this_thread("snapshot");
    yield_to_order_flow();
    snapshotter_.run();
  });
  disk_thread_ = std::jthread([this](const std::stop_token& stopped) {
    name_this_thread("disk");
    do disk_reserve_.look();
    while (!wait_for(stopped, kDiskLook));
  });
  retention_thread_ = std::jthread([this](const std::stop_token& stopped) {
    name_this_thread("retention");
    yield_to_order_flow();
    retention_.run(stopped);
  });
}

bool Engine::healthy() const {
  return !order_entry_stopped_ && committer_->sync_under_way() < kSyncMax;
}

// Recorded orders stay, and queries are still answered, because people need to see the state.
void Engine::stop_order_entry(const std::string& why) {
  order_entry_stopped_ = true;
  spdlog::critical("orders are refused from now on: {}", why);
}

Admission Engine::submit(Batch& batch) {
  if (order_entry_stopped_ && has_command(batch)) return Admission::kNotTrusted;
  if (read_only()) {
    refuse_for_want_of_disk(batch);
    if (batch.operations.empty()) return Admission::kAccepted;
  }
  batch.submitted_at = std::chrono::steady_clock::now();
  const Admission admission = ring_.try_push(batch);
  if (admission == Admission::kFull) metrics_.ring_full.Increment();
  return admission;
}

void Engine::refuse_for_want_of_disk(Batch& batch) {
  const auto is_taken = [this](const Operation& operation) {
    if (std::holds_alternative<Query>(operation.body)) return true;
    const auto* command = std::get_if<core::CommandBody>(&operation.body);
    return disk_reserve_.takes(command == nullptr ? core::NewOrder{} : *command);
  };
  const auto refused =
      std::stable_partition(batch.operations.begin(), batch.operations.end(), is_taken);
  if (refused == batch.operations.end()) return;
  std::vector<Reply> replies;
  for (auto operation = refused; operation != batch.operations.end(); ++operation) {
    replies.push_back({operation->request_id, 0, weight(*operation),
                       NotSequenced{NotSequenced::Cause::kReadOnly, kReadOnlySentence}});
  }
  batch.operations.erase(refused, batch.operations.end());
  metrics_.read_only_refusals.Increment(static_cast<double>(replies.size()));
  batch.sink->deliver(std::move(replies));
}

void Engine::stop() {
  if (!shard_thread_.joinable()) return;
  ring_.close();
  snapshotter_.stop();
  shard_thread_.join();
  journal_thread_.join();
  publisher_thread_.join();
  watermark_.close();
  snapshot_thread_.join();
  disk_thread_ = {};
  retention_thread_ = {};
  metrics_.gauges()->clear();
  spdlog::info("engine stopped sequence={}", watermark_.get());
}

}  // namespace openvenue::runtime

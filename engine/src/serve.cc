#include "serve.h"

#include <prometheus/exposer.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>

#include "core/book/fast_book.h"
#include "core/exchange/exchange.h"
#include "exit_codes.h"
#include "journal/error.h"
#include "logging.h"
#include "rpc/server.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"
#include "runtime/out_of_memory.h"
#include "runtime/trading_day.h"
#include "runtime/wait.h"

namespace openvenue {
namespace {

// Clients' share of a stop's time for their last replies; the rest is for the steps after that.
constexpr int kDrainMsPerSecond = 600;

struct ServeOptions {
  runtime::EngineSettings engine;
  rpc::ServerSettings server;
  std::uint32_t max_open_orders = 0;
  std::uint32_t max_open_orders_per_account = 0;
  std::uint64_t disk_reserve_bytes = 0;
  std::uint32_t retention_s = 0;
  std::uint32_t max_positions_per_account = 0;
  std::uint32_t max_client_ids = 0;
  std::string day_end_utc = "00:00";
  std::uint32_t clock_tolerance_s = 300;
  std::string metrics_listen = "127.0.0.1:7071";
  std::string port_file;
  std::string metrics_port_file;
  std::string admin_port_file;
  std::uint32_t stop_timeout_s = 15;
  std::string log_level = "info";
  std::string log_format = "text";
};

// Every option is also read from the environment: --ring-size from OPENVENUE_ENGINE_RING_SIZE.
template <class Value>
CLI::Option* add(CLI::App& command, const std::string& name, Value& value,
                 const std::string& help) {
  std::string variable = "OPENVENUE_ENGINE_";
  for (const char letter : name) {
    variable += letter == '-' ? '_' : static_cast<char>(std::toupper(letter));
  }
  return command.add_option("--" + name, value, help)->envname(variable)->capture_default_str();
}

std::string check_day_end(const std::string& text) {
  return runtime::TradingDay::parse(text) ? "" : "give a time of day as HH:MM";
}

void add_engine_options(CLI::App& command, ServeOptions& options) {
  runtime::EngineSettings& engine = options.engine;
  add(command, "data-dir", engine.journal.directory, "Directory of journal and snapshots")
      ->required();
  add(command, "shard-id", engine.journal.shard_id, "Shard that this engine runs");
  add(command, "segment-bytes", engine.journal.segment_bytes, "Size of a journal segment, bytes")
      ->check(CLI::Range(std::uint64_t{1} << 20, std::uint64_t{1} << 32));
  add(command, "disk-reserve-bytes", options.disk_reserve_bytes,
      "Free bytes of the journal's disk below which only cancels are taken; 0: four segments");
  add(command, "archive-dir", engine.journal.archive,
      "Directory of segments that a start does not need; readers get them from there");
  add(command, "journal-retention-bytes", engine.retention.bytes,
      "Size of all segments above which the oldest ones are moved to --archive-dir; 0: no bound");
  add(command, "journal-retention-seconds", options.retention_s,
      "Age from which segments are moved to --archive-dir; 0: no bound");
  add(command, "snapshot-interval", engine.snapshot_interval,
      "Commands between snapshots; 0: only when asked to");
  add(command, "ring-size", engine.ring_size, "Requests that may wait to be sequenced")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 24));
  add(command, "day-end-utc", options.day_end_utc, "When DAY orders expire, HH:MM UTC")
      ->check(check_day_end);
  add(command, "clock-tolerance", options.clock_tolerance_s,
      "Seconds that the system's clock may step ahead and be followed; also how far the journal "
      "may be ahead of it at a start")
      ->check(CLI::Range(1, 86'400));
  command
      .add_flag(
          "--accept-journal-ahead", engine.accept_journal_ahead,
          "Start although the journal is further ahead of the clock; times stand almost still "
          "until the clock is there")
      ->envname("OPENVENUE_ENGINE_ACCEPT_JOURNAL_AHEAD");
  add(command, "max-orders", engine.limits.max_orders,
      "Order records: open ones and the newest ended ones")
      ->check(CLI::Range(2U, core::kOrdersMax));
  add(command, "max-open-orders", options.max_open_orders,
      "Open orders, fewer than order records; 0: three quarters of them")
      ->check(CLI::Range(0U, core::kOrdersMax - 1));
  add(command, "max-open-orders-per-account", options.max_open_orders_per_account,
      "Open orders of one account; 0: a quarter of all")
      ->check(CLI::Range(0U, core::kOrdersMax - 1));
  add(command, "max-client-ids", options.max_client_ids,
      "Client order ids that are remembered, more than open orders; 0: four times the order "
      "records, or as many as the memory holds")
      ->check(CLI::Range(0U, core::kClientIdsMax));
  add(command, "max-accounts", engine.limits.max_accounts, "Accounts")
      ->check(CLI::Range(1U, core::kAccountsMax));
  add(command, "max-instruments", engine.limits.max_instruments, "Instruments")
      ->check(CLI::Range(1U, core::kInstrumentsMax));
  add(command, "max-positions", engine.limits.max_positions,
      "Pairs of account and instrument with lots or an open order")
      ->check(CLI::Range(1U, core::kPositionsMax));
  add(command, "max-positions-per-account", options.max_positions_per_account,
      "Those of one account; 0: a quarter of all")
      ->check(CLI::Range(0U, core::kPositionsMax));
  add(command, "max-fills", engine.limits.max_fills_per_command, "Orders that one command may meet")
      ->check(CLI::Range(1U, core::kFillsPerCommandMax));
}

void add_server_options(CLI::App& command, ServeOptions& options) {
  rpc::ServerSettings& server = options.server;
  add(command, "listen", server.listen, "gRPC addresses: host:port (port 0: any) or unix:/path")
      ->delimiter(',');
  add(command, "admin-listen", server.admin_listen,
      "gRPC address of administration (accounts, money, instruments, snapshots), apart from "
      "trading; host:port or unix:/path. Opened where --admin-tokens is given");
  add(command, "admin-tokens", server.admin_tokens,
      "Directory of tokens, a file each, of 16 characters or more. Administrators send the content "
      "of one as `authorization: Bearer TOKEN`; the file's name is journaled as who did it. Read "
      "anew at each call. Not given: nobody can administrate");
  add(command, "admin-port-file", options.admin_port_file,
      "File to write the port of administration to once serving");
  add(command, "completion-queues", server.completion_queues, "gRPC completion queues")
      ->check(CLI::Range(1, 64));
  add(command, "server-threads-min", server.pollers_min,
      "Threads a completion queue that always wait for calls")
      ->check(CLI::Range(1, 64));
  add(command, "server-pollers-max", server.pollers_max,
      "Idle threads a completion queue that are kept")
      ->check(CLI::Range(1, 1024));
  add(command, "server-threads-max", server.threads_max,
      "Threads of the gRPC server; half of them may hold sessions")
      ->check(CLI::Range(rpc::ServerThreads::kMin, rpc::ServerThreads::kMax));
  add(command, "subscribers-max", server.subscribers_max,
      "Journal streams at a time; a quarter of the server threads at most")
      ->check(CLI::Range(1, 1024));
  add(command, "connections-max", server.connections_max,
      "Connections at a time; each may make the server buffer 8 MiB")
      ->check(CLI::Range(1, 4096));
  add(command, "connections-per-peer-max", server.connections_per_peer_max,
      "Connections of one address at a time")
      ->check(CLI::Range(1, 4096));
  add(command, "replies-owed-max", server.session.replies_owed_max,
      "Replies that all clients together may be owed, in order records")
      ->check(CLI::Range(std::uint64_t{1} << 10, std::uint64_t{1} << 30));
  add(command, "metrics-listen", options.metrics_listen,
      "host:port of the Prometheus endpoint /metrics; empty: none");
  add(command, "port-file", options.port_file, "File to write the gRPC port to once serving");
  add(command, "metrics-port-file", options.metrics_port_file,
      "File to write the metrics port to once serving");
  add(command, "stop-timeout", options.stop_timeout_s,
      "Seconds from SIGTERM until the process ends, whatever clients and the disk do")
      ->check(CLI::Range(1, 3600));
  add(command, "log-level", options.log_level, "What is logged")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  add(command, "log-format", options.log_format, "How it is logged")
      ->check(CLI::IsMember({"text", "json"}));
}

// Waits, from before recovery on, for the signal that ends the process, and ensures that it ends: a
// stop that hangs, on a disk or a client, must not keep the next engine from starting.
class StopSignal {
 public:
  // Blocks the signals in this thread and all that it starts.
  explicit StopSignal(std::chrono::milliseconds patience) : patience_(patience) {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    watcher_ = std::jthread([this](const std::stop_token& ended) { watch(ended); });
  }

  [[nodiscard]] std::stop_token token() const { return requested_.get_token(); }

  void wait() const { (void)runtime::wait_for(token(), std::chrono::nanoseconds::max()); }

 private:
  void watch(const std::stop_token& ended) {
    constexpr timespec kPeriod{0, 250'000'000};
    int signal = -1;
    while (signal < 0) {
      if (ended.stop_requested()) return;
      signal = sigtimedwait(&signals_, nullptr, &kPeriod);
    }
    spdlog::info("stopping signal={}", signal);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);  // a second one ends the process at once
    requested_.request_stop();
    if (runtime::wait_for(ended, patience_)) return;
    spdlog::critical("the stop takes too long and is cut short; what was acknowledged is durable");
    spdlog::default_logger()->flush();
    std::_Exit(kExitStopOverdue);
  }

  const std::chrono::milliseconds patience_;
  sigset_t signals_{};
  std::stop_source requested_;
  std::jthread watcher_;
};

void ignore_what_must_not_end_it() {
  std::signal(SIGHUP, SIG_IGN);  // sent when a terminal closes; there is nothing to reload
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file-size limit must fail a write, not end the process
}

// Raises the limit on descriptors for connections, so that the journal has one for its next
// segment.
void reserve_descriptors(const rpc::ServerSettings& server) {
  constexpr rlim_t kOfAReader = 2;
  constexpr rlim_t kOfEverythingElse = 64;
  const rlim_t needed =
      server.connections_max + kOfAReader * server.subscribers_max + kOfEverythingElse;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
  (void)::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return;
  throw std::runtime_error("the limit on open files is " + std::to_string(limit.rlim_cur) + ", " +
                           std::to_string(needed) +
                           " are needed: raise it (ulimit -n), or lower --connections-max");
}

// Renames the file into place, so that readers see all of it or none.
void write_port_file(const std::string& path, int port) {
  if (path.empty()) return;
  const std::string unfinished = path + ".new";
  std::ofstream(unfinished) << port << '\n';
  std::filesystem::rename(unfinished, path);
}

std::unique_ptr<prometheus::Exposer> expose(const std::string& address,
                                            const runtime::Metrics& metrics) {
  if (address.empty()) return nullptr;
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(address);
    exposer->RegisterCollectable(metrics.registry());
    exposer->RegisterCollectable(metrics.gauges());
    return exposer;
  } catch (const std::exception& error) {
    throw rpc::ListenError("cannot serve metrics on " + address + ": " + error.what());
  }
}

[[noreturn]] void end_after_journal_failure(const std::string&) {
  spdlog::default_logger()->flush();
  // Not exit(): destructors would answer and write on behalf of a state that is not durable.
  std::_Exit(kExitJournalFailed);
}

std::uint64_t memory_needed_bytes(const core::Limits& limits) {
  const std::uint64_t state =
      core::Exchange::pool_bytes(limits) + core::FastBook::Pool::bytes(limits.max_orders);
  return 2 * state;  // the running one, and the snapshots'
}

void set_derived_limits(const ServeOptions& options, core::Limits& limits) {
  limits.max_open_orders = options.max_open_orders != 0
                               ? options.max_open_orders
                               : limits.max_orders - std::max(limits.max_orders / 4, 1U);
  limits.max_open_orders_per_account = options.max_open_orders_per_account != 0
                                           ? options.max_open_orders_per_account
                                           : std::max(limits.max_open_orders / 4, 1U);
  limits.max_positions_per_account = options.max_positions_per_account != 0
                                         ? options.max_positions_per_account
                                         : std::max(limits.max_positions / 4, 1U);
  limits.max_client_ids = options.max_client_ids;
  if (options.max_client_ids != 0) return;
  // A venue that fitted into its memory before ids outlived orders still does.
  limits.max_client_ids = std::min(4 * limits.max_orders, core::kClientIdsMax);
  while (limits.max_client_ids / 2 >= limits.max_orders &&
         memory_needed_bytes(limits) > runtime::memory_bytes_max()) {
    limits.max_client_ids /= 2;
  }
}

void check_retention(const runtime::EngineSettings& engine) {
  if (engine.retention.keeps_all() || !engine.journal.archive.empty()) return;
  throw std::invalid_argument(
      "--journal-retention-bytes and --journal-retention-seconds move segments to an archive: name "
      "its directory with --archive-dir");
}

void check_memory(const core::Limits& limits) {
  constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
  const std::uint64_t needed = memory_needed_bytes(limits);
  const std::uint64_t there = runtime::memory_bytes_max();
  if (needed <= there) return;
  throw std::invalid_argument(
      "the limits allow two states, the running one and the snapshots', of together " +
      std::to_string(needed / kMebibyte) + " MiB, but there are " +
      std::to_string(there / kMebibyte) +
      " MiB of memory: lower --max-orders, --max-client-ids, --max-accounts or --max-positions, or "
      "give it more");
}

void run(ServeOptions& options) {
  ignore_what_must_not_end_it();
  reserve_descriptors(options.server);
  const StopSignal stop_signal{std::chrono::seconds(options.stop_timeout_s)};
  options.server.drain_patience =
      std::chrono::milliseconds(kDrainMsPerSecond * options.stop_timeout_s);
  options.engine.trading_day = *runtime::TradingDay::parse(options.day_end_utc);
  options.engine.clock_tolerance = std::chrono::seconds(options.clock_tolerance_s);
  options.engine.journal.disk_reserve_bytes = options.disk_reserve_bytes != 0
                                                  ? options.disk_reserve_bytes
                                                  : 4 * options.engine.journal.segment_bytes;
  options.engine.retention.age = std::chrono::seconds(options.retention_s);
  check_retention(options.engine);
  set_derived_limits(options, options.engine.limits);
  check_memory(options.engine.limits);
  options.server.version = OPENVENUE_VERSION;

  runtime::Metrics metrics;
  runtime::Engine engine(options.engine, metrics, end_after_journal_failure, {},
                         stop_signal.token());
  const auto exposer = expose(options.metrics_listen, metrics);
  rpc::Server server(engine, metrics, options.server);
  const int metrics_port = exposer == nullptr ? 0 : exposer->GetListeningPorts().at(0);
  write_port_file(options.metrics_port_file, metrics_port);
  write_port_file(options.admin_port_file, server.admin_port());
  write_port_file(options.port_file, server.port());
  spdlog::info("ready shard={} port={} admin_port={} metrics_port={} version={}",
               options.engine.journal.shard_id, server.port(), server.admin_port(), metrics_port,
               OPENVENUE_VERSION);
  if (!options.server.serves_admin()) {
    spdlog::info("administration is off: give --admin-tokens DIRECTORY to have it");
  }

  stop_signal.wait();
  server.drain();
  engine.stop();
  server.shut_down();
}

int serve(ServeOptions& options) {
  set_up_logging(options.log_level, options.log_format);
  runtime::end_when_memory_runs_out(options.log_format == "json", kExitOutOfMemory);
  try {
    run(options);
    return kExitOk;
  } catch (const journal::Stopped& stopped) {
    spdlog::info("stopped before serving: {}", stopped.what());
    return kExitOk;
  } catch (const journal::DiskError& error) {
    spdlog::critical("{}", error.what());
    return kExitJournalFailed;
  } catch (const journal::JournalError& error) {
    spdlog::critical("{}", error.what());
    return kExitJournalRefused;
  } catch (const rpc::ListenError& error) {
    spdlog::critical("{}", error.what());
    return kExitCannotListen;
  } catch (const runtime::ClockError& error) {
    spdlog::critical("{}", error.what());
    return kExitClockBehind;
  } catch (const std::exception& error) {
    spdlog::critical("cannot serve: {}", error.what());
    return kExitFailed;
  }
}

}  // namespace

void add_serve_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* command =
      app.add_subcommand("serve", "Run one shard: matching engine, journal and gRPC server");
  add_engine_options(*command, *options);
  add_server_options(*command, *options);
  command->callback([options, &exit_code] { exit_code = serve(*options); });
}

}  // namespace openvenue

#include "tools/bench_rpc.h"

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "exit_codes.h"
#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "tools/echo_server.h"
#include "tools/load_session.h"
#include "tools/order_flow.h"
#include "tools/spawned_server.h"

namespace openvenue::tools {

namespace v1 = ::openvenue::engine::v1;

namespace {

struct Options {
  std::string target;        // empty: an engine of its own
  std::string admin_target;  // of that engine
  std::string admin_token_file;
  std::string data_parent = "/var/tmp";  // on a disk, unlike /tmp on some systems
  double rate_per_s = 0;
  bool max = false;
  bool echo = false;
  bool callback = false;  // the echo server on gRPC's callback API
  double seconds = 5;
  std::uint32_t sessions = 4;
  int batch = 256;
  std::uint32_t tick_us = 1'000;
  std::uint64_t in_flight = 4096;
  bool json = false;
  bool serve_echo = false;
  std::string port_file;  // of the echo server
};

struct Row {
  std::string server;
  std::string load;
  double offered_per_s = 0;  // 0: as many as it takes
  double seconds = 0;
  LoadResult result;

  [[nodiscard]] double answered_per_s() const {
    return static_cast<double>(result.answered) / seconds;
  }
  [[nodiscard]] double quantile_us(double quantile) const {
    return static_cast<double>(result.latencies.quantile_ns(quantile)) / 1e3;
  }
  [[nodiscard]] double max_us() const {
    return static_cast<double>(result.latencies.max_ns()) / 1e3;
  }
};

std::shared_ptr<grpc::Channel> connect(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // one connection per session
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

struct Admin {
  std::unique_ptr<v1::Admin::Stub> stub;
  std::string token;
};

Admin connect_admin(const std::string& target, const std::string& token_file) {
  Admin admin{v1::Admin::NewStub(connect(target)), {}};
  if (!(std::ifstream(token_file) >> admin.token)) {
    throw std::runtime_error("--admin-token-file " + token_file + " does not hold a token");
  }
  return admin;
}

void apply(const Admin& admin, const v1::AdminRequest& request) {
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer " + admin.token);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  v1::AdminResponse response;
  const grpc::Status status = admin.stub->Apply(&context, request, &response);
  if (!status.ok()) throw std::runtime_error("cannot set up the market: " + status.error_message());
  if (response.reject_reason() != v1::REASON_NONE) {
    throw std::runtime_error("the engine refuses the market's set-up: " +
                             v1::Reason_Name(response.reject_reason()));
  }
}

// The instrument and, for each session, two accounts that never run out of money.
void set_up_market(const Admin& admin, std::uint32_t sessions) {
  v1::AdminRequest request;
  v1::DefineInstrument& instrument = *request.mutable_define_instrument();
  instrument.set_instrument_id(OrderFlow::kInstrumentId);
  instrument.set_symbol("BENCH");
  instrument.set_name("Load measurement");
  instrument.set_asset_class(v1::ASSET_CLASS_US_EQUITY);
  instrument.set_state(v1::INSTRUMENT_STATE_ACTIVE);
  instrument.set_tick_size_nanos(10'000'000);
  instrument.set_lot_size_nanos(1'000'000'000);
  instrument.set_min_price_ticks(1);
  instrument.set_max_price_ticks(1'000'000);
  instrument.set_max_order_qty_lots(1'000'000);
  apply(admin, request);
  for (std::uint32_t account_id = 1; account_id <= 2 * sessions; ++account_id) {
    v1::OpenAccount& account = *request.mutable_open_account();
    account.set_account_id(account_id);
    account.set_name("bench");
    account.set_may_sell_short(true);
    account.set_credit_limit_micros(INT64_C(1'000'000'000'000'000));
    apply(admin, request);
  }
}

// One run against one server.
class Load {
 public:
  Load(const Options& options, std::string server, std::string target)
      : options_(options), server_(std::move(server)), target_(std::move(target)) {}

  [[nodiscard]] Row run(std::string load, double rate_per_s) {
    LoadPlan plan;
    plan.rate_per_s = rate_per_s / options_.sessions;
    plan.tick = std::chrono::microseconds(options_.tick_us);
    plan.batch_max = options_.batch;
    plan.in_flight_max = options_.in_flight;
    plan.duration = std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(options_.seconds));
    plan.warm_up = plan.duration / 5;
    const std::string run =
        std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    std::deque<OrderFlow> flows;
    std::vector<std::future<LoadResult>> results;
    for (std::uint32_t session = 0; session < options_.sessions; ++session) {
      OrderFlow& flow = flows.emplace_back(session, run);
      results.push_back(std::async(std::launch::async, [this, &plan, &flow] {
        return std::make_unique<LoadSession>(connect(target_), plan, flow)->run();
      }));
    }
    Row row{server_, std::move(load), rate_per_s, options_.seconds, {}};
    for (auto& result : results) row.result.add(result.get());
    return row;
  }

 private:
  const Options& options_;
  const std::string server_;
  const std::string target_;
};

bool on_memory_file_system(const std::string& path) {
  struct statfs status {};
  return statfs(path.c_str(), &status) == 0 && status.f_type == TMPFS_MAGIC;
}

std::unique_ptr<SpawnedServer> spawn_engine(const Options& options) {
  if (on_memory_file_system(options.data_parent)) {
    fmt::print(stderr, "warning: {} is in memory, so syncs cost nothing; give --data-parent\n",
               options.data_parent);
  }
  return std::make_unique<SpawnedServer>(
      options.data_parent,
      std::vector<std::string>{"serve", "--listen", "127.0.0.1:0", "--metrics-listen",
                               "127.0.0.1:0", "--log-level", "warn"},
      true);
}

std::unique_ptr<SpawnedServer> spawn_echo(const Options& options) {
  std::vector<std::string> arguments = {"bench-rpc", "--serve-echo"};
  if (options.callback) arguments.emplace_back("--callback");
  return std::make_unique<SpawnedServer>(options.data_parent, std::move(arguments), false);
}

std::vector<Row> measure(const Options& options) {
  std::vector<Row> rows;
  std::unique_ptr<SpawnedServer> engine;
  std::unique_ptr<SpawnedServer> echo;
  std::vector<Load> loads;
  const bool both = !options.max && options.rate_per_s == 0;
  if (both || !options.echo) {
    std::string target = options.target;
    Admin admin;
    if (target.empty()) {
      engine = spawn_engine(options);
      target = engine->target();
      admin = connect_admin(engine->admin_target(), engine->admin_token_file());
    } else {
      admin = connect_admin(options.admin_target, options.admin_token_file);
    }
    set_up_market(admin, options.sessions);
    loads.emplace_back(options, "engine", target);
  }
  if (both || options.echo) {
    echo = spawn_echo(options);
    loads.emplace_back(options, "echo", echo->target());
  }
  for (Load& load : loads) {
    if (options.rate_per_s > 0) {
      rows.push_back(load.run("rate", options.rate_per_s));
      continue;
    }
    rows.push_back(load.run("max", 0));
    if (rows.back().result.answered == 0) {
      throw std::runtime_error(fmt::format(
          "the {} answered nothing in {} s: its disk or the machine stood still; give more with "
          "--seconds",
          rows.back().server, options.seconds));
    }
    if (both) rows.push_back(load.run("half", rows.back().answered_per_s() / 2));
  }
  return rows;
}

void print_table(const std::vector<Row>& rows) {
  fmt::print("{:<8}{:<6}{:>12}{:>12}{:>10}{:>10}{:>10}{:>10}{:>10}{:>9}\n", "server", "load",
             "offered/s", "answered/s", "p50 us", "p99 us", "p99.9 us", "max us", "rejected",
             "refused");
  for (const Row& row : rows) {
    fmt::print("{:<8}{:<6}{:>12.0f}{:>12.0f}{:>10.0f}{:>10.0f}{:>10.0f}{:>10.0f}{:>10}{:>9}\n",
               row.server, row.load, row.offered_per_s, row.answered_per_s(), row.quantile_us(0.5),
               row.quantile_us(0.99), row.quantile_us(0.999), row.max_us(), row.result.rejected,
               row.result.refused);
  }
}

const Row* find(const std::vector<Row>& rows, const std::string& server, const std::string& load) {
  for (const Row& row : rows) {
    if (row.server == server && row.load == load) return &row;
  }
  return nullptr;
}

// Ratio of engine to echo; nothing if only one of them ran.
std::optional<double> throughput_ratio(const std::vector<Row>& rows) {
  const Row* engine = find(rows, "engine", "max");
  const Row* echo = find(rows, "echo", "max");
  if (engine == nullptr || echo == nullptr || echo->result.answered == 0) return std::nullopt;
  return engine->answered_per_s() / echo->answered_per_s();
}

void print_json(const std::vector<Row>& rows) {
  std::string text = "{\"runs\": [";
  for (const Row& row : rows) {
    if (&row != rows.data()) text += ", ";
    text += fmt::format(
        R"({{"server": "{}", "load": "{}", "offered_per_s": {:.0f}, "answered_per_s": {:.0f}, )"
        R"("p50_us": {:.1f}, "p99_us": {:.1f}, "p99_9_us": {:.1f}, "max_us": {:.1f}, )"
        R"("rejected": {}, "refused": {}, "broken": {}}})",
        row.server, row.load, row.offered_per_s, row.answered_per_s(), row.quantile_us(0.5),
        row.quantile_us(0.99), row.quantile_us(0.999), row.max_us(), row.result.rejected,
        row.result.refused, row.result.broken);
  }
  text += "]";
  if (const auto ratio = throughput_ratio(rows)) {
    text += fmt::format(", \"engine_to_echo\": {:.3f}", *ratio);
  }
  fmt::print("{}}}\n", text);
}

int bench(const Options& options) {
  const std::vector<Row> rows = measure(options);
  if (options.json) {
    print_json(rows);
  } else {
    print_table(rows);
    if (const auto ratio = throughput_ratio(rows)) {
      fmt::print("engine/echo at max: {:.2f}\n", *ratio);
    }
  }
  for (const Row& row : rows) {
    if (row.result.broken) {
      fmt::print(stderr, "{} {}: a session broke before all its requests were answered\n",
                 row.server, row.load);
      return kExitFailed;
    }
  }
  return kExitOk;
}

}  // namespace

void add_bench_rpc_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "bench-rpc", "Measure the engine through gRPC: at most, then at half of it, beside an echo");
  auto* target =
      command->add_option("--target", options->target,
                          "Engine to load, host:port; without it, one of its own is started");
  target->needs(command->add_option(
      "--admin-target", options->admin_target,
      "Where that engine is administrated, host:port; the market is set up there"));
  target->needs(command->add_option("--admin-token-file", options->admin_token_file,
                                    "One of that engine's tokens (--admin-tokens)"));
  command
      ->add_option("--data-parent", options->data_parent,
                   "Where its own engine keeps its journal while it runs; must be on a disk")
      ->capture_default_str();
  auto* rate =
      command->add_option("--rate", options->rate_per_s,
                          "Only this load: requests a second, sent whether answered or not");
  command->add_flag("--max", options->max, "Only the highest rate")->excludes(rate);
  command->add_flag("--echo", options->echo, "Only the echo server (with --rate or --max)");
  command->add_option("--seconds", options->seconds, "Measured time of each run, seconds")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_flag("--callback", options->callback,
                    "The echo server on gRPC's callback API instead of the synchronous one");
  command->add_option("--sessions", options->sessions, "Sessions, each on its own connection")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--batch", options->batch, "Most requests a message")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command
      ->add_option("--tick-us", options->tick_us,
                   "Where the rate is given: how often a session sends what is due, microseconds; "
                   "0: each request at once")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  command
      ->add_option("--in-flight", options->in_flight,
                   "Unanswered requests a session where the rate is not given")
      ->check(CLI::Range(1, 1 << 18))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->add_flag("--serve-echo", options->serve_echo, "Run the echo server itself")->group("");
  command->add_option("--port-file", options->port_file, "Its port, once serving")->group("");
  command->callback([options, &exit_code] {
    try {
      if (options->serve_echo) {
        run_echo_server(options->port_file, options->callback);
      } else {
        exit_code = bench(*options);
      }
    } catch (const std::exception& error) {
      fmt::print(stderr, "bench-rpc: {}\n", error.what());
      exit_code = kExitFailed;
    }
  });
}

}  // namespace openvenue::tools

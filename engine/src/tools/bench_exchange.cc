#include "tools/bench_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <vector>

#include "core/exchange/exchange.h"
#include "exit_codes.h"
#include "tools/exchange_flow.h"
#include "tools/latency_histogram.h"

namespace openvenue::tools {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  ExchangeFlowOptions flow;
  double rate_per_s = 0;  // 0: the next command as soon as the last one is done
  unsigned repeat = 3;
  bool json = false;
};

struct Result {
  std::size_t commands = 0;
  std::size_t events = 0;
  std::vector<double> commands_per_s;  // one a run, sorted
  LatencyHistogram latencies;          // of all runs

  [[nodiscard]] double median_per_s() const { return commands_per_s[commands_per_s.size() / 2]; }
};

std::chrono::nanoseconds due_after(std::size_t command, double rate_per_s) {
  return std::chrono::nanoseconds(
      static_cast<std::int64_t>(static_cast<double>(command) * 1e9 / rate_per_s));
}

// At a rate, each latency counts from when its command was due, so a command that waits for a slow
// one before it counts as late.
void measure_once(const ExchangeFlow& flow, const Options& options, Result& result) {
  core::Exchange exchange(flow.limits);
  core::EventBuffer events;
  events.reserve(core::Exchange::max_events_per_command(flow.limits));
  for (const core::Command& command : flow.preparation) exchange.apply(command, events);

  result.events = 0;
  const Clock::time_point start = Clock::now();
  Clock::time_point now = start;
  for (std::size_t i = 0; i < flow.measured.size(); ++i) {
    Clock::time_point due = now;
    if (options.rate_per_s > 0) {
      due = start + due_after(i, options.rate_per_s);
      while (now < due) now = Clock::now();
    }
    exchange.apply(flow.measured[i], events);
    result.events += events.size();
    now = Clock::now();
    result.latencies.record(static_cast<std::uint64_t>((now - due).count()));
  }
  const double seconds = std::chrono::duration<double>(now - start).count();
  result.commands_per_s.push_back(static_cast<double>(flow.measured.size()) / seconds);
}

Result measure(const Options& options) {
  const ExchangeFlow flow = make_exchange_flow(options.flow);
  Result result;
  result.commands = flow.measured.size();
  for (unsigned run = 0; run < options.repeat; ++run) measure_once(flow, options, result);
  std::sort(result.commands_per_s.begin(), result.commands_per_s.end());
  return result;
}

void print(const Result& result, const Options& options) {
  const auto at = [&](double quantile) { return result.latencies.quantile_ns(quantile); };
  if (options.json) {
    fmt::print(
        "{{\"accounts\": {}, \"instruments\": {}, \"resting_orders\": {}, \"commands\": {}, "
        "\"events\": {}, \"runs\": {}, \"rate_per_second\": {:.0f}, "
        "\"commands_per_second\": {:.0f}, \"p50_ns\": {}, \"p99_ns\": {}, \"p999_ns\": {}, "
        "\"max_ns\": {}}}\n",
        options.flow.accounts, options.flow.instruments, options.flow.resting_orders,
        result.commands, result.events, result.commands_per_s.size(), options.rate_per_s,
        result.median_per_s(), at(0.5), at(0.99), at(0.999), result.latencies.max_ns());
    return;
  }
  fmt::print(
      "{} accounts, {} instruments, {} resting orders: {} commands, {} events, {}\n"
      "median of {} runs {:.0f} commands/s; latency p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns\n",
      options.flow.accounts, options.flow.instruments, options.flow.resting_orders, result.commands,
      result.events,
      options.rate_per_s > 0 ? fmt::format("one every {:.0f} ns", 1e9 / options.rate_per_s)
                             : std::string("one after the other"),
      result.commands_per_s.size(), result.median_per_s(), at(0.5), at(0.99), at(0.999),
      result.latencies.max_ns());
}

}  // namespace

void add_bench_exchange_command(CLI::App& app, int& exit_code) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "bench-exchange", "Time the state machine: risk, accounts and books, without journal");
  command->add_option("--accounts", options->flow.accounts, "Accounts that trade")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--instruments", options->flow.instruments, "Instruments they trade in")
      ->check(CLI::Range(1, 10'000))
      ->capture_default_str();
  command->add_option("--resting", options->flow.resting_orders, "Orders in all books together")
      ->check(CLI::Range(1, 4'000'000))
      ->capture_default_str();
  command->add_option("--commands", options->flow.commands, "Commands of a run")
      ->check(CLI::Range(1, 10'000'000))
      ->capture_default_str();
  command
      ->add_option("--rate", options->rate_per_s,
                   "Commands a second, due at even intervals; 0: one after the other")
      ->check(CLI::Range(0.0, 1e8))
      ->capture_default_str();
  command->add_option("--repeat", options->repeat, "Runs; the median rate is printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", options->flow.seed, "Of the made-up flow")->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options, &exit_code] {
    try {
      print(measure(*options), *options);
      exit_code = kExitOk;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "bench-exchange: %s\n", error.what());
      exit_code = kExitFailed;
    }
  });
}

}  // namespace openvenue::tools

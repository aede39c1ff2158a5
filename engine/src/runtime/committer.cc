#include "runtime/committer.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <utility>

namespace openvenue::runtime {
namespace {

// Longer than the time in which a client sends its next order after an answer, so that no order
// waits for a mark; short, because until then no frame reports the last commit group as synced.
constexpr std::chrono::milliseconds kIdle{20};

}  // namespace

Committer::Committer(std::unique_ptr<FrameSink> sink, FlightQueue& handed_over,
                     FlightQueue& durable, FlightQueue& free_flights, DurableWatermark& watermark,
                     OnDurable on_durable, OnFailure on_failure, Metrics& metrics)
    : sink_(std::move(sink)),
      handed_over_(handed_over),
      durable_(durable),
      free_flights_(free_flights),
      watermark_(watermark),
      on_durable_(std::move(on_durable)),
      on_failure_(std::move(on_failure)),
      metrics_(metrics) {}

void Committer::run() {
  std::vector<Flight*> flights;
  while (next(flights)) {
    if (failed_) {
      discard(flights);
      continue;
    }
    try {
      commit(flights);
    } catch (const std::exception& error) {  // memory or threads may also run out
      fail(error.what());
      discard(flights);
    }
  }
  if (!failed_) mark_end();
  durable_.close();
}

void Committer::commit(const std::vector<Flight*>& flights) {
  core::Sequence last = 0;
  for (Flight* flight : flights) {
    if (flight->frame.empty()) continue;
    metrics_.frame_entries.Observe(flight->frame.count());
    last = flight->frame.last_sequence();
    sink_->write(flight->frame);
  }
  if (last != 0) {
    sync();
    watermark_.advance(last);
    on_durable_(last);
  }
  const auto now = std::chrono::steady_clock::now();
  for (Flight* flight : flights) {
    flight->durable_at = now;
    metrics_.journal_seconds.Observe(seconds_between(flight->handed_over_at, now));
  }
  durable_.push_all(flights);
}

void Committer::sync() {
  const StageTimer timer(metrics_.sync_seconds);
  sync_began_ = std::chrono::steady_clock::now().time_since_epoch().count();
  sink_->sync();
  sync_began_ = 0;
}

std::chrono::steady_clock::duration Committer::sync_under_way() const {
  using SteadyClock = std::chrono::steady_clock;
  const SteadyClock::rep began = sync_began_;
  if (began == 0) return {};
  return SteadyClock::now() - SteadyClock::time_point(SteadyClock::duration(began));
}

bool Committer::next(std::vector<Flight*>& flights) {
  // The replies to the marked frames have left by then.
  if (!failed_ && !handed_over_.wait_for(kIdle)) mark_end();
  return handed_over_.pop_all(flights);
}

void Committer::mark_end() {
  try {
    sink_->mark_end();
  } catch (const std::exception& error) {
    fail(error.what());
  }
}

void Committer::fail(const std::string& what) {
  failed_ = true;
  metrics_.journal_failures.Increment();
  watermark_.close();
  spdlog::critical("the journal cannot be written; nothing more is acknowledged: {}", what);
  on_failure_(what);
}

void Committer::discard(const std::vector<Flight*>& flights) {
  for (Flight* flight : flights) flight->clear();
  free_flights_.push_all(flights);
}

}  // namespace openvenue::runtime

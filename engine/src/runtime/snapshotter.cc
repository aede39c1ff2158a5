#include "runtime/snapshotter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <utility>

#include "journal/error.h"
#include "runtime/out_of_memory.h"

namespace openvenue::runtime {
namespace {

constexpr core::Sequence kNever = std::numeric_limits<core::Sequence>::max();

}  // namespace

Snapshotter::Snapshotter(Write write, core::Sequence interval, core::Sequence newest,
                         const DurableWatermark& watermark, Metrics& metrics,
                         OnDivergence on_divergence)
    : write_(std::move(write)),
      interval_(interval),
      watermark_(watermark),
      metrics_(metrics),
      on_divergence_(std::move(on_divergence)),
      newest_(newest),
      next_due_(due_after(newest)),
      due_after_rest_(next_due_) {
  sem_init(&wake_, 0, 0);
}

Snapshotter::~Snapshotter() { sem_destroy(&wake_); }

core::Sequence Snapshotter::due_after(core::Sequence sequence) const {
  return interval_ == 0 ? kNever : sequence + interval_;
}

void Snapshotter::run() {
  const MemoryMayRunOut snapshots_can_fail;
  for (;;) {
    wait_until_wanted();
    if (stopped()) break;
    take(asked());
  }
  refuse(true, std::make_exception_ptr(journal::Stopped("the engine is stopping")));
}

void Snapshotter::wait_until_wanted() {
  while (!asked() && !stopped() && !due()) {
    const bool resting = next_due_ == kNever && due_after_rest_ != kNever;
    if (!sleep(resting ? std::optional(rest_until_) : std::nullopt)) next_due_ = due_after_rest_;
  }
}

bool Snapshotter::asked() {
  const std::lock_guard lock(mutex_);
  return request_.has_value();
}

bool Snapshotter::stopped() {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void Snapshotter::wake() {
  if (!woken_.exchange(true)) sem_post(&wake_);
}

bool Snapshotter::sleep(std::optional<SteadyClock::time_point> until) {
  int failed = 0;
  do {
    if (until) {
      const auto ns = std::chrono::nanoseconds(until->time_since_epoch()).count();
      const timespec at{ns / 1'000'000'000, ns % 1'000'000'000};
      failed = sem_clockwait(&wake_, CLOCK_MONOTONIC, &at);
    } else {
      failed = sem_wait(&wake_);
    }
  } while (failed != 0 && errno == EINTR);
  if (failed != 0) return false;
  woken_ = false;  // before the caller checks the reason
  return true;
}

void Snapshotter::take(bool requested) {
  const auto began_at = SteadyClock::now();
  write(requested);
  const auto ended_at = SteadyClock::now();
  metrics_.snapshot_seconds.Observe(seconds_between(began_at, ended_at));
  // Also after a failure: trying without pause does not help a full disk.
  rest_until_ =
      ended_at + std::min<SteadyClock::duration>(kRestFactor * (ended_at - began_at), kRestMax);
  due_after_rest_ = due_after(watermark_.get());
  next_due_ = kNever;
}

void Snapshotter::write(bool requested) {
  try {
    const core::Sequence sequence = write_checked();
    newest_ = sequence;
    metrics_.snapshots.Increment();
    spdlog::info("snapshot written sequence={}", sequence);
    answer(requested, sequence);
  } catch (const journal::Stopped& stopped) {
    spdlog::info("snapshot abandoned: {}", stopped.what());
    refuse(requested, std::current_exception());
  } catch (const journal::Divergence& divergence) {
    metrics_.snapshot_failures.Increment();
    spdlog::critical("the journal does not replay to what was recorded: {}", divergence.what());
    if (on_divergence_) on_divergence_(divergence.what());
    // Last: the requester then owns the error, and finds that the divergence was acted on.
    refuse(requested, std::current_exception());
  } catch (const std::exception& error) {
    metrics_.snapshot_failures.Increment();
    spdlog::error("snapshot failed; the journal is whole and trading goes on: {}", error.what());
    refuse(requested, std::current_exception());
  }
}

// Tries again from the newest snapshot on disk, because the memory of this thread's own state may
// be at fault.
core::Sequence Snapshotter::write_checked() {
  try {
    return write_(watermark_.get(), stop_source_.get_token());
  } catch (const journal::Divergence& divergence) {
    metrics_.replay_divergences.Increment();
    spdlog::error("replay differs from the journal, and is tried anew: {}", divergence.what());
  }
  try {
    return write_(watermark_.get(), stop_source_.get_token());
  } catch (const journal::Divergence&) {
    metrics_.replay_divergences.Increment();
    throw;
  }
}

// A request that came while the snapshot was written wants a later one, and stays.
void Snapshotter::answer(bool requested, core::Sequence sequence) {
  const std::lock_guard lock(mutex_);
  if (!requested) return;
  request_->set_value(sequence);
  request_.reset();
}

void Snapshotter::refuse(bool requested, const std::exception_ptr& why) {
  const std::lock_guard lock(mutex_);
  if (!requested || !request_) return;
  request_->set_exception(why);
  request_.reset();
}

void Snapshotter::stop() {
  stop_source_.request_stop();
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  wake();
}

void Snapshotter::on_durable(core::Sequence sequence) {
  if (sequence >= next_due_) wake();
}

std::optional<std::future<core::Sequence>> Snapshotter::request() {
  std::future<core::Sequence> future;
  {
    const std::lock_guard lock(mutex_);
    if (request_) return std::nullopt;
    future = request_.emplace().get_future();
    if (stopped_) {
      request_->set_exception(std::make_exception_ptr(journal::Stopped("the engine is stopping")));
      request_.reset();
    }
  }
  wake();
  return future;
}

}  // namespace openvenue::runtime

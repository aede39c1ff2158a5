#include "runtime/snapshotter.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "journal/error.h"
#include "runtime/out_of_memory.h"

namespace openvenue::runtime {
namespace {

constexpr core::Sequence kNever = std::numeric_limits<core::Sequence>::max();

}  // namespace

Snapshotter::Snapshotter(Write write, core::Sequence interval, core::Sequence newest,
                         const DurableWatermark& watermark, Metrics& metrics)
    : write_(std::move(write)),
      interval_(interval),
      watermark_(watermark),
      metrics_(metrics),
      newest_(newest),
      next_due_(due_after(newest)),
      due_after_rest_(next_due_) {}

core::Sequence Snapshotter::due_after(core::Sequence sequence) const {
  return interval_ == 0 ? kNever : sequence + interval_;
}

void Snapshotter::run() {
  const MemoryMayRunOut snapshots_can_fail;
  std::unique_lock lock(mutex_);
  for (;;) {
    wait_until_wanted(lock);
    if (stopped_) break;
    const bool requested = request_.has_value();
    lock.unlock();
    take(requested);
    lock.lock();
  }
  lock.unlock();
  refuse(true, std::make_exception_ptr(journal::Stopped("the engine is stopping")));
}

void Snapshotter::wait_until_wanted(std::unique_lock<std::mutex>& lock) {
  const auto asked = [this] { return stopped_ || request_.has_value(); };
  if (next_due_ == kNever && due_after_rest_ != kNever) {
    if (wake_.wait_until(lock, rest_until_, asked)) return;
    next_due_ = due_after_rest_;
  }
  wake_.wait(lock, [&] { return asked() || due(); });
}

void Snapshotter::take(bool requested) {
  const auto began_at = SteadyClock::now();
  write(requested);
  const auto ended_at = SteadyClock::now();
  metrics_.snapshot_seconds.Observe(seconds_between(began_at, ended_at));
  // After a failure too: a disk that is full is not helped by trying without pause.
  rest_until_ =
      ended_at + std::min<SteadyClock::duration>(kRestFactor * (ended_at - began_at), kRestMax);
  due_after_rest_ = due_after(watermark_.get());
  next_due_ = kNever;
}

void Snapshotter::write(bool requested) {
  try {
    const core::Sequence sequence = write_(watermark_.get(), stop_source_.get_token());
    newest_ = sequence;
    metrics_.snapshots.Increment();
    spdlog::info("snapshot written sequence={}", sequence);
    answer(requested, sequence);
  } catch (const journal::Stopped& stopped) {
    spdlog::info("snapshot abandoned: {}", stopped.what());
    refuse(requested, std::current_exception());
  } catch (const std::exception& error) {
    metrics_.snapshot_failures.Increment();
    spdlog::error("snapshot failed; the journal is whole and trading goes on: {}", error.what());
    refuse(requested, std::current_exception());
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
  wake_.notify_one();
}

void Snapshotter::on_durable(core::Sequence sequence) {
  if (sequence < next_due_) return;
  { const std::lock_guard lock(mutex_); }  // the waiter is either before its check or waiting
  wake_.notify_one();
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
  wake_.notify_one();
  return future;
}

}  // namespace openvenue::runtime

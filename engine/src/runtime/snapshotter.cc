#include "runtime/snapshotter.h"

#include <spdlog/spdlog.h>

#include <limits>
#include <utility>

#include "journal/writer.h"

namespace openvenue::runtime {
namespace {

core::Sequence due_after(core::Sequence sequence, core::Sequence interval) {
  return interval == 0 ? std::numeric_limits<core::Sequence>::max() : sequence + interval;
}

}  // namespace

Snapshotter::Snapshotter(Write write, core::Sequence interval, core::Sequence newest,
                         const DurableWatermark& watermark, Metrics& metrics)
    : write_(std::move(write)),
      interval_(interval),
      watermark_(watermark),
      metrics_(metrics),
      newest_(newest),
      next_due_(due_after(newest, interval)) {}

bool Snapshotter::due() const { return watermark_.get() >= next_due_; }

void Snapshotter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopped_ || due() || !requests_.empty(); });
    if (stopped_) break;
    Requests requests = std::exchange(requests_, {});
    lock.unlock();
    take(std::move(requests));
    lock.lock();
  }
  for (auto& request : requests_) {
    request.set_exception(
        std::make_exception_ptr(journal::JournalError("the engine is stopping: no snapshot")));
  }
  requests_.clear();
}

void Snapshotter::take(Requests requests) {
  const core::Sequence up_to = watermark_.get();
  try {
    const core::Sequence sequence = write_(up_to);
    newest_ = sequence;
    metrics_.snapshots.Increment();
    spdlog::info("snapshot written sequence={}", sequence);
    for (auto& request : requests) request.set_value(sequence);
  } catch (const journal::JournalError& error) {
    metrics_.snapshot_failures.Increment();
    spdlog::error("snapshot failed; the journal is whole and trading goes on: {}", error.what());
    for (auto& request : requests) request.set_exception(std::current_exception());
  }
  // After a failure too: a disk that is full is not helped by trying without pause.
  next_due_ = due_after(up_to, interval_);
}

void Snapshotter::stop() {
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

std::future<core::Sequence> Snapshotter::request() {
  std::promise<core::Sequence> promise;
  auto future = promise.get_future();
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(promise));
  }
  wake_.notify_one();
  return future;
}

}  // namespace openvenue::runtime

#include "runtime/ingress_ring.h"

#include <algorithm>
#include <utility>

namespace openvenue::runtime {

std::uint64_t weight(const std::vector<Operation>& operations) {
  std::uint64_t sum = 0;
  for (const Operation& operation : operations) sum += weight(operation);
  return sum;
}

Admission IngressRing::try_push(Batch& batch) {
  std::uint64_t batch_weight = weight(batch.operations);
  // One operation always fits: it cannot be split.
  if (batch.operations.size() == 1) batch_weight = std::min(batch_weight, capacity_);
  if (batch_weight > capacity_) return Admission::kTooLarge;
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return Admission::kStopped;
    std::uint64_t none = 0;
    std::uint64_t& of_sink = batch.sink == nullptr ? none : queued_of(*batch.sink);
    if (!has_room(of_sink, batch_weight)) return Admission::kFull;
    of_sink += batch_weight;
    was_empty = queued_.empty();
    depth_ += batch_weight;
    queued_.push_back(std::move(batch));
  }
  if (was_empty) filled_.notify_one();
  return Admission::kAccepted;
}

std::uint64_t& IngressRing::queued_of(ReplySink& sink) const {
  if (sink.queued_in_turn_ != turn_) sink.queued_ = 0;
  sink.queued_in_turn_ = turn_;
  return sink.queued_;
}

bool IngressRing::has_room(std::uint64_t of_sink, std::uint64_t weight) const {
  if (of_sink + weight <= capacity_ / 256) return true;
  return depth_ + weight <= capacity_ && (of_sink == 0 || of_sink + weight <= share());
}

bool IngressRing::pop_all(std::vector<Batch>& out, std::chrono::milliseconds timeout) {
  out.clear();
  std::unique_lock lock(mutex_);
  filled_.wait_for(lock, timeout, [this] { return closed_ || !queued_.empty(); });
  if (queued_.empty()) return !closed_;
  std::swap(out, queued_);
  depth_ = 0;
  ++turn_;
  return true;
}

void IngressRing::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  filled_.notify_one();
}

std::uint64_t IngressRing::depth() const {
  const std::lock_guard lock(mutex_);
  return depth_;
}

}  // namespace openvenue::runtime

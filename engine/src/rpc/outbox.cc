#include "rpc/outbox.h"

#include <iterator>
#include <utility>

namespace openvenue::rpc {
namespace {

// Of one message: far below the size that a client accepts, whatever the replies are.
constexpr std::size_t kRepliesPerMessageMax = 1024;
constexpr std::uint64_t kWeightPerMessageMax = 4096;

}  // namespace

template <class Condition>
Outbox::Wait Outbox::wait_for(std::unique_lock<std::mutex>& lock,
                              std::chrono::milliseconds patience, Condition condition) {
  for (;;) {
    const std::uint64_t releases_before = releases_;
    if (released_.wait_for(lock, patience, [&] { return closed_ || condition(); })) {
      return closed_ ? Wait::kClosed : Wait::kDone;
    }
    // With nothing to write it is the engine that is slow, and the client is not to blame.
    if (writing_ && releases_ == releases_before) return Wait::kStalled;
  }
}

Outbox::Wait Outbox::reserve(std::uint64_t weight, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  const Wait wait = wait_for(lock, patience, [&] { return reserved_ + weight <= capacity_; });
  if (wait == Wait::kDone) reserved_ += weight;
  return wait;
}

void Outbox::deliver(std::vector<runtime::Reply> replies) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    queued_.insert(queued_.end(), std::make_move_iterator(replies.begin()),
                   std::make_move_iterator(replies.end()));
  }
  filled_.notify_one();
}

bool Outbox::take(std::vector<runtime::Reply>& out) {
  out.clear();
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return closed_ || !queued_.empty(); });
  if (closed_) return false;
  std::uint64_t weight = 0;
  while (!queued_.empty() && out.size() < kRepliesPerMessageMax && weight < kWeightPerMessageMax) {
    weight += queued_.front().weight;
    out.push_back(std::move(queued_.front()));
    queued_.pop_front();
  }
  writing_ = true;
  return true;
}

void Outbox::release(const std::vector<runtime::Reply>& sent) {
  {
    const std::lock_guard lock(mutex_);
    for (const runtime::Reply& reply : sent) reserved_ -= reply.weight;
    ++releases_;
    writing_ = false;
  }
  released_.notify_all();
}

Outbox::Wait Outbox::wait_drained(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  return wait_for(lock, patience, [this] { return reserved_ == 0; });
}

void Outbox::wait_drained_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  released_.wait_until(lock, deadline, [this] { return closed_ || reserved_ == 0; });
}

void Outbox::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    queued_.clear();
  }
  filled_.notify_all();
  released_.notify_all();
}

}  // namespace openvenue::rpc

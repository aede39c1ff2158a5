#include "rpc/outbox.h"

#include <iterator>
#include <utility>

namespace openvenue::rpc {
namespace {

// Bound of one message: far below the size that a client accepts, whatever the replies.
constexpr std::size_t kRepliesPerMessageMax = 1024;
constexpr std::uint64_t kWeightPerMessageMax = 4096;

}  // namespace

bool Outbox::reserve(std::uint64_t weight) {
  std::unique_lock lock(mutex_);
  released_.wait(lock, [&] { return closed_ || reserved_ + weight <= capacity_; });
  if (closed_) return false;
  reserved_ += weight;
  return true;
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
  filled_.wait(lock, [this] { return closed_ || next_ < queued_.size(); });
  if (closed_) return false;
  const std::size_t count = message_size();
  if (next_ == 0 && count == queued_.size()) {
    std::swap(out, queued_);  // each goes on with the other's memory
    return true;
  }
  const auto first = queued_.begin() + static_cast<std::ptrdiff_t>(next_);
  const auto last = first + static_cast<std::ptrdiff_t>(count);
  out.assign(std::make_move_iterator(first), std::make_move_iterator(last));
  next_ += count;
  drop_taken();
  return true;
}

// The number of queued replies that fit into one message.
std::size_t Outbox::message_size() const {
  std::size_t count = 0;
  std::uint64_t weight = 0;
  while (next_ + count < queued_.size() && count < kRepliesPerMessageMax &&
         weight < kWeightPerMessageMax) {
    weight += queued_[next_ + count++].weight;
  }
  return count;
}

// Keeps what was taken to less than what is left, and no more memory than a few messages need.
void Outbox::drop_taken() {
  if (next_ < queued_.size() - next_) return;
  queued_.erase(queued_.begin(), queued_.begin() + static_cast<std::ptrdiff_t>(next_));
  next_ = 0;
  if (queued_.empty() && queued_.capacity() > 4 * kRepliesPerMessageMax) {
    std::vector<runtime::Reply>().swap(queued_);
  }
}

void Outbox::release(const std::vector<runtime::Reply>& sent) {
  {
    const std::lock_guard lock(mutex_);
    for (const runtime::Reply& reply : sent) reserved_ -= reply.weight;
  }
  released_.notify_all();
}

bool Outbox::wait_drained() {
  std::unique_lock lock(mutex_);
  released_.wait(lock, [this] { return closed_ || reserved_ == 0; });
  return !closed_;
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
    next_ = 0;
  }
  filled_.notify_all();
  released_.notify_all();
}

std::uint64_t Outbox::owed() const {
  const std::lock_guard lock(mutex_);
  return closed_ ? 0 : reserved_;
}

}  // namespace openvenue::rpc

// A queue between two threads of the pipeline. It needs no bound of its own, because it holds a
// fixed number of recycled flights.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

namespace openvenue::runtime {

template <class T>
class Handover {
 public:
  void push(T item) {
    {
      const std::lock_guard lock(mutex_);
      items_.push_back(std::move(item));
    }
    filled_.notify_one();
  }

  void push_all(const std::vector<T>& items) {
    {
      const std::lock_guard lock(mutex_);
      items_.insert(items_.end(), items.begin(), items.end());
    }
    filled_.notify_one();
  }

  // Replaces `out` by everything queued, waiting until there is something. False once the queue is
  // closed and empty. One consumer only.
  [[nodiscard]] bool pop_all(std::vector<T>& out) {
    out.clear();
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return closed_ || !items_.empty(); });
    std::swap(out, items_);
    return !out.empty();
  }

  // True if, by the end of `time`, there is something to pop or the queue is closed.
  [[nodiscard]] bool wait_for(std::chrono::nanoseconds time) {
    std::unique_lock lock(mutex_);
    return filled_.wait_for(lock, time, [this] { return closed_ || !items_.empty(); });
  }

  void close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    filled_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<T> items_;
  bool closed_ = false;
};

}  // namespace openvenue::runtime

// The highest durable sequence number, for threads that wait for it to rise.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "core/base/types.h"

namespace openvenue::runtime {

class DurableWatermark {
 public:
  explicit DurableWatermark(core::Sequence initial) : sequence_(initial) {}

  // Precondition: sequence >= get(). One writer.
  void advance(core::Sequence sequence);

  [[nodiscard]] core::Sequence get() const { return sequence_.load(std::memory_order_acquire); }

  // True once get() > `sequence`; false after `timeout`, or at once when closed.
  [[nodiscard]] bool wait_beyond(core::Sequence sequence, std::chrono::milliseconds timeout);

  // No more will become durable; wakes all waiters.
  void close();
  [[nodiscard]] bool closed() const { return closed_.load(std::memory_order_acquire); }

 private:
  std::atomic<core::Sequence> sequence_;
  std::atomic<bool> closed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace openvenue::runtime

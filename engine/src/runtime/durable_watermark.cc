#include "runtime/durable_watermark.h"

namespace openvenue::runtime {

void DurableWatermark::advance(core::Sequence sequence) {
  {
    const std::lock_guard lock(mutex_);
    sequence_.store(sequence, std::memory_order_release);
  }
  changed_.notify_all();
}

bool DurableWatermark::wait_beyond(core::Sequence sequence, std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, timeout, [&] { return get() > sequence || closed(); });
  return get() > sequence;
}

void DurableWatermark::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_.store(true, std::memory_order_release);
  }
  changed_.notify_all();
}

}  // namespace openvenue::runtime

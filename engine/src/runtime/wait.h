// A pause that a stop cuts short.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace openvenue::runtime {

// True once `stop` is requested, false at the end of `time` (max(): there is none).
inline bool wait_for(const std::stop_token& stop, std::chrono::nanoseconds time) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any never;
  if (time == std::chrono::nanoseconds::max()) {
    never.wait(lock, stop, [] { return false; });
  } else {
    never.wait_for(lock, stop, time, [] { return false; });
  }
  return stop.stop_requested();
}

}  // namespace openvenue::runtime

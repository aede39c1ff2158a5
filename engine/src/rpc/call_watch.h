// Ends calls that hold a server thread without progress. The thread itself cannot do that, because
// it waits.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

namespace openvenue::rpc {

class CallWatch {
 public:
  class Watched;

  CallWatch();
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

  // While the result lives, calls `overdue` several times a second. When it first returns true,
  // calls `end`, and neither again. The watch's thread makes these calls, which must not block. The
  // watch must outlive the result.
  [[nodiscard]] std::unique_ptr<Watched> watch(std::function<bool()> overdue,
                                               std::function<void()> end);

 private:
  struct Entry {
    std::function<bool()> overdue;
    std::function<void()> end;
    bool ended = false;
  };

  std::mutex mutex_;
  std::list<Entry> entries_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

class CallWatch::Watched {
 public:
  Watched(CallWatch& watch, std::list<Entry>::iterator entry) : watch_(watch), entry_(entry) {}
  ~Watched();
  Watched(const Watched&) = delete;
  Watched& operator=(const Watched&) = delete;

 private:
  CallWatch& watch_;
  std::list<Entry>::iterator entry_;
};

// Time for which a call's present write has waited for its client to read.
class WriteTimer {
 public:
  template <class Write>
  bool run(const Write& write) {
    since_ = Clock::now().time_since_epoch().count();
    const bool written = write();
    since_ = kNotWriting;
    return written;
  }

  [[nodiscard]] bool runs_longer_than(std::chrono::nanoseconds patience) const {
    const Clock::rep since = since_;
    if (since == kNotWriting) return false;
    return Clock::now() - Clock::time_point(Clock::duration(since)) > patience;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::rep kNotWriting = 0;
  std::atomic<Clock::rep> since_ = kNotWriting;
};

}  // namespace openvenue::rpc

#include "rpc/call_watch.h"

#include <pthread.h>

#include <stop_token>
#include <utility>

namespace openvenue::rpc {
namespace {

constexpr std::chrono::milliseconds kPeriod{100};

}  // namespace

CallWatch::CallWatch()
    : thread_([this](const std::stop_token& stop) {
        pthread_setname_np(pthread_self(), "call-watch");
        std::unique_lock lock(mutex_);
        while (!stopped_.wait_for(lock, stop, kPeriod, [&] { return stop.stop_requested(); })) {
          for (Entry& entry : entries_) {
            if (entry.ended || !entry.overdue()) continue;
            entry.ended = true;
            entry.end();
          }
        }
      }) {}

CallWatch::~CallWatch() = default;

std::unique_ptr<CallWatch::Watched> CallWatch::watch(std::function<bool()> overdue,
                                                     std::function<void()> end) {
  const std::lock_guard lock(mutex_);
  return std::make_unique<Watched>(
      *this, entries_.insert(entries_.end(), {std::move(overdue), std::move(end)}));
}

CallWatch::Watched::~Watched() {
  const std::lock_guard lock(watch_.mutex_);
  watch_.entries_.erase(entry_);
}

}  // namespace openvenue::rpc

// How many long-lived calls may run at once. Each holds a server thread for its whole life, so they
// are kept to a share of the threads and unary calls always find one.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace openvenue::rpc {

class StreamAdmission {
 public:
  // Held while the stream lives.
  class Slot {
   public:
    explicit Slot(std::atomic<std::uint32_t>& count) : count_(&count) {}
    Slot(Slot&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (count_ != nullptr) --*count_;
    }

   private:
    std::atomic<std::uint32_t>* count_;
  };

  StreamAdmission(std::uint32_t threads_max, std::uint32_t subscribers_max)
      : subscribers_max_(subscribers_max) {
    set_threads_max(threads_max);
  }

  // Nothing at the limit.
  [[nodiscard]] std::optional<Slot> admit_session();
  [[nodiscard]] std::optional<Slot> admit_subscriber();

  // From here on nobody new is served.
  void drain() { draining_ = true; }
  [[nodiscard]] bool draining() const { return draining_; }

  // Streams that are above a lowered limit go on; new ones wait for room.
  void set_threads_max(std::uint32_t threads_max) { streams_max_ = threads_max / 4 * 3; }

  [[nodiscard]] std::uint32_t sessions() const { return sessions_; }
  [[nodiscard]] std::uint32_t subscribers() const { return subscribers_; }

 private:
  [[nodiscard]] std::optional<Slot> admit(std::atomic<std::uint32_t>& count,
                                          std::uint32_t count_max);

  const std::uint32_t subscribers_max_;
  std::mutex mutex_;
  std::atomic<bool> draining_ = false;
  std::atomic<std::uint32_t> streams_max_ = 0;
  std::atomic<std::uint32_t> sessions_ = 0;
  std::atomic<std::uint32_t> subscribers_ = 0;
};

}  // namespace openvenue::rpc

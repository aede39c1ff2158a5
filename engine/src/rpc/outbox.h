// Outgoing replies of one session. Room for a reply is reserved before its request is accepted, so
// delivering never blocks and never overflows: the session does not read from a client that does
// not read, and other clients are not affected.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime/reply.h"

namespace openvenue::rpc {

class Outbox final : public runtime::ReplySink {
 public:
  // `capacity` is in operation weight (see runtime/operation.h).
  explicit Outbox(std::uint64_t capacity) : capacity_(capacity) {}

  // Waits for room; false once closed. Precondition: weight <= capacity().
  [[nodiscard]] bool reserve(std::uint64_t weight);

  // Precondition: room was reserved for the replies.
  void deliver(std::vector<runtime::Reply> replies) noexcept override;

  [[nodiscard]] bool wanted() const noexcept override { return !closed_; }

  // Replaces `out` by the next replies, enough for one message; blocks until there is one. False
  // once closed.
  [[nodiscard]] bool take(std::vector<runtime::Reply>& out);

  // Frees the room of replies that are being written to the client.
  void release(const std::vector<runtime::Reply>& sent);

  // Waits until all replies with reserved room are being written; false if closed before.
  [[nodiscard]] bool wait_drained();

  // The same, until `deadline`.
  void wait_drained_until(std::chrono::steady_clock::time_point deadline);

  // Drops queued replies and all that are delivered from now on.
  void close();

  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  // The room that is reserved now.
  [[nodiscard]] std::uint64_t owed() const;

 private:
  [[nodiscard]] std::size_t message_size() const;
  void drop_taken();

  const std::uint64_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::condition_variable released_;
  std::vector<runtime::Reply> queued_;  // the first next_ of them were taken
  std::size_t next_ = 0;
  std::uint64_t reserved_ = 0;
  std::atomic<bool> closed_ = false;
};

}  // namespace openvenue::rpc

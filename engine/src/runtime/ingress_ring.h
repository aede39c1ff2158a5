// The bounded queue into the shard: many sessions push batches, one shard thread takes all of them.
//
// Two buffers alternate: producers fill one while the consumer works through the other. The bound
// is in operation weight (see operation.h), and a batch enters completely or not at all. Threads
// wait on a condition variable and never spin.
//
// No sink crowds out the others: one that has an eighth of the ring waiting gets no more in, and
// one that has less than a 256th gets in even if the ring is full.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "runtime/operation.h"
#include "runtime/reply.h"

namespace openvenue::runtime {

struct Batch {
  std::vector<Operation> operations;
  std::shared_ptr<ReplySink> sink;
  std::chrono::steady_clock::time_point submitted_at;
};

[[nodiscard]] std::uint64_t weight(const std::vector<Operation>& operations);

enum class Admission : std::uint8_t {
  kAccepted,
  kFull,        // the ring, or the share of the batch's sink, is full; try later
  kTooLarge,    // the batch is heavier than the whole ring
  kStopped,     // the ring is closed for good
  kNotTrusted,  // commands are refused, see Engine::healthy
};

class IngressRing {
 public:
  explicit IngressRing(std::uint64_t capacity) : capacity_(capacity) {}

  // Largest operation weight that one sink may have waiting. A first batch may be heavier.
  [[nodiscard]] std::uint64_t share() const { return std::max<std::uint64_t>(capacity_ / 8, 1); }

  // Takes the batch if it is accepted; otherwise leaves it untouched. Never blocks.
  [[nodiscard]] Admission try_push(Batch& batch);

  // Replaces `out` by everything queued; waits at most `timeout` until there is something. False
  // once the ring is closed and empty. One consumer only.
  [[nodiscard]] bool pop_all(std::vector<Batch>& out, std::chrono::milliseconds timeout);

  // Refuses further batches; those inside are still delivered.
  void close();

  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t depth() const;

 private:
  // Operation weight that the sink has waiting now.
  [[nodiscard]] std::uint64_t& queued_of(ReplySink& sink) const;
  [[nodiscard]] bool has_room(std::uint64_t of_sink, std::uint64_t weight) const;

  const std::uint64_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Batch> queued_;
  std::uint64_t depth_ = 0;
  std::uint64_t turn_ = 1;  // counts how often the consumer took everything
  bool closed_ = false;
};

}  // namespace openvenue::runtime

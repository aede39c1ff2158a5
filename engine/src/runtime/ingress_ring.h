// The bounded way into the shard: many sessions push batches, one shard thread takes all of them.
//
// Two buffers turn round: producers fill one while the consumer works through the other. The bound
// is in operation weight (see operation.h) and a batch goes in whole or not at all. Nobody spins.
#pragma once

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
  kFull,      // the ring is full now; later there may be room
  kTooLarge,  // the batch is heavier than the whole ring
  kStopped,   // the ring is closed for good
};

class IngressRing {
 public:
  explicit IngressRing(std::uint64_t capacity) : capacity_(capacity) {}

  // Takes the batch if it is accepted, and leaves it untouched otherwise. Never blocks.
  [[nodiscard]] Admission try_push(Batch& batch);

  // Replaces `out` by everything queued; waits at most `timeout` for there to be something. False
  // once the ring is closed and empty. One consumer only.
  [[nodiscard]] bool pop_all(std::vector<Batch>& out, std::chrono::milliseconds timeout);

  // Refuses further batches; those inside are still handed out.
  void close();

  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t depth() const;

 private:
  const std::uint64_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::vector<Batch> queued_;
  std::uint64_t depth_ = 0;
  bool closed_ = false;
};

}  // namespace openvenue::runtime

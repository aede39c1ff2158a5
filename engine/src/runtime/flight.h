// A flight: a frame of commands, with the replies that may leave once the frame is durable. It goes
// from the shard over the journal to the publisher. A fixed number is made at the start and reused,
// so a disk that falls behind holds the shard back instead of filling the memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "journal/writer.h"
#include "runtime/handover.h"
#include "runtime/reply.h"

namespace openvenue::runtime {

struct Delivery {
  std::shared_ptr<ReplySink> sink;
  std::vector<Reply> replies;
};

struct Flight {
  journal::Frame frame;
  std::vector<Delivery> deliveries;
  std::uint64_t reply_weight = 0;
  std::chrono::steady_clock::time_point handed_over_at;
  std::chrono::steady_clock::time_point durable_at;

  [[nodiscard]] bool empty() const { return frame.empty() && deliveries.empty(); }

  void clear() {
    frame.clear();
    deliveries.clear();
    reply_weight = 0;
  }
};

using FlightQueue = Handover<Flight*>;

}  // namespace openvenue::runtime

// One session under load. Latency counts from the time when a request was due: a server that stalls
// is charged for every request that it delayed (no coordinated omission).
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "rpc/reused_message.h"
#include "tools/latency_histogram.h"
#include "tools/order_flow.h"

namespace openvenue::tools {

struct LoadPlan {
  double rate_per_s = 0;  // requests a second of this session; 0: as many as it takes
  // At a given rate: requests that become due within one tick leave together at its end, as an
  // event loop sends them. The measured time includes that wait. 0: each leaves at once.
  std::chrono::microseconds tick{0};
  int batch_max = 256;              // requests a message
  std::uint64_t in_flight_max = 0;  // without a given rate: unanswered requests at a time
  std::chrono::nanoseconds warm_up{};
  std::chrono::nanoseconds duration{};  // measured, after the warm-up
};

struct LoadResult {
  LatencyHistogram latencies;
  std::uint64_t answered = 0;  // within the measured time
  std::uint64_t rejected = 0;  // of them, by the state machine
  std::uint64_t refused = 0;   // of them, not sequenced
  bool broken = false;         // the stream ended before all requests were answered

  void add(const LoadResult& other);
};

class LoadSession {
 public:
  LoadSession(const std::shared_ptr<grpc::Channel>& channel, const LoadPlan& plan, OrderFlow& flow);

  // Sends for warm-up and duration and returns once everything sent is answered.
  [[nodiscard]] LoadResult run();

 private:
  using SteadyClock = std::chrono::steady_clock;
  // Requests that may be unanswered at a time even at a given rate; a power of two.
  static constexpr std::uint64_t kWindow = std::uint64_t{1} << 18;

  void send_all(SteadyClock::time_point start);
  [[nodiscard]] std::uint64_t due(SteadyClock::time_point start);
  [[nodiscard]] bool send(std::uint64_t until, SteadyClock::time_point start);
  void receive_all(SteadyClock::time_point start, LoadResult& result);
  void take(const ::openvenue::engine::v1::Reply& reply, SteadyClock::time_point now,
            SteadyClock::time_point start, LoadResult& result);

  const LoadPlan plan_;
  OrderFlow& flow_;
  std::unique_ptr<::openvenue::engine::v1::Trading::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<::openvenue::engine::v1::SessionRequest,
                                           ::openvenue::engine::v1::SessionResponse>>
      stream_;
  std::vector<SteadyClock::time_point> meant_at_;  // by request number, modulo kWindow
  std::mutex mutex_;
  std::condition_variable answered_some_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;  // guarded by mutex_
  bool ended_ = false;          // guarded by mutex_
  rpc::ReusedMessage<::openvenue::engine::v1::SessionRequest> request_;
};

}  // namespace openvenue::tools

// One bidirectional session. The server's thread reads and hands over; a thread of the session's
// own writes, putting every reply that has queued into one message.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "rpc/outbox.h"
#include "rpc/wire.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

struct SessionSettings {
  // Replies owed to one client, in operation weight; beyond it the client is not read from.
  std::uint64_t outbox_capacity = 32'768;
  // A client that owes us reading for so long is disconnected.
  std::chrono::milliseconds stall_patience{10'000};
  // What tests replace, to be refused a thread.
  std::function<std::jthread(std::function<void()>)> start_thread = [](std::function<void()> work) {
    return std::jthread(std::move(work));
  };
};

class Session {
 public:
  using Stream = grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>;

  Session(runtime::Engine& engine, runtime::Metrics& metrics, const SessionSettings& settings,
          grpc::ServerContext& context, Stream& stream);

  // Until the client half-closes and has all replies, or the stream breaks. RESOURCE_EXHAUSTED
  // where the system gives no thread for it.
  [[nodiscard]] grpc::Status run();

  // From another thread, while run() runs: waits until the replies owed so far are on their way,
  // but not beyond `deadline`; then ends the stream.
  void end(std::chrono::steady_clock::time_point deadline);

 private:
  [[nodiscard]] grpc::Status take(const v1::SessionRequest& message);
  [[nodiscard]] grpc::Status check(Outbox::Wait wait);
  void write_replies();
  void write_replies_or_end() noexcept;

  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  const SessionSettings settings_;
  grpc::ServerContext& context_;
  Stream& stream_;
  const std::shared_ptr<Outbox> outbox_;
};

}  // namespace openvenue::rpc

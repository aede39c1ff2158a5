// One bidirectional session. The server's thread reads and hands over; a thread of the session's
// own writes, putting every reply that has queued into one message.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>

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
};

class Session {
 public:
  using Stream = grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>;

  Session(runtime::Engine& engine, runtime::Metrics& metrics, const SessionSettings& settings,
          grpc::ServerContext& context, Stream& stream);

  // Until the client half-closes and has all replies, or the stream breaks.
  [[nodiscard]] grpc::Status run();

  // From another thread, while run() runs: waits for the replies owed so far to be on their way, as
  // long as the client takes one every `patience`; then ends the stream.
  void end(std::chrono::milliseconds patience);

 private:
  [[nodiscard]] grpc::Status take(const v1::SessionRequest& message);
  [[nodiscard]] grpc::Status check(Outbox::Wait wait);
  void write_replies();

  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  const SessionSettings settings_;
  grpc::ServerContext& context_;
  Stream& stream_;
  const std::shared_ptr<Outbox> outbox_;
};

}  // namespace openvenue::rpc

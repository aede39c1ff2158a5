// One bidirectional session. The server's thread reads and hands over; a thread of the session's
// own writes, putting every reply that has queued into one message.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "rpc/call_watch.h"
#include "rpc/intake.h"
#include "rpc/outbox.h"
#include "rpc/reused_message.h"
#include "rpc/wire.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

struct SessionSettings {
  // Replies owed to all clients, in operation weight. Each session has an equal share, beyond which
  // its client is not read from.
  std::uint64_t replies_owed_max = 1'048'576;
  // A client that takes so long to read one message is disconnected.
  std::chrono::milliseconds stall_patience{10'000};
  // What tests replace, to be refused a thread.
  std::function<std::jthread(std::function<void()>)> start_thread = [](std::function<void()> work) {
    return std::jthread(std::move(work));
  };
};

class Session {
 public:
  // Messages come as bytes: gRPC would make no difference between one that is no SessionRequest and
  // the end of the stream.
  using Stream = grpc::ServerReaderWriter<v1::SessionResponse, grpc::ByteBuffer>;

  // `outbox_capacity` is in operation weight. The references must outlive the session.
  Session(runtime::Engine& engine, runtime::Metrics& metrics, CallWatch& watch,
          const SessionSettings& settings, std::uint64_t outbox_capacity,
          grpc::ServerContext& context, Stream& stream);

  // Until the client half-closes and has all replies, or the stream breaks. RESOURCE_EXHAUSTED
  // where the system gives no thread for it, INVALID_ARGUMENT after a message that is no
  // SessionRequest, has too many requests or is for another shard.
  [[nodiscard]] grpc::Status run();

  // From another thread, while run() runs: waits until the replies owed so far are on their way,
  // but not beyond `deadline`; then ends the stream.
  void end(std::chrono::steady_clock::time_point deadline);

  // Replies that the client is owed, in operation weight.
  [[nodiscard]] std::uint64_t owed() const { return outbox_->owed(); }

 private:
  [[nodiscard]] grpc::Status take(grpc::ByteBuffer& bytes);
  [[nodiscard]] grpc::Status submit(Intake intake);
  [[nodiscard]] grpc::Status client_gone();
  void end_stalled();
  void write_replies();
  void write_replies_or_end() noexcept;

  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  CallWatch& watch_;
  const SessionSettings settings_;
  grpc::ServerContext& context_;
  Stream& stream_;
  const std::shared_ptr<Outbox> outbox_;
  WriteTimer write_timer_;
  ReusedMessage<v1::SessionRequest> request_;
};

}  // namespace openvenue::rpc

// A bidirectional session. The server's thread reads and submits; the session's own thread writes
// all queued replies in one message.
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
  // it stops reading from its client.
  std::uint64_t replies_owed_max = 1'048'576;
  // A client that takes longer than this to read one message is disconnected.
  std::chrono::milliseconds stall_patience{10'000};
  // Tests replace this to refuse a thread.
  std::function<std::jthread(std::function<void()>)> start_thread = [](std::function<void()> work) {
    return std::jthread(std::move(work));
  };
};

class Session {
 public:
  // Messages come as bytes: gRPC would not distinguish a message that is no SessionRequest from the
  // end of the stream.
  using Stream = grpc::ServerReaderWriter<v1::SessionResponse, grpc::ByteBuffer>;

  // `outbox_capacity` is in operation weight. The references must outlive the session.
  Session(runtime::Engine& engine, runtime::Metrics& metrics, CallWatch& watch,
          const SessionSettings& settings, std::uint64_t outbox_capacity,
          grpc::ServerContext& context, Stream& stream);

  // Runs until the client half-closes and has all replies, or the stream breaks. RESOURCE_EXHAUSTED
  // if the system gives no thread, INVALID_ARGUMENT after a message that is no SessionRequest, has
  // too many requests or is for another shard.
  [[nodiscard]] grpc::Status run();

  // Called from another thread while run() runs: waits until the replies owed so far are being
  // written, at most until `deadline`; then ends the stream.
  void end(std::chrono::steady_clock::time_point deadline);

  // Replies owed to the client, in operation weight.
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

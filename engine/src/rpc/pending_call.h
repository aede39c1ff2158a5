// The replies that one unary call waits for.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "runtime/operation.h"
#include "runtime/reply.h"

namespace openvenue::rpc {

class PendingCall final : public runtime::ReplySink {
 public:
  explicit PendingCall(std::size_t replies_expected) : replies_expected_(replies_expected) {}

  void deliver(std::vector<runtime::Reply> replies) noexcept override;

  [[nodiscard]] bool wanted() const noexcept override { return !given_up_; }

  // False at the caller's deadline, soon after it has gone, or at the server's own bound if that is
  // earlier; the operations' fate is then unknown.
  [[nodiscard]] bool wait(const grpc::ServerContext& context);

  // Precondition: wait() returned true.
  [[nodiscard]] std::vector<runtime::Reply>& replies() { return replies_; }

 private:
  const std::size_t replies_expected_;
  std::atomic<bool> given_up_ = false;
  std::mutex mutex_;
  std::condition_variable complete_;
  std::vector<runtime::Reply> replies_;
};

[[nodiscard]] grpc::Status fate_unknown();
[[nodiscard]] grpc::Status engine_stopping();

// INVALID_ARGUMENT if a request is for another shard than this engine's: the numbers of its
// accounts, instruments and orders mean others here.
[[nodiscard]] grpc::Status check_shard(const runtime::Engine& engine, std::uint32_t shard_id);

// Executes one operation. If not OK: RESOURCE_EXHAUSTED, UNAVAILABLE or NOT_FOUND from the engine,
// or DEADLINE_EXCEEDED with its fate unknown.
[[nodiscard]] grpc::Status ask(runtime::Engine& engine, const grpc::ServerContext& context,
                               runtime::Operation operation, runtime::Reply& reply);

}  // namespace openvenue::rpc

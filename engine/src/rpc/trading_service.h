// Order entry and queries: sessions, and single batches.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <shared_mutex>
#include <unordered_set>

#include "rpc/call_watch.h"
#include "rpc/session.h"
#include "rpc/stream_admission.h"
#include "rpc/wire.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

class TradingService final : public v1::Trading::Service {
 public:
  TradingService(runtime::Engine& engine, runtime::Metrics& metrics, StreamAdmission& admission,
                 CallWatch& watch, const SessionSettings& settings);

  grpc::Status Submit(grpc::ServerContext* context, const v1::SessionRequest* request,
                      v1::SessionResponse* response) override;

  // Refuses new sessions and ends the running ones, each after its owed replies, but no later than
  // at `deadline`.
  void end_sessions(std::chrono::steady_clock::time_point deadline);

  // Replies owed to all clients, in operation weight.
  [[nodiscard]] std::uint64_t replies_owed();

 private:
  class Registration;

  [[nodiscard]] grpc::Status run_session(grpc::ServerContext& context,
                                         rpc::Session::Stream& stream);
  [[nodiscard]] std::uint64_t outbox_capacity() const;

  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  StreamAdmission& admission_;
  CallWatch& watch_;
  const SessionSettings settings_;
  std::shared_mutex mutex_;
  std::unordered_set<rpc::Session*> sessions_;
  bool ending_ = false;
};

}  // namespace openvenue::rpc

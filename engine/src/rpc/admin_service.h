// Administration: instruments, accounts and balances (commands like any other), status, snapshots
// and settings of the running process.
#pragma once

#include <grpcpp/grpcpp.h>

#include <string>

#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "rpc/server_threads.h"
#include "rpc/stream_admission.h"
#include "runtime/engine.h"

namespace openvenue::rpc {

class AdminService final : public ::openvenue::engine::v1::Admin::Service {
 public:
  AdminService(runtime::Engine& engine, StreamAdmission& admission, ServerThreads& threads,
               std::string version)
      : engine_(engine), admission_(admission), threads_(threads), version_(std::move(version)) {}

  grpc::Status Apply(grpc::ServerContext* context,
                     const ::openvenue::engine::v1::AdminRequest* request,
                     ::openvenue::engine::v1::AdminResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context,
                         const ::openvenue::engine::v1::GetStatusRequest* request,
                         ::openvenue::engine::v1::EngineStatus* response) override;
  grpc::Status ListInstruments(grpc::ServerContext* context,
                               const ::openvenue::engine::v1::ListInstrumentsRequest* request,
                               ::openvenue::engine::v1::ListInstrumentsResponse* response) override;
  grpc::Status ListAccounts(grpc::ServerContext* context,
                            const ::openvenue::engine::v1::ListAccountsRequest* request,
                            ::openvenue::engine::v1::ListAccountsResponse* response) override;
  grpc::Status TakeSnapshot(grpc::ServerContext* context,
                            const ::openvenue::engine::v1::TakeSnapshotRequest* request,
                            ::openvenue::engine::v1::TakeSnapshotResponse* response) override;
  grpc::Status Tune(grpc::ServerContext* context,
                    const ::openvenue::engine::v1::TuneRequest* request,
                    ::openvenue::engine::v1::TuneResponse* response) override;

 private:
  runtime::Engine& engine_;
  StreamAdmission& admission_;
  ServerThreads& threads_;
  const std::string version_;
};

}  // namespace openvenue::rpc

// Administration: instruments, accounts and balances (as commands), status, snapshots and settings
// of the running process. Calls that need a token are refused if access gives none.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "rpc/admin_access.h"
#include "rpc/server_threads.h"
#include "rpc/stream_admission.h"
#include "rpc/wire.h"
#include "runtime/engine.h"

namespace openvenue::rpc {

class AdminService final : public v1::Admin::Service {
 public:
  AdminService(runtime::Engine& engine, StreamAdmission& admission, ServerThreads& threads,
               AdminAccess& access, std::string version)
      : engine_(engine),
        admission_(admission),
        threads_(threads),
        access_(access),
        version_(std::move(version)) {}

  grpc::Status Apply(grpc::ServerContext* context, const v1::AdminRequest* request,
                     v1::AdminResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                         v1::EngineStatus* response) override;
  grpc::Status ListInstruments(grpc::ServerContext* context,
                               const v1::ListInstrumentsRequest* request,
                               v1::ListInstrumentsResponse* response) override;
  grpc::Status ListAccounts(grpc::ServerContext* context, const v1::ListAccountsRequest* request,
                            v1::ListAccountsResponse* response) override;
  grpc::Status GetAccount(grpc::ServerContext* context, const v1::GetAccountRequest* request,
                          v1::Account* response) override;
  grpc::Status TakeSnapshot(grpc::ServerContext* context, const v1::TakeSnapshotRequest* request,
                            v1::TakeSnapshotResponse* response) override;
  grpc::Status Tune(grpc::ServerContext* context, const v1::TuneRequest* request,
                    v1::TuneResponse* response) override;

 private:
  enum class Call : std::uint8_t { kForEverybody, kForAdministrators };

  // Comes first in every call. OK with the caller's name in `actor`, which stays empty if none is
  // needed.
  [[nodiscard]] grpc::Status admit(const grpc::ServerContext& context, Call call,
                                   std::string& actor);
  [[nodiscard]] grpc::Status admit(const grpc::ServerContext& context, Call call);

  runtime::Engine& engine_;
  StreamAdmission& admission_;
  ServerThreads& threads_;
  AdminAccess& access_;
  const std::string version_;
};

}  // namespace openvenue::rpc

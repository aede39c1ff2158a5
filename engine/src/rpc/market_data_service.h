// What happened (the journal, live and from any sequence number on) and what the books hold.
#pragma once

#include <grpcpp/grpcpp.h>

#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "rpc/stream_admission.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

class MarketDataService final : public ::openvenue::engine::v1::MarketData::Service {
 public:
  MarketDataService(runtime::Engine& engine, runtime::Metrics& metrics, StreamAdmission& admission)
      : engine_(engine), metrics_(metrics), admission_(admission) {}

  grpc::Status StreamJournal(
      grpc::ServerContext* context, const ::openvenue::engine::v1::StreamJournalRequest* request,
      grpc::ServerWriter<::openvenue::engine::v1::JournalBatch>* writer) override;
  grpc::Status GetBook(grpc::ServerContext* context,
                       const ::openvenue::engine::v1::GetBookRequest* request,
                       ::openvenue::engine::v1::BookSnapshot* response) override;

 private:
  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  StreamAdmission& admission_;
};

}  // namespace openvenue::rpc

// Serves the journal, live and from any sequence number on, and the books.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>

#include "rpc/call_watch.h"
#include "rpc/stream_admission.h"
#include "rpc/wire.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

class MarketDataService final : public v1::MarketData::Service {
 public:
  // A subscriber that takes longer than `stall_patience` to read one message is disconnected.
  MarketDataService(runtime::Engine& engine, runtime::Metrics& metrics, StreamAdmission& admission,
                    CallWatch& watch, std::chrono::milliseconds stall_patience)
      : engine_(engine),
        metrics_(metrics),
        admission_(admission),
        watch_(watch),
        stall_patience_(stall_patience) {}

  grpc::Status StreamJournal(grpc::ServerContext* context, const v1::StreamJournalRequest* request,
                             grpc::ServerWriter<v1::JournalBatch>* writer) override;
  grpc::Status AcknowledgeJournal(grpc::ServerContext* context,
                                  const v1::AcknowledgeJournalRequest* request,
                                  v1::AcknowledgeJournalResponse* response) override;
  grpc::Status GetBook(grpc::ServerContext* context, const v1::GetBookRequest* request,
                       v1::BookSnapshot* response) override;

 private:
  runtime::Engine& engine_;
  runtime::Metrics& metrics_;
  StreamAdmission& admission_;
  CallWatch& watch_;
  const std::chrono::milliseconds stall_patience_;
};

}  // namespace openvenue::rpc

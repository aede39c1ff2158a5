#include "rpc/market_data_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "journal/error.h"
#include "journal/reader.h"
#include "rpc/decode.h"
#include "rpc/encode.h"
#include "rpc/pending_call.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

constexpr int kEntriesPerBatchMax = 1024;

// How late the service notices that a subscriber has gone, while nothing happens.
constexpr std::chrono::milliseconds kIdleWait{100};

// Reads the journal's files for one subscriber, never beyond the durable sequence.
class JournalFeed {
 public:
  JournalFeed(const journal::Settings& settings, core::Sequence from)
      : reader_(settings.directory, settings.shard_id, from) {}

  // Appends entries up to `durable` to an empty batch. False if the journal cannot be read.
  [[nodiscard]] bool fill(v1::JournalBatch& batch, core::Sequence durable) {
    std::size_t bytes = 0;
    while (batch.entries_size() < kEntriesPerBatchMax && bytes < kBatchBytesMax) {
      const auto result = reader_.next(command_, events_, durable);
      if (result == journal::Reader::Result::kEnd) return true;
      if (result != journal::Reader::Result::kEntry) return false;
      v1::JournalEntry& entry = *batch.add_entries();
      encode(command_, events_, entry);
      bytes += entry.ByteSizeLong();
    }
    return true;
  }

  [[nodiscard]] const std::string& error() const { return reader_.error(); }

 private:
  journal::Reader reader_;
  core::Command command_;
  core::EventBuffer events_;
};

}  // namespace

grpc::Status MarketDataService::StreamJournal(grpc::ServerContext* context,
                                              const v1::StreamJournalRequest* request,
                                              grpc::ServerWriter<v1::JournalBatch>* writer) {
  const journal::Settings& settings = engine_.settings().journal;
  runtime::DurableWatermark& durable = engine_.durable();
  if (auto status = check_shard(engine_, request->shard_id()); !status.ok()) return status;
  if (admission_.draining()) return engine_stopping();
  const core::Sequence from = std::max<core::Sequence>(request->from_sequence(), 1);
  if (from > durable.get() + 1) {
    return {grpc::StatusCode::OUT_OF_RANGE,
            "the journal ends at " + std::to_string(durable.get()) + "; " + std::to_string(from) +
                " would leave a gap: this is another journal than the one followed before"};
  }
  const auto slot = admission_.admit(StreamKind::kSubscriber, context->peer());
  if (!slot) {
    metrics_.refused_streams.Increment();
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no more journal subscribers: end one"};
  }
  WriteTimer write_timer;
  const auto watched = watch_.watch(
      [&] { return write_timer.runs_longer_than(stall_patience_); },
      [&] {
        metrics_.stalled_clients.Increment();
        spdlog::warn("journal stream ended: the client does not read it peer={}", context->peer());
        context->TryCancel();
      });
  JournalFeed feed(settings, from);
  core::Sequence sent = from - 1;
  v1::JournalBatch batch;
  while (!context->IsCancelled()) {
    if (!durable.wait_beyond(sent, kIdleWait)) {
      if (durable.closed()) return engine_stopping();
      continue;
    }
    batch.Clear();
    batch.set_shard_id(settings.shard_id);
    batch.set_durable_sequence(durable.get());
    try {
      if (!feed.fill(batch, batch.durable_sequence()) || batch.entries().empty()) {
        spdlog::error("journal stream ended after sequence={}: {}", sent, feed.error());
        return {grpc::StatusCode::DATA_LOSS, feed.error()};
      }
    } catch (const journal::OutOfResources& error) {
      spdlog::error("journal stream ended after sequence={}: {}", sent, error.what());
      return {grpc::StatusCode::UNAVAILABLE, error.what()};
    }
    sent = batch.entries().rbegin()->sequence();
    if (!write_timer.run([&] { return writer->Write(batch); })) break;
  }
  return grpc::Status::CANCELLED;
}

grpc::Status MarketDataService::GetBook(grpc::ServerContext* context,
                                        const v1::GetBookRequest* request,
                                        v1::BookSnapshot* response) {
  if (auto status = check_shard(engine_, request->shard_id()); !status.ok()) return status;
  runtime::GetBook query;
  if (auto problem = decode(*request, query)) {
    return {grpc::StatusCode::INVALID_ARGUMENT, *problem};
  }
  runtime::Reply reply;
  const auto status = ask(engine_, *context, {0, runtime::Query(query)}, reply);
  if (status.ok()) encode(std::get<runtime::BookState>(reply.body), reply.sequence, *response);
  return status;
}

}  // namespace openvenue::rpc

#include "rpc/market_data_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "journal/error.h"
#include "journal/reader.h"
#include "journal/segment.h"
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
      : reader_(settings.directory, settings.shard_id, from, settings.archive) {}

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

// Returns nothing if entry `from` is in the journal or its archive.
std::optional<grpc::Status> check_not_removed(const journal::Settings& settings,
                                              core::Sequence from) {
  const auto segments =
      journal::list_segments(settings.directory, settings.archive, settings.shard_id);
  if (segments.empty() || segments.front().sequence <= from) return std::nullopt;
  return grpc::Status(grpc::StatusCode::OUT_OF_RANGE,
                      journal::describe_removed(segments.front(), from));
}

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
  if (const auto removed = check_not_removed(settings, from)) return *removed;
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
        // A reader that does not acknowledge may come too late.
        if (const auto removed = check_not_removed(settings, sent + 1)) return *removed;
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

grpc::Status MarketDataService::AcknowledgeJournal(grpc::ServerContext* /*context*/,
                                                   const v1::AcknowledgeJournalRequest* request,
                                                   v1::AcknowledgeJournalResponse* /*response*/) {
  if (auto status = check_shard(engine_, request->shard_id()); !status.ok()) return status;
  if (!journal::is_reader_name(request->reader())) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "a reader's name is 1 to 63 lower-case letters, digits and hyphens"};
  }
  const core::Sequence durable = engine_.durable().get();
  if (request->sequence() > durable) {
    return {grpc::StatusCode::OUT_OF_RANGE, "the journal ends at " + std::to_string(durable) +
                                                ", before " + std::to_string(request->sequence())};
  }
  try {
    using Acknowledged = runtime::Retention::Acknowledged;
    if (engine_.retention().acknowledge(request->reader(), request->sequence()) ==
        Acknowledged::kTooManyReaders) {
      return {grpc::StatusCode::RESOURCE_EXHAUSTED,
              "as many readers are registered as there may be: remove the files "
              "reader-NAME.offset of those that are gone from the engine's data directory"};
    }
    return grpc::Status::OK;
  } catch (const journal::JournalError& error) {
    return {grpc::StatusCode::UNAVAILABLE, error.what()};
  }
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

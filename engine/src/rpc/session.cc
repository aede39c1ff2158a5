#include "rpc/session.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <exception>
#include <string>
#include <system_error>
#include <utility>

#include "rpc/decode.h"
#include "rpc/encode.h"
#include "rpc/intake.h"
#include "rpc/pending_call.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

struct CloseAtEnd {
  Outbox& outbox;
  ~CloseAtEnd() { outbox.close(); }
};

}  // namespace

Session::Session(runtime::Engine& engine, runtime::Metrics& metrics, CallWatch& watch,
                 const SessionSettings& settings, std::uint64_t outbox_capacity,
                 grpc::ServerContext& context, Stream& stream)
    : engine_(engine),
      metrics_(metrics),
      watch_(watch),
      settings_(settings),
      context_(context),
      stream_(stream),
      outbox_(std::make_shared<Outbox>(outbox_capacity)) {}

grpc::Status Session::run() {
  const auto watched =
      watch_.watch([this] { return write_timer_.runs_longer_than(settings_.stall_patience); },
                   [this] { end_stalled(); });
  std::jthread writer;
  try {
    writer = settings_.start_thread([this] { write_replies_or_end(); });
  } catch (const std::system_error& error) {
    metrics_.refused_streams.Increment();
    spdlog::warn("session refused: no thread for it: {} peer={}", error.what(), context_.peer());
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no thread for another session: close one"};
  }
  const CloseAtEnd closing{*outbox_};  // ends the writer, whatever happens
  grpc::Status status;
  grpc::ByteBuffer bytes;
  while (status.ok() && stream_.Read(&bytes)) status = take(bytes);
  const bool drained = outbox_->wait_drained();
  return drained || !status.ok() ? status : client_gone();
}

void Session::end(std::chrono::steady_clock::time_point deadline) {
  outbox_->wait_drained_until(deadline);
  outbox_->close();
  context_.TryCancel();
}

grpc::Status Session::take(grpc::ByteBuffer& bytes) {
  v1::SessionRequest& message = request_.renew();
  Intake intake;
  {
    const runtime::StageTimer timer(metrics_.decode_seconds);
    if (!grpc::SerializationTraits<v1::SessionRequest>::Deserialize(&bytes, &message).ok()) {
      metrics_.invalid_requests.Increment();
      return {grpc::StatusCode::INVALID_ARGUMENT, "a message is no SessionRequest"};
    }
    if (message.requests_size() > kRequestsPerMessageMax) {
      return {grpc::StatusCode::INVALID_ARGUMENT,
              "a message has " + std::to_string(message.requests_size()) +
                  " requests; send at most " + std::to_string(kRequestsPerMessageMax)};
    }
    if (auto status = check_shard(engine_, message.shard_id()); !status.ok()) return status;
    intake = take_in(message);
  }
  metrics_.invalid_requests.Increment(static_cast<double>(intake.malformed.size()));
  return submit(std::move(intake));
}

grpc::Status Session::submit(Intake intake) {
  if (!intake.malformed.empty()) {
    if (!outbox_->reserve(intake.malformed.size())) return client_gone();
    outbox_->deliver(std::move(intake.malformed));
  }
  const std::uint64_t weight_max = std::min(outbox_->capacity(), engine_.queue_share());
  for (auto& part : split(std::move(intake.operations), weight_max)) {
    if (!outbox_->reserve(runtime::weight(part))) return client_gone();
    runtime::Batch batch{std::move(part), outbox_, {}};
    const auto admission = engine_.submit(batch);
    if (admission != runtime::Admission::kAccepted) {
      outbox_->deliver(refuse(batch.operations, admission));
    }
  }
  return grpc::Status::OK;
}

grpc::Status Session::client_gone() {
  context_.TryCancel();
  return {grpc::StatusCode::CANCELLED, "the client does not read its replies, or has gone"};
}

// Called from the watch's thread. Wakes the writer, whose write then fails.
void Session::end_stalled() {
  metrics_.stalled_clients.Increment();
  spdlog::warn("session ended: the client does not read its replies peer={}", context_.peer());
  context_.TryCancel();
}

// The thread's function: an exception from it would end the process.
void Session::write_replies_or_end() noexcept {
  try {
    write_replies();
  } catch (const std::exception& error) {
    spdlog::error("session ended: its replies could not be written: {}", error.what());
    outbox_->close();
    context_.TryCancel();
  }
}

void Session::write_replies() {
  std::vector<runtime::Reply> replies;
  ReusedMessage<v1::SessionResponse> response;
  while (outbox_->take(replies)) {
    v1::SessionResponse& message = response.renew();
    message.mutable_replies()->Reserve(static_cast<int>(replies.size()));
    for (const runtime::Reply& reply : replies) encode(reply, *message.add_replies());
    if (!write_timer_.run([&] { return stream_.Write(message); })) {
      outbox_->close();
      return;
    }
    outbox_->release(replies);
  }
}

}  // namespace openvenue::rpc

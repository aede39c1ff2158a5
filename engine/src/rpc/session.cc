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
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

struct CloseAtEnd {
  Outbox& outbox;
  ~CloseAtEnd() { outbox.close(); }
};

}  // namespace

Session::Session(runtime::Engine& engine, runtime::Metrics& metrics,
                 const SessionSettings& settings, grpc::ServerContext& context, Stream& stream)
    : engine_(engine),
      metrics_(metrics),
      settings_(settings),
      context_(context),
      stream_(stream),
      outbox_(std::make_shared<Outbox>(settings.outbox_capacity)) {}

grpc::Status Session::run() {
  std::jthread writer;
  try {
    writer = settings_.start_thread([this] { write_replies_or_end(); });
  } catch (const std::system_error& error) {
    metrics_.refused_streams.Increment();
    spdlog::warn("session refused: no thread for it: {} peer={}", error.what(), context_.peer());
    return {grpc::StatusCode::RESOURCE_EXHAUSTED, "no thread for another session: close one"};
  }
  const CloseAtEnd closing{*outbox_};  // lets the writer end, whatever happens
  grpc::Status status;
  v1::SessionRequest message;
  while (status.ok() && stream_.Read(&message)) status = take(message);
  const grpc::Status drained = check(outbox_->wait_drained(settings_.stall_patience));
  return status.ok() ? drained : status;
}

void Session::end(std::chrono::steady_clock::time_point deadline) {
  outbox_->wait_drained_until(deadline);
  outbox_->close();
  context_.TryCancel();
}

grpc::Status Session::take(const v1::SessionRequest& message) {
  if (message.requests_size() > kRequestsPerMessageMax) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "a message has " + std::to_string(message.requests_size()) +
                " requests; send at most " + std::to_string(kRequestsPerMessageMax)};
  }
  Intake intake = [&] {
    const runtime::StageTimer timer(metrics_.decode_seconds);
    return take_in(message);
  }();
  metrics_.invalid_requests.Increment(static_cast<double>(intake.malformed.size()));
  const bool too_large =
      intake.weight() > std::min(outbox_->capacity(), engine_.settings().ring_size);
  const std::uint64_t room =
      too_large ? static_cast<std::uint64_t>(message.requests_size()) : intake.weight();
  if (auto status = check(outbox_->reserve(room, settings_.stall_patience)); !status.ok()) {
    return status;
  }
  if (!intake.malformed.empty()) outbox_->deliver(std::move(intake.malformed));
  if (intake.operations.empty()) return grpc::Status::OK;
  runtime::Batch batch{std::move(intake.operations), outbox_, {}};
  const auto admission = too_large ? runtime::Admission::kTooLarge : engine_.submit(batch);
  if (admission != runtime::Admission::kAccepted) {
    outbox_->deliver(refuse(batch.operations, admission));
  }
  return grpc::Status::OK;
}

grpc::Status Session::check(Outbox::Wait wait) {
  if (wait == Outbox::Wait::kDone) return grpc::Status::OK;
  if (wait == Outbox::Wait::kStalled) {
    metrics_.stalled_clients.Increment();
    spdlog::warn("session ended: the client does not read its replies peer={}", context_.peer());
  }
  // Wakes the writer if it waits for a client that does not read.
  context_.TryCancel();
  return {grpc::StatusCode::CANCELLED, "the client does not read its replies, or has gone"};
}

// The thread's work: what it throws would end the process.
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
  v1::SessionResponse message;
  while (outbox_->take(replies)) {
    message.Clear();
    for (const runtime::Reply& reply : replies) encode(reply, *message.add_replies());
    if (!stream_.Write(message)) {
      outbox_->close();
      return;
    }
    outbox_->release(replies);
  }
}

}  // namespace openvenue::rpc

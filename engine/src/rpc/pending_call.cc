#include "rpc/pending_call.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "rpc/intake.h"

namespace openvenue::rpc {
namespace {

// A call without a deadline holds a server thread no longer than this.
constexpr std::chrono::seconds kWaitMax{30};

// How late the server notices that a caller has gone.
constexpr std::chrono::milliseconds kCancelledCheck{100};

grpc::Status status_of(const runtime::NotSequenced& not_sequenced) {
  switch (not_sequenced.cause) {
    case runtime::NotSequenced::Cause::kResourceExhausted:
      return {grpc::StatusCode::RESOURCE_EXHAUSTED, not_sequenced.message};
    case runtime::NotSequenced::Cause::kInvalidArgument:
      return {grpc::StatusCode::INVALID_ARGUMENT, not_sequenced.message};
    case runtime::NotSequenced::Cause::kNotFound:
      return {grpc::StatusCode::NOT_FOUND, not_sequenced.message};
    case runtime::NotSequenced::Cause::kUnavailable:
    case runtime::NotSequenced::Cause::kReadOnly:
      break;
  }
  return {grpc::StatusCode::UNAVAILABLE, not_sequenced.message};
}

}  // namespace

void PendingCall::deliver(std::vector<runtime::Reply> replies) noexcept {
  const std::lock_guard lock(mutex_);
  replies_.insert(replies_.end(), std::make_move_iterator(replies.begin()),
                  std::make_move_iterator(replies.end()));
  if (replies_.size() == replies_expected_) complete_.notify_one();
}

bool PendingCall::wait(const grpc::ServerContext& context) {
  using Clock = std::chrono::system_clock;
  const auto until = std::min(context.deadline(), Clock::now() + kWaitMax);
  const auto complete = [this] { return replies_.size() == replies_expected_; };
  std::unique_lock lock(mutex_);
  while (!complete_.wait_until(lock, std::min(until, Clock::now() + kCancelledCheck), complete)) {
    if (Clock::now() < until && !context.IsCancelled()) continue;
    given_up_ = true;
    return false;
  }
  return true;
}

grpc::Status fate_unknown() {
  return {grpc::StatusCode::DEADLINE_EXCEEDED,
          "not answered in time; it may still take effect: look it up before sending it again"};
}

grpc::Status engine_stopping() { return {grpc::StatusCode::UNAVAILABLE, "the engine is stopping"}; }

grpc::Status check_shard(const runtime::Engine& engine, std::uint32_t shard_id) {
  const std::uint32_t ours = engine.settings().journal.shard_id;
  if (shard_id == ours) return grpc::Status::OK;
  return {grpc::StatusCode::INVALID_ARGUMENT,
          "this engine runs shard " + std::to_string(ours) + ", not " + std::to_string(shard_id)};
}

grpc::Status ask(runtime::Engine& engine, const grpc::ServerContext& context,
                 runtime::Operation operation, runtime::Reply& reply) {
  const auto call = std::make_shared<PendingCall>(1);
  runtime::Batch batch{{}, call, {}};
  batch.operations.push_back(std::move(operation));
  const runtime::Admission admission = engine.submit(batch);
  if (admission != runtime::Admission::kAccepted) return status_of(refusal(admission));
  if (!call->wait(context)) return fate_unknown();
  reply = std::move(call->replies().front());
  const auto* not_sequenced = std::get_if<runtime::NotSequenced>(&reply.body);
  return not_sequenced == nullptr ? grpc::Status::OK : status_of(*not_sequenced);
}

}  // namespace openvenue::rpc

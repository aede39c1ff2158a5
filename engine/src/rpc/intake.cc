#include "rpc/intake.h"

#include <utility>

#include "rpc/decode.h"
#include "rpc/wire.h"

namespace openvenue::rpc {

std::uint64_t Intake::weight() const { return runtime::weight(operations) + malformed.size(); }

Intake take_in(const v1::SessionRequest& message) {
  Intake intake;
  intake.operations.reserve(static_cast<std::size_t>(message.requests_size()));
  for (const v1::Request& request : message.requests()) {
    Malformed problem = decode(request, intake.operations.emplace_back());
    if (!problem) continue;
    intake.operations.pop_back();
    intake.malformed.push_back(
        {request.request_id(), 0, 1,
         runtime::NotSequenced{runtime::NotSequenced::Cause::kInvalidArgument,
                               *std::move(problem)}});
  }
  return intake;
}

std::vector<runtime::Reply> refuse(const std::vector<runtime::Operation>& operations,
                                   runtime::Admission admission) {
  std::vector<runtime::Reply> replies;
  replies.reserve(operations.size());
  for (const runtime::Operation& operation : operations) {
    // No room was set aside for what is too large but for the refusals themselves.
    const std::uint32_t weight =
        admission == runtime::Admission::kTooLarge ? 1 : runtime::weight(operation);
    replies.push_back({operation.request_id, 0, weight, refusal(admission)});
  }
  return replies;
}

runtime::NotSequenced refusal(runtime::Admission admission) {
  using Cause = runtime::NotSequenced::Cause;
  switch (admission) {
    case runtime::Admission::kFull:
      return {Cause::kResourceExhausted, "the ingress ring is full: send it again later"};
    case runtime::Admission::kTooLarge:
      return {Cause::kResourceExhausted,
              "the message asks for more records than may be queued at once: send it in parts"};
    case runtime::Admission::kAccepted:
    case runtime::Admission::kStopped:
      break;
  }
  return {Cause::kUnavailable, "the engine is stopping or cannot write its journal"};
}

}  // namespace openvenue::rpc

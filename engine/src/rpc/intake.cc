#include "rpc/intake.h"

#include <utility>

#include "rpc/decode.h"
#include "rpc/wire.h"

namespace openvenue::rpc {

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

std::vector<std::vector<runtime::Operation>> split(std::vector<runtime::Operation> operations,
                                                   std::uint64_t weight_max) {
  std::vector<std::vector<runtime::Operation>> parts;
  if (operations.empty()) return parts;
  if (runtime::weight(operations) <= weight_max) {
    parts.push_back(std::move(operations));
    return parts;
  }
  std::uint64_t of_part = weight_max;
  for (runtime::Operation& operation : operations) {
    const std::uint64_t weight = runtime::weight(operation);
    if (parts.empty() || of_part + weight > weight_max) {
      parts.emplace_back();
      of_part = 0;
    }
    of_part += weight;
    parts.back().push_back(std::move(operation));
  }
  return parts;
}

std::vector<runtime::Reply> refuse(const std::vector<runtime::Operation>& operations,
                                   runtime::Admission admission) {
  std::vector<runtime::Reply> replies;
  replies.reserve(operations.size());
  for (const runtime::Operation& operation : operations) {
    replies.push_back({operation.request_id, 0, runtime::weight(operation), refusal(admission)});
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
    case runtime::Admission::kNotTrusted:
      return {Cause::kUnavailable,
              "the engine's journal does not replay to what was recorded: orders are refused until "
              "a person has looked at its log"};
    case runtime::Admission::kAccepted:
    case runtime::Admission::kStopped:
      break;
  }
  return {Cause::kUnavailable, "the engine is stopping or cannot write its journal"};
}

}  // namespace openvenue::rpc

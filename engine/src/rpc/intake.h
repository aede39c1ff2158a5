// A received session message: its operations, and the answers to requests that are none.
#pragma once

#include <cstdint>
#include <vector>

#include "rpc/wire.h"
#include "runtime/ingress_ring.h"
#include "runtime/operation.h"
#include "runtime/reply.h"

namespace openvenue::rpc {

struct Intake {
  std::vector<runtime::Operation> operations;
  std::vector<runtime::Reply> malformed;  // answers to requests that are no operation
};

[[nodiscard]] Intake take_in(const v1::SessionRequest& message);

// The operations in order, in parts of at most `weight_max` each. A heavier operation is a part of
// its own.
[[nodiscard]] std::vector<std::vector<runtime::Operation>> split(
    std::vector<runtime::Operation> operations, std::uint64_t weight_max);

// The answers to operations that the ring refused. Precondition: not kAccepted.
[[nodiscard]] std::vector<runtime::Reply> refuse(const std::vector<runtime::Operation>& operations,
                                                 runtime::Admission admission);
[[nodiscard]] runtime::NotSequenced refusal(runtime::Admission admission);

}  // namespace openvenue::rpc

// From the wire to operations. Everything a client can get wrong in form is found here; what is
// wrong in substance (unknown account, price out of limits, …) is the state machine's to refuse.
#pragma once

#include <optional>
#include <string>

#include "core/command.h"
#include "rpc/wire.h"
#include "runtime/operation.h"

namespace openvenue::rpc {

constexpr int kRequestsPerMessageMax = 1024;

// What is wrong and what would be right; nothing if the input is well-formed.
using Malformed = std::optional<std::string>;

// Fills `out`, request id included also where the rest is malformed.
[[nodiscard]] Malformed decode(const v1::Request& request, runtime::Operation& out);
[[nodiscard]] Malformed decode(const v1::AdminRequest& request, core::CommandBody& out);
[[nodiscard]] Malformed decode(const v1::GetBookRequest& request, runtime::GetBook& out);

}  // namespace openvenue::rpc

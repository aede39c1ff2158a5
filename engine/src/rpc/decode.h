// Converts wire messages to operations. It refuses requests that are wrong in form; the state
// machine refuses those that are wrong in substance (unknown account, price out of limits, …).
#pragma once

#include <optional>
#include <string>

#include "core/schema/command.h"
#include "rpc/wire.h"
#include "runtime/operation.h"

namespace openvenue::rpc {

constexpr int kRequestsPerMessageMax = 1024;

// What is wrong and what would be right; nothing if the input is well-formed.
using Malformed = std::optional<std::string>;

// Fills `out`, including the request id even if the rest is malformed.
[[nodiscard]] Malformed decode(const v1::Request& request, runtime::Operation& out);
[[nodiscard]] Malformed decode(const v1::AdminRequest& request, core::CommandBody& out);
[[nodiscard]] Malformed decode(const v1::GetBookRequest& request, runtime::GetBook& out);

}  // namespace openvenue::rpc

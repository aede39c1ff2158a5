// The wire contract's generated types, under a short name.
#pragma once

#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "openvenue/engine/v1/engine.pb.h"

namespace openvenue::rpc {

constexpr std::size_t kSendBytesMax = std::size_t{16} << 20;  // of a message; clients take as much
// From this size on a batch of the event stream is full. Its last entry comes on top.
constexpr std::size_t kBatchBytesMax = std::size_t{1} << 20;

namespace v1 = ::openvenue::engine::v1;

}  // namespace openvenue::rpc

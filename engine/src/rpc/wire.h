// The wire contract's generated types, under a short name.
#pragma once

#include "openvenue/engine/v1/engine.grpc.pb.h"
#include "openvenue/engine/v1/engine.pb.h"

namespace openvenue::rpc {

namespace v1 = ::openvenue::engine::v1;

}  // namespace openvenue::rpc

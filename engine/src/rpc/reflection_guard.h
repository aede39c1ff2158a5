// Bounds server reflection. Otherwise its calls could hold any number of server threads for any
// time.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "rpc/call_watch.h"
#include "rpc/stream_admission.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

// Ends a reflection call that finds no room, or lasts longer than ten seconds. The references must
// outlive the server.
[[nodiscard]] std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
guard_reflection(StreamAdmission& admission, CallWatch& watch, runtime::Metrics& metrics);

}  // namespace openvenue::rpc

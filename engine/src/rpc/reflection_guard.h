// Bounds server reflection, whose calls would otherwise hold server threads for as long, and as
// many of them, as clients like.
#pragma once

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "rpc/call_watch.h"
#include "rpc/stream_admission.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

// Ends a reflection call that finds no room, or goes on for longer than ten seconds. The references
// must outlive the server.
[[nodiscard]] std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>
guard_reflection(StreamAdmission& admission, CallWatch& watch, runtime::Metrics& metrics);

}  // namespace openvenue::rpc

// A gRPC server behind its own listener, with limits on all that clients could use up: connections,
// message sizes, streams, memory and threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/listener.h"

namespace openvenue::rpc {

struct EndpointSettings {
  std::vector<std::string> listen;  // see Listener
  Listener::Limits connections;
  int completion_queues = 1;
  int pollers_min = 1;
  int pollers_max = 2;
};

class Endpoint {
 public:
  using Guard = std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>;

  // Binds; serves from start() on. The quota bounds memory and threads. It belongs to this endpoint
  // alone and must outlive it. Throws ListenError.
  Endpoint(const EndpointSettings& settings, grpc::ResourceQuota& quota);

  // Serves these services, which must outlive this, and the standard health service, at which they
  // are SERVING. `on_refused` is called for each connection closed because there are too many.
  // Throws ListenError.
  void start(const std::vector<std::pair<grpc::Service*, const char*>>& services, Guard guard,
             std::function<void()> on_refused);

  // Turns the health of all services to NOT_SERVING.
  void drain();
  // Takes no more connections; those that are open go on.
  void stop_listening() { listener_.stop(); }
  // Ends all calls, the unwilling ones at `deadline`. Precondition: stop_listening().
  void shut_down(std::chrono::steady_clock::time_point deadline);

  // Of the first TCP address; 0 if there is none.
  [[nodiscard]] int port() const { return listener_.port(); }
  [[nodiscard]] Listener::Census census() { return listener_.census(); }
  void set_serving(const char* service, bool serving);

 private:
  const EndpointSettings settings_;
  grpc::ResourceQuota& quota_;
  Listener listener_;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace openvenue::rpc

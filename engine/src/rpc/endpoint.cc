#include "rpc/endpoint.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <utility>

#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

constexpr int kReceiveBytesMax = 256 << 10;  // a message of 1,024 requests takes 200 KiB
constexpr int kStreamsPerConnectionMax = 32;
constexpr int kReadChunkBytesMax = 64 << 10;
constexpr int kKeepalivePingMs = 30'000;         // on a silent connection
constexpr int kKeepaliveTimeoutMs = 10'000;      // without an answer: the peer has gone
constexpr int kClientPingIntervalMinMs = 5'000;  // clients that ping more often are cut off
constexpr int kHandshakeTimeoutMs = 10'000;      // from a connection to its first HTTP/2 settings
constexpr int kIdleConnectionMs = 600'000;       // without a call

// Largest buffer that clients can make a connection hold with unfinished messages, and as much
// again for its calls and their metadata. If gRPC runs out of buffers, it resets streams of any
// client, so it must never run out.
constexpr std::size_t kBufferBytesPerConnection =
    2 * (std::size_t{kStreamsPerConnectionMax} * kReceiveBytesMax + kReadChunkBytesMax);

void limit(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kReceiveBytesMax);
  builder.SetMaxSendMessageSize(static_cast<int>(kSendBytesMax));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_TCP_MAX_READ_CHUNK_SIZE, kReadChunkBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepalivePingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kClientPingIntervalMinMs);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMs);
}

void set_threads(grpc::ServerBuilder& builder, const EndpointSettings& settings) {
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder.SetSyncServerOption(Option::NUM_CQS, settings.completion_queues);
  builder.SetSyncServerOption(Option::MIN_POLLERS, settings.pollers_min);
  builder.SetSyncServerOption(Option::MAX_POLLERS, settings.pollers_max);
}

}  // namespace

Endpoint::Endpoint(const EndpointSettings& settings, grpc::ResourceQuota& quota)
    : settings_(settings), quota_(quota), listener_(settings.listen, settings.connections) {
  quota_.Resize(settings.connections.connections * kBufferBytesPerConnection);
}

void Endpoint::start(const std::vector<std::pair<grpc::Service*, const char*>>& services,
                     Guard guard, std::function<void()> on_refused) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  limit(builder);
  set_threads(builder, settings_);
  builder.SetResourceQuota(quota_);
  for (const auto& [service, name] : services) builder.RegisterService(service);
  std::vector<Guard> guards;
  guards.push_back(std::move(guard));
  builder.experimental().SetInterceptorCreators(std::move(guards));
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) throw ListenError("the gRPC server does not start: see the lines above");
  for (const auto& [service, name] : services) set_serving(name, true);
  listener_.start(
      [this](int listening_fd, int fd) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.listener_fd = listening_fd;
        connection.fd = fd;
        acceptor_->HandleNewConnection(&connection);
      },
      std::move(on_refused));
}

void Endpoint::set_serving(const char* service, bool serving) {
  server_->GetHealthCheckService()->SetServingStatus(service, serving);
}

void Endpoint::drain() { server_->GetHealthCheckService()->SetServingStatus(false); }

void Endpoint::shut_down(std::chrono::steady_clock::time_point deadline) {
  const auto left = deadline - std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::system_clock::now() + left);
  server_->Wait();
}

}  // namespace openvenue::rpc

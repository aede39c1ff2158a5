#include "rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <utility>

#include "rpc/reflection_guard.h"

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

// What clients can make a connection buffer by sending messages and not finishing them, and as much
// again for its calls and their metadata. gRPC, where it is short of buffers, resets streams,
// anybody's, so it must never be.
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

void set_threads(grpc::ServerBuilder& builder, const ServerSettings& settings) {
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder.SetSyncServerOption(Option::NUM_CQS, settings.completion_queues);
  builder.SetSyncServerOption(Option::MIN_POLLERS, settings.pollers_min);
  builder.SetSyncServerOption(Option::MAX_POLLERS, settings.pollers_max);
}

}  // namespace

Server::Server(runtime::Engine& engine, runtime::Metrics& metrics, const ServerSettings& settings)
    : settings_(settings),
      listener_(settings.listen, {settings.connections_max, settings.connections_per_peer_max}),
      quota_("openvenue-engine"),
      admission_(settings.threads_max, settings.subscribers_max),
      threads_(quota_, admission_, settings.threads_max),
      trading_(engine, metrics, admission_, watch_, settings.session),
      market_data_(engine, metrics, admission_, watch_, settings.session.stall_patience),
      admin_(engine, admission_, threads_, settings.version) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  quota_.Resize(settings.connections_max * kBufferBytesPerConnection);

  grpc::ServerBuilder builder;
  limit(builder);
  set_threads(builder, settings);
  builder.SetResourceQuota(quota_);
  builder.RegisterService(&trading_);
  builder.RegisterService(&market_data_);
  builder.RegisterService(&admin_);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> guards;
  guards.push_back(guard_reflection(admission_, watch_, metrics));
  builder.experimental().SetInterceptorCreators(std::move(guards));
  acceptor_ = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) throw ListenError("the gRPC server does not start: see the lines above");
  auto& health = *server_->GetHealthCheckService();
  health.SetServingStatus(v1::Trading::service_full_name(), true);
  health.SetServingStatus(v1::MarketData::service_full_name(), true);
  health.SetServingStatus(v1::Admin::service_full_name(), true);
  add_gauges(metrics);
  listener_.start(
      [this](int listening_fd, int fd) {
        grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
        connection.listener_fd = listening_fd;
        connection.fd = fd;
        acceptor_->HandleNewConnection(&connection);
      },
      [&metrics] { metrics.refused_connections.Increment(); });
}

Server::~Server() { shut_down(); }

void Server::add_gauges(runtime::Metrics& metrics) {
  auto& gauges = *metrics.gauges();
  gauges.add("openvenue_engine_sessions", "Sessions that are open",
             [this] { return admission_.open(StreamKind::kSession); });
  gauges.add("openvenue_engine_stream_subscribers", "Journal streams that are open",
             [this] { return admission_.open(StreamKind::kSubscriber); });
  gauges.add("openvenue_engine_replies_owed", "Replies owed to clients, in records",
             [this] { return trading_.replies_owed(); });
  gauges.add("openvenue_engine_server_threads_max", "Bound on the server's threads",
             [this] { return threads_.max(); });
  gauges.add("openvenue_engine_connections", "Connections of clients",
             [this] { return listener_.census().connections; });
  gauges.add("openvenue_engine_connections_nodelay", "TCP connections with TCP_NODELAY set",
             [this] { return listener_.census().connections_nodelay; });
}

void Server::drain() {
  if (drained_by_) return;
  drained_by_ = std::chrono::steady_clock::now() + settings_.drain_patience;
  admission_.drain();
  server_->GetHealthCheckService()->SetServingStatus(false);
}

void Server::shut_down() {
  if (server_ == nullptr) return;
  drain();
  listener_.stop();
  trading_.end_sessions(*drained_by_);
  const auto left = *drained_by_ - std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::system_clock::now() + left);
  server_->Wait();
  server_ = nullptr;
}

}  // namespace openvenue::rpc

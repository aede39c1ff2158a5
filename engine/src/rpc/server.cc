#include "rpc/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include "rpc/socket_census.h"

namespace openvenue::rpc {
namespace {

constexpr int kReceiveBytesMax = 512 << 10;  // a message of 1,024 requests takes 200 KiB
constexpr int kSendBytesMax = 16 << 20;
constexpr std::size_t kBufferBytesMax = std::size_t{512} << 20;  // of all connections
constexpr int kStreamsPerConnectionMax = 128;
constexpr int kKeepalivePingMs = 30'000;         // on a silent connection
constexpr int kKeepaliveTimeoutMs = 10'000;      // without an answer: the peer has gone
constexpr int kClientPingIntervalMinMs = 5'000;  // clients that ping more often are cut off

void limit(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kReceiveBytesMax);
  builder.SetMaxSendMessageSize(kSendBytesMax);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kStreamsPerConnectionMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepalivePingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kClientPingIntervalMinMs);
  // Two engines must never share a port and split its clients between them.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

void set_threads(grpc::ServerBuilder& builder, const ServerSettings& settings) {
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder.SetSyncServerOption(Option::NUM_CQS, settings.completion_queues);
  builder.SetSyncServerOption(Option::MIN_POLLERS, settings.pollers_min);
  builder.SetSyncServerOption(Option::MAX_POLLERS, settings.pollers_max);
}

std::string joined(const std::vector<std::string>& addresses) {
  std::string text;
  for (const std::string& address : addresses) text += (text.empty() ? "" : ", ") + address;
  return text;
}

}  // namespace

Server::Server(runtime::Engine& engine, runtime::Metrics& metrics, const ServerSettings& settings)
    : settings_(settings),
      quota_("openvenue-engine"),
      admission_(settings.threads_max, settings.subscribers_max),
      threads_(quota_, admission_, settings.threads_max),
      trading_(engine, metrics, admission_, settings.session),
      market_data_(engine, metrics, admission_),
      admin_(engine, admission_, threads_, settings.version) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  quota_.Resize(kBufferBytesMax);

  grpc::ServerBuilder builder;
  limit(builder);
  set_threads(builder, settings);
  builder.SetResourceQuota(quota_);
  builder.RegisterService(&trading_);
  builder.RegisterService(&market_data_);
  builder.RegisterService(&admin_);
  std::vector<int> ports(settings.listen.size(), 0);
  for (std::size_t index = 0; index < ports.size(); ++index) {
    builder.AddListeningPort(settings.listen[index], grpc::InsecureServerCredentials(),
                             &ports[index]);
  }
  server_ = builder.BuildAndStart();
  for (std::size_t index = 0; index < ports.size(); ++index) {
    if (server_ == nullptr || ports[index] == 0) {
      throw ListenError("cannot listen on " + joined(settings.listen) +
                        ": is an address in use by another process, or not this machine's?");
    }
    const bool is_tcp = !settings.listen[index].starts_with("unix:");
    if (is_tcp && port_ == 0) port_ = ports[index];
  }
  add_gauges(metrics);
}

Server::~Server() { shut_down(); }

void Server::add_gauges(runtime::Metrics& metrics) {
  auto& gauges = *metrics.gauges();
  gauges.add("openvenue_engine_sessions", "Sessions that are open",
             [this] { return admission_.sessions(); });
  gauges.add("openvenue_engine_stream_subscribers", "Journal streams that are open",
             [this] { return admission_.subscribers(); });
  gauges.add("openvenue_engine_server_threads_max", "Bound on the server's threads",
             [this] { return threads_.max(); });
  gauges.add("openvenue_engine_connections", "TCP connections of clients",
             [this] { return count_connections(port_).connections; });
  gauges.add("openvenue_engine_connections_nodelay", "TCP connections with TCP_NODELAY set",
             [this] { return count_connections(port_).connections_nodelay; });
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
  trading_.end_sessions(*drained_by_);
  const auto left = *drained_by_ - std::chrono::steady_clock::now();
  server_->Shutdown(std::chrono::system_clock::now() + left);
  server_->Wait();
  server_ = nullptr;
}

}  // namespace openvenue::rpc

#include "rpc/server.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <condition_variable>
#include <mutex>
#include <utility>

#include "rpc/reflection_guard.h"

namespace openvenue::rpc {
namespace {

// Few people or scripts administrate at a time; their calls must find a thread even if orders have
// taken all of their own.
constexpr std::uint32_t kAdminConnectionsMax = 16;
constexpr int kAdminThreadsMax = 32;

constexpr std::chrono::milliseconds kHealthPeriod{500};

EndpointSettings clients_of(const ServerSettings& settings) {
  return {settings.listen,
          {settings.connections_max, settings.connections_per_peer_max},
          settings.completion_queues,
          settings.pollers_min,
          settings.pollers_max};
}

std::string where_to_administrate(const ServerSettings& settings) {
  if (!settings.serves_admin()) {
    return "administration is off: start the engine with --admin-tokens DIRECTORY";
  }
  return "administration is not served here: call the listener at " + settings.admin_listen +
         " (OPENVENUE_ENGINE_ADMIN_TARGET), with a token (OPENVENUE_ENGINE_ADMIN_TOKEN_FILE)";
}

}  // namespace

Server::Server(runtime::Engine& engine, runtime::Metrics& metrics, const ServerSettings& settings)
    : engine_(engine),
      settings_(settings),
      quota_("openvenue-engine"),
      admission_(settings.threads_max, settings.subscribers_max),
      threads_(quota_, admission_, settings.threads_max),
      trading_(engine, metrics, admission_, watch_, settings.session),
      market_data_(engine, metrics, admission_, watch_, settings.session.stall_patience),
      no_access_(metrics, where_to_administrate(settings)),
      reads_(engine, admission_, threads_, no_access_, settings.version),
      token_access_(metrics, settings.admin_tokens),
      admin_(engine, admission_, threads_, token_access_, settings.version),
      clients_(clients_of(settings), quota_),
      admin_quota_("openvenue-engine-admin") {
  const auto refused = [&metrics] { metrics.refused_connections.Increment(); };
  if (settings.serves_admin()) {
    admin_quota_.SetMaxThreads(kAdminThreadsMax);
    administrators_.emplace(
        EndpointSettings{{settings.admin_listen}, {kAdminConnectionsMax, kAdminConnectionsMax}},
        admin_quota_);
    administrators_->start({{&admin_, v1::Admin::service_full_name()}},
                           guard_reflection(admission_, watch_, metrics), refused);
  }
  clients_.start({{&trading_, v1::Trading::service_full_name()},
                  {&market_data_, v1::MarketData::service_full_name()},
                  {&reads_, v1::Admin::service_full_name()}},
                 guard_reflection(admission_, watch_, metrics), refused);
  add_gauges(metrics);
  health_thread_ = std::jthread([this](const std::stop_token& stop) { watch_health(stop); });
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
             [this] { return clients_.census().connections; });
  gauges.add("openvenue_engine_connections_nodelay", "TCP connections with TCP_NODELAY set",
             [this] { return clients_.census().connections_nodelay; });
}

void Server::watch_health(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "health");
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  bool serving = true;
  while (!never.wait_for(lock, stop, kHealthPeriod, [&] { return stop.stop_requested(); })) {
    if (engine_.healthy() == serving) continue;
    serving = !serving;
    clients_.set_serving(v1::Trading::service_full_name(), serving);
    if (serving) {
      spdlog::info("trading is healthy again");
    } else {
      spdlog::error("trading is not healthy: a sync of the journal hangs, or orders are refused");
    }
  }
}

void Server::drain() {
  if (drained_by_) return;
  health_thread_ = std::jthread();  // first: its last change of health must precede ours
  drained_by_ = std::chrono::steady_clock::now() + settings_.drain_patience;
  admission_.drain();
  clients_.drain();
  if (administrators_) administrators_->drain();
}

void Server::shut_down() {
  if (shut_down_) return;
  shut_down_ = true;
  drain();
  clients_.stop_listening();
  if (administrators_) administrators_->stop_listening();
  trading_.end_sessions(*drained_by_);
  clients_.shut_down(*drained_by_);
  if (administrators_) administrators_->shut_down(*drained_by_);
}

}  // namespace openvenue::rpc

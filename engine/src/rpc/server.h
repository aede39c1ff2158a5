// The engine's gRPC server: one endpoint for clients (Trading, MarketData and the harmless part of
// Admin), and one for administrators (Admin, with a token). Both have health and reflection.
//
// Promises: no client can crash it, delay other clients or make it use memory without bound:
// connections, message sizes, requests per message, replies owed, streams and threads are all
// limited.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "rpc/admin_access.h"
#include "rpc/admin_service.h"
#include "rpc/call_watch.h"
#include "rpc/endpoint.h"
#include "rpc/market_data_service.h"
#include "rpc/server_threads.h"
#include "rpc/session.h"
#include "rpc/stream_admission.h"
#include "rpc/trading_service.h"
#include "runtime/engine.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

struct ServerSettings {
  std::vector<std::string> listen = {"127.0.0.1:7070"};  // host:port (0: any) or unix:/path
  int completion_queues = 2;
  int pollers_min = 1;              // threads a completion queue that always wait for calls
  int pollers_max = 4;              // idle threads a completion queue that are kept
  std::uint32_t threads_max = 256;  // of all; ServerThreads::kMin to kMax
  std::uint32_t subscribers_max = 64;
  std::uint32_t connections_max = 128;
  std::uint32_t connections_per_peer_max = 64;  // see peer.h
  std::chrono::milliseconds drain_patience{
      5'000};  // of a stop, for clients to take their last replies
  SessionSettings session;
  std::string version;
  std::string admin_listen = "127.0.0.1:7072";  // as `listen`, one address
  std::filesystem::path admin_tokens;           // directory, see AdminTokens; empty: no listener

  [[nodiscard]] bool serves_admin() const { return !admin_tokens.empty(); }
};

class Server {
 public:
  // Serves at once. Both references must outlive the server. Throws ListenError.
  Server(runtime::Engine& engine, runtime::Metrics& metrics, const ServerSettings& settings);
  ~Server();

  // Port of the first TCP address; 0 if there is none.
  [[nodiscard]] int port() const { return clients_.port(); }
  // The same for the administrators' listener.
  [[nodiscard]] int admin_port() const { return administrators_ ? administrators_->port() : 0; }

  // Begins a stop: sets the health service to NOT_SERVING and refuses new streams. Open streams
  // continue. `drain_patience` starts here.
  void drain();

  // Call after Engine::stop(): lets clients take the replies that they are owed, and ends all
  // calls, by force when `drain_patience` is over. Idempotent.
  void shut_down();

 private:
  void add_gauges(runtime::Metrics& metrics);
  // Keeps Trading's health equal to the engine's.
  void watch_health(const std::stop_token& stop);

  runtime::Engine& engine_;
  const ServerSettings settings_;
  grpc::ResourceQuota quota_;
  StreamAdmission admission_;
  CallWatch watch_;
  ServerThreads threads_;
  TradingService trading_;
  MarketDataService market_data_;
  AdminAccess no_access_;
  AdminService reads_;
  AdminAccess token_access_;
  AdminService admin_;
  Endpoint clients_;
  grpc::ResourceQuota admin_quota_;
  std::optional<Endpoint> administrators_;
  bool shut_down_ = false;
  std::jthread health_thread_;
  std::optional<std::chrono::steady_clock::time_point> drained_by_;  // set by drain()
};

}  // namespace openvenue::rpc

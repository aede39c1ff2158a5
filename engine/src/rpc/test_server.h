// A real engine behind a real server on a loopback port, and a client of it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/server.h"
#include "rpc/wire.h"
#include "runtime/test_engine.h"

namespace openvenue::rpc::testing {

using runtime::testing::kPatience;

inline ServerSettings test_server_settings() {
  ServerSettings settings;
  settings.listen = {"127.0.0.1:0"};
  settings.threads_max = 256;
  settings.drain_patience = std::chrono::seconds(5);
  settings.version = "test";
  return settings;
}

constexpr const char* kAdminName = "alice";
constexpr const char* kAdminToken = "the-token-of-alice-0123456789";

// Adds the token of `kAdminName` to a call.
inline void authorize(grpc::ClientContext& context, const std::string& token = kAdminToken) {
  context.AddMetadata("authorization", "Bearer " + token);
}

class TestServer {
 public:
  explicit TestServer(const runtime::EngineSettings& engine_settings,
                      const ServerSettings& settings = test_server_settings(),
                      const runtime::EngineSeams& seams = {})
      : engine_(engine_settings, seams),
        server_(*engine_, engine_.metrics(), with_administration(settings)) {
    engine_.set_up_market();
  }

  // A channel with a connection of its own.
  [[nodiscard]] std::shared_ptr<grpc::Channel> connect(
      const grpc::ChannelArguments& arguments = grpc::ChannelArguments()) const {
    return connect_to("127.0.0.1:" + std::to_string(server_.port()), arguments);
  }
  // A channel to the administrators' listener.
  [[nodiscard]] std::shared_ptr<grpc::Channel> connect_admin() const {
    return connect_to("127.0.0.1:" + std::to_string(server_.admin_port()));
  }
  [[nodiscard]] const std::filesystem::path& admin_tokens() const { return tokens_.path(); }
  [[nodiscard]] static std::shared_ptr<grpc::Channel> connect_to(
      const std::string& address, grpc::ChannelArguments arguments = grpc::ChannelArguments()) {
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(16 << 20);
    auto channel =
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
    EXPECT_TRUE(channel->WaitForConnected(std::chrono::system_clock::now() + kPatience));
    return channel;
  }

  // The value of a gauge as Prometheus would read it.
  [[nodiscard]] double gauge(const std::string& name) {
    for (const auto& family : engine_.metrics().gauges()->Collect()) {
      if (family.name == name) return family.metric.at(0).gauge.value;
    }
    ADD_FAILURE() << "no gauge " << name;
    return -1;
  }

  [[nodiscard]] runtime::testing::TestEngine& engine() { return engine_; }
  [[nodiscard]] Server& server() { return server_; }

 private:
  [[nodiscard]] ServerSettings with_administration(ServerSettings settings) const {
    std::ofstream(tokens_.path() / kAdminName) << kAdminToken << '\n';
    settings.admin_listen = "127.0.0.1:0";
    settings.admin_tokens = tokens_.path();
    return settings;
  }

  const runtime::testing::TemporaryDirectory tokens_;
  runtime::testing::TestEngine engine_;
  Server server_;
};

// One open session; replies are gathered by request id.
inline void set_deadline(grpc::ClientContext& context) {
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
}

class TestSession {
 public:
  explicit TestSession(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::Trading::NewStub(channel)),
        stream_((set_deadline(), stub_->Session(&context_))) {}

  [[nodiscard]] bool send(const v1::SessionRequest& message) { return stream_->Write(message); }
  [[nodiscard]] bool send(const v1::Request& request) {
    v1::SessionRequest message;
    *message.add_requests() = request;
    return send(message);
  }

  // Reads until `count` replies have come in all; fewer if the stream ends before.
  std::map<std::uint64_t, v1::Reply> receive(std::size_t count) {
    v1::SessionResponse message;
    while (replies_.size() < count && stream_->Read(&message)) {
      for (const auto& reply : message.replies()) {
        EXPECT_TRUE(replies_.emplace(reply.request_id(), reply).second)
            << "two replies to request " << reply.request_id();
      }
    }
    return replies_;
  }

  v1::Reply ask(const v1::Request& request) {
    EXPECT_TRUE(send(request));
    const auto replies = receive(replies_.size() + 1);
    const auto found = replies.find(request.request_id());
    EXPECT_NE(found, replies.end());
    return found == replies.end() ? v1::Reply() : found->second;
  }

  void half_close() { stream_->WritesDone(); }
  // Reads the rest and ends.
  grpc::Status finish() {
    v1::SessionResponse message;
    while (stream_->Read(&message)) {
      for (const auto& reply : message.replies()) replies_.emplace(reply.request_id(), reply);
    }
    return stream_->Finish();
  }
  void cancel() { context_.TryCancel(); }

 private:
  void set_deadline() { context_.set_deadline(std::chrono::system_clock::now() + kPatience); }

  std::unique_ptr<v1::Trading::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::SessionRequest, v1::SessionResponse>> stream_;
  std::map<std::uint64_t, v1::Reply> replies_;
};

inline v1::Request new_order(std::uint64_t request_id, std::uint32_t account_id, v1::Side side,
                             std::int64_t qty_lots, std::int64_t price_ticks,
                             const std::string& client_order_id) {
  v1::Request request;
  request.set_request_id(request_id);
  auto& order = *request.mutable_new_order();
  order.set_account_id(account_id);
  order.set_instrument_id(1);
  order.set_side(side);
  order.set_type(v1::ORDER_TYPE_LIMIT);
  order.set_time_in_force(v1::TIME_IN_FORCE_GTC);
  order.set_qty_lots(qty_lots);
  order.set_limit_price_ticks(price_ticks);
  order.set_client_order_id(client_order_id);
  return request;
}

inline v1::Request cancel_order(std::uint64_t request_id, std::uint32_t account_id,
                                std::uint64_t order_id) {
  v1::Request request;
  request.set_request_id(request_id);
  request.mutable_cancel_order()->set_account_id(account_id);
  request.mutable_cancel_order()->set_order_id(order_id);
  return request;
}

inline v1::Request list_open_orders(std::uint64_t request_id, std::uint32_t account_id,
                                    std::uint32_t limit) {
  v1::Request request;
  request.set_request_id(request_id);
  request.mutable_list_open_orders()->set_account_id(account_id);
  request.mutable_list_open_orders()->set_limit(limit);
  return request;
}

// A server in a directory of its own, whose syncs a test can hold.
class ServerTest : public ::testing::Test {
 protected:
  const runtime::testing::TemporaryDirectory directory_;
  runtime::testing::SyncGate gate_;
  TestServer server_{runtime::testing::test_settings(directory_.path()), test_server_settings(),
                     gate_.seams()};
  const std::shared_ptr<grpc::Channel> channel_ = server_.connect();
};

}  // namespace openvenue::rpc::testing

// Clients that break the rules. Each test ends by trading through the same server: other clients
// must not notice.
#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>

#include "rpc/test_server.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

using runtime::testing::TemporaryDirectory;
using runtime::testing::test_settings;
using testing::cancel_order;
using testing::list_open_orders;
using testing::new_order;
using testing::TestServer;
using testing::TestSession;

ServerSettings impatient_settings(const std::string& socket) {
  auto settings = testing::test_server_settings();
  settings.listen.push_back(socket);
  settings.threads_max = 32;
  // Long enough that an honest client, which the machine holds up, is not taken for a stalled one.
  settings.session.stall_patience = std::chrono::seconds(2);
  settings.drain_patience = std::chrono::milliseconds(200);
  return settings;
}

// With this window a client can receive little without reading, so the server finds it out soon.
grpc::ChannelArguments small_window() {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 << 10);
  return arguments;
}

class HostileClient : public ::testing::Test {
 protected:
  void TearDown() override { trade("still trading"); }

  // A channel of another peer than the tests' clients.
  [[nodiscard]] std::shared_ptr<grpc::Channel> connect_other() const {
    return TestServer::connect_to(socket_);
  }

  void rest_orders(std::uint64_t count) {
    TestSession session(connect_other());
    v1::SessionRequest message;
    for (std::uint64_t id = 1; id <= count; ++id) {
      *message.add_requests() =
          new_order(id, 1, v1::SIDE_BUY, 1, 10, "resting" + std::to_string(id));
    }
    ASSERT_TRUE(session.send(message));
    ASSERT_EQ(session.receive(count).size(), count);
  }

  void trade(const std::string& client_order_id) {
    TestSession session(connect_other());
    const auto reply = session.ask(new_order(1, 2, v1::SIDE_BUY, 1, 10, client_order_id));
    EXPECT_EQ(reply.order().status(), v1::ORDER_STATUS_NEW);
  }

  const TemporaryDirectory directory_;
  const std::string socket_ = "unix:" + (directory_.path() / "socket").string();
  TestServer server_{test_settings(directory_.path() / "data"), impatient_settings(socket_)};
};

// A TCP connection that follows no protocol.
class RawConnection {
 public:
  explicit RawConnection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  void send(const std::string& bytes) {
    (void)::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

 private:
  int fd_;
};

const std::string kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

TEST_F(HostileClient, SendsGarbageInsteadOfHttp2) {
  std::mt19937 random(1);
  for (int attempt = 0; attempt < 50; ++attempt) {
    RawConnection connection(server_.server().port());
    std::string bytes = attempt % 2 == 0 ? kHttp2Preface : "";
    for (int index = 0; index < 2000; ++index) bytes.push_back(static_cast<char>(random()));
    connection.send(bytes);
  }
}

TEST_F(HostileClient, ConnectsAndSaysNothing) {
  std::vector<std::unique_ptr<RawConnection>> connections;
  for (int index = 0; index < 100; ++index) {
    connections.push_back(std::make_unique<RawConnection>(server_.server().port()));
    if (index % 2 == 0) connections.back()->send(kHttp2Preface);
  }
  while (server_.engine().metrics().refused_connections.Value() == 0) std::this_thread::yield();
  EXPECT_LE(server_.gauge("openvenue_engine_connections"), 64);
  trade("meanwhile");
}

TEST_F(HostileClient, SendsAMessageAboveTheSizeLimit) {
  TestSession session(server_.connect());
  v1::SessionRequest message;
  *message.add_requests() =
      new_order(1, 1, v1::SIDE_BUY, 1, 10, std::string(std::size_t{5} << 20, 'x'));
  (void)session.send(message);
  EXPECT_EQ(session.finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(HostileClient, SendsMoreRequestsInAMessageThanAllowed) {
  TestSession session(server_.connect());
  ASSERT_TRUE(session.send(new_order(9999, 1, v1::SIDE_BUY, 1, 10, "fine")));
  v1::SessionRequest message;
  for (std::uint64_t id = 0; id <= 1024; ++id) *message.add_requests() = cancel_order(id, 1, 1);
  ASSERT_TRUE(session.send(message));
  EXPECT_EQ(session.finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(session.receive(0).count(9999), 1U) << "what came before is answered";
}

TEST_F(HostileClient, SendsFieldsThatMeanNothing) {
  TestSession session(server_.connect());
  auto bad_side = new_order(1, 1, v1::SIDE_BUY, 1, 10, "a");
  bad_side.mutable_new_order()->set_side(static_cast<v1::Side>(77));
  auto bad_type = new_order(2, 1, v1::SIDE_BUY, 1, 10, "b");
  bad_type.mutable_new_order()->set_type(static_cast<v1::OrderType>(-1));
  v1::Request empty;
  empty.set_request_id(3);
  v1::SessionRequest message;
  *message.add_requests() = bad_side;
  *message.add_requests() = bad_type;
  *message.add_requests() = empty;
  *message.add_requests() = new_order(4, 1, v1::SIDE_BUY, 1, 10, "good");
  ASSERT_TRUE(session.send(message));
  const auto replies = session.receive(4);
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    EXPECT_EQ(replies.at(id).not_sequenced().cause(), v1::NotSequenced::CAUSE_INVALID_ARGUMENT);
    EXPECT_FALSE(replies.at(id).not_sequenced().message().empty());
  }
  EXPECT_TRUE(replies.at(4).has_order());
}

TEST_F(HostileClient, SendsExtremeNumbers) {
  TestSession session(server_.connect());
  std::uint64_t id = 0;
  for (const std::int64_t qty_lots : {INT64_MIN, INT64_C(-1), INT64_C(0), INT64_MAX}) {
    for (const std::int64_t price_ticks : {INT64_MIN, INT64_C(-1), INT64_C(0), INT64_MAX}) {
      ++id;
      const auto reply = session.ask(
          new_order(id, 1, v1::SIDE_BUY, qty_lots, price_ticks, "extreme" + std::to_string(id)));
      EXPECT_TRUE(reply.has_reject()) << qty_lots << " at " << price_ticks;
    }
  }
  EXPECT_TRUE(session.ask(cancel_order(++id, UINT32_MAX, UINT64_MAX)).has_reject());
}

TEST_F(HostileClient, UsesOneRequestIdForEverything) {
  const auto stub = v1::Trading::NewStub(server_.connect());
  grpc::ClientContext context;
  v1::SessionRequest request;
  for (int index = 0; index < 100; ++index) *request.add_requests() = cancel_order(7, 1, 1);
  v1::SessionResponse response;
  ASSERT_TRUE(stub->Submit(&context, request, &response).ok());
  EXPECT_EQ(response.replies_size(), 100);
}

TEST_F(HostileClient, AsksForMoreThanMayBeOwedToIt) {
  TestSession session(server_.connect());
  v1::SessionRequest message;
  for (std::uint64_t id = 1; id <= 1024; ++id)
    *message.add_requests() = list_open_orders(id, 1, 500);
  ASSERT_TRUE(session.send(message));
  const auto replies = session.receive(1024);
  ASSERT_EQ(replies.size(), 1024U);
  for (const auto& [id, reply] : replies) {
    if (reply.has_order_list()) continue;
    EXPECT_EQ(reply.not_sequenced().cause(), v1::NotSequenced::CAUSE_RESOURCE_EXHAUSTED) << id;
  }
}

TEST_F(HostileClient, SendsAMessageThatIsNone) {
  grpc::GenericStub stub(server_.connect());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto finish = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call = stub.PrepareCall(&context, "/openvenue.engine.v1.Trading/Session", &queue);
  call->StartCall(nullptr);
  ASSERT_TRUE(finish());
  const grpc::Slice garbage(std::string(100, '\xff'));
  call->Write(grpc::ByteBuffer(&garbage, 1), nullptr);
  ASSERT_TRUE(finish());
  grpc::Status status;
  call->Finish(&status, nullptr);
  ASSERT_TRUE(finish());
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  queue.Shutdown();
  while (finish()) continue;
}

TEST_F(HostileClient, NeverReadsAndIsDisconnectedWhileOthersTrade) {
  rest_orders(500);
  TestSession other(connect_other());
  TestSession silent(server_.connect(small_window()));
  std::jthread flood([&silent] {
    std::uint64_t id = 0;
    while (silent.send(list_open_orders(++id, 1, 500))) continue;
  });
  std::uint64_t id = 1000;
  while (server_.engine().metrics().stalled_clients.Value() == 0) {
    id += 2;
    const auto order = other.ask(new_order(id, 2, v1::SIDE_BUY, 1, 10, std::to_string(id)));
    ASSERT_TRUE(other.ask(cancel_order(id + 1, 2, order.order().order_id())).has_order());
  }
  flood.join();
  EXPECT_FALSE(silent.finish().ok());
}

TEST_F(HostileClient, NeitherReadsNorSendsAnyMore) {
  rest_orders(500);
  TestSession silent(server_.connect(small_window()));
  v1::SessionRequest message;
  for (std::uint64_t id = 1; id <= 10; ++id) *message.add_requests() = list_open_orders(id, 1, 500);
  ASSERT_TRUE(silent.send(message));
  while (server_.gauge("openvenue_engine_replies_owed") == 0) std::this_thread::yield();
  while (server_.engine().metrics().stalled_clients.Value() == 0) std::this_thread::yield();
  EXPECT_FALSE(silent.finish().ok());
}

TEST_F(HostileClient, FollowsTheJournalWithoutReading) {
  rest_orders(500);
  const auto stub = v1::MarketData::NewStub(server_.connect(small_window()));
  grpc::ClientContext context;
  const auto stream = stub->StreamJournal(&context, {});
  while (server_.engine().metrics().stalled_clients.Value() == 0) std::this_thread::yield();
  while (server_.gauge("openvenue_engine_stream_subscribers") != 0) std::this_thread::yield();
  v1::JournalBatch batch;
  while (stream->Read(&batch)) continue;
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(HostileClient, OpensMoreSessionsThanOnePeerMayHave) {
  const auto channel = server_.connect();
  std::vector<std::unique_ptr<TestSession>> sessions;
  std::size_t served = 0;
  for (int index = 0; index < 40; ++index) {
    sessions.push_back(std::make_unique<TestSession>(channel));
    (void)sessions.back()->send(cancel_order(1, 1, 1));
    served += sessions.back()->receive(1).size();
  }
  EXPECT_EQ(served, 8U) << "half of the sessions, which are half of the server's threads";
  // Unary calls still find a thread.
  const auto stub = v1::Admin::NewStub(channel);
  grpc::ClientContext context;
  v1::EngineStatus status;
  EXPECT_TRUE(stub->GetStatus(&context, {}, &status).ok());
  EXPECT_EQ(status.sessions(), 8U);
  trade("meanwhile");
  for (const auto& session : sessions) session->cancel();
  for (const auto& session : sessions) EXPECT_FALSE(session->finish().ok());
}

TEST_F(HostileClient, DropsItsConnectionInTheMiddleOfEverything) {
  for (int round = 0; round < 20; ++round) {
    TestSession session(server_.connect());
    v1::SessionRequest message;
    for (std::uint64_t id = 1; id <= 1000; ++id) {
      *message.add_requests() = list_open_orders(id, 1, 10);
    }
    ASSERT_TRUE(session.send(message));
    session.cancel();
  }
}

}  // namespace
}  // namespace openvenue::rpc

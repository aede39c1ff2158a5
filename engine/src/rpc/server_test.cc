#include "rpc/server.h"
#include "rpc/wire.h"

#include <gmock/gmock.h>
#include <google/protobuf/empty.pb.h>
#include <google/protobuf/wrappers.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <functional>
#include <future>
#include <system_error>
#include <thread>

#include "rpc/test_server.h"

namespace openvenue::rpc {
namespace {

using runtime::testing::SyncGate;
using runtime::testing::TemporaryDirectory;
using runtime::testing::test_settings;
using testing::cancel_order;
using ::testing::ElementsAre;
using testing::kPatience;
using testing::list_open_orders;
using testing::new_order;
using testing::ServerTest;
using testing::set_deadline;
using testing::TestServer;
using testing::TestSession;

// Calls a unary method by name, for services whose generated code is not installed.
template <class Response, class Request = google::protobuf::Empty>
Response call(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
              const Request& request = Request()) {
  grpc::TemplatedGenericStub<Request, Response> stub(channel);
  grpc::ClientContext context;
  set_deadline(context);
  Response response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, method, grpc::StubOptions(), &request, &response,
                 [&done](grpc::Status status) { done.set_value(std::move(status)); });
  EXPECT_TRUE(done.get_future().get().ok());
  return response;
}

// grpc.health.v1: field 1 of the request is the service, empty for all; field 1 of the response is
// the status, 1 meaning SERVING and 2 NOT_SERVING.
int health(const std::shared_ptr<grpc::Channel>& channel, const std::string& service = "") {
  google::protobuf::StringValue request;
  request.set_value(service);
  return call<google::protobuf::Int32Value>(channel, "/grpc.health.v1.Health/Check", request)
      .value();
}

TEST_F(ServerTest, AnswersEveryRequestOfASessionOnceAndByItsId) {
  TestSession session(channel_);
  v1::SessionRequest message;
  for (std::uint64_t id = 1; id <= 1000; ++id) {
    *message.add_requests() = new_order(id, 1, v1::SIDE_BUY, 1, 10, std::to_string(id));
  }
  ASSERT_TRUE(session.send(message));
  const auto replies = session.receive(1000);
  ASSERT_EQ(replies.size(), 1000U);
  for (const auto& [id, reply] : replies) {
    EXPECT_EQ(reply.order().client_order_id(), std::to_string(id));
    EXPECT_EQ(reply.order().order_id(), reply.sequence());
  }
}

TEST_F(ServerTest, TradesTwoSessionsAgainstEachOther) {
  TestSession seller(channel_);
  TestSession buyer(server_.connect());
  const auto ask = seller.ask(new_order(1, 1, v1::SIDE_SELL, 10, 100, "ask"));
  EXPECT_EQ(ask.order().status(), v1::ORDER_STATUS_NEW);
  const auto bid = buyer.ask(new_order(1, 2, v1::SIDE_BUY, 4, 105, "bid"));
  EXPECT_EQ(bid.order().status(), v1::ORDER_STATUS_FILLED);
  EXPECT_EQ(bid.order().filled_lots(), 4);

  const auto canceled = seller.ask(cancel_order(2, 1, ask.order().order_id()));
  EXPECT_EQ(canceled.order().status(), v1::ORDER_STATUS_CANCELED);
  EXPECT_EQ(canceled.order().filled_lots(), 4);
}

TEST_F(ServerTest, CancelsByAccountAndSideInOneRequest) {
  TestSession session(channel_);
  const auto bid = session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "bid"));
  const auto ask = session.ask(new_order(2, 1, v1::SIDE_SELL, 1, 20, "ask"));
  v1::Request request;
  request.set_request_id(3);
  request.mutable_cancel_orders()->set_account_id(1);
  request.mutable_cancel_orders()->set_side(v1::SIDE_SELL);
  const auto sells = session.ask(request);
  EXPECT_THAT(sells.canceled_orders().order_ids(), ElementsAre(ask.order().order_id()));
  EXPECT_EQ(sells.canceled_orders().stopped_at_order_id(), 0U);
  request.set_request_id(4);
  request.mutable_cancel_orders()->clear_side();
  EXPECT_THAT(session.ask(request).canceled_orders().order_ids(),
              ElementsAre(bid.order().order_id()));
  request.set_request_id(5);
  request.mutable_cancel_orders()->set_account_id(99);
  EXPECT_EQ(session.ask(request).reject().reason(), v1::REASON_UNKNOWN_ACCOUNT);
}

TEST_F(ServerTest, TakesAResentOrderForTheOneItWas) {
  std::uint64_t order_id = 0;
  {
    TestSession session(channel_);
    order_id = session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "once")).order().order_id();
    session.cancel();
  }
  TestSession session(channel_);
  const auto again = session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "once"));
  EXPECT_TRUE(again.duplicate());
  EXPECT_EQ(again.order().order_id(), order_id);
  const auto other = session.ask(new_order(2, 1, v1::SIDE_BUY, 2, 10, "once"));
  EXPECT_EQ(other.reject().reason(), v1::REASON_DUPLICATE_CLIENT_ORDER_ID);
}

TEST_F(ServerTest, ReadsWithinAMessageWhatTheMessageWrote) {
  TestSession session(channel_);
  v1::SessionRequest message;
  *message.add_requests() = new_order(1, 1, v1::SIDE_BUY, 1, 10, "a");
  *message.add_requests() = new_order(2, 1, v1::SIDE_BUY, 1, 10, "b");
  *message.add_requests() = list_open_orders(3, 1, 500);
  ASSERT_TRUE(session.send(message));
  EXPECT_EQ(session.receive(3).at(3).order_list().orders_size(), 2);
}

TEST_F(ServerTest, AnswersAClientThatHasClosedItsSideBeforeItEnds) {
  TestSession session(channel_);
  for (std::uint64_t id = 1; id <= 100; ++id) {
    ASSERT_TRUE(session.send(new_order(id, 1, v1::SIDE_BUY, 1, 10, std::to_string(id))));
  }
  session.half_close();
  EXPECT_TRUE(session.finish().ok());
  EXPECT_EQ(session.receive(0).size(), 100U);
}

TEST_F(ServerTest, AnswersAUnaryBatchAtOnce) {
  const auto stub = v1::Trading::NewStub(channel_);
  grpc::ClientContext context;
  set_deadline(context);
  v1::SessionRequest request;
  *request.add_requests() = new_order(1, 1, v1::SIDE_BUY, 1, 10, "a");
  request.add_requests()->set_request_id(2);
  v1::SessionResponse response;
  ASSERT_TRUE(stub->Submit(&context, request, &response).ok());
  ASSERT_EQ(response.replies_size(), 2);
  std::map<std::uint64_t, v1::Reply> replies;
  for (const auto& reply : response.replies()) replies[reply.request_id()] = reply;
  EXPECT_EQ(replies[1].order().status(), v1::ORDER_STATUS_NEW);
  EXPECT_EQ(replies[2].not_sequenced().cause(), v1::NotSequenced::CAUSE_INVALID_ARGUMENT);
}

TEST_F(ServerTest, KeepsToTheDeadlineOfAUnaryCallWithoutSayingThatItFailed) {
  gate_.close();
  const auto stub = v1::Trading::NewStub(channel_);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::SessionRequest request;
  *request.add_requests() = new_order(1, 1, v1::SIDE_BUY, 1, 10, "slow");
  v1::SessionResponse response;
  EXPECT_EQ(stub->Submit(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  gate_.open();

  TestSession session(channel_);
  EXPECT_TRUE(session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "slow")).duplicate());
}

TEST_F(ServerTest, RefusesRequestsForAnotherShard) {
  const auto refuses = [](auto call) {
    grpc::ClientContext context;
    set_deadline(context);
    EXPECT_EQ(call(context).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  };
  const auto trading = v1::Trading::NewStub(channel_);
  v1::SessionRequest message;
  message.set_shard_id(3);
  *message.add_requests() = new_order(1, 1, v1::SIDE_BUY, 1, 10, "elsewhere");
  refuses([&](grpc::ClientContext& context) {
    v1::SessionResponse response;
    return trading->Submit(&context, message, &response);
  });
  TestSession session(channel_);
  ASSERT_TRUE(session.send(message));
  EXPECT_EQ(session.finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  refuses([&](grpc::ClientContext& context) {
    v1::GetBookRequest request;
    request.set_shard_id(3);
    request.set_instrument_id(1);
    request.set_depth(1);
    v1::BookSnapshot book;
    return v1::MarketData::NewStub(channel_)->GetBook(&context, request, &book);
  });
  refuses([&](grpc::ClientContext& context) {
    v1::AdminRequest request;
    request.set_shard_id(3);
    request.mutable_end_trading_day();
    v1::AdminResponse response;
    testing::authorize(context);
    return v1::Admin::NewStub(server_.connect_admin())->Apply(&context, request, &response);
  });
}

TEST_F(ServerTest, SkipsAQueryWhoseCallerGaveUpBeforeItsTurn) {
  // The disk hangs, and everything that can be under way is: the shard waits.
  gate_.close();
  const auto stub = v1::MarketData::NewStub(channel_);
  const auto orders = std::make_shared<runtime::testing::Collector>();
  std::size_t sent = 0;
  const auto waits = [&] {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    while (std::chrono::steady_clock::now() < until) {
      if (server_.gauge("openvenue_engine_ring_depth") == 0) return false;
      std::this_thread::yield();
    }
    return true;
  };
  do {
    ++sent;
    ASSERT_EQ(server_.engine().submit(
                  orders, {runtime::testing::operation(
                              sent, core::CommandBody(runtime::testing::limit_order(
                                        1, core::Side::kBuy, 1, 10, std::to_string(sent))))}),
              runtime::Admission::kAccepted);
  } while (!waits());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  v1::GetBookRequest request;
  request.set_instrument_id(1);
  request.set_depth(10);
  v1::BookSnapshot book;
  EXPECT_EQ(stub->GetBook(&context, request, &book).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  // The server notices within its own period, before the disk continues.
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  gate_.open();
  orders->wait_for(sent);
  TestSession session(channel_);
  session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "later"));
  EXPECT_EQ(server_.engine().metrics().abandoned_queries.Value(), 1);
}

TEST_F(ServerTest, ChangesItsLogLevelAndThreadsWhileItRuns) {
  const auto stub = v1::Admin::NewStub(channel_);
  const auto before = spdlog::get_level();
  {
    grpc::ClientContext context;
    v1::TuneRequest request;
    request.set_log_level("error");
    request.set_server_threads_max(32);
    v1::TuneResponse response;
    ASSERT_TRUE(stub->Tune(&context, request, &response).ok());
    EXPECT_EQ(response.log_level(), "error");
    EXPECT_EQ(response.server_threads_max(), 32U);
    EXPECT_EQ(spdlog::get_level(), spdlog::level::err);
  }
  spdlog::set_level(before);
  grpc::ClientContext context;
  v1::TuneRequest request;
  request.set_server_threads_max(1);
  v1::TuneResponse response;
  EXPECT_EQ(stub->Tune(&context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, AnswersTheStandardHealthCheck) {
  const std::vector<std::string> services = {"", v1::Trading::service_full_name(),
                                             v1::MarketData::service_full_name(),
                                             v1::Admin::service_full_name()};
  for (const std::string& service : services) EXPECT_EQ(health(channel_, service), 1) << service;
  server_.server().drain();
  for (const std::string& service : services) EXPECT_EQ(health(channel_, service), 2) << service;
}

TEST_F(ServerTest, RefusesNewStreamsOnceItDrainsAndKeepsThoseThatAreOpen) {
  TestSession open(channel_);
  open.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "before"));
  server_.server().drain();
  TestSession late(channel_);
  EXPECT_EQ(late.finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto stub = v1::MarketData::NewStub(channel_);
  grpc::ClientContext context;
  set_deadline(context);
  const auto stream = stub->StreamJournal(&context, {});
  v1::JournalBatch batch;
  EXPECT_FALSE(stream->Read(&batch));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(open.ask(new_order(2, 1, v1::SIDE_BUY, 1, 10, "during")).has_order());
}

TEST_F(ServerTest, DescribesItselfByReflection) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  set_deadline(context);
  grpc::CompletionQueue queue;
  const auto done = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok) && ok);
  };
  const auto stream = stub.PrepareCall(
      &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  stream->StartCall(nullptr);
  done();
  const grpc::Slice list_services("\x3a\x01*");  // field 7, one byte
  stream->Write(grpc::ByteBuffer(&list_services, 1), nullptr);
  done();
  grpc::ByteBuffer response;
  stream->Read(&response, nullptr);
  done();
  grpc::Slice bytes;
  ASSERT_TRUE(response.DumpToSingleSlice(&bytes).ok());
  const std::string text(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  for (const char* service : {"Trading", "MarketData", "Admin"}) {
    EXPECT_THAT(text, ::testing::HasSubstr(std::string("openvenue.engine.v1.") + service));
  }
  context.TryCancel();
}

TEST_F(ServerTest, HasNagleOffOnEveryConnection) {
  std::vector<std::shared_ptr<grpc::Channel>> channels = {channel_};
  for (int index = 0; index < 4; ++index) channels.push_back(server_.connect());
  for (const auto& channel : channels) health(channel);
  EXPECT_EQ(server_.gauge("openvenue_engine_connections"), 5);
  EXPECT_EQ(server_.gauge("openvenue_engine_connections_nodelay"), 5);
}

TEST_F(ServerTest, CountsItsSessions) {
  TestSession first(channel_);
  TestSession second(channel_);
  first.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a"));
  second.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "b"));
  EXPECT_EQ(server_.gauge("openvenue_engine_sessions"), 2);
}

TEST_F(ServerTest, DeliversWhatItOwesBeforeItShutsDownAndRefusesWhatComesLater) {
  gate_.close();
  TestSession session(channel_);
  ASSERT_TRUE(session.send(new_order(1, 1, v1::SIDE_BUY, 1, 10, "before")));
  gate_.wait_until_held();
  std::thread stopping([&] {
    server_.server().drain();
    server_.engine()->stop();
    server_.server().shut_down();
  });
  // Requests are refused as soon as the stop has begun; send until then.
  std::uint64_t id = 2;
  runtime::Admission admission = runtime::Admission::kAccepted;
  while (admission == runtime::Admission::kAccepted) {
    runtime::Batch nothing;
    admission = server_.engine()->submit(nothing);
    std::this_thread::yield();
  }
  ASSERT_TRUE(session.send(new_order(id, 1, v1::SIDE_BUY, 1, 10, "after")));
  auto replies = session.receive(1);
  EXPECT_EQ(replies.at(id).not_sequenced().cause(), v1::NotSequenced::CAUSE_UNAVAILABLE);
  gate_.open();
  replies = session.receive(2);
  ASSERT_TRUE(replies.contains(1));
  EXPECT_EQ(replies.at(1).order().status(), v1::ORDER_STATUS_NEW);
  EXPECT_FALSE(session.finish().ok());
  stopping.join();
}

TEST_F(ServerTest, IsNotHealthyForTradingWhileASyncHangs) {
  const std::string trading = v1::Trading::service_full_name();
  const auto wait_for = [&](int status) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (health(channel_, trading) != status && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    EXPECT_EQ(health(channel_, trading), status);
  };
  gate_.close();
  TestSession session(channel_);
  ASSERT_TRUE(session.send(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a")));
  gate_.wait_until_held();
  wait_for(2);
  EXPECT_EQ(health(channel_), 1) << "the process itself is well: a restart would not help";
  gate_.open();
  wait_for(1);
  EXPECT_EQ(session.receive(1).size(), 1U);
}

TEST_F(ServerTest, TellsItsMetricsWhileAStopWaitsForClients) {
  gate_.close();
  TestSession session(channel_);
  ASSERT_TRUE(session.send(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a")));
  gate_.wait_until_held();
  std::thread stopping([&] { server_.server().shut_down(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto asked_at = std::chrono::steady_clock::now();
  EXPECT_EQ(server_.gauge("openvenue_engine_replies_owed"), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - asked_at, std::chrono::seconds(2));
  gate_.open();
  stopping.join();
}

TEST(Server, AnswersResourceExhaustedWhileTheRingIsFullAndCarriesOnAfterwards) {
  const TemporaryDirectory directory;
  SyncGate gate;
  auto settings = test_settings(directory.path());
  settings.ring_size = 16;
  TestServer server(settings, testing::test_server_settings(), gate.seams());
  TestSession session(server.connect());
  gate.close();
  std::size_t sent = 0;
  std::size_t refused = 0;
  while (refused == 0) {
    ++sent;
    ASSERT_TRUE(session.send(new_order(sent, 1, v1::SIDE_BUY, 1, 10, std::to_string(sent))));
    if (server.engine().metrics().ring_full.Value() > 0) {
      for (const auto& [id, reply] : session.receive(1)) {
        EXPECT_EQ(reply.not_sequenced().cause(), v1::NotSequenced::CAUSE_RESOURCE_EXHAUSTED);
        ++refused;
      }
    }
  }
  gate.open();
  EXPECT_EQ(session.receive(sent).size(), sent) << "every request has its one reply";
  EXPECT_EQ(session.ask(new_order(sent + 1, 1, v1::SIDE_BUY, 1, 10, "later")).order().status(),
            v1::ORDER_STATUS_NEW);
}

TEST(Server, RefusesASessionThatItGetsNoThreadForAndServesTheNext) {
  const TemporaryDirectory directory;
  auto settings = testing::test_server_settings();
  std::atomic<bool> refuse = true;
  settings.session.start_thread = [&refuse](std::function<void()> work) {
    if (refuse.exchange(false)) {
      throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
    }
    return std::jthread(std::move(work));
  };
  TestServer server(test_settings(directory.path()), settings);
  const auto channel = server.connect();
  TestSession first(channel);
  EXPECT_EQ(first.finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server.engine().metrics().refused_streams.Value(), 1);
  TestSession second(channel);
  EXPECT_TRUE(second.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a")).has_order());
}

TEST(Server, EndsOnTimeThoughManyClientsDoNotReadAndOneFollowsTheJournal) {
  const TemporaryDirectory directory;
  auto settings = testing::test_server_settings();
  settings.drain_patience = std::chrono::milliseconds(300);
  TestServer server(test_settings(directory.path()), settings);
  grpc::ChannelArguments small_window;
  small_window.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  small_window.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 16 << 10);
  const auto channel = server.connect(small_window);
  TestSession trader(server.connect());
  for (std::uint64_t id = 1; id <= 500; ++id) {
    trader.ask(new_order(id, 1, v1::SIDE_BUY, 1, 10, std::to_string(id)));
  }
  // None of them reads a byte of its answer.
  std::vector<std::unique_ptr<TestSession>> silent;
  for (int index = 0; index < 20; ++index) {
    silent.push_back(std::make_unique<TestSession>(channel));
    for (std::uint64_t id = 1; id <= 10; ++id) {
      ASSERT_TRUE(silent.back()->send(list_open_orders(id, 1, 500)));
    }
  }
  const auto stub = v1::MarketData::NewStub(channel);
  grpc::ClientContext context;
  const auto stream = stub->StreamJournal(&context, {});
  v1::JournalBatch batch;
  ASSERT_TRUE(stream->Read(&batch));
  auto stopped = std::async(std::launch::async, [&] {
    server.server().drain();
    server.engine()->stop();
    server.server().shut_down();
  });
  // With a patience for each of them it would be 20 times as long.
  EXPECT_EQ(stopped.wait_for(std::chrono::seconds(5)), std::future_status::ready);
  stopped.wait();
  context.TryCancel();
  for (const auto& session : silent) session->cancel();
}

TEST(Server, ListensOnAUnixSocketAsWell) {
  const TemporaryDirectory directory;
  auto settings = testing::test_server_settings();
  const std::string address = "unix:" + (directory.path() / "engine.sock").string();
  settings.listen.push_back(address);
  TestServer server(test_settings(directory.path() / "data"), settings);
  EXPECT_EQ(health(grpc::CreateChannel(address, grpc::InsecureChannelCredentials())), 1);
}

TEST(Server, RefusesToShareAPort) {
  const TemporaryDirectory directory;
  TestServer first(test_settings(directory.path() / "first"));
  auto settings = testing::test_server_settings();
  settings.listen = {"127.0.0.1:" + std::to_string(first.server().port())};
  EXPECT_THROW(TestServer(test_settings(directory.path() / "second"), settings), ListenError);
}

}  // namespace
}  // namespace openvenue::rpc

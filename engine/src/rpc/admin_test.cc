// Administration: its access and its commands.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "rpc/test_server.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

using runtime::testing::SyncGate;
using runtime::testing::TemporaryDirectory;
using runtime::testing::test_settings;
using ::testing::AllOf;
using testing::authorize;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kPatience;
using testing::new_order;
using ::testing::Not;
using testing::TestServer;
using testing::TestSession;

constexpr core::AccountId kOpened = 9;

class AdminTest : public ::testing::Test {
 protected:
  using Stub = v1::Admin::Stub;
  using Call = std::function<grpc::Status(Stub&, grpc::ClientContext&)>;

  static std::vector<std::pair<std::string, Call>> guarded_calls() {
    return {
        {"Apply",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::AdminRequest request;
           request.mutable_open_account()->set_account_id(kOpened);
           v1::AdminResponse response;
           return stub.Apply(&context, request, &response);
         }},
        {"ListAccounts",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::ListAccountsResponse response;
           return stub.ListAccounts(&context, {}, &response);
         }},
        {"GetAccount",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::GetAccountRequest request;
           request.set_account_id(1);
           v1::Account response;
           return stub.GetAccount(&context, request, &response);
         }},
        {"TakeSnapshot",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::TakeSnapshotResponse response;
           return stub.TakeSnapshot(&context, {}, &response);
         }},
        {"GetStatus with a hash",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::GetStatusRequest request;
           request.set_with_state_hash(true);
           v1::EngineStatus response;
           return stub.GetStatus(&context, request, &response);
         }},
    };
  }

  static std::vector<std::pair<std::string, Call>> harmless_calls() {
    return {
        {"GetStatus",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::EngineStatus response;
           return stub.GetStatus(&context, {}, &response);
         }},
        {"ListInstruments",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::ListInstrumentsResponse response;
           return stub.ListInstruments(&context, {}, &response);
         }},
        {"Tune",
         [](Stub& stub, grpc::ClientContext& context) {
           v1::TuneResponse response;
           return stub.Tune(&context, {}, &response);
         }},
    };
  }

  static grpc::Status run(const Call& call, Stub& stub,
                          const std::optional<std::string>& token = std::nullopt) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    if (token) authorize(context, *token);
    return call(stub, context);
  }

  // The accounts' numbers, asked for `limit` at a time.
  std::vector<std::uint32_t> list_accounts(std::uint32_t limit) {
    std::vector<std::uint32_t> found;
    v1::ListAccountsRequest request;
    v1::ListAccountsResponse page;
    do {
      grpc::ClientContext context;
      authorize(context);
      request.set_limit(limit);
      request.set_after_account_id(found.empty() ? 0 : found.back());
      page.Clear();
      EXPECT_TRUE(admin_->ListAccounts(&context, request, &page).ok());
      EXPECT_LE(page.accounts_size(), limit == 0 ? 100 : static_cast<int>(limit));
      for (const auto& account : page.accounts()) found.push_back(account.account_id());
    } while (page.more());
    return found;
  }

  v1::Reason open_account(std::uint32_t account, std::int64_t credit_limit_micros = 0) {
    grpc::ClientContext context;
    authorize(context);
    v1::AdminRequest request;
    request.mutable_open_account()->set_account_id(account);
    request.mutable_open_account()->set_credit_limit_micros(credit_limit_micros);
    v1::AdminResponse response;
    EXPECT_TRUE(admin_->Apply(&context, request, &response).ok());
    return response.reject_reason();
  }

  const TemporaryDirectory directory_;
  SyncGate gate_;
  TestServer server_{test_settings(directory_.path()), testing::test_server_settings(),
                     gate_.seams()};
  const std::shared_ptr<grpc::Channel> channel_ = server_.connect();
  const std::unique_ptr<Stub> clients_ = v1::Admin::NewStub(channel_);
  const std::unique_ptr<Stub> admin_ = v1::Admin::NewStub(server_.connect_admin());
};

TEST_F(AdminTest, IsRefusedBesideTradingEvenWithATokenAndSaysWhereItIsServed) {
  for (const auto& [name, call] : guarded_calls()) {
    for (const auto& token :
         {std::optional<std::string>(), std::optional<std::string>(testing::kAdminToken)}) {
      const grpc::Status status = run(call, *clients_, token);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED) << name;
      EXPECT_THAT(status.error_message(), HasSubstr("127.0.0.1:0")) << name;
    }
  }
  EXPECT_THAT(list_accounts(0), ElementsAre(1, 2)) << "nothing was applied";
}

TEST_F(AdminTest, ServesWhatIsHarmlessBesideTradingWithoutAToken) {
  for (const auto& [name, call] : harmless_calls()) {
    EXPECT_TRUE(run(call, *clients_).ok()) << name;
  }
}

TEST_F(AdminTest, NeedsATokenForEveryCallOnItsOwnListener) {
  auto calls = guarded_calls();
  for (auto& call : harmless_calls()) calls.push_back(std::move(call));
  const double refused_before = server_.engine().metrics().refused_admin_calls.Value();
  for (const auto& [name, call] : calls) {
    for (const auto& token :
         {std::optional<std::string>(), std::optional<std::string>(""),
          std::optional<std::string>("the-token-of-mallory-0123456"),
          std::optional<std::string>(std::string(testing::kAdminToken) + "0")}) {
      const grpc::Status status = run(call, *admin_, token);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << name;
      EXPECT_THAT(status.error_message(),
                  AllOf(HasSubstr("--admin-tokens"), Not(HasSubstr(testing::kAdminToken))));
    }
    EXPECT_TRUE(run(call, *admin_, testing::kAdminToken).ok()) << name;
  }
  EXPECT_EQ(server_.engine().metrics().refused_admin_calls.Value() - refused_before,
            4.0 * static_cast<double>(calls.size()));
}

TEST_F(AdminTest, IsNotServedWhereThereAreNoTokens) {
  const TemporaryDirectory directory;
  runtime::testing::TestEngine engine(test_settings(directory.path()));
  Server server(*engine, engine.metrics(), testing::test_server_settings());
  EXPECT_EQ(server.admin_port(), 0);
  const auto stub =
      v1::Admin::NewStub(TestServer::connect_to("127.0.0.1:" + std::to_string(server.port())));
  const grpc::Status status = run(guarded_calls().front().second, *stub, testing::kAdminToken);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("--admin-tokens"));
}

TEST_F(AdminTest, TakesANewTokenAndRefusesARemovedOneWithoutARestart) {
  const auto [name, call] = guarded_calls().front();
  std::filesystem::remove(server_.admin_tokens() / testing::kAdminName);
  EXPECT_FALSE(run(call, *admin_, testing::kAdminToken).ok());
  const std::string token = "the-token-of-bob-0123456789";
  std::ofstream(server_.admin_tokens() / "bob") << token;
  EXPECT_TRUE(run(call, *admin_, token).ok());
}

TEST_F(AdminTest, LogsWhoDidWhat) {
  std::ostringstream lines;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(lines)));
  EXPECT_EQ(open_account(kOpened), v1::REASON_NONE);
  spdlog::set_default_logger(before);
  EXPECT_THAT(lines.str(), AllOf(HasSubstr("actor=alice"), HasSubstr("command=open_account")));
}

TEST_F(AdminTest, JournalsWhoDidWhat) {
  ASSERT_EQ(open_account(kOpened), v1::REASON_NONE);
  grpc::ClientContext context;
  v1::StreamJournalRequest request;
  request.set_from_sequence(1);
  const auto market_data = v1::MarketData::NewStub(server_.connect());
  const auto stream = market_data->StreamJournal(&context, request);
  std::string actor;
  v1::JournalBatch batch;
  while (actor.empty() && stream->Read(&batch)) {
    for (const v1::JournalEntry& entry : batch.entries()) {
      if (entry.has_open_account()) actor = entry.actor();
    }
  }
  context.TryCancel();
  EXPECT_EQ(actor, testing::kAdminName);
}

TEST_F(AdminTest, HasRoomWhileClientsHoldEveryConnection) {
  ServerSettings settings = testing::test_server_settings();
  settings.connections_max = 2;
  const TemporaryDirectory directory;
  TestServer server(test_settings(directory.path()), settings);
  const auto first = server.connect();
  const auto second = server.connect();
  const auto stub = v1::Admin::NewStub(server.connect_admin());
  EXPECT_TRUE(run(guarded_calls().front().second, *stub, testing::kAdminToken).ok());
}

TEST_F(AdminTest, AppliesCommandsAndReportsRefusals) {
  EXPECT_EQ(open_account(kOpened, 5), v1::REASON_NONE);
  EXPECT_EQ(open_account(kOpened, -5), v1::REASON_INVALID_DEFINITION);
  EXPECT_THAT(list_accounts(0), ElementsAre(1, 2, kOpened));
}

TEST_F(AdminTest, ListsInPagesByNumberWhateverTheOrderOfOpening) {
  for (const std::uint32_t account : {20U, 5U, 11U, 4'000'000'000U}) {
    EXPECT_EQ(open_account(account), v1::REASON_NONE);
  }
  for (const std::uint32_t limit : {0U, 1U, 2U, 3U, 6U, 7U}) {
    EXPECT_THAT(list_accounts(limit), ElementsAre(1, 2, 5, 11, 20, 4'000'000'000U)) << limit;
  }
}

TEST_F(AdminTest, ListsInstrumentsInPagesToo) {
  for (const std::uint32_t id : {7U, 3U}) {
    grpc::ClientContext context;
    authorize(context);
    v1::AdminRequest request;
    auto& terms = *request.mutable_define_instrument();
    terms.set_instrument_id(id);
    terms.set_symbol("T" + std::to_string(id));
    terms.set_asset_class(v1::ASSET_CLASS_US_EQUITY);
    terms.set_state(v1::INSTRUMENT_STATE_ACTIVE);
    terms.set_tick_size_nanos(10'000'000);
    terms.set_lot_size_nanos(1'000'000'000);
    terms.set_min_price_ticks(1);
    terms.set_max_price_ticks(1000);
    terms.set_max_order_qty_lots(1000);
    v1::AdminResponse response;
    ASSERT_TRUE(admin_->Apply(&context, request, &response).ok());
    ASSERT_EQ(response.reject_reason(), v1::REASON_NONE);
  }
  std::vector<std::uint32_t> found;
  v1::ListInstrumentsResponse page;
  do {
    grpc::ClientContext context;
    v1::ListInstrumentsRequest request;
    request.set_limit(2);
    request.set_after_instrument_id(found.empty() ? 0 : found.back());
    page.Clear();
    ASSERT_TRUE(clients_->ListInstruments(&context, request, &page).ok());
    for (const auto& each : page.instruments()) found.push_back(each.terms().instrument_id());
  } while (page.more());
  EXPECT_THAT(found, ElementsAre(1, 3, 7));
  EXPECT_EQ(page.schema_version(), core::kSchemaVersion);
}

TEST_F(AdminTest, ShowsOneAccountAndSaysWhichThereIsNot) {
  v1::GetAccountRequest request;
  request.set_account_id(2);
  v1::Account account;
  grpc::ClientContext context;
  authorize(context);
  ASSERT_TRUE(admin_->GetAccount(&context, request, &account).ok());
  EXPECT_EQ(account.account_id(), 2U);
  EXPECT_EQ(account.cash_micros(), 1'000'000'000'000);
  request.set_account_id(77);
  grpc::ClientContext again;
  authorize(again);
  const grpc::Status status = admin_->GetAccount(&again, request, &account);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("77"));
}

TEST_F(AdminTest, TellsTheStatus) {
  TestSession session(channel_);
  session.ask(new_order(1, 1, v1::SIDE_BUY, 1, 10, "a"));
  grpc::ClientContext context;
  authorize(context);
  v1::EngineStatus status;
  v1::GetStatusRequest request;
  request.set_with_state_hash(true);
  ASSERT_TRUE(admin_->GetStatus(&context, request, &status).ok());
  EXPECT_EQ(status.applied_sequence(), server_.engine()->applied_sequence());
  EXPECT_EQ(status.durable_sequence(), status.applied_sequence());
  EXPECT_EQ(status.open_orders(), 1U);
  EXPECT_EQ(status.sessions(), 1U);
  EXPECT_NE(status.state_hash(), 0U);
  EXPECT_EQ(status.version(), "test");
  grpc::ClientContext poll;
  ASSERT_TRUE(clients_->GetStatus(&poll, {}, &status).ok());
  EXPECT_EQ(status.state_hash(), 0U) << "orders wait for it: only for those who ask";
}

TEST_F(AdminTest, WritesASnapshotWhenAskedTo) {
  grpc::ClientContext context;
  authorize(context);
  v1::TakeSnapshotResponse snapshot;
  ASSERT_TRUE(admin_->TakeSnapshot(&context, {}, &snapshot).ok());
  EXPECT_EQ(snapshot.sequence(), server_.engine()->durable().get());
}

TEST_F(AdminTest, WritesOneSnapshotAtATime) {
  TestSession session(channel_);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  grpc::Status status;
  // Try until a call comes while another caller's snapshot is under way.
  for (std::uint64_t id = 1; status.error_code() != grpc::StatusCode::ABORTED &&
                             std::chrono::steady_clock::now() < deadline;
       ++id) {
    session.ask(new_order(id, 1, v1::SIDE_BUY, 1, 10, std::to_string(id)));
    const auto first = server_.engine()->take_snapshot();
    ASSERT_TRUE(first.has_value());
    grpc::ClientContext context;
    authorize(context);
    v1::TakeSnapshotResponse snapshot;
    status = admin_->TakeSnapshot(&context, {}, &snapshot);
    EXPECT_EQ(first->wait_for(kPatience), std::future_status::ready);
  }
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
}

}  // namespace
}  // namespace openvenue::rpc

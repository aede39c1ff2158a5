// The engine triggers the stop orders that a trade reaches before any other command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/schema/names.h"
#include "journal/reader.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using core::OrderStatus;
using core::Side;
using testing::append_last_entries;
using testing::Collector;
using testing::limit_order;
using testing::operation;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

core::NewOrder stop_limit_buy(core::PriceTicks stop_price_ticks, const std::string& id) {
  core::NewOrder order = limit_order(1, Side::kBuy, 1, 200, id);
  order.type = core::OrderType::kStopLimit;
  order.stop_price_ticks = stop_price_ticks;
  return order;
}

// A trade of account 2 with itself.
std::vector<core::CommandBody> trade_at(core::PriceTicks price_ticks, const std::string& id) {
  return {limit_order(2, Side::kBuy, 1, price_ticks, id + "-buy"),
          limit_order(2, Side::kSell, 1, price_ticks, id + "-sell")};
}

core::Order order_in(const Reply& reply) { return std::get<OrderOutcome>(reply.body).order; }

core::Order order_now(TestEngine& engine, core::OrderId id) {
  return order_in(engine.ask(Query(GetOrder{1, id, {}})));
}

// Their kinds, in the order in which they were sequenced.
std::vector<std::string> last_commands(const EngineSettings& settings, core::Sequence from) {
  std::vector<std::string> kinds;
  journal::Reader reader(settings.journal.directory, 0, from);
  core::Command command;
  core::EventBuffer events;
  while (reader.next(command, events) == journal::Reader::Result::kEntry) {
    kinds.emplace_back(core::kCommandNames[command.body.index()]);
  }
  return kinds;
}

class StopOrders : public ::testing::Test {
 protected:
  const TemporaryDirectory directory_;
  const EngineSettings settings_ = test_settings(directory_.path());
};

TEST_F(StopOrders, AreTriggeredBeforeTheNextCommandOfTheSameBatch) {
  core::Sequence before = 0;
  {
    TestEngine engine(settings_);
    engine.set_up_market();
    before = engine->applied_sequence();
    std::vector<Operation> operations;
    operations.push_back(operation(1, limit_order(2, Side::kSell, 5, 150, "rests")));
    operations.push_back(operation(2, stop_limit_buy(100, "stop")));
    for (const core::CommandBody& body : trade_at(100, "reaches")) {
      operations.push_back(operation(3, body));
    }
    operations.push_back(operation(4, core::CancelOrder{1, before + 2}));
    const auto collector = std::make_shared<Collector>();
    ASSERT_EQ(engine.submit(collector, std::move(operations)), Admission::kAccepted);
    const auto replies = collector->wait_for(5);
    EXPECT_EQ(order_in(replies.at(1)).status, OrderStatus::kWaiting);
    EXPECT_EQ(std::get<Refusal>(replies.at(4).body).reason, core::Reason::kOrderNotOpen);
    EXPECT_EQ(order_now(engine, before + 2).status, OrderStatus::kFilled);
  }
  EXPECT_THAT(last_commands(settings_, before + 1),
              ::testing::ElementsAre("new_order", "new_order", "new_order", "new_order",
                                     "trigger_order", "cancel_order"));
}

TEST_F(StopOrders, ThatTrailAreAnsweredWithTheOrderThatTheCommandMadeOrEnded) {
  TestEngine engine(settings_);
  engine.set_up_market();
  for (const core::CommandBody& body : trade_at(100, "first")) engine.ask(body);
  core::NewOrder trailing = limit_order(1, Side::kBuy, 1, 0, "trailing");
  trailing.type = core::OrderType::kTrailingStop;
  trailing.trail = {.ticks = 5};
  const core::Order old = order_in(engine.ask(core::CommandBody(trailing)));
  EXPECT_EQ(old.stop_price_ticks, 105);
  core::ReplaceOrder longer;
  longer.account = 1;
  longer.order_id = old.order_id;
  longer.client_order_id = core::ClientOrderId("longer");
  longer.trail = {.ticks = 8};
  const core::Order order = order_in(engine.ask(core::CommandBody(longer)));
  EXPECT_EQ(order.replaces, old.order_id);
  EXPECT_EQ(order.stop_price_ticks, 108);
  const core::CancelOrder cancel{1, order.order_id};
  EXPECT_EQ(order_in(engine.ask(core::CommandBody(cancel))).status, OrderStatus::kCanceled);
}

TEST_F(StopOrders, ThatAreReachedAlreadyAreAnsweredAsWaitingAndThenTriggered) {
  TestEngine engine(settings_);
  engine.set_up_market();
  for (const core::CommandBody& body : trade_at(100, "reaches")) engine.ask(body);
  const core::Order order = order_in(engine.ask(core::CommandBody(stop_limit_buy(90, "stop"))));
  EXPECT_EQ(order.status, OrderStatus::kWaiting);
  EXPECT_EQ(order.triggered_ns, 0);
  const core::Order triggered = order_now(engine, order.order_id);
  EXPECT_EQ(triggered.status, OrderStatus::kNew);
  EXPECT_GT(triggered.triggered_ns, order.created_ns);
}

// The engine was killed between a trade and the stop orders that it had reached.
TEST_F(StopOrders, ThatWereDueWhenTheEngineDiedAreTriggeredFirst) {
  core::Order first;
  {
    TestEngine engine(settings_);
    engine.set_up_market();
    first = order_in(engine.ask(core::CommandBody(stop_limit_buy(100, "first"))));
    engine.ask(core::CommandBody(stop_limit_buy(101, "second")));
  }
  append_last_entries(settings_, first.created_ns + 1'000'000, trade_at(105, "reaches"));
  {
    TestEngine engine(settings_);
    EXPECT_EQ(order_now(engine, first.order_id).status, OrderStatus::kNew);
    EXPECT_EQ(order_now(engine, first.order_id + 1).status, OrderStatus::kNew);
  }
  EXPECT_THAT(last_commands(settings_, first.order_id + 4),
              ::testing::ElementsAre("trigger_order", "trigger_order"));
}

}  // namespace
}  // namespace openvenue::runtime

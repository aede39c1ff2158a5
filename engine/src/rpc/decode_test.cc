#include "rpc/decode.h"
#include "rpc/wire.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace openvenue::rpc {
namespace {

v1::Request valid_order() {
  v1::Request request;
  request.set_request_id(5);
  auto& order = *request.mutable_new_order();
  order.set_account_id(1);
  order.set_instrument_id(2);
  order.set_side(v1::SIDE_SELL);
  order.set_type(v1::ORDER_TYPE_LIMIT);
  order.set_time_in_force(v1::TIME_IN_FORCE_IOC);
  order.set_qty_lots(3);
  order.set_limit_price_ticks(4);
  order.set_client_order_id("id");
  return request;
}

// True if an order is well-formed after `change`.
bool accepts(const std::function<void(v1::NewOrder&)>& change) {
  v1::Request request = valid_order();
  change(*request.mutable_new_order());
  runtime::Operation operation;
  return !decode(request, operation).has_value();
}

TEST(Decode, KeepsEveryFieldOfAnOrder) {
  v1::Request request = valid_order();
  auto& wire = *request.mutable_new_order();
  wire.set_type(v1::ORDER_TYPE_STOP_LIMIT);
  wire.set_position_intent(v1::POSITION_INTENT_SELL_TO_CLOSE);
  wire.set_self_trade_prevention(v1::SELF_TRADE_PREVENTION_CANCEL_BOTH);
  wire.set_post_only(true);
  wire.set_history_checked(true);
  wire.set_stop_price_ticks(9);
  runtime::Operation operation;
  ASSERT_FALSE(decode(request, operation).has_value());
  EXPECT_EQ(operation.request_id, 5U);
  const core::OrderTerms terms{.qty_lots = 3,
                               .limit_price_ticks = 4,
                               .side = core::Side::kSell,
                               .type = core::OrderType::kStopLimit,
                               .time_in_force = core::TimeInForce::kIoc,
                               .position_intent = core::PositionIntent::kSellToClose,
                               .self_trade_prevention = core::SelfTradePrevention::kCancelBoth,
                               .post_only = true};
  core::NewOrder expected{terms, 1, 2, core::ClientOrderId("id")};
  expected.history_checked = true;
  expected.stop_price_ticks = 9;
  EXPECT_EQ(std::get<core::NewOrder>(std::get<core::CommandBody>(operation.body)), expected);
}

TEST(Decode, KeepsEveryFieldOfCancelOrders) {
  v1::Request request;
  auto& wire = *request.mutable_cancel_orders();
  wire.set_account_id(1);
  wire.set_instrument_id(2);
  wire.set_from_order_id(3);
  const auto decoded = [&] {
    runtime::Operation operation;
    EXPECT_FALSE(decode(request, operation).has_value());
    return std::get<core::CancelOrders>(std::get<core::CommandBody>(operation.body));
  };
  EXPECT_EQ(decoded(), (core::CancelOrders{.account = 1, .instrument = 2, .from = 3}));
  wire.set_side(v1::SIDE_SELL);
  EXPECT_EQ(decoded(), (core::CancelOrders{.account = 1,
                                           .instrument = 2,
                                           .both_sides = false,
                                           .side = core::Side::kSell,
                                           .from = 3}));
  wire.set_side(static_cast<v1::Side>(3));
  runtime::Operation operation;
  EXPECT_TRUE(decode(request, operation).has_value());
}

TEST(Decode, RefusesEnumeratorsThatNameNothing) {
  EXPECT_FALSE(accepts([](auto& order) { order.set_side(v1::SIDE_UNSPECIFIED); }));
  EXPECT_FALSE(accepts([](auto& order) { order.set_side(static_cast<v1::Side>(3)); }));
  EXPECT_FALSE(accepts([](auto& order) { order.set_type(static_cast<v1::OrderType>(-1)); }));
  EXPECT_FALSE(accepts([](auto& order) { order.set_type(static_cast<v1::OrderType>(257)); }));
  EXPECT_FALSE(
      accepts([](auto& order) { order.set_time_in_force(static_cast<v1::TimeInForce>(99)); }));
  EXPECT_FALSE(
      accepts([](auto& order) { order.set_position_intent(static_cast<v1::PositionIntent>(5)); }));
}

TEST(Decode, TakesClientOrderIdsOfOneTo128Bytes) {
  EXPECT_FALSE(accepts([](auto& order) { order.set_client_order_id(""); }));
  EXPECT_TRUE(accepts([](auto& order) { order.set_client_order_id(std::string(128, 'x')); }));
  EXPECT_FALSE(accepts([](auto& order) { order.set_client_order_id(std::string(129, 'x')); }));
}

TEST(Decode, RefusesControlCharactersInText) {
  EXPECT_TRUE(accepts([](auto& order) { order.set_client_order_id("préc 1"); }));
  for (const char byte : {'\0', '\n', '\x1b', '\x7f'}) {
    EXPECT_FALSE(accepts([&](auto& order) { order.set_client_order_id(std::string("a") + byte); }));
  }
}

TEST(Decode, LeavesAmountsToTheStateMachine) {
  EXPECT_TRUE(accepts([](auto& order) { order.set_qty_lots(INT64_MIN); }));
  EXPECT_TRUE(accepts([](auto& order) { order.set_limit_price_ticks(INT64_MAX); }));
}

TEST(Decode, RefusesARequestWithoutABodyButTellsWhoseItWas) {
  v1::Request request;
  request.set_request_id(9);
  runtime::Operation operation;
  EXPECT_TRUE(decode(request, operation).has_value());
  EXPECT_EQ(operation.request_id, 9U);
}

TEST(Decode, TakesListLimitsOfOneTo500) {
  v1::Request request;
  runtime::Operation operation;
  for (const std::uint32_t limit : {0U, 501U, 4'000'000'000U}) {
    request.mutable_list_open_orders()->set_limit(limit);
    EXPECT_TRUE(decode(request, operation).has_value()) << limit;
  }
  request.mutable_list_open_orders()->set_limit(500);
  EXPECT_FALSE(decode(request, operation).has_value());
}

TEST(Decode, WantsAnOrderNamedByExactlyOneId) {
  v1::Request request;
  runtime::Operation operation;
  auto& query = *request.mutable_get_order();
  EXPECT_TRUE(decode(request, operation).has_value());
  query.set_order_id(1);
  EXPECT_FALSE(decode(request, operation).has_value());
  query.set_client_order_id("both");
  EXPECT_TRUE(decode(request, operation).has_value());
}

TEST(Decode, KeepsTheTimeInForceOfAReplacedOrderUnlessOneIsGiven) {
  v1::Request request;
  request.mutable_replace_order()->set_client_order_id("new");
  runtime::Operation operation;
  ASSERT_FALSE(decode(request, operation).has_value());
  EXPECT_TRUE(
      std::get<core::ReplaceOrder>(std::get<core::CommandBody>(operation.body)).keep_time_in_force);
  request.mutable_replace_order()->set_time_in_force(v1::TIME_IN_FORCE_GTC);
  ASSERT_FALSE(decode(request, operation).has_value());
  EXPECT_FALSE(
      std::get<core::ReplaceOrder>(std::get<core::CommandBody>(operation.body)).keep_time_in_force);
}

TEST(Decode, RefusesNamesAndSymbolsThatAreTooLong) {
  v1::AdminRequest request;
  core::CommandBody command;
  request.mutable_open_account()->set_name(std::string(65, 'x'));
  EXPECT_TRUE(decode(request, command).has_value());
  auto& instrument = *request.mutable_define_instrument();
  instrument.set_asset_class(v1::ASSET_CLASS_CRYPTO);
  instrument.set_state(v1::INSTRUMENT_STATE_ACTIVE);
  instrument.set_symbol(std::string(25, 'x'));
  EXPECT_TRUE(decode(request, command).has_value());
  instrument.set_symbol("BTC/USD");
  EXPECT_FALSE(decode(request, command).has_value());
}

}  // namespace
}  // namespace openvenue::rpc

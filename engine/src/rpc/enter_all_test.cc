// EnterAll over a session.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "rpc/test_server.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

using testing::new_order;
using testing::ServerTest;
using testing::TestSession;

class EnterAll : public ServerTest {
 protected:
  static v1::Request batch(std::uint64_t request_id, std::initializer_list<std::int64_t> lots) {
    v1::Request request;
    request.set_request_id(request_id);
    for (const std::int64_t qty : lots) {
      const auto size = request.enter_all().orders_size();
      *request.mutable_enter_all()->add_orders() =
          new_order(0, 1, v1::SIDE_BUY, qty, 10,
                    std::to_string(request_id) + "-" + std::to_string(size))
              .new_order();
    }
    return request;
  }
};

TEST_F(EnterAll, AnswersWithAllOrdersOrNamesTheOneThatStandsAgainstThem) {
  TestSession session(channel_);
  const auto entered = session.ask(batch(1, {1, 2, 3}));
  ASSERT_EQ(entered.entered_orders().orders_size(), 3);
  EXPECT_EQ(entered.entered_orders().orders(2).qty_lots(), 3);
  EXPECT_EQ(entered.entered_orders().orders(2).status(), v1::ORDER_STATUS_NEW);
  EXPECT_FALSE(entered.duplicate());

  const auto refused = session.ask(batch(2, {1, 0, 3}));
  EXPECT_EQ(refused.reject().reason(), v1::REASON_INVALID_QUANTITY);
  EXPECT_EQ(refused.reject().item(), 1U);
  const auto orders = session.ask(testing::list_open_orders(3, 1, 500));
  EXPECT_EQ(orders.order_list().orders_size(), 3);
}

TEST_F(EnterAll, TakesAResentBatchForTheOneItWas) {
  TestSession session(channel_);
  auto request = batch(1, {1, 2});
  const auto first = session.ask(request);
  request.set_request_id(2);
  const auto again = session.ask(request);
  EXPECT_TRUE(again.duplicate());
  EXPECT_EQ(again.entered_orders().orders(1).order_id(),
            first.entered_orders().orders(1).order_id());
}

TEST_F(EnterAll, RefusesWhatIsNoBatch) {
  TestSession session(channel_);
  const auto refusal = [&](const v1::Request& request) {
    return session.ask(request).not_sequenced();
  };
  v1::Request request;
  request.set_request_id(1);
  request.mutable_enter_all();
  EXPECT_EQ(refusal(request).cause(), v1::NotSequenced::CAUSE_INVALID_ARGUMENT);
  request = batch(2, {1, 1});
  request.mutable_enter_all()->mutable_orders(1)->set_account_id(2);
  EXPECT_THAT(refusal(request).message(), ::testing::HasSubstr("several accounts"));
  request = batch(3, {1, 1});
  request.mutable_enter_all()->mutable_orders(1)->set_side(v1::SIDE_UNSPECIFIED);
  EXPECT_THAT(refusal(request).message(), ::testing::StartsWith("orders[1]: side"));
  request = batch(4, {1});
  for (int index = 0; index < 1000; ++index) {
    *request.mutable_enter_all()->add_orders() = request.enter_all().orders(0);
  }
  EXPECT_THAT(refusal(request).message(), ::testing::HasSubstr("1001 orders"));
}

}  // namespace
}  // namespace openvenue::rpc

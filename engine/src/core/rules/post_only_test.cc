// Post-only orders rest or are refused.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;

class PostOnlyTest : public ExchangeFixture {
 protected:
  static NewOrder post_only(NewOrder order) {
    order.post_only = true;
    return order;
  }
};

TEST_F(PostOnlyTest, AnOrderThatMeetsNoneRests) {
  rest(kBob, Side::kSell, 10, 101);
  const OrderId id = enter(post_only(limit(kAnna, Side::kBuy, 10, 100)));
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
}

TEST_F(PostOnlyTest, AnOrderThatWouldTradeIsRefused) {
  rest(kBob, Side::kSell, 10, 101);
  rest(kBob, Side::kBuy, 10, 99);
  EXPECT_EQ(rejection(post_only(limit(kAnna, Side::kBuy, 10, 101))), Reason::kPostOnlyWouldTrade);
  EXPECT_EQ(rejection(post_only(limit(kAnna, Side::kSell, 10, 98))), Reason::kPostOnlyWouldTrade);
}

TEST_F(PostOnlyTest, AnOrderOfTheSameAccountIsMetToo) {
  rest(kAnna, Side::kSell, 10, 101);
  NewOrder order = post_only(limit(kAnna, Side::kBuy, 10, 101));
  order.self_trade_prevention = SelfTradePrevention::kCancelOldest;
  EXPECT_EQ(rejection(order), Reason::kPostOnlyWouldTrade);
}

TEST_F(PostOnlyTest, ItTradesWithOrdersThatComeLater) {
  enter(post_only(limit(kAnna, Side::kBuy, 10, 100)));
  enter(limit(kBob, Side::kSell, 10, 100));
  EXPECT_EQ(all<Trade>().size(), 1U);
}

TEST_F(PostOnlyTest, OnlyAnOrderThatMayRestCanBe) {
  for (const TimeInForce time_in_force : {TimeInForce::kIoc, TimeInForce::kFok}) {
    EXPECT_EQ(rejection(post_only(limit(kAnna, Side::kBuy, 10, 100, time_in_force))),
              Reason::kInvalidOrder);
  }
  EXPECT_EQ(rejection(post_only(market(kAnna, Side::kBuy, 10))), Reason::kInvalidOrder);
}

TEST_F(PostOnlyTest, AReplacementThatWouldTradeIsRefusedAndLeavesTheOrder) {
  const OrderId id = enter(post_only(limit(kAnna, Side::kBuy, 10, 100)));
  rest(kBob, Side::kSell, 10, 101);
  restart();
  EXPECT_EQ(rejection(replacement(kAnna, id, 0, 101)), Reason::kPostOnlyWouldTrade);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
  apply(replacement(kAnna, id, 12, 0));
  EXPECT_TRUE(order(exchange_.last_sequence()).post_only);
}

TEST_F(PostOnlyTest, ItIsPartOfARepeatedOrder) {
  const NewOrder sent = post_only(limit(kAnna, Side::kBuy, 10, 100));
  const OrderId id = enter(sent);
  // It would be refused now, and was accepted.
  rest(kBob, Side::kSell, 20, 100);
  apply(sent);
  EXPECT_EQ(all<Duplicate>()[0].order_id, id);
  NewOrder other = sent;
  other.post_only = false;
  EXPECT_EQ(rejection(other), Reason::kDuplicateClientOrderId);
}

}  // namespace
}  // namespace openvenue::core

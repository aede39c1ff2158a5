// Self-trade prevention: an order does not trade with orders of its own account, as it says.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SelfTradeTest : public ExchangeFixture {
 protected:
  static constexpr auto kNewest = SelfTradePrevention::kCancelNewest;
  static constexpr auto kOldest = SelfTradePrevention::kCancelOldest;
  static constexpr auto kBoth = SelfTradePrevention::kCancelBoth;

  static NewOrder with(SelfTradePrevention prevention, NewOrder order) {
    order.self_trade_prevention = prevention;
    return order;
  }
  // Bob, Anna, Bob, each selling 10 at 100.
  void queue_up() {
    first_ = rest(kBob, Side::kSell, 10, 100);
    own_ = rest(kAnna, Side::kSell, 10, 100);
    last_ = rest(kBob, Side::kSell, 10, 100);
  }
  void expect_canceled(OrderId id, QtyLots lots) {
    EXPECT_EQ(order(id).status, OrderStatus::kCanceled);
    EXPECT_EQ(order(id).end_reason, Reason::kSelfTrade);
    EXPECT_EQ(order(id).qty_lots - order(id).filled_lots, lots);
  }

  OrderId first_ = 0;
  OrderId own_ = 0;
  OrderId last_ = 0;
};

TEST_F(SelfTradeTest, WithoutPreventionAnAccountTradesWithItself) {
  queue_up();
  enter(limit(kAnna, Side::kBuy, 25, 100));
  EXPECT_EQ(all<Trade>().size(), 3U);
  EXPECT_EQ(order(own_).status, OrderStatus::kFilled);
}

TEST_F(SelfTradeTest, CancelNewestEndsTheOrderThatComesAtTheFirstOwnOne) {
  queue_up();
  const OrderId id = enter(with(kNewest, limit(kAnna, Side::kBuy, 25, 100)));
  EXPECT_EQ(all<Trade>().size(), 1U);
  expect_canceled(id, 15);
  EXPECT_THAT(queue(Side::kSell, 100), ElementsAre(own_, last_));
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
}

TEST_F(SelfTradeTest, CancelOldestEndsTheOrderThatRestsAndGoesOn) {
  queue_up();
  const OrderId id = enter(with(kOldest, limit(kAnna, Side::kBuy, 25, 100)));
  EXPECT_EQ(all<Trade>().size(), 2U);
  const auto canceled = all<OrderCanceled>();
  ASSERT_EQ(canceled.size(), 1U);
  EXPECT_EQ(canceled[0], (OrderCanceled{own_, kAnna, Reason::kSelfTrade, 10}));
  expect_canceled(own_, 10);
  EXPECT_EQ(order(id).filled_lots, 20);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
  EXPECT_EQ(account(kAnna).reserved_micros, value(5, 100));
  EXPECT_EQ(position(kAnna).reserved_lots, 0);
}

TEST_F(SelfTradeTest, CancelBothEndsBoth) {
  queue_up();
  const OrderId id = enter(with(kBoth, limit(kAnna, Side::kBuy, 25, 100)));
  expect_canceled(own_, 10);
  expect_canceled(id, 15);
  const auto canceled = all<OrderCanceled>();
  ASSERT_EQ(canceled.size(), 2U);
  EXPECT_EQ(canceled[0].order_id, own_);
  EXPECT_THAT(queue(Side::kSell, 100), ElementsAre(last_));
}

TEST_F(SelfTradeTest, OnlyTheOrderThatComesDecides) {
  enter(with(kBoth, limit(kAnna, Side::kSell, 10, 100)));
  enter(limit(kAnna, Side::kBuy, 10, 100));
  EXPECT_EQ(all<Trade>().size(), 1U);
}

TEST_F(SelfTradeTest, OrdersOfOthersTradeAsEver) {
  for (const SelfTradePrevention prevention : {kNewest, kOldest, kBoth}) {
    rest(kBob, Side::kSell, 10, 100);
    enter(with(prevention, limit(kAnna, Side::kBuy, 10, 100)));
    EXPECT_EQ(all<Trade>().size(), 1U);
    EXPECT_THAT(all<OrderCanceled>(), IsEmpty());
  }
}

TEST_F(SelfTradeTest, AnOwnOrderBehindThePriceStays) {
  own_ = rest(kAnna, Side::kSell, 10, 101);
  enter(with(kBoth, limit(kAnna, Side::kBuy, 10, 100)));
  EXPECT_THAT(queue(Side::kSell, 101), ElementsAre(own_));
}

TEST_F(SelfTradeTest, AFokOrderCountsWhatOthersOffer) {
  queue_up();
  const auto fok = [&](SelfTradePrevention prevention, QtyLots qty) {
    return enter(with(prevention, limit(kAnna, Side::kBuy, qty, 100, TimeInForce::kFok)));
  };
  EXPECT_EQ(order(fok(kNewest, 11)).end_reason, Reason::kFillOrKill);
  EXPECT_EQ(order(fok(kBoth, 11)).end_reason, Reason::kFillOrKill);
  EXPECT_EQ(order(fok(kOldest, 21)).end_reason, Reason::kFillOrKill);
  // Killed orders cancel nothing.
  EXPECT_THAT(queue(Side::kSell, 100), ElementsAre(first_, own_, last_));
  EXPECT_EQ(order(fok(kOldest, 20)).status, OrderStatus::kFilled);
  expect_canceled(own_, 10);
}

TEST_F(SelfTradeTest, AMarketOrderNeedsCashForWhatOthersOffer) {
  // All cash buys 10 from Bob; her own offer would cost more.
  apply(AdjustBalance{kAnna, value(10, 100) - kStartCash});
  queue_up();
  EXPECT_EQ(rejection(market(kAnna, Side::kBuy, 20)), Reason::kInsufficientCash);
  EXPECT_EQ(rejection(with(kOldest, market(kAnna, Side::kBuy, 20))), Reason::kInsufficientCash);
  const OrderId id = enter(with(kNewest, market(kAnna, Side::kBuy, 20)));
  EXPECT_EQ(order(id).filled_lots, 10);
  expect_canceled(id, 10);
  EXPECT_EQ(account(kAnna).cash_micros, 0);
}

TEST_F(SelfTradeTest, OrdersThatAreCanceledOnTheWayCountAsMet) {
  for (int i = 0; i < 10; ++i) rest(kAnna, Side::kSell, 1, 100);
  for (int i = 0; i < 10; ++i) rest(kBob, Side::kSell, 1, 100);
  const OrderId id = enter(with(kOldest, limit(kAnna, Side::kBuy, 20, 100)));
  EXPECT_EQ(order(id).end_reason, Reason::kFillLimit);
  EXPECT_EQ(order(id).filled_lots, QtyLots{kSmallLimits.max_fills_per_command} - 10);
}

TEST_F(SelfTradeTest, AReplacementPreventsAsItsOrderDid) {
  own_ = rest(kAnna, Side::kSell, 10, 101);
  const OrderId id = enter(with(kOldest, limit(kAnna, Side::kBuy, 10, 100)));
  restart();
  apply(replacement(kAnna, id, 0, 101));
  EXPECT_THAT(all<Trade>(), IsEmpty());
  expect_canceled(own_, 10);
  EXPECT_EQ(order(exchange_.last_sequence()).self_trade_prevention, kOldest);
}

TEST_F(SelfTradeTest, ThePreventionIsPartOfARepeatedOrder) {
  const NewOrder sent = with(kOldest, limit(kAnna, Side::kBuy, 10, 100));
  const OrderId id = enter(sent);
  apply(sent);
  EXPECT_EQ(all<Duplicate>()[0].order_id, id);
  EXPECT_EQ(rejection(with(kBoth, sent)), Reason::kDuplicateClientOrderId);
}

TEST_F(SelfTradeTest, AValueThatNamesNothingIsRefused) {
  EXPECT_EQ(rejection(with(SelfTradePrevention{4}, limit(kAnna, Side::kBuy, 10, 100))),
            Reason::kInvalidOrder);
}

}  // namespace
}  // namespace openvenue::core

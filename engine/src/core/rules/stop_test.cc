// Stop orders wait until a trade reaches their stop price.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class StopTest : public ExchangeFixture {
 protected:
  NewOrder stop(AccountId account, Side side, QtyLots qty, PriceTicks stop_price,
                PriceTicks protection = 0) {
    NewOrder order = limit(account, side, qty, protection);
    order.type = OrderType::kStop;
    order.stop_price_ticks = stop_price;
    return order;
  }
  NewOrder stop_limit(AccountId account, Side side, QtyLots qty, PriceTicks stop_price,
                      PriceTicks limit_price) {
    NewOrder order = stop(account, side, qty, stop_price, limit_price);
    order.type = OrderType::kStopLimit;
    return order;
  }
  ReplaceOrder moved(AccountId account, OrderId order, PriceTicks stop_price) {
    ReplaceOrder command = replacement(account, order, 0, 0);
    command.stop_price_ticks = stop_price;
    return command;
  }

  // Bob and the short seller trade one lot at that price, and nothing else.
  void trade_at(PriceTicks price) {
    rest(kShorty, Side::kSell, 1, price);
    enter(limit(kBob, Side::kBuy, 1, price));
    ASSERT_EQ(all<Trade>().size(), 1U);
  }

  // Triggers what is due, as the shard does; the orders in their order.
  std::vector<OrderId> trigger_all() {
    std::vector<OrderId> triggered;
    while (exchange_.has_due_order()) {
      apply(TriggerOrder{});
      triggered.push_back(std::get<OrderTriggered>(events_.front()).order_id);
    }
    return triggered;
  }
};

TEST_F(StopTest, ItWaitsInNoBookAndReservesWhatItMayNeed) {
  const OrderId buy = enter(stop_limit(kAnna, Side::kBuy, 10, 110, 112));
  EXPECT_EQ(events_.size(), 1U);
  EXPECT_EQ(order(buy).status, OrderStatus::kWaiting);
  EXPECT_THAT(queue(Side::kBuy, 112), IsEmpty());
  EXPECT_EQ(account(kAnna).reserved_micros, value(10, 112));
  enter(stop(kAnna, Side::kSell, 20, 90));
  EXPECT_EQ(position(kAnna).reserved_lots, 20);
  EXPECT_EQ(exchange_.open_order_count(), 2U);
}

TEST_F(StopTest, ATradeAtItsPriceOrBeyondTriggersIt) {
  struct Case {
    Side side;
    PriceTicks price;
    bool triggers;
  };
  for (const Case& each : {Case{Side::kBuy, 109, false}, Case{Side::kBuy, 110, true},
                           Case{Side::kSell, 111, false}, Case{Side::kSell, 110, true}}) {
    const OrderId id = enter(stop(kAnna, each.side, 1, 110, each.side == Side::kBuy ? 200 : 0));
    trade_at(each.price);
    EXPECT_EQ(exchange_.has_due_order(), each.triggers) << each.price;
    trigger_all();
    if (!each.triggers) apply(CancelOrder{kAnna, id});
    // The next one must not be reached when it enters.
    trade_at(each.side == Side::kBuy ? 112 : 100);
    if (each.price == 110 && each.side == Side::kBuy) trade_at(112);
  }
}

TEST_F(StopTest, NothingTriggersItBeforeTheFirstTrade) {
  enter(stop(kAnna, Side::kSell, 1, 1'000));
  rest(kBob, Side::kBuy, 1, 100);
  EXPECT_FALSE(exchange_.has_due_order());
  EXPECT_EQ(rejection(TriggerOrder{}), Reason::kUnknownOrder);
}

TEST_F(StopTest, AStopOrderTradesUpToItsProtectionPriceAndItsRestIsCanceled) {
  const OrderId id = enter(stop(kAnna, Side::kBuy, 10, 110, 115));
  rest(kBob, Side::kSell, 4, 114);
  rest(kBob, Side::kSell, 4, 116);
  trade_at(110);
  apply(TriggerOrder{});
  EXPECT_EQ(all<OrderTriggered>().size(), 1U);
  ASSERT_EQ(all<Trade>().size(), 1U);
  EXPECT_EQ(all<Trade>()[0].price_ticks, 114);
  EXPECT_EQ(order(id).status, OrderStatus::kCanceled);
  EXPECT_EQ(order(id).end_reason, Reason::kNoLiquidity);
  EXPECT_EQ(order(id).triggered_ns, exchange_.last_timestamp_ns());
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
}

TEST_F(StopTest, AStopOrderSellsAtAnyPrice) {
  const OrderId id = enter(stop(kAnna, Side::kSell, 2, 90));
  rest(kBob, Side::kBuy, 2, 3);
  rest(kShorty, Side::kSell, 1, 90);
  enter(limit(kBob, Side::kBuy, 1, 90));
  EXPECT_THAT(trigger_all(), ElementsAre(id));
  EXPECT_EQ(order(id).status, OrderStatus::kFilled);
  EXPECT_EQ(order(id).filled_value_micros, value(2, 3));
}

TEST_F(StopTest, TheRestOfAStopLimitOrderEntersTheBookBehindTheOthers) {
  const OrderId id = enter(stop_limit(kAnna, Side::kSell, 10, 90, 88));
  trade_at(90);
  const OrderId before = rest(kBob, Side::kSell, 1, 88);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
  EXPECT_THAT(queue(Side::kSell, 88), ElementsAre(before, id));
  EXPECT_EQ(order(id).status, OrderStatus::kNew);
}

TEST_F(StopTest, AnOrderWhosePriceIsReachedAlreadyIsDueAtOnce) {
  trade_at(100);
  const OrderId id = enter(stop(kAnna, Side::kSell, 1, 100));
  EXPECT_EQ(order(id).status, OrderStatus::kWaiting);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
}

TEST_F(StopTest, WhatTheMarketReachesFirstComesFirstThenTheOldest) {
  trade_at(100);
  const OrderId far = enter(stop(kAnna, Side::kBuy, 1, 105, 200));
  const OrderId near = enter(stop(kAnna, Side::kBuy, 1, 103, 200));
  const OrderId near_too = enter(stop(kBob, Side::kBuy, 1, 103, 200));
  trade_at(110);
  EXPECT_THAT(trigger_all(), ElementsAre(near, near_too, far));
}

TEST_F(StopTest, AllPricesOfASweepCountAndNotOnlyTheLast) {
  trade_at(100);
  const OrderId sell = enter(stop(kAnna, Side::kSell, 1, 95));
  const OrderId buy = enter(stop(kAnna, Side::kBuy, 1, 105, 200));
  rest(kShorty, Side::kSell, 1, 90);
  rest(kShorty, Side::kSell, 1, 110);
  enter(limit(kBob, Side::kBuy, 2, 110));
  EXPECT_THAT(trigger_all(), ElementsAre(buy, sell));
}

TEST_F(StopTest, TheTradesOfOneTriggerAnother) {
  trade_at(100);
  const OrderId first = enter(stop(kAnna, Side::kSell, 1, 95));
  const OrderId second = enter(stop(kAnna, Side::kSell, 1, 80));
  rest(kBob, Side::kBuy, 1, 80);
  rest(kBob, Side::kBuy, 1, 70);
  rest(kShorty, Side::kSell, 1, 95);
  enter(limit(kBob, Side::kBuy, 1, 95));
  EXPECT_THAT(trigger_all(), ElementsAre(first, second));
  EXPECT_EQ(order(second).filled_value_micros, value(1, 70));
}

TEST_F(StopTest, WhatIsDueIsDueStillAfterARestart) {
  trade_at(100);
  const OrderId id = enter(stop(kAnna, Side::kBuy, 1, 105, 200));
  trade_at(107);
  trade_at(99);
  restart();
  EXPECT_THAT(trigger_all(), ElementsAre(id));
}

TEST_F(StopTest, ACanceledOrderIsNotTriggered) {
  const OrderId id = enter(stop(kAnna, Side::kBuy, 1, 105, 200));
  trade_at(107);
  ASSERT_TRUE(exchange_.has_due_order());
  apply(CancelOrder{kAnna, id});
  EXPECT_FALSE(exchange_.has_due_order());
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
  // The price that was reached counts no more.
  enter(stop(kAnna, Side::kBuy, 1, 108, 200));
  EXPECT_FALSE(exchange_.has_due_order());
}

TEST_F(StopTest, ItExpiresAtTheEndOfItsDay) {
  NewOrder day = stop(kAnna, Side::kSell, 1, 90);
  day.time_in_force = TimeInForce::kDay;
  const OrderId id = enter(day);
  apply(EndTradingDay{});
  EXPECT_EQ(order(id).status, OrderStatus::kExpired);
  trade_at(80);
  EXPECT_FALSE(exchange_.has_due_order());
}

TEST_F(StopTest, AReplacementWaitsAtItsNewPriceBehindTheOthers) {
  trade_at(100);
  const OrderId old = enter(stop_limit(kAnna, Side::kBuy, 10, 105, 120));
  const OrderId other = enter(stop_limit(kBob, Side::kBuy, 10, 107, 120));
  apply(moved(kAnna, old, 107));
  const OrderId id = exchange_.last_sequence();
  ASSERT_EQ(all<OrderReplaced>().size(), 1U);
  EXPECT_TRUE(all<OrderReplaced>()[0].waiting);
  EXPECT_EQ(all<OrderReplaced>()[0].stop_price_ticks, 107);
  EXPECT_EQ(order(id).status, OrderStatus::kWaiting);
  trade_at(106);
  EXPECT_FALSE(exchange_.has_due_order());
  trade_at(107);
  EXPECT_THAT(trigger_all(), ElementsAre(other, id));
}

TEST_F(StopTest, AReplacementByFewerLotsKeepsItsPlace) {
  trade_at(100);
  const OrderId old = enter(stop_limit(kAnna, Side::kBuy, 10, 105, 120));
  const OrderId other = enter(stop_limit(kBob, Side::kBuy, 10, 105, 120));
  apply(replacement(kAnna, old, 5, 118));
  const OrderId id = exchange_.last_sequence();
  EXPECT_EQ(account(kAnna).reserved_micros, value(5, 118));
  restart();
  trade_at(105);
  EXPECT_THAT(trigger_all(), ElementsAre(id, other));
}

TEST_F(StopTest, ATriggeredOrderHasNoStopPriceToReplace) {
  trade_at(90);
  const OrderId id = enter(stop_limit(kAnna, Side::kSell, 10, 90, 95));
  trigger_all();
  EXPECT_EQ(rejection(moved(kAnna, id, 80)), Reason::kInvalidOrder);
  apply(replacement(kAnna, id, 0, 96));
  EXPECT_THAT(queue(Side::kSell, 96), ElementsAre(exchange_.last_sequence()));
  EXPECT_FALSE(all<OrderReplaced>()[0].waiting);
}

TEST_F(StopTest, ItNeedsThePricesOfItsType) {
  EXPECT_EQ(rejection(stop(kAnna, Side::kSell, 1, 0)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(stop(kAnna, Side::kSell, 1, 1'001)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(stop(kAnna, Side::kSell, 1, 90, 80)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(stop(kAnna, Side::kBuy, 1, 110)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(stop(kAnna, Side::kBuy, 1, 110, 109)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(stop_limit(kAnna, Side::kBuy, 1, 110, 0)), Reason::kInvalidPrice);
  NewOrder other = limit(kAnna, Side::kBuy, 1, 100);
  other.stop_price_ticks = 100;
  EXPECT_EQ(rejection(other), Reason::kInvalidPrice);
}

TEST_F(StopTest, ItMustBeAbleToWait) {
  NewOrder order = stop(kAnna, Side::kSell, 1, 90);
  order.time_in_force = TimeInForce::kIoc;
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  order.time_in_force = TimeInForce::kGtc;
  order.post_only = true;
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
}

TEST_F(StopTest, ItNeedsItsMeansWhenItEnters) {
  EXPECT_EQ(rejection(stop(kAnna, Side::kBuy, 1'000, 100, 101)), Reason::kInsufficientCash);
  EXPECT_EQ(rejection(stop(kAnna, Side::kSell, kStartLots + 1, 90)), Reason::kInsufficientPosition);
}

TEST_F(StopTest, SelfTradePreventionAppliesWhenItIsTriggered) {
  NewOrder order = stop(kAnna, Side::kSell, 5, 90);
  order.self_trade_prevention = SelfTradePrevention::kCancelOldest;
  const OrderId id = enter(order);
  trade_at(90);
  const OrderId own = rest(kAnna, Side::kBuy, 5, 80);
  rest(kBob, Side::kBuy, 5, 70);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
  EXPECT_EQ(this->order(own).end_reason, Reason::kSelfTrade);
  EXPECT_EQ(this->order(id).filled_value_micros, value(5, 70));
}

}  // namespace
}  // namespace openvenue::core

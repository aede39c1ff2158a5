// The stop prices of trailing stop orders follow the market until a trade reaches them.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class TrailingStopTest : public ExchangeFixture {
 protected:
  NewOrder trailing(AccountId account, Side side, QtyLots qty, Trail trail) {
    NewOrder order = limit(account, side, qty, 0);
    order.type = OrderType::kTrailingStop;
    order.trail = trail;
    return order;
  }
  NewOrder stop_sell(AccountId account, QtyLots qty, PriceTicks stop_price) {
    NewOrder order = limit(account, Side::kSell, qty, 0);
    order.type = OrderType::kStop;
    order.stop_price_ticks = stop_price;
    return order;
  }
  ReplaceOrder retrailed(AccountId account, OrderId order, Trail trail) {
    ReplaceOrder command = replacement(account, order, 0, 0);
    command.trail = trail;
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
      triggered.push_back(all<OrderTriggered>().at(0).order_id);
    }
    return triggered;
  }

  PriceTicks stop_of(OrderId id) const { return order(id).stop_price_ticks; }
};

TEST_F(TrailingStopTest, TheStopPriceOfASellRisesWithTheMarketAndNeverFalls) {
  trade_at(100);
  const OrderId id = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  EXPECT_EQ(order(id).status, OrderStatus::kWaiting);
  EXPECT_EQ(stop_of(id), 95);
  trade_at(108);
  EXPECT_EQ(stop_of(id), 103);
  EXPECT_EQ(order(id).high_water_ticks, 108);
  trade_at(104);
  EXPECT_EQ(stop_of(id), 103);
  EXPECT_FALSE(exchange_.has_due_order());
  trade_at(103);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
}

TEST_F(TrailingStopTest, TheStopPriceOfABuyFallsWithTheMarketAndNeverRises) {
  trade_at(100);
  const OrderId id = enter(trailing(kAnna, Side::kBuy, 1, {.ticks = 5}));
  EXPECT_EQ(stop_of(id), 105);
  trade_at(90);
  EXPECT_EQ(stop_of(id), 95);
  trade_at(94);
  EXPECT_EQ(stop_of(id), 95);
  trade_at(96);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
  EXPECT_EQ(order(id).high_water_ticks, 90);
}

TEST_F(TrailingStopTest, APartOfTheMarkIsRoundedUp) {
  trade_at(101);
  const OrderId sell = enter(trailing(kAnna, Side::kSell, 1, {.ppm = 15'000}));
  const OrderId buy = enter(trailing(kAnna, Side::kBuy, 1, {.ppm = 15'000}));
  EXPECT_EQ(stop_of(sell), 99);  // 1.5 % of 101 is 1.515
  EXPECT_EQ(stop_of(buy), 103);
  trade_at(100);  // 1.5 % of 100 is 1.5
  EXPECT_EQ(stop_of(buy), 102);
}

TEST_F(TrailingStopTest, TheFirstTradeOfASweepReachesItBeforeTheLastOneMovesIt) {
  trade_at(100);
  const OrderId id = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  rest(kShorty, Side::kSell, 1, 95);
  rest(kShorty, Side::kSell, 1, 120);
  enter(limit(kBob, Side::kBuy, 2, 120));
  EXPECT_EQ(stop_of(id), 95);
  EXPECT_THAT(trigger_all(), ElementsAre(id));
}

TEST_F(TrailingStopTest, ADueOrderMovesNoMore) {
  trade_at(100);
  const OrderId first = enter(stop_sell(kAnna, 1, 96));
  const OrderId second = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  trade_at(95);
  rest(kBob, Side::kBuy, 1, 130);
  EXPECT_THAT(trigger_all(), ElementsAre(first, second));
  EXPECT_EQ(stop_of(second), 95);
}

TEST_F(TrailingStopTest, AnotherOrdersTriggerMovesOneThatIsNotDue) {
  trade_at(100);
  const OrderId due = enter(stop_sell(kAnna, 1, 98));
  const OrderId id = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  trade_at(97);
  rest(kBob, Side::kBuy, 1, 110);
  EXPECT_THAT(trigger_all(), ElementsAre(due));
  EXPECT_EQ(stop_of(id), 105);
  EXPECT_FALSE(exchange_.has_due_order());
}

TEST_F(TrailingStopTest, ThoseDueAtOnceComeByStopPriceThenByAge) {
  trade_at(100);
  const OrderId far = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 8}));
  const OrderId near = enter(trailing(kBob, Side::kSell, 1, {.ticks = 4}));
  const OrderId near_too = enter(trailing(kAnna, Side::kSell, 1, {.ppm = 40'000}));
  const OrderId plain = enter(stop_sell(kAnna, 1, 96));
  trade_at(50);
  EXPECT_THAT(trigger_all(), ElementsAre(plain, near, near_too, far));
}

TEST_F(TrailingStopTest, ItNeedsATradeToFollow) {
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {.ticks = 5})), Reason::kNoLastPrice);
  trade_at(100);
  enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
}

TEST_F(TrailingStopTest, ItNeedsOneTrailAndNoStopPrice) {
  trade_at(100);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {})), Reason::kInvalidOrder);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {5, 5})), Reason::kInvalidOrder);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {.ppm = 1'000'000})), Reason::kInvalidOrder);
  NewOrder order = trailing(kAnna, Side::kSell, 1, {.ticks = 5});
  order.stop_price_ticks = 95;
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  NewOrder other = limit(kAnna, Side::kSell, 1, 100);
  other.trail = {.ticks = 5};
  EXPECT_EQ(rejection(other), Reason::kInvalidOrder);
  order = trailing(kAnna, Side::kBuy, 1, {.ticks = 5});
  order.limit_price_ticks = 110;
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  order = trailing(kAnna, Side::kSell, 1, {.ticks = 5});
  order.time_in_force = TimeInForce::kIoc;
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
}

TEST_F(TrailingStopTest, ItsStopPriceIsWithinTheInstrumentsLimits) {
  trade_at(100);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {.ticks = 100})), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kBuy, 1, {.ticks = 901})), Reason::kInvalidPrice);
}

TEST_F(TrailingStopTest, TheProtectionPriceComesDownWithTheStopPrice) {
  trade_at(100);
  const OrderId id = enter(trailing(kAnna, Side::kBuy, 4, {.ticks = 5, .protection_ppm = 20'000}));
  EXPECT_EQ(account(kAnna).reserved_micros, value(4, 108));  // 2 % of 105 is 2.1
  trade_at(90);
  EXPECT_EQ(account(kAnna).reserved_micros, value(4, 108));
  rest(kBob, Side::kSell, 1, 97);
  rest(kBob, Side::kSell, 1, 98);
  rest(kShorty, Side::kBuy, 1, 95);
  apply(limit(kBob, Side::kSell, 1, 95));
  EXPECT_THAT(trigger_all(), ElementsAre(id));
  EXPECT_EQ(order(id).filled_value_micros, value(1, 97));  // 2 % of 95 is 1.9
  EXPECT_EQ(order(id).end_reason, Reason::kNoLiquidity);
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
}

TEST_F(TrailingStopTest, OnlyABuyIsProtectedAndByItsStopPriceAtMost) {
  trade_at(100);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kSell, 1, {.ticks = 5, .protection_ppm = 1})),
            Reason::kInvalidOrder);
  EXPECT_EQ(rejection(trailing(kAnna, Side::kBuy, 1, {.ticks = 5, .protection_ppm = 1'000'001})),
            Reason::kInvalidOrder);
  const OrderId id =
      enter(trailing(kAnna, Side::kBuy, 1, {.ticks = 800, .protection_ppm = 1'000'000}));
  EXPECT_EQ(order(id).limit_price_ticks, 1'000);  // the instrument's highest
}

TEST_F(TrailingStopTest, EventsTellWhereItBeginsAndWhereItEnds) {
  trade_at(100);
  const OrderId id = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  EXPECT_THAT(all<OrderTrailed>(), ElementsAre(OrderTrailed{id, kGold, 100, 95}));
  trade_at(110);
  EXPECT_THAT(all<OrderTrailed>(), IsEmpty());
  apply(CancelOrder{kAnna, id});
  EXPECT_THAT(events_, ElementsAre(Event{OrderTrailed{id, kGold, 110, 105}},
                                   Event{OrderCanceled{id, kAnna, Reason::kUserCanceled, 1}}));
  EXPECT_EQ(stop_of(id), 105);
}

TEST_F(TrailingStopTest, AReplacementKeepsTheMark) {
  trade_at(100);
  const OrderId old = enter(trailing(kAnna, Side::kSell, 2, {.ticks = 5}));
  trade_at(110);
  trade_at(107);
  apply(retrailed(kAnna, old, {.ticks = 8}));
  const OrderId id = exchange_.last_sequence();
  EXPECT_EQ(stop_of(old), 105);
  EXPECT_EQ(stop_of(id), 102);
  EXPECT_EQ(order(id).high_water_ticks, 110);
  EXPECT_EQ(all<OrderReplaced>()[0].trail, Trail{.ticks = 8});
  EXPECT_EQ(all<OrderReplaced>()[0].stop_price_ticks, 102);
  EXPECT_TRUE(all<OrderReplaced>()[0].waiting);
  EXPECT_THAT(all<OrderTrailed>(),
              ElementsAre(OrderTrailed{old, kGold, 110, 105}, OrderTrailed{id, kGold, 110, 102}));
  // A shorter trail that the market has passed already is due at once.
  apply(retrailed(kAnna, id, {.ticks = 2}));
  const OrderId shorter = exchange_.last_sequence();
  EXPECT_THAT(trigger_all(), ElementsAre(shorter));
}

TEST_F(TrailingStopTest, AReplacementByFewerLotsKeepsItsPlace) {
  trade_at(100);
  const OrderId old = enter(trailing(kAnna, Side::kSell, 10, {.ticks = 5}));
  const OrderId other = enter(trailing(kBob, Side::kSell, 1, {.ticks = 5}));
  apply(replacement(kAnna, old, 5, 0));
  const OrderId id = exchange_.last_sequence();
  restart();
  trade_at(90);
  EXPECT_THAT(trigger_all(), ElementsAre(id, other));
}

TEST_F(TrailingStopTest, OnlyATrailingStopOrderThatWaitsTakesATrail) {
  trade_at(100);
  const OrderId limit_order = rest(kAnna, Side::kSell, 1, 150);
  EXPECT_EQ(rejection(retrailed(kAnna, limit_order, {.ticks = 5})), Reason::kInvalidOrder);
  const OrderId plain = enter(stop_sell(kAnna, 1, 90));
  EXPECT_EQ(rejection(retrailed(kAnna, plain, {.ticks = 5})), Reason::kInvalidOrder);
  const OrderId id = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  EXPECT_EQ(rejection(retrailed(kAnna, id, {5, 5})), Reason::kInvalidOrder);
  ReplaceOrder moved = replacement(kAnna, id, 0, 0);
  moved.stop_price_ticks = 90;
  EXPECT_EQ(rejection(moved), Reason::kInvalidOrder);
}

TEST_F(TrailingStopTest, ARestartChangesNothing) {
  trade_at(100);
  const OrderId trails = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 15}));
  const OrderId due = enter(trailing(kAnna, Side::kSell, 1, {.ticks = 5}));
  trade_at(110);
  trade_at(104);
  restart();
  EXPECT_EQ(stop_of(trails), 95);
  trade_at(120);
  EXPECT_EQ(stop_of(trails), 105);
  EXPECT_EQ(stop_of(due), 105);
  EXPECT_THAT(trigger_all(), ElementsAre(due));
}

// Its prices come from the market, which has moved.
TEST_F(TrailingStopTest, ItsRepetitionIsKnown) {
  trade_at(100);
  NewOrder order = trailing(kAnna, Side::kBuy, 1, {.ticks = 5, .protection_ppm = 9});
  const OrderId id = enter(order);
  trade_at(90);
  restart();
  EXPECT_THAT(apply(order), ElementsAre(Event{Duplicate{id}}));
  for (const Trail& other : {Trail{.ticks = 6, .protection_ppm = 9},
                             Trail{.ppm = 5, .protection_ppm = 9}, Trail{.ticks = 5}}) {
    order.trail = other;
    EXPECT_EQ(rejection(order), Reason::kDuplicateClientOrderId);
  }
}

TEST_F(TrailingStopTest, ItExpiresAtTheEndOfItsDay) {
  trade_at(100);
  NewOrder day = trailing(kAnna, Side::kSell, 1, {.ticks = 5});
  day.time_in_force = TimeInForce::kDay;
  const OrderId id = enter(day);
  apply(EndTradingDay{});
  EXPECT_EQ(order(id).status, OrderStatus::kExpired);
  EXPECT_EQ(position(kAnna).reserved_lots, 0);
  trade_at(80);
  EXPECT_FALSE(exchange_.has_due_order());
}

// Two events for each, and a command has a bounded number of them.
TEST_F(TrailingStopTest, ManyEndInSeveralSteps) {
  trade_at(100);
  for (int i = 0; i < 20; ++i) {
    NewOrder day = trailing(kAnna, Side::kSell, 1, {.ticks = 5});
    day.time_in_force = TimeInForce::kDay;
    enter(day);
  }
  apply(EndTradingDay{});
  EXPECT_EQ(all<OrderCanceled>().size(), 8U);
  EXPECT_FALSE(all<TradingDayEnded>()[0].complete);
  apply(CancelOrders{.account = kAnna});
  EXPECT_EQ(all<OrderCanceled>().size(), 8U);
  apply(EndTradingDay{});
  EXPECT_EQ(all<OrderCanceled>().size(), 4U);
  EXPECT_TRUE(all<TradingDayEnded>()[0].complete);
}

}  // namespace
}  // namespace openvenue::core

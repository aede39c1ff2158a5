#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr QtyLots kHuge = QtyLots{1} << 38;

class OrdersTest : public ExchangeFixture {};

// --- matching

TEST_F(OrdersTest, AnOrderThatMeetsNothingRests) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(order(id).status, OrderStatus::kNew);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
}

TEST_F(OrdersTest, TradesHappenAtTheMakersPrice) {
  rest(kBob, Side::kSell, 10, 90);
  enter(limit(kAnna, Side::kBuy, 10, 100));
  ASSERT_EQ(all<Trade>().size(), 1U);
  EXPECT_EQ(all<Trade>()[0].price_ticks, 90);
  EXPECT_EQ(all<Trade>()[0].taker_side, Side::kBuy);
  EXPECT_EQ(exchange_.find_instrument(kGold)->last_price_ticks, 90);
}

TEST_F(OrdersTest, TheBestPriceTradesFirstAndThenTheOldestOrder) {
  const OrderId worse = rest(kBob, Side::kSell, 5, 101);
  const OrderId older = rest(kBob, Side::kSell, 5, 100);
  const OrderId newer = rest(kBob, Side::kSell, 5, 100);
  enter(limit(kAnna, Side::kBuy, 12, 101));
  std::vector<OrderId> makers;
  for (const Trade& trade : all<Trade>()) makers.push_back(trade.maker.order_id);
  EXPECT_THAT(makers, ElementsAre(older, newer, worse));
  EXPECT_EQ(order(worse).leaves_lots(), 3);
}

TEST_F(OrdersTest, TradeIdsCountUp) {
  rest(kBob, Side::kSell, 5, 100);
  rest(kBob, Side::kSell, 5, 100);
  enter(limit(kAnna, Side::kBuy, 10, 100));
  EXPECT_EQ(all<Trade>()[0].trade_id, 1U);
  EXPECT_EQ(all<Trade>()[1].trade_id, 2U);
}

TEST_F(OrdersTest, ATradeCarriesBothSidesAsTheyAreAfterIt) {
  const OrderId maker = rest(kBob, Side::kSell, 10, 100);
  const OrderId taker = enter(limit(kAnna, Side::kBuy, 4, 100));
  const Trade trade = all<Trade>()[0];
  constexpr CashMicros kValue = value(4, 100);
  EXPECT_EQ(trade.maker,
            (TradeSide{maker, kBob, 4, kValue, kStartCash + kValue, kStartLots - 4, 0}));
  EXPECT_EQ(trade.taker,
            (TradeSide{taker, kAnna, 4, kValue, kStartCash - kValue, kStartLots + 4, kValue}));
}

TEST_F(OrdersTest, AnAccountMayTradeWithItself) {
  rest(kAnna, Side::kSell, 10, 100);
  enter(limit(kAnna, Side::kBuy, 10, 100));
  EXPECT_EQ(account(kAnna).cash_micros, kStartCash);
  EXPECT_EQ(position(kAnna).qty_lots, kStartLots);
  EXPECT_EQ(all<Trade>()[0].maker.cash_micros, kStartCash);
}

TEST_F(OrdersTest, TheRestOfAnImmediateOrCancelOrderIsCanceled) {
  rest(kBob, Side::kSell, 4, 100);
  const OrderId id = enter(limit(kAnna, Side::kBuy, 10, 100, TimeInForce::kIoc));
  EXPECT_THAT(all<OrderCanceled>(),
              ElementsAre(OrderCanceled{id, kAnna, Reason::kImmediateOrCancel, 6}));
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
}

TEST_F(OrdersTest, AFillOrKillOrderFillsWholeOrNotAtAll) {
  rest(kBob, Side::kSell, 4, 100);
  rest(kBob, Side::kSell, 4, 101);
  const OrderId killed = enter(limit(kAnna, Side::kBuy, 9, 101, TimeInForce::kFok));
  EXPECT_THAT(all<Trade>(), IsEmpty());
  EXPECT_THAT(all<OrderCanceled>(),
              ElementsAre(OrderCanceled{killed, kAnna, Reason::kFillOrKill, 9}));
  const OrderId filled = enter(limit(kAnna, Side::kBuy, 8, 101, TimeInForce::kFok));
  EXPECT_EQ(order(filled).status, OrderStatus::kFilled);
}

TEST_F(OrdersTest, AFillOrKillOrderDoesNotCountLiquidityBeyondItsLimit) {
  rest(kBob, Side::kSell, 4, 100);
  rest(kBob, Side::kSell, 4, 102);
  enter(limit(kAnna, Side::kBuy, 8, 101, TimeInForce::kFok));
  EXPECT_THAT(all<Trade>(), IsEmpty());
}

TEST_F(OrdersTest, AFillOrKillOrderThatNeedsTooManyFillsIsKilledWhole) {
  for (std::uint32_t i = 0; i <= kSmallLimits.max_fills_per_command; ++i) {
    rest(kBob, Side::kSell, 1, 100);
  }
  enter(limit(kAnna, Side::kBuy, kSmallLimits.max_fills_per_command + 1, 100, TimeInForce::kFok));
  EXPECT_THAT(all<Trade>(), IsEmpty());
}

TEST_F(OrdersTest, TheRestOfAMarketOrderIsCanceledForLackOfLiquidity) {
  rest(kBob, Side::kSell, 4, 100);
  const OrderId id = enter(market(kAnna, Side::kBuy, 10));
  EXPECT_THAT(all<OrderCanceled>(), ElementsAre(OrderCanceled{id, kAnna, Reason::kNoLiquidity, 6}));
}

TEST_F(OrdersTest, AMarketSellSweepsTheBidsDown) {
  rest(kBob, Side::kBuy, 4, 100);
  rest(kBob, Side::kBuy, 4, 1);
  const OrderId id = enter(market(kAnna, Side::kSell, 8));
  EXPECT_EQ(order(id).filled_value_micros, value(4, 100) + value(4, 1));
}

TEST_F(OrdersTest, OneCommandCausesAtMostSoManyFills) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command + 2; ++i) {
    rest(kBob, Side::kSell, 1, 100);
  }
  const OrderId id = enter(limit(kAnna, Side::kBuy, 100, 100));
  EXPECT_EQ(all<Trade>().size(), kSmallLimits.max_fills_per_command);
  EXPECT_EQ(order(id).end_reason, Reason::kFillLimit);
  EXPECT_EQ(order(id).status, OrderStatus::kCanceled);
}

TEST_F(OrdersTest, AnOrderMayRestAfterExactlyTheMostFills) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command; ++i) {
    rest(kBob, Side::kSell, 1, 100);
  }
  const OrderId id = enter(limit(kAnna, Side::kBuy, 100, 100));
  EXPECT_EQ(order(id).status, OrderStatus::kPartiallyFilled);
}

TEST_F(OrdersTest, WhatCannotCrossRestsAfterTheMostFills) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command; ++i) {
    rest(kBob, Side::kSell, 1, 100);
  }
  rest(kBob, Side::kSell, 1, 101);
  const OrderId id = enter(limit(kAnna, Side::kBuy, 100, 100));
  EXPECT_EQ(all<Trade>().size(), kSmallLimits.max_fills_per_command);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
}

// --- cash

TEST_F(OrdersTest, ABuyOrderReservesItsWorstCase) {
  rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(account(kAnna).reserved_micros, value(10, 100));
  EXPECT_EQ(account(kAnna).buying_power_micros(), kStartCash - value(10, 100));
}

TEST_F(OrdersTest, AFillAtABetterPriceReleasesWhatItDidNotNeed) {
  rest(kBob, Side::kSell, 10, 60);
  enter(limit(kAnna, Side::kBuy, 10, 100));
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
  EXPECT_EQ(account(kAnna).cash_micros, kStartCash - value(10, 60));
}

TEST_F(OrdersTest, BuyingPowerMayBeUsedUpButNotExceeded) {
  constexpr QtyLots kAffordable = kStartCash / value(1, 100);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, kAffordable + 1, 100)), Reason::kInsufficientCash);
  rest(kAnna, Side::kBuy, kAffordable, 100);
  EXPECT_EQ(account(kAnna).buying_power_micros(), 0);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 1)), Reason::kInsufficientCash);
}

TEST_F(OrdersTest, CreditAddsToBuyingPower) {
  apply(OpenAccount{kAnna, Name("on margin"), false, kStartCash});
  constexpr QtyLots kAffordable = 2 * kStartCash / value(1, 100);
  rest(kAnna, Side::kBuy, kAffordable, 100);
  EXPECT_EQ(account(kAnna).buying_power_micros(), 0);
}

TEST_F(OrdersTest, AMarketBuyPaysOnlyForWhatItSweeps) {
  rest(kBob, Side::kSell, 100, 1'000);  // worth exactly what Anna has
  enter(market(kAnna, Side::kBuy, kHuge >> 20));
  EXPECT_EQ(account(kAnna).cash_micros, 0);
}

TEST_F(OrdersTest, AMarketBuyThatWouldCostMoreThanThereIsIsRejected) {
  rest(kBob, Side::kSell, 101, 1'000);
  EXPECT_EQ(rejection(market(kAnna, Side::kBuy, 101)), Reason::kInsufficientCash);
}

// --- positions

TEST_F(OrdersTest, ASellOrderReservesItsLots) {
  rest(kAnna, Side::kSell, 600, 100);
  EXPECT_EQ(position(kAnna).reserved_lots, 600);
  EXPECT_EQ(rejection(limit(kAnna, Side::kSell, 401, 100)), Reason::kInsufficientPosition);
  rest(kAnna, Side::kSell, 400, 100);
}

TEST_F(OrdersTest, AnAccountThatMaySellShortSellsWhatItDoesNotHold) {
  rest(kBob, Side::kBuy, 10, 100);
  enter(limit(kShorty, Side::kSell, 10, 100));
  EXPECT_EQ(position(kShorty).qty_lots, -10);
  EXPECT_EQ(position(kShorty).cost_micros, -value(10, 100));
  EXPECT_EQ(account(kShorty).cash_micros, value(10, 100));
}

// --- invalid orders

TEST_F(OrdersTest, RejectsAQuantityOutsideTheInstrumentsRange) {
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 0, 100)), Reason::kInvalidQuantity);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, -1, 100)), Reason::kInvalidQuantity);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1'000'001, 1)), Reason::kInvalidQuantity);
}

TEST_F(OrdersTest, RejectsAPriceOutsideTheInstrumentsRange) {
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 0)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 1'001)), Reason::kInvalidPrice);
  NewOrder priced_market = market(kAnna, Side::kBuy, 1);
  priced_market.limit_price_ticks = 100;
  EXPECT_EQ(rejection(priced_market), Reason::kInvalidPrice);
}

TEST_F(OrdersTest, RejectsUnknownAccountsAndInstruments) {
  EXPECT_EQ(rejection(limit(99, Side::kBuy, 1, 100)), Reason::kUnknownAccount);
  NewOrder elsewhere = limit(kAnna, Side::kBuy, 1, 100);
  elsewhere.instrument = 99;
  EXPECT_EQ(rejection(elsewhere), Reason::kUnknownInstrument);
}

TEST_F(OrdersTest, RejectsFieldsOutsideTheirEnumerations) {
  NewOrder order = limit(kAnna, Side::kBuy, 1, 100);
  order.side = static_cast<Side>(0);
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  order = limit(kAnna, Side::kBuy, 1, 100);
  order.type = static_cast<OrderType>(9);
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  order = limit(kAnna, Side::kBuy, 1, 100);
  order.time_in_force = static_cast<TimeInForce>(5);
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
  order = limit(kAnna, Side::kBuy, 1, 100);
  order.client_order_id = {};
  EXPECT_EQ(rejection(order), Reason::kInvalidOrder);
}

TEST_F(OrdersTest, AnInactiveInstrumentTakesNoOrdersButLetsThemBeCanceled) {
  const OrderId id = rest(kAnna, Side::kBuy, 1, 100);
  DefineInstrument halted = gold();
  halted.state = InstrumentState::kInactive;
  apply(halted);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 100)), Reason::kInstrumentInactive);
  EXPECT_EQ(rejection(replacement(kAnna, id, 2, 100)), Reason::kInstrumentInactive);
  apply(CancelOrder{kAnna, id});
  EXPECT_EQ(order(id).status, OrderStatus::kCanceled);
}

TEST_F(OrdersTest, RejectsAnOrderWhoseValueWouldNotFitSixtyFourBits) {
  DefineInstrument dear = gold();
  dear.instrument = 2;
  dear.symbol = Symbol("DEAR");
  dear.tick_size_nanos = 1'000'000'000;
  dear.lot_size_nanos = 1'000'000'000;
  dear.max_order_qty_lots = kHuge;
  dear.max_price_ticks = 1 << 20;
  apply(dear);
  NewOrder order = limit(kShorty, Side::kSell, kHuge, 1);
  order.instrument = 2;
  EXPECT_EQ(rejection(order), Reason::kOverflow);
}

// --- idempotency

TEST_F(OrdersTest, TheSameOrderSentAgainIsTheSameOrder) {
  const NewOrder command = limit(kAnna, Side::kBuy, 10, 100);
  const OrderId id = enter(command);
  EXPECT_THAT(apply(command), ElementsAre(Event(Duplicate{id})));
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(id));
}

TEST_F(OrdersTest, TheSameOrderSentAgainAfterItEndedIsStillTheSameOrder) {
  const NewOrder command = limit(kAnna, Side::kBuy, 10, 100);
  const OrderId id = enter(command);
  apply(CancelOrder{kAnna, id});
  EXPECT_THAT(apply(command), ElementsAre(Event(Duplicate{id})));
}

TEST_F(OrdersTest, AnotherOrderUnderAUsedClientOrderIdIsRejected) {
  NewOrder command = limit(kAnna, Side::kBuy, 10, 100);
  enter(command);
  command.qty_lots = 11;
  EXPECT_EQ(rejection(command), Reason::kDuplicateClientOrderId);
}

TEST_F(OrdersTest, ClientOrderIdsBelongToTheirAccount) {
  NewOrder command = limit(kAnna, Side::kBuy, 10, 100);
  enter(command);
  command.account = kBob;
  EXPECT_NE(enter(command), 0U);
}

TEST_F(OrdersTest, ARejectedOrderDoesNotUseUpItsClientOrderId) {
  NewOrder command = limit(kAnna, Side::kBuy, 0, 100);
  EXPECT_EQ(rejection(command), Reason::kInvalidQuantity);
  command.qty_lots = 1;
  enter(command);
}

// --- the end of the day

TEST_F(OrdersTest, DayOrdersExpireAtTheEndOfTheDayAndOthersStay) {
  const OrderId day = enter(limit(kAnna, Side::kBuy, 10, 100, TimeInForce::kDay));
  const OrderId gtc = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_THAT(apply(EndTradingDay{}),
              ElementsAre(Event(OrderCanceled{day, kAnna, Reason::kDayEnded, 10}),
                          Event(TradingDayEnded{true})));
  EXPECT_EQ(order(day).status, OrderStatus::kExpired);
  EXPECT_TRUE(order(gtc).open());
}

TEST_F(OrdersTest, EndingTheDaySaysWhetherItMustBeRepeated) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command + 1; ++i) {
    enter(limit(kAnna, Side::kBuy, 1, 100, TimeInForce::kDay));
  }
  EXPECT_EQ(apply(EndTradingDay{}).back(), Event(TradingDayEnded{false}));
  EXPECT_EQ(apply(EndTradingDay{}).back(), Event(TradingDayEnded{true}));
}

}  // namespace
}  // namespace openvenue::core

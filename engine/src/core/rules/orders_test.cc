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

// --- cancel

TEST_F(OrdersTest, CancelingReleasesTheReservation) {
  const OrderId buy = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId sell = rest(kAnna, Side::kSell, 10, 101);
  EXPECT_THAT(apply(CancelOrder{kAnna, buy}),
              ElementsAre(Event(OrderCanceled{buy, kAnna, Reason::kUserCanceled, 10})));
  apply(CancelOrder{kAnna, sell});
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
  EXPECT_EQ(position(kAnna).reserved_lots, 0);
  EXPECT_EQ(exchange_.open_order_count(), 0U);
}

TEST_F(OrdersTest, OnlyTheOwnersOpenOrdersCanBeCanceled) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(CancelOrder{kBob, id}), Reason::kUnknownOrder);
  EXPECT_EQ(rejection(CancelOrder{kAnna, 999}), Reason::kUnknownOrder);
  apply(CancelOrder{kAnna, id});
  EXPECT_EQ(rejection(CancelOrder{kAnna, id}), Reason::kOrderNotOpen);
}

// --- replace

TEST_F(OrdersTest, ASmallerQuantityKeepsItsPlaceInTheQueue) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId second = rest(kBob, Side::kBuy, 10, 100);
  apply(replacement(kAnna, first, 4, 0));
  const OrderId replaced = exchange_.last_sequence();
  EXPECT_TRUE(all<OrderReplaced>()[0].kept_priority);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(replaced, second));
  EXPECT_EQ(account(kAnna).reserved_micros, value(4, 100));
}

TEST_F(OrdersTest, ALargerQuantityGoesToTheBackOfTheQueue) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId second = rest(kBob, Side::kBuy, 10, 100);
  apply(replacement(kAnna, first, 11, 0));
  EXPECT_FALSE(all<OrderReplaced>()[0].kept_priority);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(second, exchange_.last_sequence()));
}

TEST_F(OrdersTest, AnotherPriceLeavesTheOldLevel) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 0, 99));
  EXPECT_THAT(queue(Side::kBuy, 100), IsEmpty());
  EXPECT_THAT(queue(Side::kBuy, 99), ElementsAre(exchange_.last_sequence()));
}

TEST_F(OrdersTest, AReplacedOrderAndItsSuccessorNameEachOther) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 5, 0));
  const OrderId successor = exchange_.last_sequence();
  EXPECT_EQ(order(id).status, OrderStatus::kReplaced);
  EXPECT_EQ(order(id).replaced_by, successor);
  EXPECT_EQ(order(successor).replaces, id);
}

TEST_F(OrdersTest, AReplacementThatCrossesTrades) {
  rest(kBob, Side::kSell, 10, 105);
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 0, 105));
  EXPECT_EQ(all<Trade>()[0].taker.order_id, exchange_.last_sequence());
  EXPECT_EQ(order(exchange_.last_sequence()).status, OrderStatus::kFilled);
}

TEST_F(OrdersTest, AReplacementCarriesOverWhatWasFilled) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  enter(limit(kBob, Side::kSell, 4, 100));
  EXPECT_EQ(rejection(replacement(kAnna, id, 4, 0)), Reason::kQuantityBelowFilled);
  apply(replacement(kAnna, id, 5, 0));
  const Order successor = order(exchange_.last_sequence());
  EXPECT_EQ(successor.filled_lots, 4);
  EXPECT_EQ(successor.leaves_lots(), 1);
  EXPECT_EQ(successor.status, OrderStatus::kPartiallyFilled);
  EXPECT_EQ(successor.filled_value_micros, value(4, 100));
}

TEST_F(OrdersTest, AReplacementMayUseWhatTheOldOrderReserved) {
  constexpr QtyLots kAll = kStartCash / value(1, 100);
  const OrderId id = rest(kAnna, Side::kBuy, kAll, 100);
  apply(replacement(kAnna, id, kAll * 2, 50));
  const OrderId successor = exchange_.last_sequence();
  EXPECT_EQ(order(successor).leaves_lots(), kAll * 2);
  EXPECT_EQ(rejection(replacement(kAnna, successor, kAll * 2, 51)), Reason::kInsufficientCash);
}

// For a moment both would reserve more than fits 64 bits; the undefined-behaviour sanitizer detects
// that.
TEST_F(OrdersTest, AReplacementReservesOnceTheOldOrderHasReleased) {
  apply(AdjustBalance{kBob, -kStartCash});
  apply(AdjustBalance{kAnna, kCashTotalMax - kStartCash});
  apply(OpenAccount{kAnna, Name("all there is"), false, kCashTotalMax});
  DefineInstrument dear = gold();
  dear.instrument = 2;
  dear.symbol = Symbol("DEAR");
  dear.tick_size_nanos = 1'000'000'000'000;
  dear.lot_size_nanos = 1 << 24;
  dear.max_order_qty_lots = kHuge;
  apply(dear);
  NewOrder order = limit(kAnna, Side::kBuy, kHuge, 1);
  order.instrument = 2;
  const OrderId id = enter(order);
  ASSERT_EQ(account(kAnna).reserved_micros, 2 * kCashTotalMax);
  apply(replacement(kAnna, id, kHuge, 1));
  EXPECT_EQ(all<OrderReplaced>().size(), 1U);
  EXPECT_EQ(account(kAnna).reserved_micros, 2 * kCashTotalMax);
}

TEST_F(OrdersTest, AReplacementMayOfferTheLotsOfTheOldOrderAgain) {
  const OrderId id = rest(kAnna, Side::kSell, kStartLots, 100);
  EXPECT_EQ(rejection(replacement(kAnna, id, kStartLots + 1, 0)), Reason::kInsufficientPosition);
  apply(replacement(kAnna, id, kStartLots, 99));
  EXPECT_EQ(position(kAnna).reserved_lots, kStartLots);
}

TEST_F(OrdersTest, TheSameReplacementSentAgainIsTheSameOrder) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  ReplaceOrder command = replacement(kAnna, id, 5, 0);
  apply(command);
  const OrderId successor = exchange_.last_sequence();
  EXPECT_THAT(apply(command), ElementsAre(Event(Duplicate{successor})));
  command.qty_lots = 4;
  EXPECT_EQ(rejection(command), Reason::kDuplicateClientOrderId);
}

TEST_F(OrdersTest, AReplacementIsNotADuplicateOfTheOrderItLooksLike) {
  NewOrder original = limit(kAnna, Side::kBuy, 10, 100);
  const OrderId id = enter(original);
  ReplaceOrder command = replacement(kAnna, id, 10, 100);
  command.client_order_id = original.client_order_id;
  EXPECT_EQ(rejection(command), Reason::kDuplicateClientOrderId);
}

TEST_F(OrdersTest, OnlyRestingKindsCanReplace) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  ReplaceOrder command = replacement(kAnna, id, 5, 0);
  command.keep_time_in_force = false;
  command.time_in_force = TimeInForce::kIoc;
  EXPECT_EQ(rejection(command), Reason::kInvalidOrder);
  command.time_in_force = TimeInForce::kDay;
  apply(command);
  EXPECT_EQ(order(exchange_.last_sequence()).time_in_force, TimeInForce::kDay);
}

TEST_F(OrdersTest, OnlyTheOwnersOpenOrdersCanBeReplaced) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(replacement(kBob, id, 5, 0)), Reason::kUnknownOrder);
  apply(CancelOrder{kAnna, id});
  EXPECT_EQ(rejection(replacement(kAnna, id, 5, 0)), Reason::kOrderNotOpen);
}

TEST_F(OrdersTest, RejectsAReplacementOutsideTheInstrumentsRange) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(replacement(kAnna, id, -1, 0)), Reason::kInvalidQuantity);
  EXPECT_EQ(rejection(replacement(kAnna, id, 0, 1'001)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(replacement(kAnna, id, 0, -5)), Reason::kInvalidPrice);
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

// --- retention and queries

TEST_F(OrdersTest, AFullStoreForgetsTheOrderThatEndedFirst) {
  const NewOrder first = limit(kAnna, Side::kBuy, 1, 100);
  const OrderId forgotten = enter(first);
  const OrderId open = rest(kAnna, Side::kBuy, 1, 100);
  apply(CancelOrder{kAnna, forgotten});
  for (std::uint32_t i = 0; i < kSmallLimits.max_orders - 1; ++i) {
    apply(CancelOrder{kAnna, rest(kAnna, Side::kBuy, 1, 100)});
  }
  EXPECT_EQ(exchange_.find_order(forgotten), std::nullopt);
  EXPECT_NE(exchange_.find_order(open), std::nullopt);
  EXPECT_EQ(apply(first).front(), Event(Duplicate{forgotten}));
}

TEST_F(OrdersTest, AnAccountMayHaveSoManyOpenOrders) {
  OrderId last = 0;
  for (std::uint32_t i = 0; i < kSmallLimits.max_open_orders_per_account; ++i) {
    last = rest(kAnna, Side::kBuy, 1, 100);
  }
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 100)), Reason::kAccountOpenOrderLimit);
  rest(kBob, Side::kBuy, 1, 100);
  apply(CancelOrder{kAnna, last});
  rest(kAnna, Side::kBuy, 1, 100);
}

class FullOfOpenOrders : public OrdersTest {
 protected:
  FullOfOpenOrders() {
    for (std::uint32_t i = 0; i < kSmallLimits.max_open_orders; ++i) {
      last_ = rest(i % 2 == 0 ? kAnna : kBob, Side::kBuy, 1, 100);
    }
  }
  OrderId last_ = 0;  // Bob's
};

TEST_F(FullOfOpenOrders, TakesNoMoreThatCouldRest) {
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 100)), Reason::kOpenOrderLimit);
  EXPECT_EQ(rejection(limit(kAnna, Side::kSell, 1, 100)), Reason::kOpenOrderLimit);
  apply(CancelOrder{kBob, last_});
  rest(kAnna, Side::kBuy, 1, 100);
}

TEST_F(FullOfOpenOrders, TakesWhatCannotRestAndWhatReplacesAnOpenOrder) {
  for (int i = 0; i < 3; ++i) {
    apply(replacement(kBob, last_, 1, 100 - i));
    ASSERT_EQ(all<OrderReplaced>().size(), 1U);
    last_ = exchange_.last_sequence();
  }
  enter(limit(kAnna, Side::kSell, 1, 100, TimeInForce::kIoc));
  EXPECT_EQ(exchange_.open_order_count(), kSmallLimits.max_open_orders - 1);
}

TEST_F(FullOfOpenOrders, StillRemembersEndedOrders) {
  const NewOrder repeated = limit(kAnna, Side::kSell, 1, 200, TimeInForce::kIoc);
  const OrderId first = enter(repeated);
  constexpr std::uint32_t kRemembered = kSmallLimits.max_orders - kSmallLimits.max_open_orders;
  for (std::uint32_t i = 1; i < kRemembered; ++i) {
    enter(limit(kAnna, Side::kSell, 1, 200, TimeInForce::kIoc));
  }
  EXPECT_THAT(apply(repeated), ElementsAre(Event(Duplicate{first})));
}

TEST_F(OrdersTest, OpenOrdersAreListedNewestFirstInPages) {
  std::vector<OrderId> ids(5);
  for (OrderId& id : ids) id = rest(kAnna, Side::kBuy, 1, 100);
  std::vector<Order> page;
  exchange_.list_open_orders(kAnna, 0, 0, 2, page);
  EXPECT_EQ(page[0].order_id, ids[4]);
  EXPECT_EQ(page[1].order_id, ids[3]);
  page.clear();
  apply(CancelOrder{kAnna, ids[3]});
  exchange_.list_open_orders(kAnna, kGold, ids[3], 10, page);
  EXPECT_EQ(page.size(), 3U);
  EXPECT_EQ(page[0].order_id, ids[2]);
}

class ManyOpenOrdersTest : public ExchangeFixture {
 protected:
  static constexpr std::uint32_t kMany = 100'001;
  static constexpr InstrumentId kSilver = 2;

  ManyOpenOrdersTest()
      : ExchangeFixture({.max_orders = kMany + 4'001,
                         .max_accounts = 8,
                         .max_instruments = 4,
                         .max_positions = 16,
                         .max_fills_per_command = 16,
                         .max_open_orders = kMany + 4'000,
                         .max_open_orders_per_account = kMany + 4'000}) {
    DefineInstrument silver = gold();
    silver.instrument = kSilver;
    silver.symbol = Symbol("SILVER");
    apply(silver);
    apply(AdjustBalance{kAnna, CashMicros{1} << 50});
    wanted_ = rest_silver();
    for (std::uint32_t i = 0; i < kMany; ++i) rest(kAnna, Side::kBuy, 1, 100);
  }

  OrderId rest_silver() {
    NewOrder order = limit(kAnna, Side::kBuy, 1, 100);
    order.instrument = kSilver;
    return enter(order);
  }

  // Asks until the answer is complete; returns the number of calls. `between` runs with each
  // cursor.
  template <class Between>
  std::size_t ask(OrderId before, std::vector<Order>& found, Between between) {
    OrderId from = 0;
    std::size_t calls = 0;
    do {
      from = exchange_.list_open_orders(kAnna, kSilver, before, 10, found, from);
      ++calls;
      if (from != 0) between(from);
    } while (from != 0 && calls < kMany);
    return calls;
  }

  static constexpr std::size_t kCallsMin = kMany / Exchange::kOrdersVisitedMax;

  OrderId wanted_ = 0;
};

TEST_F(ManyOpenOrdersTest, AreSearchedABoundedNumberAtATimeWithoutMissingOrRepeatingOne) {
  std::vector<Order> found;
  const std::size_t calls = ask(0, found, [](OrderId) {});
  EXPECT_GE(calls, kCallsMin);
  EXPECT_LE(calls, kCallsMin + 2);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].order_id, wanted_);
}

TEST_F(ManyOpenOrdersTest, AreSearchedOnWhereTheCursorsOrderHasEnded) {
  const OrderId before = exchange_.last_sequence();
  apply(CancelOrder{kAnna, before});
  std::vector<Order> found;
  bool ended = false;
  const std::size_t calls = ask(before, found, [&](OrderId from) {
    if (!std::exchange(ended, true)) apply(CancelOrder{kAnna, from});
  });
  EXPECT_GE(calls, kCallsMin);
  EXPECT_LE(calls, kCallsMin + 4);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].order_id, wanted_);
}

TEST_F(ManyOpenOrdersTest, ComeOnceWhereTheCursorsOrderHasEndedAndOthersWereEntered) {
  const OrderId newer = rest_silver();
  for (std::size_t i = 2; i < Exchange::kOrdersVisitedMax; ++i) rest(kAnna, Side::kBuy, 1, 100);
  std::vector<OrderId> found;
  OrderId from = 0;
  do {
    std::vector<Order> page;
    const OrderId stopped = exchange_.list_open_orders(kAnna, kSilver, 0, 10, page, from);
    for (const Order& order : page) found.push_back(order.order_id);
    ASSERT_TRUE(from == 0 || stopped < from);
    from = stopped;
    if (from == 0) break;
    apply(CancelOrder{kAnna, from});
    for (int i = 0; i < 2; ++i) rest(kAnna, Side::kBuy, 1, 100);
  } while (true);
  EXPECT_THAT(found, ElementsAre(newer, wanted_));
}

TEST_F(OrdersTest, ACursorFromBeforeARestartRepeatsNoOrder) {
  std::vector<OrderId> ids(5);
  for (OrderId& id : ids) id = rest(kAnna, Side::kBuy, 1, 100);
  apply(CancelOrder{kAnna, ids[2]});
  restart();
  std::vector<Order> page;
  EXPECT_EQ(exchange_.list_open_orders(kAnna, 0, 0, 10, page, ids[2]), 0U);
  ASSERT_EQ(page.size(), 2U);
  EXPECT_EQ(page[0].order_id, ids[1]);
  EXPECT_EQ(page[1].order_id, ids[0]);
}

TEST_F(OrdersTest, LevelsAreListedBestFirst) {
  rest(kAnna, Side::kBuy, 1, 99);
  rest(kAnna, Side::kBuy, 2, 100);
  rest(kBob, Side::kBuy, 3, 100);
  std::vector<BookLevel> levels;
  exchange_.list_levels(kGold, Side::kBuy, 10, levels);
  EXPECT_THAT(levels, ElementsAre(BookLevel{100, 5, 2}, BookLevel{99, 1, 1}));
}

TEST_F(OrdersTest, NoMoreLevelsAreListedThanAskedFor) {
  for (const PriceTicks price : {98, 100, 99}) rest(kAnna, Side::kBuy, 1, price);
  std::vector<BookLevel> levels;
  exchange_.list_levels(kGold, Side::kBuy, 2, levels);
  EXPECT_THAT(levels, ElementsAre(BookLevel{100, 1, 1}, BookLevel{99, 1, 1}));
}

}  // namespace
}  // namespace openvenue::core

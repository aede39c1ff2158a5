// A position takes a place while it holds lots or has an open order, and one account has only so
// many.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

constexpr InstrumentId kSilver = 2;

// GOLD and SILVER trade. Anna and Bob hold GOLD, which takes two places.
class PositionPlacesTest : public ExchangeFixture {
 protected:
  PositionPlacesTest() {
    DefineInstrument terms = gold();
    terms.instrument = kSilver;
    terms.symbol = Symbol("SILVER");
    apply(terms);
  }

  NewOrder silver(AccountId account, Side side, QtyLots qty,
                  TimeInForce time_in_force = TimeInForce::kGtc) {
    NewOrder order = limit(account, side, qty, 100, time_in_force);
    order.instrument = kSilver;
    return order;
  }

  void expect_places(std::size_t places) {
    EXPECT_EQ(exchange_.position_count(), places);
    exchange_.check_invariants();
    restart();
    EXPECT_EQ(exchange_.position_count(), places) << "after a restart";
  }
};

TEST_F(PositionPlacesTest, AnOpenOrderTakesOneAndItsEndGivesItBack) {
  const OrderId resting = enter(silver(kAnna, Side::kBuy, 1));
  const OrderId other = enter(silver(kAnna, Side::kBuy, 1));
  expect_places(3);
  apply(CancelOrder{kAnna, resting});
  expect_places(3);
  apply(CancelOrder{kAnna, other});
  expect_places(2);
}

TEST_F(PositionPlacesTest, AnOrderThatIsOverAtOnceTakesNone) {
  enter(silver(kAnna, Side::kBuy, 1, TimeInForce::kFok));
  expect_places(2);
  enter(silver(kAnna, Side::kBuy, 1, TimeInForce::kIoc));
  expect_places(2);
  NewOrder order = market(kAnna, Side::kBuy, 1);
  order.instrument = kSilver;
  enter(order);
  expect_places(2);
}

TEST_F(PositionPlacesTest, ExpiryGivesItBack) {
  enter(silver(kAnna, Side::kBuy, 1, TimeInForce::kDay));
  apply(EndTradingDay{});
  expect_places(2);
}

TEST_F(PositionPlacesTest, AReplacementKeepsIt) {
  const OrderId old = enter(silver(kAnna, Side::kBuy, 1));
  apply(replacement(kAnna, old, 2, 101));
  ASSERT_TRUE(std::holds_alternative<OrderReplaced>(events_.front()));
  expect_places(3);
}

TEST_F(PositionPlacesTest, LotsTakeOneAndTheSaleOfTheLastGivesItBack) {
  apply(AdjustPosition{kBob, kSilver, 2, 0});
  enter(silver(kBob, Side::kSell, 2));
  enter(silver(kAnna, Side::kBuy, 1));
  expect_places(4);
  enter(silver(kAnna, Side::kBuy, 1));
  ASSERT_EQ(all<Trade>().size(), 1U);
  EXPECT_EQ(all<Trade>().front().maker.position_lots, 0);
  EXPECT_EQ(all<Trade>().front().taker.position_lots, 2);
  expect_places(3);
}

TEST_F(PositionPlacesTest, AnAdjustmentToNothingGivesItBack) {
  apply(AdjustPosition{kBob, kSilver, 2, 5});
  expect_places(3);
  EXPECT_THAT(apply(AdjustPosition{kBob, kSilver, -2, 0}),
              testing::ElementsAre(Event(PositionAdjusted{0, 0})));
  expect_places(2);
  apply(AdjustPosition{kBob, kSilver, 0, 0});
  expect_places(2);
}

// Ended orders are remembered for longer than the place they took, which another may have by then.
TEST_F(PositionPlacesTest, AnEndedOrderIsFoundWhenAnotherHasItsPlace) {
  const OrderId ended = enter(silver(kAnna, Side::kBuy, 1, TimeInForce::kFok));
  enter(silver(kBob, Side::kBuy, 1));
  apply(CancelOrder{kAnna, ended});
  EXPECT_EQ(events_.front(), Event(Rejected{Reason::kOrderNotOpen, ended}));
  expect_places(3);
  EXPECT_EQ(order(ended).instrument, kSilver);
}

TEST_F(PositionPlacesTest, OneAccountHasOnlySoMany) {
  Limits limits = kSmallLimits;
  limits.max_positions_per_account = 1;
  apply(Configure{limits});
  EXPECT_EQ(rejection(silver(kAnna, Side::kBuy, 1)), Reason::kAccountPositionLimit);
  EXPECT_EQ(rejection(AdjustPosition{kAnna, kSilver, 1, 0}), Reason::kAccountPositionLimit);
  enter(silver(kShorty, Side::kSell, 1));
  rest(kAnna, Side::kSell, 1, 100);  // in the one that she has
  apply(AdjustPosition{kBob, kGold, -kStartLots, 0});
  enter(silver(kBob, Side::kBuy, 1));
}

TEST_F(PositionPlacesTest, LowerLimitsCanBeSetOnceThePlacesAreGivenBack) {
  const OrderId resting = enter(silver(kAnna, Side::kBuy, 1));
  Limits limits = kSmallLimits;
  limits.max_positions = 2;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kCapacity);
  apply(CancelOrder{kAnna, resting});
  apply(Configure{limits});
  EXPECT_EQ(exchange_.limits(), limits);
  EXPECT_EQ(rejection(silver(kAnna, Side::kBuy, 1)), Reason::kCapacity);
}

TEST_F(PositionPlacesTest, OlderRulesKeepThemForGoodAndTheChangeDropsThem) {
  apply(Configure{kSmallLimits, 2});
  enter(silver(kAnna, Side::kBuy, 1, TimeInForce::kFok));
  enter(silver(kBob, Side::kBuy, 1));
  expect_places(4);
  Limits limits = kSmallLimits;
  limits.max_positions = 3;
  limits.max_positions_per_account = 1;
  EXPECT_EQ(rejection(Configure{limits, 2}), Reason::kCapacity);
  apply(Configure{limits, 3});
  EXPECT_EQ(exchange_.limits(), limits);
  expect_places(3);
}

TEST_F(PositionPlacesTest, OlderRulesKnowNoShareOfAnAccount) {
  Limits limits = kSmallLimits;
  limits.max_positions_per_account = 1;
  apply(Configure{limits, 2});
  enter(silver(kAnna, Side::kBuy, 1));
}

}  // namespace
}  // namespace openvenue::core

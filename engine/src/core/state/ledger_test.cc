#include "core/state/ledger.h"

#include <gtest/gtest.h>

#include <limits>

namespace openvenue::core {
namespace {

Position holding(QtyLots qty, CashMicros cost) { return {1, 1, qty, 0, cost}; }

TEST(PositionCost, GrowsByThePricePaid) {
  Position position = holding(10, 1'000);
  trade_position(position, Side::kBuy, 5, 200);
  EXPECT_EQ(position.qty_lots, 15);
  EXPECT_EQ(position.cost_micros, 2'000);
}

TEST(PositionCost, ShrinksByTheShareOfTheLotsSoldWhateverTheirPrice) {
  Position position = holding(10, 1'000);
  trade_position(position, Side::kSell, 4, 999);
  EXPECT_EQ(position.qty_lots, 6);
  EXPECT_EQ(position.cost_micros, 600);
}

TEST(PositionCost, KeepsTheRemainderOfARoundedShare) {
  Position position = holding(3, 100);
  trade_position(position, Side::kSell, 1, 1);
  EXPECT_EQ(position.cost_micros, 67);
  trade_position(position, Side::kSell, 1, 1);
  EXPECT_EQ(position.cost_micros, 34);
  trade_position(position, Side::kSell, 1, 1);
  EXPECT_EQ(position.cost_micros, 0);
}

TEST(PositionCost, OfAShortPositionIsNegative) {
  Position position = holding(0, 0);
  trade_position(position, Side::kSell, 3, 100);
  EXPECT_EQ(position.cost_micros, -300);
  trade_position(position, Side::kBuy, 1, 50);
  EXPECT_EQ(position.cost_micros, -200);
}

TEST(PositionCost, StartsAtTheTradesPriceBeyondZero) {
  Position position = holding(2, 100);
  trade_position(position, Side::kSell, 5, 70);
  EXPECT_EQ(position.qty_lots, -3);
  EXPECT_EQ(position.cost_micros, -210);
}

TEST(PositionCost, StopsAtTheLargestValue) {
  constexpr CashMicros kMax = std::numeric_limits<CashMicros>::max();
  Position position = holding(1, kMax);
  trade_position(position, Side::kBuy, 1, kMax);
  EXPECT_EQ(position.cost_micros, kMax);
}

}  // namespace
}  // namespace openvenue::core

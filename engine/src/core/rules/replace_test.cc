// Replacements.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr QtyLots kHuge = QtyLots{1} << 38;

class ReplaceTest : public ExchangeFixture {};

TEST_F(ReplaceTest, ASmallerQuantityKeepsItsPlaceInTheQueue) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId second = rest(kBob, Side::kBuy, 10, 100);
  apply(replacement(kAnna, first, 4, 0));
  const OrderId replaced = exchange_.last_sequence();
  EXPECT_TRUE(all<OrderReplaced>()[0].kept_priority);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(replaced, second));
  EXPECT_EQ(account(kAnna).reserved_micros, value(4, 100));
}

TEST_F(ReplaceTest, ALargerQuantityGoesToTheBackOfTheQueue) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId second = rest(kBob, Side::kBuy, 10, 100);
  apply(replacement(kAnna, first, 11, 0));
  EXPECT_FALSE(all<OrderReplaced>()[0].kept_priority);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(second, exchange_.last_sequence()));
}

TEST_F(ReplaceTest, AnotherPriceLeavesTheOldLevel) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 0, 99));
  EXPECT_THAT(queue(Side::kBuy, 100), IsEmpty());
  EXPECT_THAT(queue(Side::kBuy, 99), ElementsAre(exchange_.last_sequence()));
}

TEST_F(ReplaceTest, AReplacedOrderAndItsSuccessorNameEachOther) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 5, 0));
  const OrderId successor = exchange_.last_sequence();
  EXPECT_EQ(order(id).status, OrderStatus::kReplaced);
  EXPECT_EQ(order(id).replaced_by, successor);
  EXPECT_EQ(order(successor).replaces, id);
}

TEST_F(ReplaceTest, AReplacementThatCrossesTrades) {
  rest(kBob, Side::kSell, 10, 105);
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  apply(replacement(kAnna, id, 0, 105));
  EXPECT_EQ(all<Trade>()[0].taker.order_id, exchange_.last_sequence());
  EXPECT_EQ(order(exchange_.last_sequence()).status, OrderStatus::kFilled);
}

TEST_F(ReplaceTest, AReplacementCarriesOverWhatWasFilled) {
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

TEST_F(ReplaceTest, AReplacementMayUseWhatTheOldOrderReserved) {
  constexpr QtyLots kAll = kStartCash / value(1, 100);
  const OrderId id = rest(kAnna, Side::kBuy, kAll, 100);
  apply(replacement(kAnna, id, kAll * 2, 50));
  const OrderId successor = exchange_.last_sequence();
  EXPECT_EQ(order(successor).leaves_lots(), kAll * 2);
  EXPECT_EQ(rejection(replacement(kAnna, successor, kAll * 2, 51)), Reason::kInsufficientCash);
}

// For a moment both would reserve more than fits 64 bits; the undefined-behaviour sanitizer detects
// that.
TEST_F(ReplaceTest, AReplacementReservesOnceTheOldOrderHasReleased) {
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

TEST_F(ReplaceTest, AReplacementMayOfferTheLotsOfTheOldOrderAgain) {
  const OrderId id = rest(kAnna, Side::kSell, kStartLots, 100);
  EXPECT_EQ(rejection(replacement(kAnna, id, kStartLots + 1, 0)), Reason::kInsufficientPosition);
  apply(replacement(kAnna, id, kStartLots, 99));
  EXPECT_EQ(position(kAnna).reserved_lots, kStartLots);
}

TEST_F(ReplaceTest, TheSameReplacementSentAgainIsTheSameOrder) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  ReplaceOrder command = replacement(kAnna, id, 5, 0);
  apply(command);
  const OrderId successor = exchange_.last_sequence();
  EXPECT_THAT(apply(command), ElementsAre(Event(Duplicate{successor})));
  command.qty_lots = 4;
  EXPECT_EQ(rejection(command), Reason::kDuplicateClientOrderId);
}

TEST_F(ReplaceTest, AReplacementIsNotADuplicateOfTheOrderItLooksLike) {
  NewOrder original = limit(kAnna, Side::kBuy, 10, 100);
  const OrderId id = enter(original);
  ReplaceOrder command = replacement(kAnna, id, 10, 100);
  command.client_order_id = original.client_order_id;
  EXPECT_EQ(rejection(command), Reason::kDuplicateClientOrderId);
}

TEST_F(ReplaceTest, OnlyRestingKindsCanReplace) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  ReplaceOrder command = replacement(kAnna, id, 5, 0);
  command.keep_time_in_force = false;
  command.time_in_force = TimeInForce::kIoc;
  EXPECT_EQ(rejection(command), Reason::kInvalidOrder);
  command.time_in_force = TimeInForce::kDay;
  apply(command);
  EXPECT_EQ(order(exchange_.last_sequence()).time_in_force, TimeInForce::kDay);
}

TEST_F(ReplaceTest, OnlyTheOwnersOpenOrdersCanBeReplaced) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(replacement(kBob, id, 5, 0)), Reason::kUnknownOrder);
  apply(CancelOrder{kAnna, id});
  EXPECT_EQ(rejection(replacement(kAnna, id, 5, 0)), Reason::kOrderNotOpen);
}

TEST_F(ReplaceTest, RejectsAReplacementOutsideTheInstrumentsRange) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(replacement(kAnna, id, -1, 0)), Reason::kInvalidQuantity);
  EXPECT_EQ(rejection(replacement(kAnna, id, 0, 1'001)), Reason::kInvalidPrice);
  EXPECT_EQ(rejection(replacement(kAnna, id, 0, -5)), Reason::kInvalidPrice);
}

}  // namespace
}  // namespace openvenue::core

// Cancels of one order, and by account, instrument and side.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using ::testing::ElementsAre;

constexpr InstrumentId kSilver = 2;

class CancelTest : public ExchangeFixture {};

TEST_F(CancelTest, CancelingReleasesTheReservation) {
  const OrderId buy = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId sell = rest(kAnna, Side::kSell, 10, 101);
  EXPECT_THAT(apply(CancelOrder{kAnna, buy}),
              ElementsAre(Event(OrderCanceled{buy, kAnna, Reason::kUserCanceled, 10})));
  apply(CancelOrder{kAnna, sell});
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
  EXPECT_EQ(position(kAnna).reserved_lots, 0);
  EXPECT_EQ(exchange_.open_order_count(), 0U);
}

TEST_F(CancelTest, OnlyTheOwnersOpenOrdersCanBeCanceled) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  EXPECT_EQ(rejection(CancelOrder{kBob, id}), Reason::kUnknownOrder);
  EXPECT_EQ(rejection(CancelOrder{kAnna, 999}), Reason::kUnknownOrder);
  apply(CancelOrder{kAnna, id});
  EXPECT_EQ(rejection(CancelOrder{kAnna, id}), Reason::kOrderNotOpen);
}

class CancelOrdersTest : public ExchangeFixture {
 protected:
  explicit CancelOrdersTest(const Limits& limits = kSmallLimits) : ExchangeFixture(limits) {
    DefineInstrument silver = gold();
    silver.instrument = kSilver;
    silver.symbol = Symbol("SILVER");
    apply(silver);
  }

  OrderId rest_in(InstrumentId instrument, AccountId account, Side side, PriceTicks price) {
    NewOrder order = limit(account, side, 10, price);
    order.instrument = instrument;
    return enter(order);
  }

  // The orders that the command canceled, and where it stopped.
  std::vector<OrderId> cancel(const CancelOrders& command) {
    apply(command);
    std::vector<OrderId> ids;
    for (const OrderCanceled& canceled : all<OrderCanceled>()) {
      EXPECT_EQ(canceled.account, command.account);
      EXPECT_EQ(canceled.reason, Reason::kUserCanceled);
      ids.push_back(canceled.order_id);
    }
    EXPECT_TRUE(std::holds_alternative<OrdersCanceled>(events_.back()));
    return ids;
  }
  OrderId stopped_at() const { return std::get<OrdersCanceled>(events_.back()).stopped_at; }
};

TEST_F(CancelOrdersTest, CancelsAllOfTheAccountOldestFirstAndNoneOfOthers) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId other = rest(kBob, Side::kBuy, 10, 100);
  const OrderId second = rest(kAnna, Side::kSell, 10, 200);
  EXPECT_THAT(cancel({.account = kAnna}), ElementsAre(first, second));
  EXPECT_EQ(stopped_at(), 0U);
  EXPECT_EQ(order(first).status, OrderStatus::kCanceled);
  EXPECT_THAT(queue(Side::kBuy, 100), ElementsAre(other));
  EXPECT_TRUE(queue(Side::kSell, 200).empty());
  EXPECT_EQ(account(kAnna).reserved_micros, 0);
  EXPECT_EQ(position(kAnna).reserved_lots, 0);
}

TEST_F(CancelOrdersTest, CancelsOneInstrumentOrOneSide) {
  const OrderId gold_buy = rest_in(kGold, kAnna, Side::kBuy, 100);
  const OrderId gold_sell = rest_in(kGold, kAnna, Side::kSell, 200);
  const OrderId silver_buy = rest_in(kSilver, kAnna, Side::kBuy, 100);
  EXPECT_THAT(cancel({.account = kAnna, .both_sides = false, .side = Side::kSell}),
              ElementsAre(gold_sell));
  EXPECT_THAT(cancel({.account = kAnna, .instrument = kSilver}), ElementsAre(silver_buy));
  EXPECT_THAT(cancel({.account = kAnna, .instrument = kSilver}), ElementsAre());
  EXPECT_THAT(cancel({.account = kAnna, .instrument = kGold, .both_sides = false}),
              ElementsAre(gold_buy));
}

TEST_F(CancelOrdersTest, StopsAtItsBoundAndGoesOnFromThere) {
  std::vector<OrderId> ids;
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command + 2; ++i) {
    ids.push_back(rest(kAnna, Side::kBuy, 10, 100));
  }
  EXPECT_EQ(cancel({.account = kAnna}).size(), kSmallLimits.max_fills_per_command);
  const OrderId from = stopped_at();
  EXPECT_EQ(from, ids[ids.size() - 2]);
  EXPECT_THAT(cancel({.account = kAnna, .from = from}), ElementsAre(from, ids.back()));
  EXPECT_EQ(stopped_at(), 0U);
}

TEST_F(CancelOrdersTest, BeginsAtTheOldestOrderIfTheOneToBeginAtIsNotOpenOrAnothers) {
  const OrderId first = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId ended = rest(kAnna, Side::kBuy, 10, 100);
  const OrderId last = rest(kAnna, Side::kSell, 10, 200);
  const OrderId other = rest(kBob, Side::kBuy, 10, 100);
  apply(CancelOrder{kAnna, ended});
  const CancelOrders nothing{.account = kAnna, .instrument = kSilver, .from = last};
  EXPECT_THAT(cancel(nothing), ElementsAre());
  EXPECT_THAT(cancel({.account = kAnna, .both_sides = false, .side = Side::kSell, .from = ended}),
              ElementsAre(last));
  EXPECT_THAT(cancel({.account = kAnna, .from = other}), ElementsAre(first));
}

TEST_F(CancelOrdersTest, GoesOnAfterARestartAsWithoutOne) {
  std::vector<OrderId> ids;
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command + 2; ++i) {
    ids.push_back(rest(kAnna, Side::kBuy, 10, 100));
  }
  cancel({.account = kAnna});
  const OrderId from = stopped_at();
  apply(CancelOrder{kAnna, from});
  restart();
  EXPECT_THAT(cancel({.account = kAnna, .from = from}), ElementsAre(ids.back()));
}

constexpr Limits kManyOrders{.max_orders = kCancelVisitsMax + 64,
                             .max_accounts = 8,
                             .max_instruments = 4,
                             .max_positions = 16,
                             .max_fills_per_command = 2 * kCancelsPerCommandMax,
                             .max_open_orders = kCancelVisitsMax + 32,
                             .max_open_orders_per_account = kCancelVisitsMax + 32};

class ManyOrders : public CancelOrdersTest {
 protected:
  ManyOrders() : CancelOrdersTest(kManyOrders) {}
};

TEST_F(ManyOrders, ALookAtSoManyOrdersIsEnough) {
  for (std::uint32_t i = 0; i < kCancelVisitsMax; ++i) rest(kShorty, Side::kSell, 1, 200);
  const OrderId last = rest_in(kSilver, kShorty, Side::kSell, 200);
  EXPECT_THAT(cancel({.account = kShorty, .instrument = kSilver}), ElementsAre());
  EXPECT_EQ(stopped_at(), last);
  EXPECT_THAT(cancel({.account = kShorty, .instrument = kSilver, .from = last}), ElementsAre(last));
}

TEST_F(ManyOrders, OneCommandCancelsNoMoreThanItsBound) {
  for (std::uint32_t i = 0; i <= kCancelsPerCommandMax; ++i) rest(kShorty, Side::kSell, 1, 200);
  EXPECT_EQ(cancel({.account = kShorty}).size(), kCancelsPerCommandMax);
  EXPECT_EQ(stopped_at(), exchange_.last_sequence() - 1);
}

TEST_F(CancelOrdersTest, IsRefusedForWhatDoesNotExist) {
  EXPECT_EQ(rejection(CancelOrders{.account = 7}), Reason::kUnknownAccount);
  EXPECT_EQ(rejection(CancelOrders{.account = kAnna, .instrument = 3}), Reason::kUnknownInstrument);
  EXPECT_EQ(rejection(CancelOrders{.account = kAnna, .side = static_cast<Side>(3)}),
            Reason::kInvalidOrder);
}

}  // namespace
}  // namespace openvenue::core

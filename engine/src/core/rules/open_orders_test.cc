// The exchange remembers ended orders, bounds the open ones, and lists them.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;

class OpenOrdersTest : public ExchangeFixture {};

TEST_F(OpenOrdersTest, AFullStoreForgetsTheOrderThatEndedFirst) {
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

TEST_F(OpenOrdersTest, AnAccountMayHaveSoManyOpenOrders) {
  OrderId last = 0;
  for (std::uint32_t i = 0; i < kSmallLimits.max_open_orders_per_account; ++i) {
    last = rest(kAnna, Side::kBuy, 1, 100);
  }
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 100)), Reason::kAccountOpenOrderLimit);
  rest(kBob, Side::kBuy, 1, 100);
  apply(CancelOrder{kAnna, last});
  rest(kAnna, Side::kBuy, 1, 100);
}

class FullOfOpenOrders : public OpenOrdersTest {
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

TEST_F(OpenOrdersTest, OpenOrdersAreListedNewestFirstInPages) {
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

TEST_F(OpenOrdersTest, ACursorFromBeforeARestartRepeatsNoOrder) {
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

TEST_F(OpenOrdersTest, LevelsAreListedBestFirst) {
  rest(kAnna, Side::kBuy, 1, 99);
  rest(kAnna, Side::kBuy, 2, 100);
  rest(kBob, Side::kBuy, 3, 100);
  std::vector<BookLevel> levels;
  exchange_.list_levels(kGold, Side::kBuy, 10, levels);
  EXPECT_THAT(levels, ElementsAre(BookLevel{100, 5, 2}, BookLevel{99, 1, 1}));
}

TEST_F(OpenOrdersTest, NoMoreLevelsAreListedThanAskedFor) {
  for (const PriceTicks price : {98, 100, 99}) rest(kAnna, Side::kBuy, 1, price);
  std::vector<BookLevel> levels;
  exchange_.list_levels(kGold, Side::kBuy, 2, levels);
  EXPECT_THAT(levels, ElementsAre(BookLevel{100, 1, 1}, BookLevel{99, 1, 1}));
}

}  // namespace
}  // namespace openvenue::core

// A batch of orders that is not refused enters as a whole.
#include "core/rules/order_batch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/testing/exchange_fixture_test.h"
#include "core/testing/random_flow.h"
#include "core/testing/seeds.h"

namespace openvenue::core {
namespace {

class OrderBatchTest : public ExchangeFixture {
 protected:
  static constexpr InstrumentId kSilver = 2;

  OrderBatchTest() {
    DefineInstrument silver = gold();
    silver.instrument = kSilver;
    silver.symbol = Symbol("SILVER");
    apply(silver);
  }

  std::optional<BatchRefusal> refusal(const std::vector<NewOrder>& orders) const {
    return exchange_.find_refusal(orders);
  }
  void expect_refusal(const std::vector<NewOrder>& orders, std::uint32_t item, Reason reason) {
    EXPECT_EQ(refusal(orders), (BatchRefusal{item, reason}));
  }
  void enter_all(std::vector<NewOrder> orders) {
    ASSERT_EQ(refusal(orders), std::nullopt);
    for (NewOrder& order : orders) {
      order.history_checked = true;
      enter(order);
    }
  }
  static NewOrder in_silver(NewOrder order) {
    order.instrument = kSilver;
    return order;
  }
};

TEST_F(OrderBatchTest, OrdersThatTheAccountCanAllPayForEnter) {
  rest(kBob, Side::kSell, 100, 100);
  enter_all({limit(kAnna, Side::kBuy, 50, 100), limit(kAnna, Side::kBuy, 60, 100),
             limit(kAnna, Side::kSell, kStartLots, 101)});
  EXPECT_EQ(position(kAnna).qty_lots, kStartLots + 100);
}

TEST_F(OrderBatchTest, NamesTheFirstOrderThatTheAccountCannotPayForWithThoseBeforeIt) {
  const QtyLots half = kStartCash / kTickValue / 100 / 2;
  const auto buy = [&](QtyLots qty) { return limit(kAnna, Side::kBuy, qty, 100); };
  EXPECT_EQ(refusal({buy(half), buy(half)}), std::nullopt);
  expect_refusal({buy(half), buy(half), buy(1)}, 2, Reason::kInsufficientCash);
  // The batch cannot spend the proceeds of its own sale.
  rest(kBob, Side::kBuy, 100, 100);
  expect_refusal({limit(kAnna, Side::kSell, 100, 100), buy(2 * half), buy(1)}, 2,
                 Reason::kInsufficientCash);
}

TEST_F(OrderBatchTest, CountsTheLotsThatOrdersBeforeSell) {
  const auto sell = [&](QtyLots qty) { return limit(kAnna, Side::kSell, qty, 100); };
  EXPECT_EQ(refusal({sell(kStartLots - 1), sell(1)}), std::nullopt);
  expect_refusal({sell(kStartLots), sell(1)}, 1, Reason::kInsufficientPosition);
  expect_refusal({in_silver(sell(1))}, 0, Reason::kInsufficientPosition);
  EXPECT_EQ(refusal({limit(kShorty, Side::kSell, 5, 100), limit(kShorty, Side::kSell, 5, 100)}),
            std::nullopt);
}

TEST_F(OrderBatchTest, APostOnlyOrderMustMeetNoneOfThoseBeforeIt) {
  const auto post_only = [&](Side side, PriceTicks price) {
    NewOrder order = limit(kAnna, side, 1, price);
    order.post_only = true;
    return order;
  };
  const NewOrder buy = limit(kAnna, Side::kBuy, 1, 100);
  enter_all({buy, post_only(Side::kSell, 101), post_only(Side::kBuy, 100)});
  expect_refusal({limit(kAnna, Side::kBuy, 1, 99), post_only(Side::kSell, 100)}, 1,
                 Reason::kPostOnlyWouldTrade);
  rest(kBob, Side::kBuy, 1, 90);
  expect_refusal({limit(kAnna, Side::kSell, 1, 120), post_only(Side::kBuy, 120)}, 1,
                 Reason::kPostOnlyWouldTrade);
}

TEST_F(OrderBatchTest, OwnOrdersThatItWouldCancelCountAsMet) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command; ++i) {
    rest(kAnna, Side::kSell, 1, 100);
  }
  NewOrder order = limit(kAnna, Side::kBuy, 1, 99);
  EXPECT_EQ(refusal({order}), std::nullopt);
  order.self_trade_prevention = SelfTradePrevention::kCancelOldest;
  expect_refusal({order}, 0, Reason::kFillLimit);
}

TEST_F(OrderBatchTest, AnIntentMustHoldWhateverIsFilledBefore) {
  const auto intending = [&](PositionIntent intent, Side side, QtyLots qty) {
    NewOrder order = limit(kShorty, side, qty, 100);
    order.position_intent = intent;
    return order;
  };
  const auto open = [&] { return intending(PositionIntent::kSellToOpen, Side::kSell, 1); };
  EXPECT_EQ(refusal({open(), open()}), std::nullopt);
  apply(AdjustBalance{kShorty, kStartCash});
  expect_refusal({limit(kShorty, Side::kBuy, 1, 100), open()}, 1, Reason::kPositionIntentMismatch);
  rest(kAnna, Side::kBuy, 10, 100);
  enter(limit(kShorty, Side::kSell, 10, 100));
  const auto close = [&](QtyLots qty) {
    return intending(PositionIntent::kBuyToClose, Side::kBuy, qty);
  };
  EXPECT_EQ(refusal({close(4), close(6)}), std::nullopt);
  expect_refusal({close(4), close(6), close(1)}, 2, Reason::kPositionIntentMismatch);
}

TEST_F(OrderBatchTest, CountsTheOpenOrdersAndPositionsOfOrdersBefore) {
  std::vector<NewOrder> orders;
  for (std::uint32_t i = 0; i < kSmallLimits.max_open_orders_per_account; ++i) {
    orders.push_back(limit(kAnna, Side::kBuy, 1, 1));
  }
  orders.push_back(limit(kAnna, Side::kBuy, 1, 1, TimeInForce::kIoc));
  // They could cause too many fills together, but that is looked at last.
  orders.push_back(limit(kAnna, Side::kBuy, 1, 1));
  expect_refusal(orders, static_cast<std::uint32_t>(orders.size() - 1),
                 Reason::kAccountOpenOrderLimit);

  Limits limits = kSmallLimits;
  limits.max_positions_per_account = 1;
  apply(Configure{limits, kRulesVersion});
  apply(AdjustBalance{kShorty, kStartCash});
  expect_refusal({limit(kShorty, Side::kBuy, 1, 1), limit(kShorty, Side::kBuy, 1, 1),
                  in_silver(limit(kShorty, Side::kBuy, 1, 1))},
                 2, Reason::kAccountPositionLimit);
}

TEST_F(OrderBatchTest, AMarketOrderMustBeAloneInItsInstrument) {
  rest(kBob, Side::kSell, 100, 100);
  EXPECT_EQ(refusal({market(kAnna, Side::kBuy, 1), in_silver(limit(kAnna, Side::kBuy, 1, 1))}),
            std::nullopt);
  expect_refusal({market(kAnna, Side::kBuy, 1), limit(kAnna, Side::kBuy, 1, 1)}, 1,
                 Reason::kInvalidOrder);
  expect_refusal({limit(kAnna, Side::kBuy, 1, 1), market(kAnna, Side::kBuy, 1)}, 1,
                 Reason::kInvalidOrder);
  // Its cost counts for what follows.
  const QtyLots all = kStartCash / kTickValue / 100;
  rest(kBob, Side::kSell, all - 100, 100);
  expect_refusal({market(kAnna, Side::kBuy, all), in_silver(limit(kAnna, Side::kBuy, 1, 1))}, 1,
                 Reason::kInsufficientCash);
}

TEST_F(OrderBatchTest, ARepetitionOfAllIsNotRefusedAndOneOfSomeIs) {
  const std::vector<NewOrder> orders{limit(kAnna, Side::kBuy, 900, 100),
                                     limit(kAnna, Side::kBuy, 90, 100)};
  enter_all(orders);
  EXPECT_EQ(refusal(orders), std::nullopt);
  expect_refusal({limit(kAnna, Side::kBuy, 1, 1), orders[1]}, 1, Reason::kDuplicateClientOrderId);
  std::vector<NewOrder> varied = orders;
  varied[1].qty_lots = 1;
  expect_refusal(varied, 0, Reason::kDuplicateClientOrderId);
  const NewOrder twice = limit(kAnna, Side::kBuy, 1, 1);
  expect_refusal({twice, twice}, 1, Reason::kDuplicateClientOrderId);
}

TEST_F(OrderBatchTest, WhatCannotBeAnOrderIsRefusedAsAlone) {
  const auto good = [&] { return limit(kAnna, Side::kBuy, 1, 1); };
  expect_refusal({limit(99, Side::kBuy, 1, 1)}, 0, Reason::kUnknownAccount);
  NewOrder order = good();
  order.instrument = 99;
  expect_refusal({good(), order}, 1, Reason::kUnknownInstrument);
  expect_refusal({good(), limit(kAnna, Side::kBuy, 0, 1)}, 1, Reason::kInvalidQuantity);
  expect_refusal({good(), limit(kAnna, Side::kBuy, 1, 1'001)}, 1, Reason::kInvalidPrice);
  order = good();
  order.client_order_id = ClientOrderId();
  expect_refusal({good(), order}, 1, Reason::kInvalidOrder);
  order = good();
  order.side = static_cast<Side>(9);
  expect_refusal({good(), order}, 1, Reason::kInvalidOrder);
}

TEST_F(OrderBatchTest, TogetherTheyCauseNoMoreFillsThanOneCommandMay) {
  for (std::uint32_t i = 0; i < kSmallLimits.max_fills_per_command; ++i) {
    rest(kBob, Side::kSell, 1, 100);
  }
  // At most eight resting orders are met, and each of the four is a taker and may be a maker.
  const auto buy = [&] { return limit(kAnna, Side::kBuy, 2, 100); };
  EXPECT_EQ(refusal({buy(), buy(), buy(), buy()}), std::nullopt);
  expect_refusal({buy(), buy(), buy(), buy(), buy()}, 0, Reason::kFillLimit);
}

TEST(OrderBatch, ThatIsNotRefusedEntersWholeInAnyState) {
  constexpr int kStepsPerSeed = 300;
  std::size_t entered = 0;
  std::size_t repeated = 0;
  for (std::uint64_t seed = 1; seed <= std::min<std::uint64_t>(seeds(), 200); ++seed) {
    RandomFlow flow(seed, 64);
    Exchange exchange(flow.limits());
    EventBuffer events;
    events.reserve(Exchange::max_events_per_command(flow.limits()));
    const auto apply = [&](const CommandBody& body) {
      const Sequence sequence = exchange.last_sequence() + 1;
      exchange.apply({sequence, static_cast<TimestampNs>(sequence), body}, events);
    };
    for (const Command& command : flow.opening()) apply(command.body);
    std::vector<NewOrder> last;
    for (int step = 0; step < kStepsPerSeed; ++step) {
      std::vector<NewOrder> batch;
      const std::size_t size = 1 + static_cast<std::size_t>(step % 5);
      while (batch.size() < size) {
        const CommandBody body = flow.next().body;
        const auto* order = std::get_if<NewOrder>(&body);
        if (order == nullptr) {
          apply(body);
          continue;
        }
        batch.push_back(*order);
        batch.back().account = batch.front().account;
      }
      if (step % 7 == 0 && !last.empty()) batch = last;
      if (exchange.find_refusal(batch)) {
        if (step % 2 == 0) apply(batch.front());
        continue;
      }
      std::size_t fills = 0;
      std::size_t accepted = 0;
      for (NewOrder& order : batch) {
        order.history_checked = true;
        apply(order);
        ASSERT_FALSE(std::holds_alternative<Rejected>(events.front()))
            << "seed " << seed << ", step " << step << ": reason "
            << static_cast<int>(std::get<Rejected>(events.front()).reason);
        accepted += std::holds_alternative<OrderAccepted>(events.front()) ? 1 : 0;
        fills += static_cast<std::size_t>(
            std::count_if(events.begin(), events.end(),
                          [](const Event& event) { return std::holds_alternative<Trade>(event); }));
      }
      ASSERT_TRUE(accepted == batch.size() || accepted == 0) << "seed " << seed;
      ASSERT_LE(fills, exchange.limits().max_fills_per_command) << "seed " << seed;
      (accepted == 0 ? repeated : entered) += batch.size() > 1 ? 1 : 0;
      last = batch;
    }
  }
  EXPECT_GT(entered, 100U);
  EXPECT_GT(repeated, 10U);
}

}  // namespace
}  // namespace openvenue::core

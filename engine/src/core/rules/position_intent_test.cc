// An order with a position intent fulfils it or is refused.
#include <gtest/gtest.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

class PositionIntentTest : public ExchangeFixture {
 protected:
  NewOrder intending(PositionIntent intent, AccountId account, Side side, QtyLots qty,
                     PriceTicks price) {
    NewOrder order = limit(account, side, qty, price);
    order.position_intent = intent;
    return order;
  }
  NewOrder buy_to_open(AccountId account, QtyLots qty) {
    return intending(PositionIntent::kBuyToOpen, account, Side::kBuy, qty, 50);
  }
  NewOrder buy_to_close(AccountId account, QtyLots qty) {
    return intending(PositionIntent::kBuyToClose, account, Side::kBuy, qty, 50);
  }
  NewOrder sell_to_open(AccountId account, QtyLots qty) {
    return intending(PositionIntent::kSellToOpen, account, Side::kSell, qty, 200);
  }
  NewOrder sell_to_close(AccountId account, QtyLots qty) {
    return intending(PositionIntent::kSellToClose, account, Side::kSell, qty, 200);
  }
  void expect_mismatch(const NewOrder& order) {
    EXPECT_EQ(rejection(order), Reason::kPositionIntentMismatch);
  }
  void go_short(QtyLots qty) {
    rest(kAnna, Side::kBuy, qty, 100);
    enter(limit(kShorty, Side::kSell, qty, 100));
    ASSERT_EQ(position(kShorty).qty_lots, -qty);
  }
};

TEST_F(PositionIntentTest, BuyingOpensUnlessTheAccountIsShort) {
  enter(buy_to_open(kAnna, 1));
  go_short(10);
  expect_mismatch(buy_to_open(kShorty, 1));
}

TEST_F(PositionIntentTest, SellingOpensUnlessTheAccountIsLong) {
  enter(sell_to_open(kShorty, 5));
  go_short(10);
  enter(sell_to_open(kShorty, 5));
  expect_mismatch(sell_to_open(kAnna, 1));
}

TEST_F(PositionIntentTest, SellingClosesWhatIsHeldAndNotSpokenFor) {
  expect_mismatch(sell_to_close(kShorty, 1));
  expect_mismatch(sell_to_close(kAnna, kStartLots + 1));
  rest(kAnna, Side::kSell, 400, 200);  // without an intent; it would take the lots all the same
  expect_mismatch(sell_to_close(kAnna, kStartLots - 399));
  enter(sell_to_close(kAnna, kStartLots - 400));
  expect_mismatch(sell_to_close(kAnna, 1));
}

TEST_F(PositionIntentTest, BuyingClosesWhatIsShortAndNotSpokenFor) {
  expect_mismatch(buy_to_close(kAnna, 1));
  go_short(10);
  expect_mismatch(buy_to_close(kShorty, 11));
  const OrderId first = enter(buy_to_close(kShorty, 6));
  const OrderId second = rest(kShorty, Side::kBuy, 4, 50);
  expect_mismatch(buy_to_close(kShorty, 1));
  apply(CancelOrder{kShorty, second});
  apply(replacement(kShorty, first, 3, 50));
  expect_mismatch(buy_to_close(kShorty, 8));
  enter(buy_to_close(kShorty, 7));
}

TEST_F(PositionIntentTest, WhatWasClosedMakesRoomForNothing) {
  go_short(10);
  enter(buy_to_close(kShorty, 6));
  enter(limit(kBob, Side::kSell, 4, 50));
  ASSERT_EQ(position(kShorty).qty_lots, -6);
  expect_mismatch(buy_to_close(kShorty, 5));
  enter(buy_to_close(kShorty, 4));
}

TEST_F(PositionIntentTest, AnIntentOfTheOtherSideIsAMismatch) {
  for (const PositionIntent intent : {PositionIntent::kSellToOpen, PositionIntent::kSellToClose}) {
    expect_mismatch(intending(intent, kAnna, Side::kBuy, 1, 50));
  }
  for (const PositionIntent intent : {PositionIntent::kBuyToOpen, PositionIntent::kBuyToClose}) {
    expect_mismatch(intending(intent, kAnna, Side::kSell, 1, 200));
  }
}

TEST_F(PositionIntentTest, ARepetitionIsRecognizedByItsIntentToo) {
  NewOrder order = buy_to_open(kAnna, 1);
  const OrderId id = enter(order);
  apply(order);
  EXPECT_EQ(all<Duplicate>().at(0).order_id, id);
  order.position_intent = PositionIntent::kUnspecified;
  EXPECT_EQ(rejection(order), Reason::kDuplicateClientOrderId);
}

// The order came through a version that did not pass on intents.
TEST_F(PositionIntentTest, AnOrderWithoutAnIntentIsRecognizedInARepetitionThatHasOne) {
  NewOrder order = limit(kAnna, Side::kBuy, 1, 50);
  const OrderId id = enter(order);
  order.position_intent = PositionIntent::kBuyToOpen;
  apply(order);
  EXPECT_EQ(all<Duplicate>().at(0).order_id, id);
}

TEST_F(PositionIntentTest, ARestoredStateKnowsWhatOpenOrdersWillClose) {
  go_short(10);
  enter(buy_to_close(kShorty, 6));
  exchange_ =
      std::move(*Exchange::resized(std::make_unique<Exchange>(std::move(exchange_)), kSmallLimits));
  expect_mismatch(buy_to_close(kShorty, 5));
  enter(buy_to_close(kShorty, 4));
}

// --- rules of earlier versions

class RulesVersionTest : public PositionIntentTest {};

TEST_F(RulesVersionTest, IntentsAreLookedAtFromRulesVersion2On) {
  apply(Configure{kSmallLimits, 1});
  enter(sell_to_open(kAnna, 1));
  apply(Configure{kSmallLimits, 2});
  expect_mismatch(sell_to_open(kAnna, 1));
  apply(Configure{kSmallLimits, 1});
  enter(sell_to_open(kAnna, 1));
}

// A replay from a snapshot relies on this.
TEST_F(RulesVersionTest, TheStateKeepsTheRulesInForce) {
  for (const RulesVersion rules : {RulesVersion{1}, RulesVersion{2}}) {
    apply(Configure{kSmallLimits, rules});
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    exchange_.serialize(out);
    Exchange restored(kSmallLimits);
    ByteReader in(bytes);
    ASSERT_TRUE(restored.restore(in));
    EXPECT_EQ(restored.rules_version(), rules);
  }
}

TEST_F(RulesVersionTest, StatesUnderDifferentRulesAreDifferentStates) {
  apply(Configure{kSmallLimits, 1});
  Exchange other(kSmallLimits);
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange_.serialize(out);
  ByteReader in(bytes);
  ASSERT_TRUE(other.restore(in));
  const Command command{exchange_.last_sequence() + 1, 0, Configure{kSmallLimits, 2}};
  exchange_.apply(command, events_);
  other.apply({command.sequence, 0, Configure{kSmallLimits, 1}}, events_);
  EXPECT_NE(exchange_.state_hash(), other.state_hash());
  EXPECT_EQ(exchange_.state_hash(2), other.state_hash(2));
}

TEST_F(RulesVersionTest, RulesThatDoNotExistAreRefused) {
  for (const RulesVersion rules : {RulesVersion{0}, kRulesVersion + 1}) {
    EXPECT_EQ(rejection(Configure{kSmallLimits, rules}), Reason::kInvalidDefinition);
  }
}

}  // namespace
}  // namespace openvenue::core

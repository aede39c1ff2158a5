// The check after a command must find whatever that command created or lost.
#include "core/exchange/conservation.h"

#include <gtest/gtest.h>

#include "core/state/exchange_state.h"
#include "core/testing/exchange_fixture_test.h"

#ifdef OPENVENUE_CHECKED

namespace openvenue::core {
namespace {

constexpr Limits kRoomyLimits{.max_orders = 8192,
                              .max_accounts = 8,
                              .max_instruments = 4,
                              .max_positions = 16,
                              .max_fills_per_command = 16,
                              .max_open_orders = 8000,
                              .max_open_orders_per_account = 8000};

// So many orders rest that the audit of the whole state is rare. Each test breaks something that
// the next command touches, as if that command had done it.
class ConservationTest : public ExchangeFixture {
 protected:
  ConservationTest() : ExchangeFixture(kRoomyLimits) {
    for (int i = 0; i < 500; ++i) {
      last_buy_ = rest(kAnna, Side::kBuy, 1, 1 + i % 50);
      rest(kBob, Side::kSell, 1, 60 + i % 50);
    }
  }

  Position& position_of(AccountId account) {
    Ledger& ledger = exchange_.state().ledger;
    return ledger.position(ledger.find_position(account, kGold));
  }
  Account& account_of(AccountId account) {
    Ledger& ledger = exchange_.state().ledger;
    return ledger.account(ledger.find_account(account)).account;
  }
  Slot slot_of(OrderId order) { return exchange_.state().orders.find(order); }
  FastBook& book() { return exchange_.state().instruments[0].book; }

  OrderId last_buy_ = 0;
};

TEST_F(ConservationTest, SeesLotsFromNowhereAfterTheTradeThatMadeThem) {
  position_of(kBob).qty_lots += 1;
  EXPECT_DEATH(apply(limit(kAnna, Side::kBuy, 1, 60)), "lots were made or lost");
}

TEST_F(ConservationTest, SeesLotsThatAnAdjustmentMadeUp) {
  exchange_.state().instruments[0].instrument.adjusted_lots += 1;
  position_of(kAnna).qty_lots += 1;
  EXPECT_DEATH(apply(AdjustPosition{kAnna, kGold, 5, 0}), "lots were made or lost");
}

TEST_F(ConservationTest, SeesLotsFromNowhereEvenAfterARefusal) {
  position_of(kAnna).qty_lots -= 1;
  EXPECT_DEATH(apply(limit(kAnna, Side::kBuy, -1, 10)), "lots were made or lost");
}

TEST_F(ConservationTest, SeesCashFromNowhere) {
  account_of(kBob).cash_micros += 1;
  EXPECT_DEATH(apply(limit(kAnna, Side::kBuy, 1, 60)), "cash was made or lost");
}

TEST_F(ConservationTest, SeesADepositOfAnotherAmountThanTheCommands) {
  ASSERT_EQ(exchange_.state().ledger.adjust_cash(0, 1), Reason::kNone);
  EXPECT_DEATH(apply(AdjustBalance{kAnna, 5}), "cash was made or lost");
}

TEST_F(ConservationTest, SeesLotsReservedForNothing) {
  position_of(kBob).reserved_lots += 1;
  EXPECT_DEATH(apply(limit(kBob, Side::kSell, 1, 99)), "reserved lots are not what");
}

TEST_F(ConservationTest, SeesAnOrderThatHasLeftItsBook) {
  book().remove(slot_of(last_buy_));
  EXPECT_DEATH(apply(limit(kShorty, Side::kSell, 1, 99)), "books hold more or less");
}

TEST_F(ConservationTest, SeesAQuantityThatTheBookAndTheOrderDoNotShare) {
  exchange_.state().orders[slot_of(last_buy_)].qty_lots += 1;
  EXPECT_DEATH(apply(CancelOrder{kBob, last_buy_}), "books hold more or less");
}

TEST_F(ConservationTest, GoesOnFromARestoredState) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange_.serialize(out);
  ByteReader in(bytes);
  ASSERT_TRUE(exchange_.restore(in));
  apply(limit(kAnna, Side::kBuy, 3, 61));
  position_of(kAnna).qty_lots += 1;
  EXPECT_DEATH(apply(CancelOrder{kAnna, last_buy_}), "lots were made or lost");
}

// Changes of records that no command names are found too, but later.
TEST_F(ConservationTest, FindsWhatChangedBehindItsBackWithTheNextAudit) {
  Conservation conservation(kRoomyLimits);
  conservation.begin(exchange_.state());
  EXPECT_EQ(conservation.find_drift(exchange_.state()), nullptr);
  position_of(kBob).qty_lots += 1;
  EXPECT_STREQ(conservation.find_drift(exchange_.state()),
               "a position changed and no command or event names it");
}

}  // namespace
}  // namespace openvenue::core

#endif

// The auditor must find every violation of a state's invariants.
#include "core/exchange/auditor.h"

#include <gtest/gtest.h>

#include "core/rules/administration.h"
#include "core/rules/orders.h"
#include "core/state/exchange_state.h"
#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

class AuditorTest : public testing::Test {
 protected:
  AuditorTest() : state_(kSmallLimits), auditor_(kSmallLimits) {
    DefineInstrument gold;
    gold.instrument = 1;
    gold.symbol = Symbol("GOLD");
    gold.tick_size_nanos = gold.lot_size_nanos = 1'000'000;
    gold.max_price_ticks = 100;
    gold.max_order_qty_lots = 100;
    Administration administration(state_, events_);
    administration.define_instrument(gold);
    administration.open_account({1, Name("Anna"), false, 0});
    administration.adjust_balance({1, 1'000});
    administration.adjust_position({1, 1, 50, 0});
    buy_ = enter(Side::kBuy, 10);
    sell_ = enter(Side::kSell, 20);
  }

  Slot enter(Side side, PriceTicks price) {
    const ClientOrderId id(std::to_string(++state_.last_sequence));
    const OrderTerms terms{5, price, side, OrderType::kLimit, TimeInForce::kGtc};
    Orders(state_, events_).enter({terms, 1, 1, id});
    return state_.orders.find(state_.last_sequence);
  }

  void expect_violation(const std::string& expected) {
    const char* violation = auditor_.find_violation(state_);
    ASSERT_NE(violation, nullptr);
    EXPECT_EQ(violation, expected);
  }

  ExchangeState state_;
  Auditor auditor_;
  EventBuffer events_;
  Slot buy_ = kNoSlot;
  Slot sell_ = kNoSlot;
};

TEST_F(AuditorTest, FindsNothingInASoundState) {
  EXPECT_EQ(auditor_.find_violation(state_), nullptr);
}

TEST_F(AuditorTest, FindsCashFromNowhere) {
  state_.ledger.account(0).account.cash_micros += 1;
  expect_violation("cash is not what was deposited");
}

TEST_F(AuditorTest, FindsLotsFromNowhere) {
  state_.ledger.position(0).qty_lots += 1;
  expect_violation("positions do not add up to what was brought in");
}

TEST_F(AuditorTest, FindsCashReservedForNothing) {
  state_.ledger.account(0).account.reserved_micros += 1;
  expect_violation("an account's reserved cash is not what its open buy orders need");
}

TEST_F(AuditorTest, FindsLotsReservedForNothing) {
  state_.ledger.position(0).reserved_lots += 1;
  expect_violation("a position's reserved lots are not what its open sell orders need");
}

TEST_F(AuditorTest, FindsSpentMoneyThatWasNotThere) {
  state_.ledger.account(0).account.credit_limit_micros = -1'000;
  expect_violation("an account's buying power is negative");
}

TEST_F(AuditorTest, FindsAnOpenOrderThatIsNotInItsBook) {
  state_.instruments[0].book.remove(buy_);
  expect_violation("open orders are missing from the books");
}

TEST_F(AuditorTest, FindsALevelThatDoesNotMatchItsOrders) {
  state_.instruments[0].book.reduce(sell_, 1);
  expect_violation("a level is not the sum of its orders");
}

TEST_F(AuditorTest, FindsAPlaceTakenByNothing) {
  state_.ledger.add_position(0, {.account = 1, .instrument = 99});
  expect_violation("a position without lots and open orders takes a place");
}

TEST_F(AuditorTest, FindsAnOrderWhoseRecordNamesAnotherAccount) {
  state_.orders.details(sell_).account = 2;
  expect_violation("an account's open orders are not its open orders, newest first");
}

TEST_F(AuditorTest, FindsAnOrderWhoseRecordNamesAnotherInstrument) {
  state_.orders.details(sell_).instrument = 2;
  expect_violation("an order's record names another instrument than its book's");
}

TEST_F(AuditorTest, FindsAnOpenOrderWhoseIdIsForgotten) {
  state_.orders.client_ids().erase(state_.orders.owner(buy_).client_id);
  expect_violation("an open order's client order id is not known as its own");
}

TEST_F(AuditorTest, FindsAnIdThatNoOrderUsed) {
  state_.orders.client_ids().add({1, 2, 3, 4, 5});
  expect_violation("client order ids are miscounted");
}

TEST_F(AuditorTest, FindsACrossedBook) {
  state_.instruments[0].book.remove(sell_);
  state_.instruments[0].book.add(sell_, Side::kSell, 9, 5);
  expect_violation("a book is crossed");
}

TEST_F(AuditorTest, FindsAnOrderAtAPriceThatIsNotItsLimit) {
  state_.instruments[0].book.remove(sell_);
  state_.instruments[0].book.add(sell_, Side::kSell, 21, 5);
  expect_violation("a book holds an order that does not belong there");
}

}  // namespace
}  // namespace openvenue::core

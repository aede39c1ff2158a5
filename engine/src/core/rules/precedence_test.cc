// If several reasons to refuse an order apply, the client gets the first one of the list in
// types.h. Each case here breaks two rules and expects the earlier one.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

constexpr InstrumentId kSilver = 2;
constexpr InstrumentId kDear = 3;
// At that price, this many lots are worth more than fits 64 bits.
constexpr QtyLots kTooMuch = QtyLots{1} << 38;
constexpr PriceTicks kTooDear = PriceTicks{1} << 22;

// Anna has an open order of GOLD, one that ended, and a partly filled one of SILVER; she holds
// nothing of DEAR, which Shorty offers.
class PrecedenceTest : public ExchangeFixture {
 public:
  PrecedenceTest() {
    define(InstrumentState::kActive);
    apply(AdjustPosition{kBob, kSilver, 1, 0});
    used_ = limit(kAnna, Side::kBuy, 1, 1);
    enter(used_);
    ended_ = rest(kAnna, Side::kBuy, 1, 1);
    apply(CancelOrder{kAnna, ended_});
    NewOrder order = limit(kAnna, Side::kBuy, 2, 1);
    order.instrument = kSilver;
    open_ = enter(order);
    order = limit(kBob, Side::kSell, 1, 1);
    order.instrument = kSilver;
    enter(order);
    order = limit(kShorty, Side::kSell, 1, 1);
    order.instrument = kDear;
    enter(order);
  }

  [[nodiscard]] NewOrder new_order() {
    NewOrder order = limit(kAnna, Side::kBuy, 1, 1);
    order.instrument = kDear;
    return order;
  }
  [[nodiscard]] ReplaceOrder replace_order() { return replacement(kAnna, open_, 3, 1); }

  void define(InstrumentState state) {
    for (const auto& [id, symbol] : {std::pair(kSilver, "SILVER"), std::pair(kDear, "DEAR")}) {
      DefineInstrument terms = gold();
      terms.instrument = id;
      terms.symbol = Symbol(symbol);
      terms.state = state;
      terms.max_price_ticks = kTooDear;
      terms.max_order_qty_lots = kTooMuch;
      apply(terms);
    }
  }
  void suspend(AccountId account) { apply(SuspendTrading{account, true}); }
  void limit_to(const std::function<void(Limits&)>& change) {
    change(limits_);
    apply(Configure{limits_});
    ASSERT_TRUE(std::holds_alternative<Applied>(events_.front()));
  }

  using ExchangeFixture::rejection;

  NewOrder used_;  // under its client order id
  OrderId ended_ = 0;
  OrderId open_ = 0;

 private:
  Limits limits_ = kSmallLimits;
};

template <class Command>
struct Fault {
  const char* what;
  Reason reason;
  std::function<void(PrecedenceTest&, Command&)> commit;
};

// In the order of precedence.
const std::vector<Fault<NewOrder>>& faults_of_new_orders() {
  using Test = PrecedenceTest;
  static const std::vector<Fault<NewOrder>> faults{
      {"unknown account", Reason::kUnknownAccount, [](Test&, NewOrder& it) { it.account = 99; }},
      {"no client order id", Reason::kInvalidOrder,
       [](Test&, NewOrder& it) { it.client_order_id = {}; }},
      {"used client order id", Reason::kDuplicateClientOrderId,
       [](Test& test, NewOrder& it) { it.client_order_id = test.used_.client_order_id; }},
      {"unknown instrument", Reason::kUnknownInstrument,
       [](Test&, NewOrder& it) { it.instrument = 99; }},
      {"suspended account", Reason::kAccountSuspended,
       [](Test& test, NewOrder& it) { test.suspend(it.account); }},
      {"suspended venue", Reason::kVenueSuspended, [](Test& test, NewOrder&) { test.suspend(0); }},
      {"no side", Reason::kInvalidOrder, [](Test&, NewOrder& it) { it.side = Side{}; }},
      {"inactive instrument", Reason::kInstrumentInactive,
       [](Test& test, NewOrder&) { test.define(InstrumentState::kInactive); }},
      {"no quantity", Reason::kInvalidQuantity, [](Test&, NewOrder& it) { it.qty_lots = 0; }},
      {"no price", Reason::kInvalidPrice, [](Test&, NewOrder& it) { it.limit_price_ticks = 0; }},
      {"another intent", Reason::kPositionIntentMismatch,
       [](Test&, NewOrder& it) { it.position_intent = PositionIntent::kBuyToClose; }},
      {"value beyond 64 bits", Reason::kOverflow,
       [](Test&, NewOrder& it) {
         it.qty_lots = kTooMuch;
         it.limit_price_ticks = kTooDear;
       }},
      {"too little cash", Reason::kInsufficientCash,
       [](Test&, NewOrder& it) { it.qty_lots = 1'000'000; }},
      {"no room for a position", Reason::kCapacity,
       [](Test& test, NewOrder&) { test.limit_to([](Limits& it) { it.max_positions = 4; }); }},
      {"no room for a position of the account", Reason::kAccountPositionLimit,
       [](Test& test, NewOrder&) {
         test.limit_to([](Limits& it) { it.max_positions_per_account = 2; });
       }},
      {"no room for an open order", Reason::kOpenOrderLimit,
       [](Test& test, NewOrder&) { test.limit_to([](Limits& it) { it.max_open_orders = 3; }); }},
      {"no room for an open order of the account", Reason::kAccountOpenOrderLimit,
       [](Test& test, NewOrder&) {
         test.limit_to([](Limits& it) { it.max_open_orders_per_account = 2; });
       }},
      {"a post-only order that would trade", Reason::kPostOnlyWouldTrade,
       [](Test&, NewOrder& it) { it.post_only = true; }},
  };
  return faults;
}

const std::vector<Fault<ReplaceOrder>>& faults_of_replacements() {
  using Test = PrecedenceTest;
  static const std::vector<Fault<ReplaceOrder>> faults{
      {"unknown account", Reason::kUnknownAccount,
       [](Test&, ReplaceOrder& it) { it.account = 99; }},
      {"no client order id", Reason::kInvalidOrder,
       [](Test&, ReplaceOrder& it) { it.client_order_id = {}; }},
      {"used client order id", Reason::kDuplicateClientOrderId,
       [](Test& test, ReplaceOrder& it) { it.client_order_id = test.used_.client_order_id; }},
      {"unknown order", Reason::kUnknownOrder, [](Test&, ReplaceOrder& it) { it.order_id = 999; }},
      {"ended order", Reason::kOrderNotOpen,
       [](Test& test, ReplaceOrder& it) { it.order_id = test.ended_; }},
      {"suspended account", Reason::kAccountSuspended,
       [](Test& test, ReplaceOrder& it) { test.suspend(it.account); }},
      {"suspended venue", Reason::kVenueSuspended,
       [](Test& test, ReplaceOrder&) { test.suspend(0); }},
      {"a time in force that cannot rest", Reason::kInvalidOrder,
       [](Test&, ReplaceOrder& it) {
         it.keep_time_in_force = false;
         it.time_in_force = TimeInForce::kFok;
       }},
      {"inactive instrument", Reason::kInstrumentInactive,
       [](Test& test, ReplaceOrder&) { test.define(InstrumentState::kInactive); }},
      {"negative quantity", Reason::kInvalidQuantity,
       [](Test&, ReplaceOrder& it) { it.qty_lots = -1; }},
      {"negative price", Reason::kInvalidPrice,
       [](Test&, ReplaceOrder& it) { it.limit_price_ticks = -1; }},
      {"no more than is filled", Reason::kQuantityBelowFilled,
       [](Test&, ReplaceOrder& it) { it.qty_lots = 1; }},
      {"value beyond 64 bits", Reason::kOverflow,
       [](Test&, ReplaceOrder& it) {
         it.qty_lots = kTooMuch;
         it.limit_price_ticks = kTooDear;
       }},
      {"too little cash", Reason::kInsufficientCash,
       [](Test&, ReplaceOrder& it) { it.qty_lots = 1'000'000; }},
  };
  return faults;
}

using Pair = std::pair<std::size_t, std::size_t>;

// Every pair, and each alone.
template <class Faults>
std::vector<Pair> pairs_of(const Faults& faults) {
  std::vector<Pair> pairs;
  for (std::size_t first = 0; first < faults.size(); ++first) {
    for (std::size_t second = first; second < faults.size(); ++second) {
      pairs.emplace_back(first, second);
    }
  }
  return pairs;
}

class OfNewOrders : public PrecedenceTest, public testing::WithParamInterface<Pair> {};
class OfReplacements : public PrecedenceTest, public testing::WithParamInterface<Pair> {};

// Commits the second fault first, so that the first one prevails if both are in one field.
template <class Command>
void expect_first(PrecedenceTest& test, Command command, const std::vector<Fault<Command>>& faults,
                  const Pair& pair) {
  const Fault<Command>& first = faults[pair.first];
  const Fault<Command>& second = faults[pair.second];
  SCOPED_TRACE(std::string(first.what) + " before " + second.what);
  second.commit(test, command);
  if (pair.first != pair.second) first.commit(test, command);
  EXPECT_EQ(test.rejection(command), first.reason);
}

TEST_P(OfNewOrders, TheFirstOfTwoReasonsIsGiven) {
  expect_first(*this, new_order(), faults_of_new_orders(), GetParam());
}

TEST_P(OfReplacements, TheFirstOfTwoReasonsIsGiven) {
  expect_first(*this, replace_order(), faults_of_replacements(), GetParam());
}

TEST_F(PrecedenceTest, WithoutAFaultTheOrdersAreAccepted) {
  apply(new_order());
  EXPECT_TRUE(std::holds_alternative<OrderAccepted>(events_.front()));
  apply(replace_order());
  EXPECT_TRUE(std::holds_alternative<OrderReplaced>(events_.front()));
}

INSTANTIATE_TEST_SUITE_P(Precedence, OfNewOrders,
                         testing::ValuesIn(pairs_of(faults_of_new_orders())));
INSTANTIATE_TEST_SUITE_P(Precedence, OfReplacements,
                         testing::ValuesIn(pairs_of(faults_of_replacements())));

}  // namespace
}  // namespace openvenue::core

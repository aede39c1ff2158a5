#include <gmock/gmock.h>

#include <limits>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;

constexpr CashMicros kAllMicros = std::numeric_limits<CashMicros>::max();

class AdministrationTest : public ExchangeFixture {};

TEST_F(AdministrationTest, DefiningAnInstrumentAgainWithTheSameTermsApplies) {
  EXPECT_THAT(apply(gold()), ElementsAre(Event(Applied{})));
}

TEST_F(AdministrationTest, TheTermsThatMayChangeChange) {
  DefineInstrument changed = gold();
  changed.name = Name("Gold, troy ounces");
  changed.max_order_qty_lots = 7;
  apply(changed);
  EXPECT_EQ(exchange_.find_instrument(kGold)->terms, changed);
}

TEST_F(AdministrationTest, TheTermsThatMayNotChangeDoNot) {
  DefineInstrument changed = gold();
  changed.max_price_ticks = 2'000;
  EXPECT_EQ(rejection(changed), Reason::kAlreadyExists);
}

TEST_F(AdministrationTest, ASymbolNamesOneInstrument) {
  DefineInstrument other = gold();
  other.instrument = 2;
  EXPECT_EQ(rejection(other), Reason::kAlreadyExists);
}

TEST_F(AdministrationTest, ATickOfALotIsAWholeNumberOfMicros) {
  DefineInstrument other = gold();
  other.instrument = 2;
  other.symbol = Symbol("SILVER");
  other.lot_size_nanos = 10;  // 0.01 x 0.00000001: less than a micro
  EXPECT_EQ(rejection(other), Reason::kInvalidDefinition);
  EXPECT_EQ(exchange_.find_instrument(kGold)->tick_value_micros, kTickValue);
}

TEST_F(AdministrationTest, RejectsInstrumentsThatCannotBe) {
  const auto with = [](auto change) {
    DefineInstrument terms = gold();
    terms.instrument = 2;
    terms.symbol = Symbol("SILVER");
    change(terms);
    return terms;
  };
  using Terms = DefineInstrument;
  for (const Terms& terms : {
           with([](Terms& t) { t.instrument = 0; }),
           with([](Terms& t) { t.symbol = {}; }),
           with([](Terms& t) { t.tick_size_nanos = 0; }),
           with([](Terms& t) { t.min_price_ticks = 0; }),
           with([](Terms& t) { t.max_price_ticks = t.min_price_ticks - 1; }),
           with([](Terms& t) { t.max_price_ticks = t.min_price_ticks + kPriceRangeTicksMax; }),
           with([](Terms& t) { t.max_order_qty_lots = 0; }),
           with([](Terms& t) { t.max_order_qty_lots = kOrderQtyLotsMax + 1; }),
           with([](Terms& t) { t.asset_class = static_cast<AssetClass>(0); }),
           with([](Terms& t) { t.state = static_cast<InstrumentState>(3); }),
       }) {
    EXPECT_EQ(rejection(terms), Reason::kInvalidDefinition);
  }
}

TEST_F(AdministrationTest, OpeningAnAccountAgainChangesItsTerms) {
  apply(OpenAccount{kAnna, Name("Anna"), true, 500});
  EXPECT_EQ(account(kAnna).name, Name("Anna"));
  EXPECT_EQ(account(kAnna).buying_power_micros(), kStartCash + 500);
}

TEST_F(AdministrationTest, CreditInUseCannotBeTakenAway) {
  apply(OpenAccount{kAnna, Name("Anna"), false, kStartCash});
  rest(kAnna, Side::kBuy, 101, 1'000);
  EXPECT_EQ(rejection(OpenAccount{kAnna, Name("Anna"), false, 0}), Reason::kInsufficientCash);
}

TEST_F(AdministrationTest, AShortAccountCannotLoseTheRightToSellShort) {
  rest(kShorty, Side::kSell, 1, 100);
  EXPECT_EQ(rejection(OpenAccount{kShorty, Name("Shorty"), false, 0}),
            Reason::kInsufficientPosition);
}

TEST_F(AdministrationTest, RejectsAccountsThatCannotBe) {
  EXPECT_EQ(rejection(OpenAccount{0, Name("nobody"), false, 0}), Reason::kInvalidDefinition);
  EXPECT_EQ(rejection(OpenAccount{9, Name("negative"), false, -1}), Reason::kInvalidDefinition);
  EXPECT_EQ(rejection(OpenAccount{9, Name("boundless"), false, kAllMicros}), Reason::kOverflow);
}

TEST_F(AdministrationTest, CashThatIsReservedCannotBeWithdrawn) {
  rest(kAnna, Side::kBuy, 1, 100);
  constexpr CashMicros kReserved = value(1, 100);
  EXPECT_EQ(rejection(AdjustBalance{kAnna, -(kStartCash - kReserved + 1)}),
            Reason::kInsufficientCash);
  EXPECT_THAT(apply(AdjustBalance{kAnna, -(kStartCash - kReserved)}),
              ElementsAre(Event(BalanceAdjusted{kReserved})));
}

TEST_F(AdministrationTest, DepositsCannotLeaveTheRangeOfCash) {
  EXPECT_EQ(rejection(AdjustBalance{kAnna, kAllMicros}), Reason::kOverflow);
  EXPECT_EQ(rejection(AdjustBalance{kAnna, -kAllMicros}), Reason::kOverflow);
}

TEST_F(AdministrationTest, LotsThatAreReservedCannotBeTakenAway) {
  rest(kAnna, Side::kSell, 400, 100);
  EXPECT_EQ(rejection(AdjustPosition{kAnna, kGold, -601, 0}), Reason::kInsufficientPosition);
  EXPECT_THAT(apply(AdjustPosition{kAnna, kGold, -600, 5}),
              ElementsAre(Event(PositionAdjusted{400, 5})));
}

TEST_F(AdministrationTest, AFlatPositionHasNoCost) {
  apply(AdjustPosition{kAnna, kGold, 0, 77});
  EXPECT_THAT(apply(AdjustPosition{kAnna, kGold, -kStartLots, 0}),
              ElementsAre(Event(PositionAdjusted{0, 0})));
}

TEST_F(AdministrationTest, AdjustmentsNameKnownAccountsAndInstruments) {
  EXPECT_EQ(rejection(AdjustBalance{99, 1}), Reason::kUnknownAccount);
  EXPECT_EQ(rejection(AdjustPosition{99, kGold, 1, 0}), Reason::kUnknownAccount);
  EXPECT_EQ(rejection(AdjustPosition{kAnna, 99, 1, 0}), Reason::kUnknownInstrument);
}

TEST_F(AdministrationTest, EveryPoolHasABound) {
  apply(Configure{{.max_orders = 2,
                   .max_accounts = 3,
                   .max_instruments = 1,
                   .max_positions = 2,
                   .max_fills_per_command = 1,
                   .max_open_orders = 1,
                   .max_open_orders_per_account = 1,
                   .max_client_ids = 2}});
  EXPECT_EQ(rejection(OpenAccount{4, Name("one too many"), false, 0}), Reason::kCapacity);
  DefineInstrument other = gold();
  other.instrument = 2;
  other.symbol = Symbol("SILVER");
  EXPECT_EQ(rejection(other), Reason::kCapacity);
  EXPECT_EQ(rejection(AdjustPosition{kShorty, kGold, 1, 0}), Reason::kCapacity);
  EXPECT_EQ(rejection(limit(kShorty, Side::kSell, 1, 100)), Reason::kCapacity);
  rest(kAnna, Side::kSell, 1, 100);
  EXPECT_EQ(rejection(limit(kAnna, Side::kSell, 1, 100)), Reason::kOpenOrderLimit);
}

TEST_F(AdministrationTest, LimitsCannotExceedThePoolsOrCutOffWhatIsThere) {
  Limits limits = kSmallLimits;
  limits.max_orders = kSmallLimits.max_orders + 1;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kCapacity);
  limits = kSmallLimits;
  limits.max_accounts = 2;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kCapacity);
  limits.max_accounts = 0;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kInvalidDefinition);
  rest(kAnna, Side::kBuy, 1, 100);
  rest(kAnna, Side::kBuy, 1, 100);
  limits = kSmallLimits;
  limits.max_open_orders = 1;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kCapacity);
}

TEST_F(AdministrationTest, OpenOrdersMayNotTakeAllRecords) {
  Limits limits = kSmallLimits;
  limits.max_open_orders = limits.max_orders;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kInvalidDefinition);
  limits.max_open_orders = limits.max_orders - 1;
  apply(Configure{limits});
  EXPECT_EQ(exchange_.limits(), limits);
}

TEST_F(AdministrationTest, LowerLimitsForgetTheOrdersThatEndedFirst) {
  const OrderId first = rest(kAnna, Side::kBuy, 1, 100);
  const OrderId second = rest(kAnna, Side::kBuy, 1, 100);
  apply(CancelOrder{kAnna, second});
  apply(CancelOrder{kAnna, first});
  Limits limits = kSmallLimits;
  limits.max_orders = 2;
  limits.max_open_orders = 1;
  apply(CancelOrder{kAnna, rest(kAnna, Side::kBuy, 1, 100)});
  apply(Configure{limits});
  EXPECT_EQ(exchange_.find_order(second), std::nullopt);
  EXPECT_NE(exchange_.find_order(first), std::nullopt);
}

TEST(ExchangeCapacity, RefusesPoolsThatCannotBe) {
  EXPECT_THROW(Exchange(Limits{.max_orders = 0}), std::invalid_argument);
  EXPECT_THROW(Exchange(Limits{.max_orders = kOrdersMax + 1}), std::invalid_argument);
  EXPECT_THROW(Exchange(Limits{.max_orders = 64, .max_open_orders = 64}), std::invalid_argument);
}

}  // namespace
}  // namespace openvenue::core

// A suspended account, or venue, cancels and does nothing else.
#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr AccountId kAll = 0;

class SuspensionTest : public ExchangeFixture {
 protected:
  void suspend(AccountId account) { apply(SuspendTrading{account, true}); }
  void lift(AccountId account) { apply(SuspendTrading{account, false}); }
};

TEST_F(SuspensionTest, AnAccountEntersAndReplacesNothingAndCancels) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  suspend(kAnna);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kAccountSuspended);
  EXPECT_EQ(rejection(replacement(kAnna, id, 5, 0)), Reason::kAccountSuspended);
  apply(CancelOrder{kAnna, id});
  EXPECT_THAT(queue(Side::kBuy, 100), IsEmpty());
}

TEST_F(SuspensionTest, OthersTradeWithWhatItHasOpen) {
  rest(kAnna, Side::kBuy, 10, 100);
  suspend(kAnna);
  enter(limit(kBob, Side::kSell, 4, 100));
  EXPECT_EQ(all<Trade>().size(), 1U);
}

TEST_F(SuspensionTest, OfTheVenueIsThatOfEveryAccountUntilItIsLifted) {
  suspend(kAll);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kVenueSuspended);
  EXPECT_EQ(rejection(limit(kBob, Side::kSell, 1, 99)), Reason::kVenueSuspended);
  lift(kAll);
  enter(limit(kAnna, Side::kBuy, 1, 99));
}

TEST_F(SuspensionTest, OfAnAccountOutlivesThatOfTheVenue) {
  suspend(kAnna);
  suspend(kAll);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kAccountSuspended);
  lift(kAll);
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kAccountSuspended);
  lift(kAnna);
  enter(limit(kAnna, Side::kBuy, 1, 99));
}

TEST_F(SuspensionTest, SurvivesARestart) {
  suspend(kAnna);
  suspend(kAll);
  restart();
  EXPECT_TRUE(exchange_.suspended());
  EXPECT_EQ(rejection(limit(kBob, Side::kBuy, 1, 99)), Reason::kVenueSuspended);
  lift(kAll);
  restart();
  EXPECT_FALSE(exchange_.suspended());
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kAccountSuspended);
}

// A client that repeats an order of unknown fate learns what became of it.
TEST_F(SuspensionTest, ARepeatedOrderIsStillRecognized) {
  const NewOrder order = limit(kAnna, Side::kBuy, 1, 99);
  const OrderId id = enter(order);
  suspend(kAnna);
  apply(order);
  EXPECT_THAT(all<Duplicate>(), ElementsAre(Duplicate{id}));
}

TEST_F(SuspensionTest, RefusesABatch) {
  suspend(kAnna);
  const std::vector<NewOrder> orders{limit(kAnna, Side::kBuy, 1, 99)};
  const auto refusal = exchange_.find_refusal(orders);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->reason, Reason::kAccountSuspended);
}

TEST_F(SuspensionTest, NewTermsOfTheAccountLeaveIt) {
  suspend(kAnna);
  apply(OpenAccount{kAnna, Name("anna"), false, 0});
  EXPECT_EQ(rejection(limit(kAnna, Side::kBuy, 1, 99)), Reason::kAccountSuspended);
}

TEST_F(SuspensionTest, AnUnknownAccountIsRefused) {
  EXPECT_EQ(rejection(SuspendTrading{99, true}), Reason::kUnknownAccount);
}

}  // namespace
}  // namespace openvenue::core

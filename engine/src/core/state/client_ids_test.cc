// How long a client order id is remembered, and that what one account sends never costs another one
// its share.
#include "core/state/client_ids.h"

#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

// Two records of orders more than may be open, and room for 4 ids beyond the open ones: 3 of them
// are promised, one to each account.
constexpr Limits kFewIds{.max_orders = 6,
                         .max_accounts = 3,
                         .max_instruments = 4,
                         .max_positions = 16,
                         .max_fills_per_command = 16,
                         .max_open_orders = 4,
                         .max_open_orders_per_account = 4,
                         .max_client_ids = 8};

class ClientIdsTest : public ExchangeFixture {
 protected:
  ClientIdsTest() : ExchangeFixture(kFewIds) {}

  NewOrder named(AccountId account, const std::string& id,
                 TimeInForce time_in_force = TimeInForce::kIoc) {
    const bool buys = account != kShorty;  // who has no cash
    NewOrder order =
        limit(account, buys ? Side::kBuy : Side::kSell, 1, buys ? 1 : 1'000, time_in_force);
    order.client_order_id = ClientOrderId(id);
    return order;
  }
  void send(AccountId account, int first, int last) {
    for (int i = first; i <= last; ++i) enter(named(account, std::to_string(i)));
  }
  // True if the same order sent again is recognized. If not, it is refused: the history must tell.
  bool recognizes(const NewOrder& order) {
    apply(order);
    if (std::holds_alternative<Duplicate>(events_.front())) return true;
    const EventBuffer refused{Rejected{Reason::kClientOrderIdMaybeUsed, 0}};
    EXPECT_EQ(events_, refused);
    return false;
  }
  static NewOrder checked(NewOrder order) {
    order.history_checked = true;
    return order;
  }
};

TEST_F(ClientIdsTest, AnIdIsRememberedForLongerThanItsOrder) {
  const OrderId first = enter(named(kAnna, "first"));
  for (int i = 0; i < 6; ++i) {
    enter(named(kBob, std::to_string(i)));
    restart();
  }
  EXPECT_EQ(exchange_.find_order(first), std::nullopt);
  EXPECT_EQ(apply(named(kAnna, "first")).front(), Event(Duplicate{first}));
  EXPECT_EQ(rejection(named(kAnna, "first", TimeInForce::kGtc)), Reason::kDuplicateClientOrderId);
  EXPECT_TRUE(std::holds_alternative<OrderAccepted>(apply(named(kBob, "first")).front()));
}

TEST_F(ClientIdsTest, TrafficOfOthersCostsNobodyItsShare) {
  send(kAnna, 1, 1);
  send(kBob, 1, 100);
  EXPECT_TRUE(recognizes(named(kAnna, "1")));
}

TEST_F(ClientIdsTest, BeyondTheSharesTheOldestIsForgottenFirst) {
  send(kAnna, 1, 2);
  send(kBob, 1, 2);
  send(kShorty, 1, 4);
  ASSERT_EQ(exchange_.client_id_count(), kFewIds.max_client_ids);
  EXPECT_EQ(exchange_.client_ids_floor(), 0U);
  send(kShorty, 5, 5);
  const Sequence floor = exchange_.client_ids_floor();
  EXPECT_GT(floor, 0U);
  EXPECT_TRUE(recognizes(named(kAnna, "2")));
  EXPECT_TRUE(recognizes(named(kBob, "1")));
  restart();
  EXPECT_EQ(exchange_.client_ids_floor(), floor);
  EXPECT_FALSE(recognizes(named(kAnna, "1")));
}

TEST_F(ClientIdsTest, TheIdOfAnOpenOrderIsAlwaysRemembered) {
  const NewOrder resting = named(kBob, "resting", TimeInForce::kGtc);
  const OrderId id = enter(resting);
  send(kBob, 1, 50);
  restart();
  send(kBob, 51, 100);
  EXPECT_EQ(apply(resting).front(), Event(Duplicate{id}));
  apply(CancelOrder{kBob, id});
  EXPECT_EQ(apply(resting).front(), Event(Duplicate{id}));
}

TEST_F(ClientIdsTest, AReplacementIsRecognizedByWhatItAskedFor) {
  const OrderId old = rest(kAnna, Side::kBuy, 5, 100);
  const ReplaceOrder command = replacement(kAnna, old, 4, 0);
  apply(command);
  const OrderId made = exchange_.last_sequence();
  restart();
  EXPECT_EQ(apply(command).front(), Event(Duplicate{made}));
  ReplaceOrder other = command;
  other.qty_lots = 3;
  EXPECT_EQ(rejection(other), Reason::kDuplicateClientOrderId);
  NewOrder order = limit(kAnna, Side::kBuy, 4, 100);
  order.client_order_id = command.client_order_id;
  EXPECT_EQ(rejection(order), Reason::kDuplicateClientOrderId);
}

TEST_F(ClientIdsTest, AnIdThatWasForgottenAndUsedAgainBelongsToTheNewOrder) {
  const OrderId first = enter(named(kAnna, "again"));
  send(kAnna, 1, 8);
  const OrderId second = enter(checked(named(kAnna, "again")));
  EXPECT_NE(second, first);
  restart();
  EXPECT_EQ(apply(named(kAnna, "again")).front(), Event(Duplicate{second}));
  ASSERT_NE(exchange_.find_order(kAnna, ClientOrderId("again")), std::nullopt);
  EXPECT_EQ(exchange_.find_order(kAnna, ClientOrderId("again"))->order_id, second);
}

TEST_F(ClientIdsTest, AForgottenIdIsNotExecutedAgainUnlessTheHistoryWasAsked) {
  send(kAnna, 1, 20);
  ASSERT_GT(exchange_.client_ids_forgotten(), 0U);
  const std::uint64_t forgotten = exchange_.client_ids_forgotten();
  restart();
  EXPECT_EQ(exchange_.client_ids_forgotten(), forgotten);
  EXPECT_EQ(rejection(named(kAnna, "1")), Reason::kClientOrderIdMaybeUsed);
  EXPECT_EQ(exchange_.client_ids_forgotten(), forgotten);
  // Another account's id of that name, and another id, are new.
  EXPECT_TRUE(std::holds_alternative<OrderAccepted>(apply(named(kBob, "1")).front()));
  EXPECT_TRUE(std::holds_alternative<OrderAccepted>(apply(named(kAnna, "new")).front()));
  const NewOrder again = checked(named(kAnna, "1"));
  EXPECT_TRUE(std::holds_alternative<OrderAccepted>(apply(again).front()));
  // The flag is not part of the order.
  const OrderId made = exchange_.last_sequence();
  EXPECT_EQ(apply(named(kAnna, "1")).front(), Event(Duplicate{made}));
}

TEST_F(ClientIdsTest, AReplacementsIdThatWasForgottenIsAskedForToo) {
  const OrderId resting = rest(kAnna, Side::kBuy, 5, 100);
  ReplaceOrder command = replacement(kAnna, resting, 4, 0);
  command.client_order_id = ClientOrderId("1");
  send(kAnna, 1, 20);
  EXPECT_EQ(rejection(command), Reason::kClientOrderIdMaybeUsed);
  command.history_checked = true;
  EXPECT_TRUE(std::holds_alternative<OrderReplaced>(apply(command).front()));
}

TEST_F(ClientIdsTest, LowerLimitsForgetAndHigherOnesDoNotBringBack) {
  send(kAnna, 1, 8);
  Limits limits = kFewIds;
  limits.max_client_ids = 5;
  apply(Configure{limits});
  EXPECT_EQ(exchange_.client_id_count(), 5U);
  exchange_.check_invariants();
  EXPECT_TRUE(recognizes(named(kAnna, "8")));
  apply(Configure{kFewIds});
  EXPECT_FALSE(recognizes(named(kAnna, "3")));
  limits.max_client_ids = limits.max_open_orders;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kInvalidDefinition);
  limits.max_client_ids = kFewIds.max_client_ids + 1;
  EXPECT_EQ(rejection(Configure{limits}), Reason::kCapacity);
}

TEST_F(ClientIdsTest, OlderRulesCannotFollowOnceThereAreIds) {
  apply(Configure{kFewIds, 2});
  apply(Configure{kFewIds, 3});
  send(kAnna, 1, 1);
  EXPECT_EQ(rejection(Configure{kFewIds, 2}), Reason::kInvalidDefinition);
}

class OlderRules : public ClientIdsTest {
 protected:
  OlderRules() { apply(Configure{kFewIds, 2}); }
  // They cannot tell a forgotten id from a new one.
  bool executes_again(const NewOrder& order) {
    return std::holds_alternative<OrderAccepted>(apply(order).front());
  }
};

TEST_F(OlderRules, ForgetAnIdWithItsOrder) {
  send(kAnna, 1, 6);
  restart();
  EXPECT_TRUE(recognizes(named(kAnna, "1")));
  send(kBob, 1, 1);
  EXPECT_TRUE(executes_again(named(kAnna, "1")));
  EXPECT_EQ(exchange_.client_id_count(), kFewIds.max_orders);
}

TEST_F(OlderRules, LeaveTheIdsOfTheirRecordsToTheNewOnes) {
  send(kAnna, 1, 7);
  const OrderId resting = rest(kBob, Side::kBuy, 1, 1);
  const ReplaceOrder replace = replacement(kBob, resting, 2, 0);
  apply(replace);
  const OrderId made = exchange_.last_sequence();
  restart();
  apply(Configure{kFewIds, 3});
  EXPECT_EQ(exchange_.client_ids_floor(), exchange_.last_sequence());
  restart();
  exchange_.check_invariants();
  EXPECT_EQ(apply(replace).front(), Event(Duplicate{made}));
  EXPECT_TRUE(recognizes(named(kAnna, "7")));
  EXPECT_TRUE(executes_again(named(kAnna, "1")));
}

// Part of what is stored: other hashes would make every remembered id unknown.
TEST(ClientIdHashes, AreTheSameForEver) {
  Order order;
  order.account = 7;
  order.instrument = 3;
  order.side = Side::kSell;
  order.type = OrderType::kLimit;
  order.time_in_force = TimeInForce::kGtc;
  order.qty_lots = 12;
  order.limit_price_ticks = 345;
  order.client_order_id = ClientOrderId("b1946ac9-2492-4d23-9f8b-0f8c0e5d5d5d");
  const UsedClientId of_new = client_id_of(order);
  order.replaces = 99;
  const UsedClientId of_replacement = client_id_of(order, {5, 6, TimeInForce::kDay, false});
  EXPECT_EQ(of_new.id_low, 0x4375'8185'4320'7B03U);
  EXPECT_EQ(of_new.id_high, 0x9256'FBD0'3409'A6BCU);
  EXPECT_EQ(of_new.body, 0x6AB7'DF24'FE6F'1F89U);
  EXPECT_EQ(of_replacement.body, 0x2D53'52B3'E2ED'E563U);
  EXPECT_EQ(of_replacement.id_low, of_new.id_low);
}

}  // namespace
}  // namespace openvenue::core

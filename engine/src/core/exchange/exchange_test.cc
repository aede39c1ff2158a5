#include "core/exchange/exchange.h"

#include <gmock/gmock.h>

#include "core/testing/exchange_fixture_test.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class ExchangeTest : public ExchangeFixture {};

TEST_F(ExchangeTest, EveryCommandTakesOneSequenceNumber) {
  const Sequence before = exchange_.last_sequence();
  EXPECT_EQ(rejection(CancelOrder{kAnna, 999}), Reason::kUnknownOrder);
  EXPECT_EQ(exchange_.last_sequence(), before + 1);
  EXPECT_EQ(exchange_.last_timestamp_ns(), static_cast<TimestampNs>(before + 1) * 1'000);
}

TEST_F(ExchangeTest, RefusesToGoOnAfterAGapInTheSequence) {
  const Command late{exchange_.last_sequence() + 2, 0, EndTradingDay{}};
  EXPECT_DEATH(exchange_.apply(late, events_), "out of sequence");
}

TEST_F(ExchangeTest, EqualStatesGiveEqualHashes) {
  Exchange other(kSmallLimits);
  EXPECT_NE(other.state_hash(), exchange_.state_hash());
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange_.serialize(out);
  ByteReader in(bytes);
  ASSERT_TRUE(other.restore(in));
  EXPECT_EQ(other.state_hash(), exchange_.state_hash());
}

TEST_F(ExchangeTest, OrdersAreFoundByEitherId) {
  const NewOrder command = limit(kAnna, Side::kBuy, 1, 100);
  const OrderId id = enter(command);
  EXPECT_EQ(exchange_.find_order(kAnna, command.client_order_id), exchange_.find_order(id));
  EXPECT_EQ(exchange_.find_order(kBob, command.client_order_id), std::nullopt);
}

TEST_F(ExchangeTest, AnOrderCarriesTheTimesOfItsOpeningAndLastChange) {
  const OrderId id = rest(kAnna, Side::kBuy, 10, 100);
  enter(limit(kBob, Side::kSell, 1, 100));
  EXPECT_EQ(order(id).created_ns, static_cast<TimestampNs>(id) * 1'000);
  EXPECT_EQ(order(id).updated_sequence, id + 1);
  EXPECT_EQ(order(id).updated_ns, static_cast<TimestampNs>(id + 1) * 1'000);
  EXPECT_EQ(account(kAnna).updated_sequence, id + 1);
}

TEST_F(ExchangeTest, FlatPositionsAreNotListed) {
  apply(AdjustPosition{kAnna, kGold, -kStartLots, 0});
  std::vector<const Position*> positions;
  exchange_.list_positions(kAnna, positions);
  EXPECT_THAT(positions, IsEmpty());
}

TEST_F(ExchangeTest, ListsAreInTheOrderOfIdsBeforeAndAfterARestart) {
  DefineInstrument silver = gold();
  silver.instrument = 3;
  silver.symbol = Symbol("SILVER");
  apply(silver);
  silver.instrument = 2;
  silver.symbol = Symbol("TIN");
  apply(silver);
  apply(OpenAccount{7, Name("seven"), false, 0});
  apply(OpenAccount{5, Name("five"), false, 0});
  for (int i = 0; i < 2; ++i) {
    std::vector<InstrumentId> instruments;
    std::vector<const Instrument*> listed;
    exchange_.list_instruments(listed);
    instruments.reserve(listed.size());
    for (const Instrument* instrument : listed) instruments.push_back(instrument->terms.instrument);
    EXPECT_THAT(instruments, ElementsAre(1, 2, 3));
    std::vector<AccountId> accounts;
    std::vector<const Account*> opened;
    exchange_.list_accounts(opened);
    accounts.reserve(opened.size());
    for (const Account* account : opened) accounts.push_back(account->account);
    EXPECT_THAT(accounts, ElementsAre(1, 2, 3, 5, 7));
    restart();
  }
}

TEST_F(ExchangeTest, ListsOfWhatDoesNotExistAreEmpty) {
  std::vector<BookLevel> levels;
  std::vector<OrderId> orders;
  std::vector<Order> open;
  exchange_.list_levels(99, Side::kBuy, 10, levels);
  exchange_.list_queue(kGold, Side::kBuy, -5, orders);
  exchange_.list_queue(kGold, Side::kBuy, 1 << 20, orders);
  exchange_.list_open_orders(99, 0, 0, 10, open);
  EXPECT_THAT(levels, IsEmpty());
  EXPECT_THAT(orders, IsEmpty());
  EXPECT_THAT(open, IsEmpty());
}

}  // namespace
}  // namespace openvenue::core

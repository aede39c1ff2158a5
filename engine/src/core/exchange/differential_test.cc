// The exchange must behave exactly like NaiveExchange, an independent model of it, on any flow of
// commands: the same events, and the same answer to every query.
//
// OPENVENUE_SEEDS sets the number of seeds (1,000 by default); a failure names its seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/exchange/exchange.h"
#include "core/testing/naive_exchange.h"
#include "core/testing/random_flow.h"
#include "core/testing/seeds.h"

namespace openvenue::core {
namespace {

using testing::Each;
using testing::Gt;

constexpr int kCommandsPerSeed = 1'000;
constexpr Sequence kCommandsPerFullComparison = 16;
constexpr int kCommandsPerRestart = 300;
constexpr std::uint32_t kPoolSizes[] = {4, 16, 64, 256};

// The records that a query appended to its output, by value.
template <class Record, class Query>
std::vector<Record> answer(Query query) {
  std::vector<const Record*> found;
  query(found);
  std::vector<Record> records;
  records.reserve(found.size());
  for (const Record* record : found) records.push_back(*record);
  return records;
}

class Twins {
 public:
  explicit Twins(const Limits& limits) : real_(limits), naive_(limits) {
    events_.reserve(Exchange::max_events_per_command(limits));
  }

  void apply(const Command& command) {
    const std::size_t capacity = events_.capacity();
    real_.apply(command, events_);
    ASSERT_EQ(events_, naive_.apply(command));
    ASSERT_EQ(events_.capacity(), capacity) << "more events than were reserved";
    expect_equal_accounts();
    expect_equal_books();
    if (command.sequence % kCommandsPerFullComparison == 0) {
      expect_equal_orders(command.sequence);
      expect_equal_open_orders(command.sequence);
    }
  }

  // The exchange restarts from its serialized state; the model never stops.
  void restart() {
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    real_.serialize(out);
    const std::uint64_t hash = real_.state_hash();
    ByteReader in(bytes);
    ASSERT_TRUE(real_.restore(in));
    ASSERT_EQ(in.remaining(), 0U);
    ASSERT_EQ(real_.state_hash(), hash);
  }

  void check_invariants() const { real_.check_invariants(); }

 private:
  void expect_equal_accounts() const {
    ASSERT_EQ(real_.limits(), naive_.limits());
    ASSERT_EQ(answer<Account>([&](auto& out) { real_.list_accounts(out); }), naive_.accounts());
    ASSERT_EQ(answer<Instrument>([&](auto& out) { real_.list_instruments(out); }),
              naive_.instruments());
    for (const Account& account : naive_.accounts()) {
      ASSERT_EQ(*real_.find_account(account.account), account);
      ASSERT_EQ(answer<Position>([&](auto& out) { real_.list_positions(account.account, out); }),
                naive_.positions(account.account));
    }
  }

  void expect_equal_books() const {
    for (const Instrument& instrument : naive_.instruments()) {
      const InstrumentId id = instrument.terms.instrument;
      ASSERT_EQ(*real_.find_instrument(id), instrument);
      for (const Side side : {Side::kBuy, Side::kSell}) {
        std::vector<BookLevel> levels;
        real_.list_levels(id, side, naive_.limits().max_orders, levels);
        ASSERT_EQ(levels, naive_.levels(id, side));
        for (const BookLevel& level : levels) {
          std::vector<OrderId> queue;
          real_.list_queue(id, side, level.price_ticks, queue);
          ASSERT_EQ(queue, naive_.queue(id, side, level.price_ticks));
        }
      }
    }
  }

  // Also of orders that one of them has forgotten.
  void expect_equal_orders(OrderId newest) const {
    for (OrderId id = 1; id <= newest; ++id) {
      const auto order = real_.find_order(id);
      const auto expected = naive_.find_order(id);
      ASSERT_EQ(order.has_value(), expected.has_value()) << "order " << id;
      if (!order) continue;
      ASSERT_EQ(*order, *expected) << "order " << id;
      const auto of_id = real_.find_order(order->account, order->client_order_id);
      const auto expected_of_id = naive_.find_order(order->account, order->client_order_id);
      ASSERT_EQ(of_id ? of_id->order_id : 0, expected_of_id ? expected_of_id->order_id : 0);
    }
  }

  // `seed` chooses where the lists begin.
  void expect_equal_open_orders(std::uint64_t seed) const {
    ASSERT_EQ(real_.open_order_count(), naive_.open_order_count());
    ASSERT_EQ(real_.client_id_count(), naive_.client_id_count());
    ASSERT_EQ(real_.client_ids_floor(), naive_.client_ids_floor());
    const OrderId before = seed % 3 == 0 ? 0 : seed - seed % 40;
    const std::size_t limit = seed % 2 == 0 ? 1 + seed % 7 : naive_.limits().max_orders;
    for (const Account& account : naive_.accounts()) {
      for (InstrumentId id = 0; id <= naive_.instruments().size(); ++id) {
        std::vector<Order> orders;
        const OrderId stopped = real_.list_open_orders(account.account, id, before, limit, orders);
        ASSERT_EQ(stopped, 0U);
        ASSERT_EQ(orders, naive_.open_orders(account.account, id, before, limit));
      }
    }
  }

  Exchange real_;
  NaiveExchange naive_;
  EventBuffer events_;
};

void run(std::uint64_t seed) {
  RandomFlow flow(seed, kPoolSizes[seed % std::size(kPoolSizes)]);
  Twins twins(flow.limits());
  for (const Command& command : flow.opening()) twins.apply(command);
  for (int i = 0; i < kCommandsPerSeed && !testing::Test::HasFatalFailure(); ++i) {
    twins.apply(flow.next());
    if (i % kCommandsPerRestart == 0) twins.restart();
  }
  twins.check_invariants();
}

TEST(Differential, TheExchangeAndItsModelAgreeOnEveryFlow) {
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    run(seed);
    if (HasFatalFailure()) return;
  }
}

TEST(Differential, RandomFlowsUseFewPricesClustersAndAllPrices) {
  std::vector<std::size_t> prices;
  std::vector<PriceTicks> highest;
  std::vector<std::size_t> trades;
  for (std::uint64_t seed = 3; seed <= 5; ++seed) {
    RandomFlow flow(seed, 256);
    Exchange exchange(flow.limits());
    EventBuffer events;
    std::set<PriceTicks> seen;
    std::size_t traded = 0;
    for (const Command& command : flow.opening()) exchange.apply(command, events);
    for (int i = 0; i < 4'000; ++i) {
      exchange.apply(flow.next(), events);
      for (const Event& event : events) {
        const auto* trade = std::get_if<Trade>(&event);
        if (trade == nullptr) continue;
        seen.insert(trade->price_ticks);
        ++traded;
      }
    }
    prices.push_back(seen.size());
    highest.push_back(seen.empty() ? 0 : *seen.rbegin());
    trades.push_back(traded);
  }
  EXPECT_THAT(trades, Each(Gt(100U)));
  EXPECT_LT(prices[0], 30U) << "few";
  EXPECT_LE(highest[0], 101);
  EXPECT_LT(prices[1], 130U) << "clusters";
  EXPECT_GT(highest[1], 10'000);
  EXPECT_GT(prices[2], 130U) << "all";
}

// If the generator never reached a rule, the comparison would prove nothing about it.
TEST(Differential, RandomFlowsReachEveryOutcome) {
  std::map<std::size_t, int> kinds;
  std::map<Reason, int> reasons;
  int self_trades = 0;
  int kept_priority = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    RandomFlow flow(seed, 16);
    Exchange exchange(flow.limits());
    EventBuffer events;
    const auto apply = [&](const Command& command) {
      exchange.apply(command, events);
      for (const Event& event : events) {
        ++kinds[event.index()];
        if (const auto* it = std::get_if<Rejected>(&event)) ++reasons[it->reason];
        if (const auto* it = std::get_if<OrderCanceled>(&event)) ++reasons[it->reason];
        if (const auto* it = std::get_if<OrderReplaced>(&event)) kept_priority += it->kept_priority;
        const auto* trade = std::get_if<Trade>(&event);
        if (trade != nullptr) self_trades += trade->maker.account == trade->taker.account;
      }
    };
    for (const Command& command : flow.opening()) apply(command);
    for (int i = 0; i < 500; ++i) apply(flow.next());
  }
  for (std::size_t kind = 0; kind < std::variant_size_v<Event>; ++kind) {
    EXPECT_GT(kinds[kind], 0) << "kind of event " << kind;
  }
  for (auto number = static_cast<int>(Reason::kNone) + 1;
       number <= static_cast<int>(Reason::kSelfTrade); ++number) {
    const auto reason = static_cast<Reason>(number);
    const bool in_use = reason <= Reason::kNoLastPrice || reason >= Reason::kUserCanceled;
    if (!in_use) continue;
    EXPECT_GT(reasons[reason], 0) << "reason " << number;
  }
  EXPECT_GT(self_trades, 100);
  EXPECT_GT(kept_priority, 20);
}

}  // namespace
}  // namespace openvenue::core

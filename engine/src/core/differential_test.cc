// The fast book must be indistinguishable from the naive one, on any flow.
//
// OPENVENUE_SEEDS sets the number of seeds (1,000 by default); a failure names its seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>

#include "core/exchange.h"
#include "core/fast_book.h"
#include "core/naive_book.h"
#include "core/random_flow.h"

namespace openvenue::core {
namespace {

using testing::Each;
using testing::Gt;

constexpr int kCommandsPerSeed = 1'000;
constexpr Sequence kCommandsPerHash = 16;

std::uint64_t seeds() {
  const char* configured = std::getenv("OPENVENUE_SEEDS");
  return configured == nullptr ? 1'000 : std::strtoull(configured, nullptr, 10);
}

template <class Book>
std::vector<std::byte> bytes_of(const Exchange<Book>& exchange) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange.serialize(out);
  return bytes;
}

class Twins {
 public:
  explicit Twins(const Limits& limits) : limits_(limits), fast_(limits), naive_(limits) {
    fast_events_.reserve(Exchange<FastBook>::max_events_per_command(limits));
    naive_events_.reserve(Exchange<NaiveBook>::max_events_per_command(limits));
  }

  void apply(const Command& command) {
    const std::size_t capacity = fast_events_.capacity();
    fast_.apply(command, fast_events_);
    naive_.apply(command, naive_events_);
    ASSERT_EQ(fast_events_, naive_events_);
    ASSERT_EQ(fast_events_.capacity(), capacity) << "more events than were reserved";
    for (InstrumentId instrument = 1; instrument <= limits_.max_instruments; ++instrument) {
      for (const Side side : {Side::kBuy, Side::kSell}) expect_equal_side(instrument, side);
    }
    if (command.sequence % kCommandsPerHash == 0) {
      ASSERT_EQ(fast_.state_hash(), naive_.state_hash());
    }
  }

  // Both go on from what the fast one wrote down.
  void restart() {
    const std::vector<std::byte> bytes = bytes_of(fast_);
    const std::uint64_t hash = fast_.state_hash();
    ByteReader for_fast(bytes);
    ByteReader for_naive(bytes);
    ASSERT_TRUE(fast_.restore(for_fast));
    ASSERT_TRUE(naive_.restore(for_naive));
    ASSERT_EQ(for_fast.remaining(), 0U);
    ASSERT_EQ(fast_.state_hash(), hash);
    ASSERT_EQ(naive_.state_hash(), hash);
  }

  void check_invariants() const {
    fast_.check_invariants();
    naive_.check_invariants();
  }

 private:
  void expect_equal_side(InstrumentId instrument, Side side) {
    fast_levels_.clear();
    naive_levels_.clear();
    fast_.list_levels(instrument, side, limits_.max_orders, fast_levels_);
    naive_.list_levels(instrument, side, limits_.max_orders, naive_levels_);
    ASSERT_EQ(fast_levels_, naive_levels_);
    for (const BookLevel& level : fast_levels_) {
      fast_queue_.clear();
      naive_queue_.clear();
      fast_.list_queue(instrument, side, level.price_ticks, fast_queue_);
      naive_.list_queue(instrument, side, level.price_ticks, naive_queue_);
      ASSERT_EQ(fast_queue_, naive_queue_);
    }
  }

  Limits limits_;
  Exchange<FastBook> fast_;
  Exchange<NaiveBook> naive_;
  EventBuffer fast_events_;
  EventBuffer naive_events_;
  std::vector<BookLevel> fast_levels_;
  std::vector<BookLevel> naive_levels_;
  std::vector<OrderId> fast_queue_;
  std::vector<OrderId> naive_queue_;
};

void run(std::uint64_t seed) {
  constexpr std::uint32_t kPoolSizes[] = {4, 16, 64, 256};
  RandomFlow flow(seed, kPoolSizes[seed % std::size(kPoolSizes)]);
  Twins twins(flow.limits());
  for (const Command& command : flow.opening()) twins.apply(command);
  for (int i = 0; i < kCommandsPerSeed && !testing::Test::HasFatalFailure(); ++i) {
    twins.apply(flow.next());
    if (i == kCommandsPerSeed / 2) twins.restart();
  }
  twins.check_invariants();
}

TEST(Differential, FastAndNaiveBooksAgreeOnEveryFlow) {
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
    Exchange<FastBook> exchange(flow.limits());
    EventBuffer events;
    std::set<PriceTicks> seen;
    std::size_t traded = 0;
    for (const Command& command : flow.opening()) exchange.apply(command, events);
    for (int i = 0; i < 2'000; ++i) {
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
  EXPECT_THAT(trades, Each(Gt(200U)));
  EXPECT_LT(prices[0], 30U) << "few";
  EXPECT_LT(highest[0], 100);
  EXPECT_LT(prices[1], 130U) << "clusters";
  EXPECT_GT(highest[1], 10'000);
  EXPECT_GT(prices[2], 130U) << "all";
}

// A generator that never reached a rule would prove nothing about it.
TEST(Differential, RandomFlowsReachEveryOutcome) {
  std::vector<int> reasons(64);
  std::vector<int> kinds(std::variant_size_v<Event>);
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RandomFlow flow(seed, 16);
    Exchange<FastBook> exchange(flow.limits());
    EventBuffer events;
    const auto apply = [&](const Command& command) {
      exchange.apply(command, events);
      for (const Event& event : events) {
        ++kinds[event.index()];
        const auto* rejected = std::get_if<Rejected>(&event);
        const auto* canceled = std::get_if<OrderCanceled>(&event);
        if (rejected != nullptr) ++reasons[static_cast<std::size_t>(rejected->reason)];
        if (canceled != nullptr) ++reasons[static_cast<std::size_t>(canceled->reason)];
      }
    };
    for (const Command& command : flow.opening()) apply(command);
    for (int i = 0; i < 500; ++i) apply(flow.next());
  }
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) EXPECT_GT(kinds[kind], 0) << kind;
  for (std::size_t reason = 1; reason <= static_cast<std::size_t>(Reason::kFillLimit); ++reason) {
    const bool in_use = reason <= static_cast<std::size_t>(Reason::kAccountOpenOrderLimit) ||
                        reason >= static_cast<std::size_t>(Reason::kUserCanceled);
    // Amounts near the 64-bit range have tests of their own.
    if (!in_use || reason == static_cast<std::size_t>(Reason::kOverflow)) continue;
    EXPECT_GT(reasons[reason], 0) << "reason " << reason;
  }
}

}  // namespace
}  // namespace openvenue::core

// Random flows of commands reach every rule, and a restart changes none of their outcomes.
//
// OPENVENUE_SEEDS sets the number of seeds (1,000 by default); a failure names its seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/exchange.h"
#include "core/random_flow.h"
#include "core/testing/seeds.h"

namespace openvenue::core {
namespace {

using testing::Each;
using testing::Gt;

constexpr int kCommandsPerSeed = 1'000;
constexpr Sequence kCommandsPerHash = 16;
constexpr int kCommandsPerRestart = 300;

std::vector<std::byte> bytes_of(const Exchange& exchange) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange.serialize(out);
  return bytes;
}

void restart(Exchange& exchange) {
  const std::vector<std::byte> bytes = bytes_of(exchange);
  ByteReader in(bytes);
  ASSERT_TRUE(exchange.restore(in));
  ASSERT_EQ(in.remaining(), 0U);
}

// Two exchanges see the same commands; one of them is restarted now and then.
void run(std::uint64_t seed) {
  constexpr std::uint32_t kPoolSizes[] = {4, 16, 64, 256};
  RandomFlow flow(seed, kPoolSizes[seed % std::size(kPoolSizes)]);
  Exchange steady(flow.limits());
  Exchange restarted(flow.limits());
  EventBuffer steady_events;
  EventBuffer restarted_events;
  steady_events.reserve(Exchange::max_events_per_command(flow.limits()));
  const std::size_t capacity = steady_events.capacity();
  const auto apply = [&](const Command& command) {
    steady.apply(command, steady_events);
    restarted.apply(command, restarted_events);
    ASSERT_EQ(steady_events, restarted_events);
    ASSERT_EQ(steady_events.capacity(), capacity) << "more events than were reserved";
    if (command.sequence % kCommandsPerHash != 0) return;
    ASSERT_EQ(steady.state_hash(), restarted.state_hash());
  };
  for (const Command& command : flow.opening()) apply(command);
  for (int i = 0; i < kCommandsPerSeed && !testing::Test::HasFatalFailure(); ++i) {
    apply(flow.next());
    if (i % kCommandsPerRestart == 0) restart(restarted);
  }
  steady.check_invariants();
}

TEST(Differential, ARestartChangesNoOutcomeOfAnyFlow) {
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
    Exchange exchange(flow.limits());
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

#include "tools/exchange_flow.h"

#include <gtest/gtest.h>

#include <map>

#include "core/exchange/exchange.h"

namespace openvenue::tools {
namespace {

constexpr ExchangeFlowOptions kSmall{
    .accounts = 10, .instruments = 3, .resting_orders = 200, .commands = 5'000, .seed = 7};

// Counts the events of the measured commands by their alternative of core::Event.
std::map<std::size_t, std::size_t> outcomes(const ExchangeFlow& flow, core::Exchange& exchange) {
  core::EventBuffer events;
  events.reserve(core::Exchange::max_events_per_command(flow.limits));
  for (const core::Command& command : flow.preparation) exchange.apply(command, events);
  std::map<std::size_t, std::size_t> counts;
  for (const core::Command& command : flow.measured) {
    exchange.apply(command, events);
    for (const core::Event& event : events) ++counts[event.index()];
  }
  return counts;
}

TEST(ExchangeFlowTest, OrdersQuoteTradeAreReplacedAndCancelled) {
  const ExchangeFlow flow = make_exchange_flow(kSmall);
  ASSERT_EQ(flow.measured.size(), kSmall.commands);
  core::Exchange exchange(flow.limits);
  const auto counts = outcomes(flow, exchange);

  const auto share = [&](const core::Event& kind) {
    const auto found = counts.find(kind.index());
    const std::size_t count = found == counts.end() ? 0 : found->second;
    return static_cast<double>(count) / static_cast<double>(kSmall.commands);
  };
  EXPECT_GT(share(core::OrderAccepted{}), 0.4);
  EXPECT_GT(share(core::Trade{}), 0.1);
  EXPECT_GT(share(core::OrderCanceled{}), 0.2);
  EXPECT_GT(share(core::OrderReplaced{}), 0.02);
  EXPECT_LT(share(core::Rejected{}), 0.2);
  EXPECT_EQ(share(core::Duplicate{}), 0);
}

TEST(ExchangeFlowTest, BooksStayAsDeepAsAskedFor) {
  const ExchangeFlow flow = make_exchange_flow(kSmall);
  core::Exchange exchange(flow.limits);
  outcomes(flow, exchange);
  EXPECT_GT(exchange.open_order_count(), kSmall.resting_orders / 2);
  EXPECT_LT(exchange.open_order_count(), kSmall.resting_orders * 3 / 2);
}

TEST(ExchangeFlowTest, TheSameOptionsGiveTheSameCommands) {
  const ExchangeFlow one = make_exchange_flow(kSmall);
  const ExchangeFlow other = make_exchange_flow(kSmall);
  EXPECT_EQ(one.preparation, other.preparation);
  EXPECT_EQ(one.measured, other.measured);
}

}  // namespace
}  // namespace openvenue::tools

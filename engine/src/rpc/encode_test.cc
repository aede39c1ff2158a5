// The event stream's form of an entry; every entry fits into its messages.
#include "rpc/encode.h"

#include <gtest/gtest.h>

#include "core/exchange/exchange.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

TEST(Encode, AnEntryCarriesWhatWasJournaledOfWhoIntentAndRules) {
  v1::JournalEntry entry;
  encode(core::Command(1, 2, core::AdjustBalance{1, 5}, core::Actor("ops")), {}, entry);
  EXPECT_EQ(entry.actor(), "ops");

  core::NewOrder order;
  order.position_intent = core::PositionIntent::kSellToClose;
  entry.Clear();
  encode(core::Command(1, 2, order), {}, entry);
  EXPECT_EQ(entry.new_order().position_intent(), v1::POSITION_INTENT_SELL_TO_CLOSE);
  EXPECT_EQ(entry.actor(), "");

  entry.Clear();
  encode(core::Command(1, 2, core::Configure{core::Limits{}, 1}), {}, entry);
  EXPECT_EQ(entry.configure().rules_version(), 1U);
}

TEST(Encode, AnEntryCarriesStopPricesAndWhatTriggeredOrdersWere) {
  core::NewOrder order;
  order.type = core::OrderType::kStop;
  order.stop_price_ticks = 9;
  v1::JournalEntry entry;
  encode(core::Command(1, 2, order), {}, entry);
  EXPECT_EQ(entry.new_order().type(), v1::ORDER_TYPE_STOP);
  EXPECT_EQ(entry.new_order().stop_price_ticks(), 9);

  core::ReplaceOrder replace;
  replace.stop_price_ticks = 10;
  core::OrderReplaced replaced;
  replaced.stop_price_ticks = 10;
  replaced.waiting = true;
  entry.Clear();
  encode(core::Command(2, 3, replace), {replaced}, entry);
  EXPECT_EQ(entry.replace_order().stop_price_ticks(), 10);
  EXPECT_EQ(entry.events(0).order_replaced().stop_price_ticks(), 10);
  EXPECT_TRUE(entry.events(0).order_replaced().waiting());

  const core::OrderTriggered triggered{
      2, 3, 4, core::Side::kSell, core::OrderType::kStopLimit, core::TimeInForce::kGtc, 5, 6};
  entry.Clear();
  encode(core::Command(3, 4, core::TriggerOrder{}), {triggered}, entry);
  EXPECT_TRUE(entry.has_trigger_order());
  const v1::OrderTriggered& event = entry.events(0).order_triggered();
  EXPECT_EQ(event.order_id(), 2U);
  EXPECT_EQ(event.account_id(), 3U);
  EXPECT_EQ(event.instrument_id(), 4U);
  EXPECT_EQ(event.side(), v1::SIDE_SELL);
  EXPECT_EQ(event.type(), v1::ORDER_TYPE_STOP_LIMIT);
  EXPECT_EQ(event.time_in_force(), v1::TIME_IN_FORCE_GTC);
  EXPECT_EQ(event.qty_lots(), 5);
  EXPECT_EQ(event.limit_price_ticks(), 6);
}

TEST(Encode, OfAnOrderThatIsForgottenOnlyTheIdsAreTold) {
  runtime::Refusal refusal{core::Reason::kDuplicateClientOrderId, core::Order{}, true};
  refusal.order->order_id = 7;
  refusal.order->account = 3;
  refusal.order->client_order_id = core::ClientOrderId("first");
  v1::Reply reply;
  encode(runtime::Reply{1, 9, 1, refusal}, reply);
  EXPECT_TRUE(reply.duplicate());
  EXPECT_EQ(reply.reject().reason(), v1::REASON_DUPLICATE_CLIENT_ORDER_ID);
  EXPECT_EQ(reply.reject().order().order_id(), 7U);
  EXPECT_EQ(reply.reject().order().client_order_id(), "first");
  EXPECT_EQ(reply.reject().order().side(), v1::SIDE_UNSPECIFIED);
}

// Negative numbers take ten bytes each on the wire.
TEST(Encode, TheLargestEntryFitsIntoAMessageBehindAFullBatch) {
  core::Limits limits;
  limits.max_fills_per_command = core::kFillsPerCommandMax;
  core::Trade trade;
  const core::TradeSide side{~core::OrderId{0}, ~core::AccountId{0}, -1, -1, -1, -1, -1};
  trade.trade_id = ~core::TradeId{0};
  trade.instrument = ~core::InstrumentId{0};
  trade.price_ticks = -1;
  trade.qty_lots = -1;
  trade.maker = side;
  trade.taker = side;
  const core::EventBuffer events(core::Exchange::max_events_per_command(limits), trade);
  core::NewOrder order;
  order.client_order_id = core::ClientOrderId(std::string(core::kClientOrderIdBytesMax, 'x'));
  v1::JournalBatch batch;
  encode(core::Command(~core::Sequence{0}, -1, order), events, *batch.add_entries());
  EXPECT_LE(batch.ByteSizeLong() + kBatchBytesMax, kSendBytesMax);
}

}  // namespace
}  // namespace openvenue::rpc

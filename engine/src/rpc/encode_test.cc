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

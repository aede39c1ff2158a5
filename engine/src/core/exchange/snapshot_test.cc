#include "core/exchange/snapshot.h"

#include <gtest/gtest.h>

#include "core/exchange/exchange.h"
#include "core/rules/validate.h"
#include "core/testing/random_flow.h"

namespace openvenue::core {
namespace {

class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : flow_(7, 32), exchange_(flow_.limits()) {
    for (const Command& command : flow_.opening()) exchange_.apply(command, events_);
    for (int i = 0; i < 300; ++i) exchange_.apply(flow_.next_order_command(), events_);
    ByteWriter out(bytes_);
    exchange_.serialize(out);
  }

  RandomFlow flow_;
  EventBuffer events_;
  Exchange exchange_;
  std::vector<std::byte> bytes_;
};

TEST_F(SnapshotTest, ARestoredStateWritesTheSameBytes) {
  ASSERT_GT(exchange_.open_order_count(), 0U);
  Exchange restored(flow_.limits());
  ByteReader in(bytes_);
  ASSERT_TRUE(restored.restore(in));
  std::vector<std::byte> again;
  ByteWriter out(again);
  restored.serialize(out);
  EXPECT_EQ(again, bytes_);
}

TEST_F(SnapshotTest, ARestoredStateGoesOnAsTheOriginalDoes) {
  Exchange restored(flow_.limits());
  ByteReader in(bytes_);
  ASSERT_TRUE(restored.restore(in));
  EventBuffer restored_events;
  for (int i = 0; i < 300; ++i) {
    const Command command = flow_.next();
    exchange_.apply(command, events_);
    restored.apply(command, restored_events);
    ASSERT_EQ(events_, restored_events);
  }
  EXPECT_EQ(restored.state_hash(), exchange_.state_hash());
}

TEST_F(SnapshotTest, PiecesTogetherAreTheWhole) {
  for (const std::size_t piece_bytes :
       {std::size_t{1}, std::size_t{7}, bytes_.size(), bytes_.size() + 1}) {
    std::vector<std::byte> together;
    PieceWriter out(piece_bytes, [&](std::span<const std::byte> piece) {
      EXPECT_LE(piece.size(), piece_bytes);
      together.insert(together.end(), piece.begin(), piece.end());
    });
    exchange_.serialize(out);
    out.finish();
    EXPECT_EQ(together, bytes_);
  }
  EXPECT_EQ(exchange_.digest().size(), bytes_.size());
}

// Only its version number and the later fields differ.
class OlderForm : public testing::TestWithParam<std::uint32_t> {};

TEST_P(OlderForm, IsReadBack) {
  const std::uint32_t version = GetParam();
  RandomFlow flow(7, 32);
  Limits capacity = flow.limits();
  capacity.max_client_ids = std::max(capacity.max_client_ids, capacity.max_orders);
  Exchange exchange(capacity);
  EventBuffer events;
  Sequence sequence = 0;
  const auto apply = [&](const CommandBody& body) {
    exchange.apply({++sequence, 0, body}, events);
  };
  // Without the fields that the version lacked.
  Limits limits = flow.limits();
  if (version == 2) {
    limits.max_positions_per_account = kPositionsMax;
    limits.max_client_ids = limits.max_orders;
  }
  apply(Configure{limits, version == 2 ? RulesVersion{1} : RulesVersion{3}});
  const auto opening = flow.opening();
  for (auto command = opening.begin() + 1; command != opening.end(); ++command) {
    apply(command->body);
  }
  for (int i = 0; i < 300; ++i) {
    Command command = flow.next_order_command();
    if (auto* order = std::get_if<NewOrder>(&command.body)) {
      if (version == 2) order->position_intent = {};
      order->self_trade_prevention = {};
      order->post_only = false;
      order->stop_price_ticks = 0;
      if (is_stop(order->type)) order->type = OrderType::kLimit;
    }
    if (auto* order = std::get_if<ReplaceOrder>(&command.body)) order->stop_price_ticks = 0;
    apply(command.body);
  }
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  exchange.serialize(out, version);
  EXPECT_LT(bytes.size(), exchange.digest().size());
  EXPECT_EQ(bytes.size(), exchange.digest(version).size());
  Exchange restored(capacity);
  ByteReader in(bytes);
  ASSERT_TRUE(restored.restore(in));
  EXPECT_EQ(in.remaining(), 0U);
  EXPECT_EQ(restored.state_hash(version), exchange.state_hash(version));
  EXPECT_EQ(restored.state_hash(), exchange.state_hash());
}

INSTANTIATE_TEST_SUITE_P(Versions, OlderForm, testing::Values(2U, 3U));

TEST_F(SnapshotTest, AVersionThatIsNotReadIsRefused) {
  for (const std::uint32_t version : {0U, 2U, kSchemaVersion + 1}) {
    std::memcpy(bytes_.data(), &version, sizeof version);
    ByteReader in(bytes_);
    EXPECT_FALSE(Exchange(flow_.limits()).restore(in)) << version;
    EXPECT_EQ(Exchange::limits_in(ByteReader(bytes_)), std::nullopt);
  }
}

TEST_F(SnapshotTest, ItsLimitsAreReadBeforeThereIsRoomForIt) {
  EXPECT_EQ(Exchange::limits_in(ByteReader(bytes_)), exchange_.limits());
}

TEST_F(SnapshotTest, ReadingStopsWhereTheStateEnds) {
  bytes_.push_back(std::byte{1});
  ByteReader in(bytes_);
  EXPECT_TRUE(exchange_.restore(in));
  EXPECT_EQ(in.remaining(), 1U);
}

TEST_F(SnapshotTest, AStateFitsLargerPoolsButNotSmallerOnes) {
  Limits larger = flow_.limits();
  larger.max_orders *= 2;
  ByteReader in(bytes_);
  EXPECT_TRUE(Exchange(larger).restore(in));
  Limits smaller = flow_.limits();
  smaller.max_orders -= 1;
  smaller.max_open_orders = 1;
  in = ByteReader(bytes_);
  EXPECT_FALSE(Exchange(smaller).restore(in));
}

TEST_F(SnapshotTest, ARefusedSnapshotLeavesTheStateAsItWas) {
  const std::uint64_t before = exchange_.state_hash();
  ByteReader in({bytes_.data(), bytes_.size() / 2});
  EXPECT_FALSE(exchange_.restore(in));
  EXPECT_EQ(exchange_.state_hash(), before);
}

TEST_F(SnapshotTest, NoPrefixIsAState) {
  Exchange exchange(flow_.limits());
  for (std::size_t size = 0; size < bytes_.size(); ++size) {
    ByteReader in({bytes_.data(), size});
    ASSERT_FALSE(exchange.restore(in)) << size;
  }
}

TEST_F(SnapshotTest, ADamagedStateIsRefusedOrConsistent) {
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    std::vector<std::byte> damaged = bytes_;
    damaged[at] ^= std::byte{0x81};
    Exchange exchange(flow_.limits());
    ByteReader in(damaged);
    if (exchange.restore(in)) exchange.check_invariants();
  }
}

TEST(Digest, DependsOnTheBytesAndNotOnHowTheyCome) {
  Digest whole;
  whole.put(std::uint64_t{0x0807060504030201});
  Digest parts;
  for (std::uint8_t byte = 1; byte <= 8; ++byte) parts.put(byte);
  EXPECT_EQ(whole.value(), parts.value());
  parts.put(std::uint8_t{0});
  EXPECT_NE(whole.value(), parts.value());
}

}  // namespace
}  // namespace openvenue::core

// A batch of orders is executed as a whole or not at all, whatever happens to the process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "journal/frame_reader.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using core::Side;
using testing::Collector;
using testing::limit_order;
using testing::operation;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

OrderBatch batch_of(int count, const std::string& name) {
  OrderBatch batch;
  for (int index = 0; index < count; ++index) {
    batch.orders.push_back(limit_order(1, Side::kBuy, 1, 10, name + std::to_string(index)));
  }
  return batch;
}

// Entry and number of entries of each frame.
std::vector<std::pair<core::Sequence, std::uint32_t>> frames_of(
    const std::filesystem::path& directory) {
  std::vector<std::pair<core::Sequence, std::uint32_t>> found;
  journal::FrameReader frames(directory, 0, 1);
  while (frames.next(0) == journal::FrameReader::Result::kFrame) {
    found.emplace_back(frames.header().first_sequence, frames.header().count);
  }
  return found;
}

TEST(OrderBatch, IsOneFrameOfTheJournalWhateverCameBefore) {
  const TemporaryDirectory directory;
  EnteredOrders entered;
  {
    TestEngine engine(test_settings(directory.path()));
    engine.set_up_market();
    const auto collector = std::make_shared<Collector>();
    std::vector<Operation> operations;
    operations.push_back(operation(1, limit_order(1, Side::kBuy, 1, 10, "before")));
    operations.push_back(operation(2, batch_of(50, "batch")));
    operations.push_back(operation(3, limit_order(1, Side::kBuy, 1, 10, "after")));
    ASSERT_EQ(engine.submit(collector, std::move(operations)), Admission::kAccepted);
    const auto replies = collector->wait_for(3);
    entered = std::get<EnteredOrders>(replies.at(1).body);
    EXPECT_EQ(replies.at(1).sequence, entered.orders.back().order_id);
  }
  ASSERT_EQ(entered.orders.size(), 50U);
  EXPECT_FALSE(entered.duplicate);
  for (std::size_t index = 0; index < entered.orders.size(); ++index) {
    EXPECT_EQ(entered.orders[index].order_id, entered.orders[0].order_id + index);
    EXPECT_EQ(entered.orders[index].client_order_id,
              core::ClientOrderId("batch" + std::to_string(index)));
  }
  const core::Sequence first = entered.orders[0].order_id;
  bool found = false;
  for (const auto& [sequence, count] : frames_of(directory.path())) {
    if (sequence >= first + 50 || sequence + count <= first) continue;
    EXPECT_TRUE(!found && sequence == first && count >= 50) << sequence;
    found = true;
  }
  EXPECT_TRUE(found);
}

TEST(OrderBatch, ThatIsRefusedLeavesNothingInTheJournal) {
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const core::Sequence before = engine->applied_sequence();
  OrderBatch batch = batch_of(3, "batch");
  batch.orders[2].qty_lots = 0;
  const Reply reply = engine.ask(batch);
  EXPECT_EQ(std::get<BatchRefused>(reply.body).refusal,
            (core::BatchRefusal{2, core::Reason::kInvalidQuantity}));
  EXPECT_EQ(reply.sequence, before);
  EXPECT_EQ(engine->applied_sequence(), before);
}

TEST(OrderBatch, ThatIsRepeatedIsAnsweredWithItsOrdersAlsoAfterARestart) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  settings.limits.max_orders = 4;
  settings.limits.max_open_orders = 3;
  OrderBatch batch = batch_of(2, "batch");
  for (core::NewOrder& order : batch.orders) order.time_in_force = core::TimeInForce::kIoc;
  EnteredOrders first;
  {
    TestEngine engine(settings);
    engine.set_up_market();
    first = std::get<EnteredOrders>(engine.ask(batch).body);
    const auto again = std::get<EnteredOrders>(engine.ask(batch).body);
    EXPECT_TRUE(again.duplicate);
    EXPECT_EQ(again.orders, first.orders);
    for (int index = 0; index < 4; ++index) {
      engine.ask(core::CommandBody(
          limit_order(1, Side::kBuy, 1, 10, std::to_string(index), core::TimeInForce::kIoc)));
    }
  }
  TestEngine engine(settings);
  const auto again = std::get<EnteredOrders>(engine.ask(batch).body);
  EXPECT_TRUE(again.duplicate);
  ASSERT_EQ(again.orders.size(), 2U);
  EXPECT_EQ(again.orders[1].order_id, first.orders[1].order_id);
  EXPECT_EQ(again.orders[1].created_ns, 0) << "it is no longer held";
}

}  // namespace
}  // namespace openvenue::runtime

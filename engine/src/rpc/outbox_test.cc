#include "rpc/outbox.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>
#include <utility>

namespace openvenue::rpc {
namespace {

using std::chrono::milliseconds;

std::vector<runtime::Reply> replies_of(std::size_t count, std::uint32_t weight = 1) {
  return std::vector<runtime::Reply>(count, runtime::Reply{0, 0, weight, {}});
}

TEST(Outbox, WaitsForRoom) {
  Outbox outbox(1);
  ASSERT_TRUE(outbox.reserve(1));
  EXPECT_EQ(outbox.owed(), 1U);
  auto room = std::async(std::launch::async, [&] { return outbox.reserve(1); });
  EXPECT_EQ(room.wait_for(milliseconds(20)), std::future_status::timeout);
  outbox.deliver(replies_of(1));
  std::vector<runtime::Reply> written;
  ASSERT_TRUE(outbox.take(written));
  outbox.release(written);
  EXPECT_TRUE(room.get());
}

TEST(Outbox, HasRoomAgainOnceRepliesAreOnTheirWay) {
  Outbox outbox(2);
  ASSERT_TRUE(outbox.reserve(2));
  outbox.deliver(replies_of(2));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  outbox.release(taken);
  EXPECT_TRUE(outbox.reserve(2));
}

TEST(Outbox, GivesTheWriterEverythingThatHasQueuedInOneTake) {
  Outbox outbox(10);
  outbox.deliver(replies_of(3));
  outbox.deliver(replies_of(4));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  EXPECT_EQ(taken.size(), 7U);
}

TEST(Outbox, KeepsOneTakeSmallEnoughForOneMessage) {
  Outbox outbox(1 << 20);
  outbox.deliver(replies_of(100, 500));
  outbox.deliver(replies_of(3000));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  EXPECT_LE(taken.size(), 9U) << "a few thousand order records are enough";
  while (taken.front().weight == 500) ASSERT_TRUE(outbox.take(taken));
  EXPECT_LE(taken.size(), 1024U);
}

TEST(Outbox, GivesEveryReplyOnceAndInOrderWhileMoreAreDelivered) {
  Outbox outbox(1 << 20);
  std::uint64_t delivered = 0;
  std::uint64_t taken = 0;
  std::vector<runtime::Reply> message;
  for (int round = 0; round < 200; ++round) {
    // More than a message at first, then less, so that the queue grows and empties.
    std::vector<runtime::Reply> replies = replies_of(round < 100 ? 1500 : 100);
    for (runtime::Reply& reply : replies) reply.request_id = ++delivered;
    outbox.deliver(std::move(replies));
    ASSERT_TRUE(outbox.take(message));
    for (const runtime::Reply& reply : message) ASSERT_EQ(reply.request_id, ++taken);
  }
  while (taken < delivered) {
    ASSERT_TRUE(outbox.take(message));
    for (const runtime::Reply& reply : message) ASSERT_EQ(reply.request_id, ++taken);
  }
}

TEST(Outbox, IsDrainedOnceEveryReservedReplyIsOnItsWay) {
  Outbox outbox(10);
  ASSERT_TRUE(outbox.reserve(2));
  outbox.deliver(replies_of(2));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  auto drained = std::async(std::launch::async, [&] { return outbox.wait_drained(); });
  EXPECT_EQ(drained.wait_for(milliseconds(20)), std::future_status::timeout);
  outbox.release(taken);
  EXPECT_TRUE(drained.get());
}

TEST(Outbox, WakesWriterAndReaderWhenItCloses) {
  Outbox outbox(1);
  ASSERT_TRUE(outbox.reserve(1));
  std::thread writer([&] {
    std::vector<runtime::Reply> taken;
    EXPECT_FALSE(outbox.take(taken));
  });
  std::thread reader([&] { EXPECT_FALSE(outbox.reserve(1)); });
  outbox.close();
  writer.join();
  reader.join();
}

}  // namespace
}  // namespace openvenue::rpc

#include "rpc/outbox.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

namespace openvenue::rpc {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::vector<runtime::Reply> replies_of(std::size_t count, std::uint32_t weight = 1) {
  return std::vector<runtime::Reply>(count, runtime::Reply{0, 0, weight, {}});
}

TEST(Outbox, IsStalledByAClientThatDoesNotTakeWhatIsWrittenToIt) {
  Outbox outbox(2);
  ASSERT_EQ(outbox.reserve(2, milliseconds(0)), Outbox::Wait::kDone);
  outbox.deliver(replies_of(2));
  std::vector<runtime::Reply> written;
  ASSERT_TRUE(outbox.take(written));
  EXPECT_EQ(outbox.reserve(1, milliseconds(1)), Outbox::Wait::kStalled);
  EXPECT_EQ(outbox.wait_drained(milliseconds(1)), Outbox::Wait::kStalled);
}

TEST(Outbox, DoesNotBlameTheClientForRepliesThatAreNotThereYet) {
  Outbox outbox(1);
  ASSERT_EQ(outbox.reserve(1, milliseconds(0)), Outbox::Wait::kDone);
  auto room = std::async(std::launch::async, [&] { return outbox.reserve(1, milliseconds(1)); });
  EXPECT_EQ(room.wait_for(milliseconds(20)), std::future_status::timeout);
  outbox.deliver(replies_of(1));
  std::vector<runtime::Reply> written;
  ASSERT_TRUE(outbox.take(written));
  outbox.release(written);
  EXPECT_EQ(room.get(), Outbox::Wait::kDone);
}

TEST(Outbox, HasRoomAgainOnceRepliesAreOnTheirWay) {
  Outbox outbox(2);
  ASSERT_EQ(outbox.reserve(2, milliseconds(0)), Outbox::Wait::kDone);
  outbox.deliver(replies_of(2));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  outbox.release(taken);
  EXPECT_EQ(outbox.reserve(2, milliseconds(0)), Outbox::Wait::kDone);
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

TEST(Outbox, IsDrainedOnceEveryReservedReplyIsOnItsWay) {
  Outbox outbox(10);
  ASSERT_EQ(outbox.reserve(2, milliseconds(0)), Outbox::Wait::kDone);
  outbox.deliver(replies_of(2));
  std::vector<runtime::Reply> taken;
  ASSERT_TRUE(outbox.take(taken));
  EXPECT_EQ(outbox.wait_drained(milliseconds(0)), Outbox::Wait::kStalled);
  outbox.release(taken);
  EXPECT_EQ(outbox.wait_drained(milliseconds(0)), Outbox::Wait::kDone);
}

TEST(Outbox, WakesWriterAndReaderWhenItCloses) {
  Outbox outbox(1);
  ASSERT_EQ(outbox.reserve(1, milliseconds(0)), Outbox::Wait::kDone);
  std::thread writer([&] {
    std::vector<runtime::Reply> taken;
    EXPECT_FALSE(outbox.take(taken));
  });
  std::thread reader([&] { EXPECT_EQ(outbox.reserve(1, seconds(20)), Outbox::Wait::kClosed); });
  outbox.close();
  writer.join();
  reader.join();
}

}  // namespace
}  // namespace openvenue::rpc

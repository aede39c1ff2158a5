#include "runtime/ingress_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace openvenue::runtime {
namespace {

using std::chrono::milliseconds;

Batch batch_of(std::size_t count, std::uint64_t first_request_id = 0) {
  Batch batch;
  for (std::size_t index = 0; index < count; ++index) {
    batch.operations.push_back({first_request_id + index, Query(GetOrder{})});
  }
  return batch;
}

std::vector<std::uint64_t> request_ids(const std::vector<Batch>& batches) {
  std::vector<std::uint64_t> ids;
  for (const Batch& batch : batches) {
    for (const Operation& operation : batch.operations) ids.push_back(operation.request_id);
  }
  return ids;
}

TEST(IngressRing, HandsOutEverythingQueuedInTheOrderOfPushing) {
  IngressRing ring(10);
  Batch first = batch_of(2, 1);
  Batch second = batch_of(1, 3);
  ASSERT_EQ(ring.try_push(first), Admission::kAccepted);
  ASSERT_EQ(ring.try_push(second), Admission::kAccepted);

  std::vector<Batch> out;
  ASSERT_TRUE(ring.pop_all(out, milliseconds(0)));
  EXPECT_THAT(request_ids(out), testing::ElementsAre(1, 2, 3));
  EXPECT_EQ(ring.depth(), 0U);
}

TEST(IngressRing, RefusesABatchThatDoesNotFitAndLeavesItUntouched) {
  IngressRing ring(3);
  Batch fits = batch_of(2);
  Batch does_not = batch_of(2);
  ASSERT_EQ(ring.try_push(fits), Admission::kAccepted);

  EXPECT_EQ(ring.try_push(does_not), Admission::kFull);
  EXPECT_EQ(does_not.operations.size(), 2U);
  EXPECT_EQ(ring.depth(), 2U);
}

TEST(IngressRing, HasRoomAgainOnceTheConsumerHasTakenWhatWasInside) {
  IngressRing ring(2);
  Batch first = batch_of(2);
  ASSERT_EQ(ring.try_push(first), Admission::kAccepted);
  std::vector<Batch> out;
  ASSERT_TRUE(ring.pop_all(out, milliseconds(0)));

  Batch second = batch_of(2);
  EXPECT_EQ(ring.try_push(second), Admission::kAccepted);
}

TEST(IngressRing, TellsABatchThatCanNeverFitFromOneThatMayLater) {
  IngressRing ring(3);
  Batch batch = batch_of(4);
  EXPECT_EQ(ring.try_push(batch), Admission::kTooLarge);
}

// A sink whose client is gone.
class NoSink final : public ReplySink {
  void deliver(std::vector<Reply>) noexcept override {}
};

TEST(IngressRing, GivesNoSinkMoreThanItsShare) {
  IngressRing ring(80);
  const auto greedy = std::make_shared<NoSink>();
  const auto push = [&](const std::shared_ptr<ReplySink>& sink, std::size_t count) {
    Batch batch = batch_of(count);
    batch.sink = sink;
    return ring.try_push(batch);
  };
  EXPECT_EQ(push(greedy, 6), Admission::kAccepted);
  EXPECT_EQ(push(greedy, 4), Admission::kAccepted);
  EXPECT_EQ(push(greedy, 1), Admission::kFull);
  EXPECT_EQ(push(std::make_shared<NoSink>(), 1), Admission::kAccepted);
  EXPECT_EQ(push(std::make_shared<NoSink>(), 20), Admission::kAccepted) << "the first may be more";
  std::vector<Batch> out;
  ASSERT_TRUE(ring.pop_all(out, milliseconds(0)));
  EXPECT_EQ(push(greedy, 10), Admission::kAccepted);
}

TEST(IngressRing, HasRoomForALittleOfEachSinkEvenWhereItIsFull) {
  IngressRing ring(512);
  Batch all = batch_of(512);
  all.sink = std::make_shared<NoSink>();
  ASSERT_EQ(ring.try_push(all), Admission::kAccepted);
  const auto modest = std::make_shared<NoSink>();
  for (const auto expected : {Admission::kAccepted, Admission::kAccepted, Admission::kFull}) {
    Batch batch = batch_of(1);
    batch.sink = modest;
    EXPECT_EQ(ring.try_push(batch), expected);
  }
}

TEST(IngressRing, WeighsAListQueryByTheRecordsThatItAsksFor) {
  IngressRing ring(229);
  Batch batch;
  batch.operations.push_back({1, Query(ListOpenOrders{1, 0, 0, 99})});
  batch.operations.push_back({2, Query(GetOrder{})});
  ASSERT_EQ(ring.try_push(batch), Admission::kAccepted);
  EXPECT_EQ(ring.depth(), 228U) << "and by those that it may pass over";
  Batch next = batch_of(2);
  EXPECT_EQ(ring.try_push(next), Admission::kFull);
}

TEST(IngressRing, WhenClosedRefusesBatchesButHandsOutThoseInside) {
  IngressRing ring(10);
  Batch inside = batch_of(1);
  Batch late = batch_of(1);
  ASSERT_EQ(ring.try_push(inside), Admission::kAccepted);
  ring.close();

  EXPECT_EQ(ring.try_push(late), Admission::kStopped);
  std::vector<Batch> out;
  EXPECT_TRUE(ring.pop_all(out, milliseconds(0)));
  EXPECT_EQ(out.size(), 1U);
  EXPECT_FALSE(ring.pop_all(out, milliseconds(0)));
}

TEST(IngressRing, StaysOpenWhenNothingComesInTime) {
  IngressRing ring(10);
  std::vector<Batch> out;
  EXPECT_TRUE(ring.pop_all(out, milliseconds(0)));
  EXPECT_TRUE(out.empty());
}

TEST(IngressRing, LosesAndDoublesNothingBetweenManyProducersAndItsConsumer) {
  constexpr std::uint64_t kProducers = 4;
  constexpr std::uint64_t kBatchesEach = 2000;
  IngressRing ring(64);
  std::vector<std::thread> producers;
  for (std::uint64_t producer = 0; producer < kProducers; ++producer) {
    producers.emplace_back([&ring, producer] {
      for (std::uint64_t index = 0; index < kBatchesEach; ++index) {
        Batch batch = batch_of(1, producer * kBatchesEach + index);
        while (ring.try_push(batch) != Admission::kAccepted) std::this_thread::yield();
      }
    });
  }
  std::vector<std::uint64_t> next(kProducers, 0);
  std::vector<Batch> out;
  std::uint64_t seen = 0;
  while (seen < kProducers * kBatchesEach && ring.pop_all(out, milliseconds(1000))) {
    for (const std::uint64_t id : request_ids(out)) {
      ASSERT_EQ(id % kBatchesEach, next[id / kBatchesEach]++);
      ++seen;
    }
  }
  for (auto& producer : producers) producer.join();
  EXPECT_EQ(seen, kProducers * kBatchesEach);
}

}  // namespace
}  // namespace openvenue::runtime

#include "runtime/snapshotter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <thread>

#include "journal/writer.h"

namespace openvenue::runtime {
namespace {

constexpr std::chrono::seconds kPatience{20};

// A snapshotter on its thread, whose writes go where the test says.
class RunningSnapshotter {
 public:
  RunningSnapshotter(Snapshotter::Write write, core::Sequence interval)
      : snapshotter_(std::move(write), interval, 0, watermark_, metrics_),
        thread_([this] { snapshotter_.run(); }) {}
  ~RunningSnapshotter() {
    snapshotter_.stop();
    thread_.join();
  }

  void make_durable(core::Sequence sequence) {
    watermark_.advance(sequence);
    snapshotter_.on_durable(sequence);
  }

  Metrics metrics_;
  DurableWatermark watermark_{0};
  Snapshotter snapshotter_;

 private:
  std::thread thread_;
};

TEST(Snapshotter, WritesOnceTheIntervalHasPassed) {
  std::promise<core::Sequence> written;
  RunningSnapshotter running(
      [&](core::Sequence up_to) {
        written.set_value(up_to);
        return up_to;
      },
      100);
  running.make_durable(99);
  running.make_durable(100);

  auto sequence = written.get_future();
  ASSERT_EQ(sequence.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(sequence.get(), 100U);
}

TEST(Snapshotter, AnswersARequestWithTheSnapshotThatItWrote) {
  RunningSnapshotter running([](core::Sequence up_to) { return up_to; }, 0);
  running.make_durable(42);

  auto snapshot = running.snapshotter_.request();
  ASSERT_EQ(snapshot.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(snapshot.get(), 42U);
  EXPECT_EQ(running.snapshotter_.newest(), 42U);
}

TEST(Snapshotter, TellsTheRequesterWhyASnapshotFailedAndCountsIt) {
  RunningSnapshotter running(
      [](core::Sequence) -> core::Sequence { throw journal::JournalError("disk full"); }, 0);

  auto snapshot = running.snapshotter_.request();
  ASSERT_EQ(snapshot.wait_for(kPatience), std::future_status::ready);
  EXPECT_THROW(snapshot.get(), journal::JournalError);
  EXPECT_EQ(running.metrics_.snapshot_failures.Value(), 1);
}

TEST(Snapshotter, RefusesRequestsThatAreOpenWhenItStops) {
  std::promise<void> writing;
  std::promise<void> go_on;
  std::future<core::Sequence> late;
  {
    RunningSnapshotter running(
        [&](core::Sequence up_to) {
          writing.set_value();
          go_on.get_future().wait();
          return up_to;
        },
        0);
    auto first = running.snapshotter_.request();
    writing.get_future().wait();
    late = running.snapshotter_.request();
    running.snapshotter_.stop();
    go_on.set_value();
  }
  EXPECT_THROW(late.get(), journal::JournalError);
}

}  // namespace
}  // namespace openvenue::runtime

#include "runtime/snapshotter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <future>
#include <mutex>
#include <new>
#include <stop_token>
#include <thread>
#include <vector>

#include "journal/error.h"

namespace openvenue::runtime {
namespace {

constexpr std::chrono::seconds kPatience{20};

// A snapshotter on its thread, with the test's own write function.
class RunningSnapshotter {
 public:
  RunningSnapshotter(Snapshotter::Write write, core::Sequence interval,
                     Snapshotter::OnDivergence on_divergence = {})
      : snapshotter_(std::move(write), interval, 0, watermark_, metrics_, std::move(on_divergence)),
        thread_([this] { snapshotter_.run(); }) {}
  ~RunningSnapshotter() {
    snapshotter_.stop();
    thread_.join();
  }

  void make_durable(core::Sequence sequence) {
    watermark_.advance(sequence);
    snapshotter_.on_durable(sequence);
  }

  // A request that must be taken.
  std::future<core::Sequence> ask() { return snapshotter_.request().value(); }

  Metrics metrics_;
  DurableWatermark watermark_{0};
  Snapshotter snapshotter_;

 private:
  std::thread thread_;
};

TEST(Snapshotter, WritesOnceTheIntervalHasPassed) {
  std::promise<core::Sequence> written;
  RunningSnapshotter running(
      [&](core::Sequence up_to, const std::stop_token&) {
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
  RunningSnapshotter running([](core::Sequence up_to, const std::stop_token&) { return up_to; }, 0);
  running.make_durable(42);

  auto snapshot = running.ask();
  ASSERT_EQ(snapshot.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(snapshot.get(), 42U);
  EXPECT_EQ(running.snapshotter_.newest(), 42U);
}

TEST(Snapshotter, TellsTheRequesterWhyASnapshotFailedAndCountsIt) {
  RunningSnapshotter running(
      [](core::Sequence, const std::stop_token&) -> core::Sequence {
        throw journal::JournalError("disk full");
      },
      0);

  auto snapshot = running.ask();
  ASSERT_EQ(snapshot.wait_for(kPatience), std::future_status::ready);
  EXPECT_THROW(snapshot.get(), journal::JournalError);
  EXPECT_EQ(running.metrics_.snapshot_failures.Value(), 1);
}

TEST(Snapshotter, TellsADivergenceOnlyWhereTheNewestSnapshotOnDiskGivesItToo) {
  int attempts = 0;
  int told = 0;
  int lasting = 1;
  RunningSnapshotter running(
      [&](core::Sequence up_to, const std::stop_token&) {
        if (attempts++ < lasting) throw journal::Divergence("entry 7");
        return up_to;
      },
      0, [&](const std::string&) { ++told; });
  EXPECT_NO_THROW(running.ask().get()) << "the second try went well";
  EXPECT_EQ(running.metrics_.replay_divergences.Value(), 1);
  EXPECT_EQ(told, 0);
  attempts = 0;
  lasting = 2;
  EXPECT_THROW(running.ask().get(), journal::Divergence);
  running.snapshotter_.stop();
  EXPECT_EQ(running.metrics_.replay_divergences.Value(), 3);
}

TEST(Snapshotter, OutlivesAFailureOfAnyKind) {
  int attempts = 0;
  RunningSnapshotter running(
      [&](core::Sequence up_to, const std::stop_token&) {
        if (++attempts == 1) throw std::bad_alloc();
        return up_to;
      },
      0);
  EXPECT_THROW(running.ask().get(), std::bad_alloc);
  EXPECT_EQ(running.metrics_.snapshot_failures.Value(), 1);
  running.make_durable(42);
  EXPECT_EQ(running.ask().get(), 42U);
}

TEST(Snapshotter, CountsTheIntervalFromTheEndOfTheLastSnapshotAndRestsTwentyTimesAsLong) {
  using Clock = std::chrono::steady_clock;
  std::mutex mutex;
  std::condition_variable ended;
  std::vector<core::Sequence> taken;
  Clock::duration first_took{};
  Clock::time_point first_ended;
  Clock::time_point second_began;
  DurableWatermark* watermark = nullptr;
  RunningSnapshotter running(
      [&](core::Sequence up_to, const std::stop_token&) {
        const auto began = Clock::now();
        const std::lock_guard lock(mutex);
        if (taken.empty()) {
          // So many entries come during the write that another snapshot is due at its end.
          watermark->advance(250);
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
          first_ended = Clock::now();
          first_took = first_ended - began;
        } else if (taken.size() == 1) {
          second_began = began;
        }
        taken.push_back(up_to);
        ended.notify_all();
        return up_to;
      },
      100);
  watermark = &running.watermark_;
  running.make_durable(100);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(ended.wait_for(lock, kPatience, [&] { return !taken.empty(); }));
  lock.unlock();
  const auto deadline = Clock::now() + kPatience;
  for (core::Sequence durable = 250; Clock::now() < deadline; ++durable) {
    running.make_durable(durable);
    lock.lock();
    if (ended.wait_for(lock, std::chrono::milliseconds(1), [&] { return taken.size() == 2; }))
      break;
    lock.unlock();
  }
  ASSERT_EQ(taken.size(), 2U);
  EXPECT_GE(taken[1], 350U);
  EXPECT_GE(second_began - first_ended, Snapshotter::kRestFactor * first_took);
}

TEST(Snapshotter, AbandonsWhatItIsWritingWhenItStops) {
  std::promise<void> writing;
  std::future<core::Sequence> asked;
  {
    RunningSnapshotter running(
        [&](core::Sequence, const std::stop_token& stop) -> core::Sequence {
          writing.set_value();
          while (!stop.stop_requested()) std::this_thread::yield();
          throw journal::Stopped("abandoned");
        },
        0);
    asked = running.ask();
    writing.get_future().wait();
  }
  EXPECT_THROW(asked.get(), journal::Stopped);
}

TEST(Snapshotter, TakesOneRequestAtATimeAndNoneWhenItStops) {
  std::promise<void> writing;
  std::promise<void> go_on;
  RunningSnapshotter running(
      [&](core::Sequence up_to, const std::stop_token&) {
        writing.set_value();
        go_on.get_future().wait();
        return up_to;
      },
      0);
  auto first = running.ask();
  writing.get_future().wait();
  EXPECT_FALSE(running.snapshotter_.request().has_value());
  running.snapshotter_.stop();
  go_on.set_value();
  EXPECT_EQ(first.get(), 0U);
  EXPECT_THROW(running.ask().get(), journal::Stopped);
}

}  // namespace
}  // namespace openvenue::runtime

#include "runtime/retention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "journal/reader.h"
#include "journal/segment.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using core::Side;
using testing::Collector;
using testing::kPatience;
using testing::limit_order;
using testing::operation;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    settings_.journal.segment_bytes = journal::kSegmentBytesMin;
    settings_.journal.archive = directory_.path() / "archive";
    settings_.journal.directory = directory_.path() / "journal";
    settings_.retention.bytes = 1;
  }

  // Enough for several segments.
  static void trade(TestEngine& engine) {
    const auto collector = std::make_shared<Collector>();
    for (std::uint64_t order = 0; order < kOrders; ++order) {
      ASSERT_EQ(engine.submit(collector, {operation(order, limit_order(1, Side::kBuy, 1, 10,
                                                                       std::to_string(next++)))}),
                Admission::kAccepted);
    }
    collector->wait_for(kOrders);
  }

  static void take_snapshot(TestEngine& engine) {
    auto snapshot = engine->take_snapshot();
    ASSERT_TRUE(snapshot.has_value());
    snapshot->get();
  }

  [[nodiscard]] core::Sequence oldest() const {
    return journal::list_segments(settings_.journal.directory, 0).front().sequence;
  }

  template <class Condition>
  static void wait_until(Condition condition) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  static constexpr std::uint64_t kOrders = 300;
  static inline int next = 0;
  const TemporaryDirectory directory_;
  EngineSettings settings_ = test_settings(directory_.path());
};

TEST_F(RetentionTest, ArchivesBesideARunningEngineWhichStartsAgainWithoutWhatIsGone) {
  std::uint64_t hash = 0;
  core::Sequence last = 0;
  {
    TestEngine engine(settings_);
    engine.set_up_market();
    for (int round = 0; round < 3; ++round) {
      trade(engine);
      take_snapshot(engine);
    }
    wait_until([&] { return oldest() > 1; });
    hash = engine.state_hash();
    last = engine->applied_sequence();
  }
  journal::Reader reader(settings_.journal.directory, 0, 1, settings_.journal.archive);
  core::Command command;
  core::EventBuffer events;
  for (core::Sequence sequence = 1; sequence <= last; ++sequence) {
    ASSERT_EQ(reader.next(command, events), journal::Reader::Result::kEntry) << reader.error();
  }
  settings_.retention = {};
  settings_.journal.archive.clear();
  TestEngine engine(settings_);
  EXPECT_EQ(engine.state_hash(), hash);
}

TEST_F(RetentionTest, AnAcknowledgementHoldsOverARestart) {
  const std::uint64_t offset = 20;
  {
    TestEngine engine(settings_);
    engine.set_up_market();
    trade(engine);
    EXPECT_EQ(engine->retention().acknowledge("projector", offset),
              Retention::Acknowledged::kStored);
  }
  TestEngine engine(settings_);
  EXPECT_EQ(engine->retention().lowest_offset(), offset);
  trade(engine);
  take_snapshot(engine);
  trade(engine);
  take_snapshot(engine);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'500));  // one period and more
  EXPECT_LE(oldest(), offset + 1);  // the segment with the first entry that the reader lacks
  EXPECT_EQ(engine->retention().acknowledge("projector", engine->applied_sequence()),
            Retention::Acknowledged::kStored);
  wait_until([&] { return oldest() > offset + 1; });
}

TEST_F(RetentionTest, RegistersSoManyReadersAndNoMore) {
  TestEngine engine(settings_);
  EXPECT_TRUE(std::isinf(engine->retention().lowest_offset()));
  for (std::size_t reader = 0; reader < journal::kReadersMax; ++reader) {
    EXPECT_EQ(engine->retention().acknowledge("reader-" + std::to_string(reader), 1),
              Retention::Acknowledged::kStored);
  }
  EXPECT_EQ(engine->retention().acknowledge("one-more", 1),
            Retention::Acknowledged::kTooManyReaders);
  EXPECT_EQ(engine->retention().acknowledge("reader-0", 1), Retention::Acknowledged::kStored);
}

}  // namespace
}  // namespace openvenue::runtime

#include "runtime/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <new>
#include <stop_token>
#include <thread>

#include "journal/error.h"
#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/reader.h"
#include "journal/segment.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using core::Side;
using testing::Collector;
using testing::limit_order;
using testing::operation;
using testing::SyncGate;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

const core::Order& order_in(const Reply& reply) { return std::get<OrderOutcome>(reply.body).order; }

TEST(Engine, GivesCommandsConsecutiveSequenceNumbersInTheOrderOfSubmission) {
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const core::Sequence before = engine->applied_sequence();
  const auto collector = std::make_shared<Collector>();
  for (std::uint64_t index = 1; index <= 500; ++index) {
    ASSERT_EQ(
        engine.submit(collector,
                      {operation(index, limit_order(1, Side::kBuy, 1, 10, std::to_string(index)))}),
        Admission::kAccepted);
  }
  const auto replies = collector->wait_for(500);
  for (std::size_t index = 0; index < 500; ++index) {
    EXPECT_EQ(replies[index].request_id, index + 1);
    EXPECT_EQ(replies[index].sequence, before + index + 1);
  }
}

TEST(Engine, AnswersTheSecondSendingOfAnOrderWithTheOrderOfTheFirst) {
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const Reply first = engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "same")));
  const Reply second = engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "same")));

  EXPECT_FALSE(std::get<OrderOutcome>(first.body).duplicate);
  EXPECT_TRUE(std::get<OrderOutcome>(second.body).duplicate);
  EXPECT_EQ(order_in(second).order_id, order_in(first).order_id);
}

// Its id is remembered for longer than the order, which only the history still has.
TEST(Engine, NamesTheOrderOfASecondSendingThatItHasForgotten) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  settings.limits.max_orders = 4;
  settings.limits.max_open_orders = 2;
  const auto send = [](TestEngine& engine, const std::string& id) {
    return engine.ask(
        core::CommandBody(limit_order(1, Side::kBuy, 1, 10, id, core::TimeInForce::kIoc)));
  };
  core::OrderId first = 0;
  {
    TestEngine engine(settings);
    engine.set_up_market();
    first = order_in(send(engine, "first")).order_id;
    for (int index = 0; index < 8; ++index) send(engine, std::to_string(index));
  }
  TestEngine engine(settings);
  const auto refusal = std::get<Refusal>(send(engine, "first").body);
  EXPECT_EQ(refusal.reason, core::Reason::kDuplicateClientOrderId);
  EXPECT_TRUE(refusal.duplicate);
  ASSERT_TRUE(refusal.order.has_value());
  EXPECT_EQ(refusal.order->order_id, first);
  EXPECT_EQ(refusal.order->client_order_id, core::ClientOrderId("first"));
}

TEST(Engine, DoesNotShowAnOrderToAnotherAccount) {
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const Reply mine = engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "mine")));
  const core::OrderId order_id = order_in(mine).order_id;

  const Reply read = engine.ask(Query(GetOrder{2, order_id, {}}));
  EXPECT_EQ(std::get<NotSequenced>(read.body).cause, NotSequenced::Cause::kNotFound);
  const Reply cancel = engine.ask(core::CommandBody(core::CancelOrder{2, order_id}));
  EXPECT_EQ(std::get<Refusal>(cancel.body).reason, core::Reason::kUnknownOrder);
  EXPECT_FALSE(std::get<Refusal>(cancel.body).order.has_value());
}

TEST(Engine, HoldsEveryReplyBackUntilItsCommandIsDurable) {
  const TemporaryDirectory directory;
  SyncGate gate;
  TestEngine engine(test_settings(directory.path()), gate.seams());
  engine.set_up_market();
  gate.close();
  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kAccepted);
  gate.wait_until_held();
  EXPECT_EQ(collector->size(), 0U);
  EXPECT_LT(engine->durable().get(), engine->applied_sequence());

  gate.open();
  const auto replies = collector->wait_for(1);
  EXPECT_LE(replies.at(0).sequence, engine->durable().get());
}

TEST(Engine, HoldsAQueryBackUntilWhatItSawIsDurable) {
  const TemporaryDirectory directory;
  SyncGate gate;
  TestEngine engine(test_settings(directory.path()), gate.seams());
  engine.set_up_market();
  gate.close();
  const auto orders = std::make_shared<Collector>();
  const auto queries = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(orders, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kAccepted);
  gate.wait_until_held();
  ASSERT_EQ(engine.submit(queries, {operation(2, Query(ListOpenOrders{1, 0, 0, 10}))}),
            Admission::kAccepted);
  EXPECT_EQ(queries->size(), 0U);

  gate.open();
  const auto reply = queries->wait_for(1).at(0);
  EXPECT_EQ(std::get<OrderList>(reply.body).orders.size(), 1U);
  EXPECT_EQ(reply.sequence, engine->durable().get());
}

TEST(Engine, CommitsEverythingThatQueuedDuringASyncWithFewFurtherSyncs) {
  const TemporaryDirectory directory;
  SyncGate gate;
  TestEngine engine(test_settings(directory.path()), gate.seams());
  engine.set_up_market();
  gate.close();
  const auto collector = std::make_shared<Collector>();
  for (std::uint64_t index = 0; index < 200; ++index) {
    ASSERT_EQ(
        engine.submit(collector,
                      {operation(index, limit_order(1, Side::kBuy, 1, 10, std::to_string(index)))}),
        Admission::kAccepted);
  }
  gate.wait_until_held();
  const std::uint64_t syncs_before = gate.syncs();
  gate.open();
  collector->wait_for(200);
  EXPECT_LE(gate.syncs() - syncs_before, 20U);
}

TEST(Engine, CarriesOutNoQueryWhoseCallerHasGoneButEveryCommand) {
  class Gone final : public ReplySink {
   public:
    void deliver(std::vector<Reply> replies) noexcept override { delivered_ += replies.size(); }
    [[nodiscard]] bool wanted() const noexcept override { return false; }
    std::atomic<std::size_t> delivered_ = 0;
  };
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const auto gone = std::make_shared<Gone>();
  ASSERT_EQ(engine.submit(gone, {operation(1, Query(GetStatus{true})),
                                 operation(2, limit_order(1, Side::kBuy, 1, 10, "kept")),
                                 operation(3, Query(ListAccounts{}))}),
            Admission::kAccepted);
  EXPECT_EQ(order_in(engine.ask(Query(GetOrder{1, 0, core::ClientOrderId("kept")}))).status,
            core::OrderStatus::kNew);
  EXPECT_EQ(gone->delivered_, 1U);
  EXPECT_EQ(engine.metrics().abandoned_queries.Value(), 2);
}

TEST(Engine, CountsAQueryInTheRingByWhatItCosts) {
  const Operation order = operation(1, core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")));
  EXPECT_EQ(weight(order), 1U);
  EXPECT_EQ(weight(Query(GetStatus{false})), 1U);
  EXPECT_GT(weight(Query(GetBook{1, kBookDepthMax})), 100U);
  EXPECT_GT(weight(Query(GetBook{1, kBookDepthMax})), weight(Query(GetBook{1, 1})));
  for (const Query& whole :
       {Query(GetStatus{true}), Query(ListAccounts{}), Query(ListInstruments{})}) {
    EXPECT_GT(weight(whole), weight(Query(ListOpenOrders{1, 0, 0, kListLimitMax})));
    // One operation fits into a ring of any size.
    IngressRing ring(2);
    Batch batch{{operation(1, whole)}, nullptr, {}};
    EXPECT_EQ(ring.try_push(batch), Admission::kAccepted);
    Batch next{{order}, nullptr, {}};
    EXPECT_EQ(ring.try_push(next), Admission::kFull);
  }
}

TEST(Engine, RefusesBatchesAtTheBoundOfItsRingAndAnswersTheAcceptedOnes) {
  const TemporaryDirectory directory;
  SyncGate gate;
  EngineSettings settings = test_settings(directory.path());
  settings.ring_size = 32;
  TestEngine engine(settings, gate.seams());
  engine.set_up_market();
  gate.close();
  const auto collector = std::make_shared<Collector>();
  std::size_t accepted = 0;
  Admission admission = Admission::kAccepted;
  while (admission == Admission::kAccepted) {
    admission = engine.submit(
        collector,
        {operation(accepted, limit_order(1, Side::kBuy, 1, 10, std::to_string(accepted)))});
    if (admission == Admission::kAccepted) ++accepted;
    ASSERT_LT(accepted, 100'000U) << "the ring has no bound";
  }
  EXPECT_EQ(admission, Admission::kFull);
  EXPECT_GE(engine.metrics().ring_full.Value(), 1);

  gate.open();
  collector->wait_for(accepted);
}

TEST(Engine, AnswersNothingThatAFailedSyncLeftInDoubtAndAcceptsNothingMore) {
  const TemporaryDirectory directory;
  SyncGate gate;
  TestEngine engine(test_settings(directory.path()), gate.seams());
  engine.set_up_market();
  gate.fail_next();
  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kAccepted);

  EXPECT_THAT(engine.wait_for_failure(), ::testing::HasSubstr("sync failed"));
  EXPECT_EQ(engine.submit(collector, {operation(2, limit_order(1, Side::kBuy, 1, 10, "b"))}),
            Admission::kStopped);
  engine->stop();
  EXPECT_EQ(collector->size(), 0U);
}

TEST(Engine, TakesAFailureOfAnyKindWhileWritingForTheJournalsEnd) {
  class OutOfMemory final : public FrameSink {
   public:
    void write(journal::Frame&) override { throw std::bad_alloc(); }
    void sync() override {}
    void mark_end() override {}
  };
  const TemporaryDirectory directory;
  { TestEngine first(test_settings(directory.path())); }  // the limits are in the journal
  EngineSeams seams;
  seams.wrap_sink = [](std::unique_ptr<FrameSink>) { return std::make_unique<OutOfMemory>(); };
  TestEngine engine(test_settings(directory.path()), seams);
  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kAccepted);
  EXPECT_FALSE(engine.wait_for_failure().empty());
  engine->stop();
  EXPECT_EQ(collector->size(), 0U);
  EXPECT_EQ(engine.metrics().journal_failures.Value(), 1);
}

// The state after a kill: a copy of a running engine's journal.
void copy_journal(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const auto& segment : journal::list_segments(from, 0)) {
    std::filesystem::copy_file(segment.path, to / segment.path.filename(),
                               std::filesystem::copy_options::overwrite_existing);
  }
}

TEST(Engine, WhenIdleMarksWhatItWroteSoThatDamageToItIsRefusedAndNotCutOff) {
  const TemporaryDirectory directory;
  const TemporaryDirectory copy;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")));

  std::uint64_t last_frame = 0;
  std::filesystem::path segment;
  const auto marked = [&] {
    copy_journal(directory.path(), copy.path());
    journal::FrameReader frames(copy.path(), 0, 1);
    while (frames.next(0) == journal::FrameReader::Result::kFrame) {
      if (frames.last_flags() == journal::kEntries) last_frame = frames.header().offset;
      segment = frames.path();
    }
    return frames.last_flags() == journal::kCleanEnd;
  };
  const auto deadline = std::chrono::steady_clock::now() + testing::kPatience;
  while (!marked()) ASSERT_LT(std::chrono::steady_clock::now(), deadline);

  std::fstream(segment, std::ios::in | std::ios::out | std::ios::binary)
      .seekp(static_cast<std::streamoff>(last_frame + journal::kFrameHeaderBytes + 4))
      .put('X');
  journal::Settings settings = test_settings(copy.path()).journal;
  try {
    (void)journal::recover(settings, test_settings(copy.path()).limits);
    FAIL() << "an acknowledged order was dropped";
  } catch (const journal::JournalError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("was durable"));
  }
}

TEST(Engine, RepliesDoNotWaitForTheMark) {
  class HeldMark final : public FrameSink {
   public:
    HeldMark(std::unique_ptr<FrameSink> inner, std::shared_future<void> answered)
        : inner_(std::move(inner)), answered_(std::move(answered)) {}
    void write(journal::Frame& frame) override {
      inner_->write(frame);
      written_ = true;
    }
    void sync() override { inner_->sync(); }
    void mark_end() override {
      if (written_) {
        EXPECT_EQ(answered_.wait_for(testing::kPatience), std::future_status::ready);
      }
      inner_->mark_end();
    }

   private:
    std::unique_ptr<FrameSink> inner_;
    std::shared_future<void> answered_;
    bool written_ = false;
  };
  const TemporaryDirectory directory;
  { TestEngine first(test_settings(directory.path())); }  // the limits are in the journal
  std::promise<void> answered;
  EngineSeams seams;
  seams.wrap_sink = [held = answered.get_future().share()](std::unique_ptr<FrameSink> sink) {
    return std::make_unique<HeldMark>(std::move(sink), held);
  };
  TestEngine engine(test_settings(directory.path()), seams);
  engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")));
  answered.set_value();
}

TEST(Engine, StopsWhileItRecovers) {
  const TemporaryDirectory directory;
  { TestEngine engine(test_settings(directory.path())); }
  std::stop_source stop;
  stop.request_stop();
  Metrics metrics;
  EXPECT_THROW(Engine(
                   test_settings(directory.path()), metrics, [](const std::string&) {}, {},
                   stop.get_token()),
               journal::Stopped);
  TestEngine again(test_settings(directory.path()));
}

TEST(Engine, AnswersEverythingThatItAcceptedBeforeItStops) {
  const TemporaryDirectory directory;
  TestEngine engine(test_settings(directory.path()));
  engine.set_up_market();
  const auto collector = std::make_shared<Collector>();
  for (std::uint64_t index = 0; index < 300; ++index) {
    ASSERT_EQ(
        engine.submit(collector,
                      {operation(index, limit_order(1, Side::kBuy, 1, 10, std::to_string(index)))}),
        Admission::kAccepted);
  }
  engine->stop();
  EXPECT_EQ(collector->size(), 300U);
  EXPECT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "x"))}),
            Admission::kStopped);
}

TEST(Engine, ContinuesFromItsJournalAfterARestart) {
  const TemporaryDirectory directory;
  core::Sequence last = 0;
  std::uint64_t hash = 0;
  {
    TestEngine engine(test_settings(directory.path()));
    engine.set_up_market();
    last = engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 5, 10, "kept"))).sequence;
    hash = engine.state_hash();
  }
  TestEngine engine(test_settings(directory.path()));
  EXPECT_EQ(engine.state_hash(), hash);
  EXPECT_EQ(order_in(engine.ask(Query(GetOrder{1, 0, core::ClientOrderId("kept")}))).order_id,
            last);
  EXPECT_EQ(engine.ask(core::CommandBody(core::CancelOrder{1, last})).sequence, last + 1);
}

TEST(Engine, JournalsItsLimitsAtTheFirstStartAndWhenTheyChange) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  {
    TestEngine first(settings);
    EXPECT_EQ(first->durable().get(), 1U);
  }
  {
    TestEngine same(settings);
    EXPECT_EQ(same->durable().get(), 1U);
  }
  settings.limits.max_orders *= 2;
  TestEngine larger(settings);
  EXPECT_EQ(larger->durable().get(), 2U);
}

// The advice to operators for when memory runs out.
TEST(Engine, TakesLowerLimitsAfterHigherOnes) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  std::uint64_t before = 0;
  {
    TestEngine engine(settings);
    engine.set_up_market();
    for (int index = 0; index < 200; ++index) {
      engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index))));
    }
    before = engine->durable().get();
  }
  settings.limits.max_orders = 512;
  settings.limits.max_open_orders = 384;
  {
    TestEngine engine(settings);
    EXPECT_EQ(engine->applied_sequence(), before + 1);  // the new limits
    EXPECT_EQ(order_in(engine.ask(Query(GetOrder{1, 0, core::ClientOrderId("199")}))).status,
              core::OrderStatus::kNew);
    // Otherwise the next start would begin with the larger state.
    auto snapshot = engine->take_snapshot();
    if (snapshot) {
      EXPECT_GE(snapshot->get(), before + 1);
    }
  }
  const journal::Recovered recovered = journal::recover(settings.journal, settings.limits);
  EXPECT_EQ(recovered.exchange->limits(), settings.limits);
}

TEST(Engine, RefusesLimitsBelowWhatTheVenueHoldsAndSaysWhatItHolds) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  {
    TestEngine engine(settings);
    engine.set_up_market();
    for (int index = 0; index < 20; ++index) {
      engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index))));
    }
  }
  settings.limits.max_orders = 20;
  settings.limits.max_open_orders = 19;
  try {
    const TestEngine engine(settings);
    FAIL() << "it was started";
  } catch (const journal::JournalError& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("20 open orders (limit 19)"));
    EXPECT_THAT(error.what(), ::testing::HasSubstr("--max-orders 4096"));
  }
}

TEST(Engine, JournalsWhoGaveAnAdministrativeCommand) {
  const TemporaryDirectory directory;
  const EngineSettings settings = test_settings(directory.path());
  TestEngine engine(settings);
  engine.set_up_market();
  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(collector, {Operation(1, core::CommandBody(core::AdjustBalance{1, 5}),
                                                core::Actor("ops"))}),
            Admission::kAccepted);
  const core::Sequence sequence = collector->wait_for(1).at(0).sequence;
  journal::Reader reader(settings.journal.directory, 0, sequence);
  core::Command command;
  core::EventBuffer events;
  ASSERT_EQ(reader.next(command, events), journal::Reader::Result::kEntry);
  EXPECT_EQ(command.actor.view(), "ops");
}

TEST(Engine, StartsFromTheSnapshotThatItWroteAtItsInterval) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  settings.snapshot_interval = 10;
  core::Sequence snapshot = 0;
  std::uint64_t hash = 0;
  {
    TestEngine engine(settings);
    engine.set_up_market();
    for (int index = 0; index < 20; ++index) {
      engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index))));
    }
    snapshot = engine->take_snapshot()->get();
    EXPECT_EQ(snapshot, engine->durable().get());
    hash = engine.state_hash();
    EXPECT_GE(engine.metrics().snapshots.Value(), 2) << "one at the interval, one when asked to";
  }
  TestEngine engine(settings);
  EXPECT_EQ(engine->snapshot_sequence(), snapshot);
  EXPECT_EQ(engine.state_hash(), hash);
}

TEST(Engine, CountsSegmentsThatCannotBePreparedAndTheTimeThatItWaitsForThem) {
  const TemporaryDirectory directory;
  const EngineSettings settings = test_settings(directory.path());
  {
    TestEngine first(settings);
    first.set_up_market();
    EXPECT_GT(first.metrics().segment_wait_seconds.Value(), 0) << "for the first of all";
  }
  std::filesystem::create_directory(directory.path() / "next-segment.tmp");  // in its way
  TestEngine engine(settings);
  int order = 0;
  const auto deadline = std::chrono::steady_clock::now() + testing::kPatience;
  while (engine.metrics().segment_failures.Value() == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(order++))));
  }
}

TEST(Engine, AStartThatIsRefusedWritesNothing) {
  const TemporaryDirectory directory;
  EngineSettings settings = test_settings(directory.path());
  {
    TestEngine engine(settings);
    engine.set_up_market();
    for (int index = 0; index < 3; ++index) {
      engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index))));
    }
  }
  const auto last_sequence = [&] {
    return journal::recover(settings.journal, settings.limits).exchange->last_sequence();
  };
  const core::Sequence before = last_sequence();
  EngineSettings smaller = settings;
  smaller.limits.max_open_orders = 2;
  EXPECT_THROW(TestEngine{smaller}, journal::JournalError);
  EXPECT_EQ(last_sequence(), before);
}

// Engines on a clock that the test sets.

TEST(Engine, RefusesCommandsAndAnswersQueriesOnceReplayDiffersFromItsJournal) {
  const TemporaryDirectory directory;
  EngineSeams seams;
  seams.wrap_snapshot = [](const Snapshotter::Write&) {
    return [](core::Sequence, const std::stop_token&) -> core::Sequence {
      throw journal::Divergence("entry 3");
    };
  };
  TestEngine engine(test_settings(directory.path()), seams);
  engine.set_up_market();
  EXPECT_TRUE(engine->healthy());
  EXPECT_THROW(engine->take_snapshot()->get(), journal::Divergence);
  const auto deadline = std::chrono::steady_clock::now() + testing::kPatience;
  while (engine->healthy() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  const auto collector = std::make_shared<Collector>();
  EXPECT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kNotTrusted);
  EXPECT_EQ(std::get<AccountState>(engine.ask(Query(GetAccount{1})).body).account.account, 1U);
}

TEST(Engine, TellsHowLongTheSyncThatRunsHasTaken) {
  const TemporaryDirectory directory;
  SyncGate gate;
  TestEngine engine(test_settings(directory.path()), gate.seams());
  engine.set_up_market();
  const auto under_way_s = [&] {
    for (const auto& family : engine.metrics().gauges()->Collect()) {
      if (family.name == "openvenue_engine_journal_sync_under_way_seconds") {
        return family.metric.at(0).gauge.value;
      }
    }
    return -1.0;
  };
  EXPECT_EQ(under_way_s(), 0);
  gate.close();
  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine.submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "a"))}),
            Admission::kAccepted);
  gate.wait_until_held();
  EXPECT_GT(under_way_s(), 0);
  gate.open();
  collector->wait_for(1);
  EXPECT_EQ(under_way_s(), 0);
}

}  // namespace
}  // namespace openvenue::runtime

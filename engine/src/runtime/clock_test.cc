// Stamps and trading days on a clock that the test sets.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "runtime/engine.h"
#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using core::Side;
using testing::append_last_entries;
using testing::limit_order;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

const core::Order& order_in(const Reply& reply) { return std::get<OrderOutcome>(reply.body).order; }

core::OrderStatus status_of(TestEngine& engine, core::OrderId order_id) {
  return order_in(engine.ask(Query(GetOrder{1, order_id, {}}))).status;
}

core::Order enter(TestEngine& engine, const std::string& id,
                  core::TimeInForce time_in_force = core::TimeInForce::kGtc) {
  return order_in(
      engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, id, time_in_force))));
}

double gauge(TestEngine& engine, const std::string& name) {
  for (const auto& family : engine.metrics().gauges()->Collect()) {
    if (family.name == name) return family.metric.at(0).gauge.value;
  }
  ADD_FAILURE() << "no gauge " << name;
  return -1;
}

class EngineOnAClock : public ::testing::Test {
 protected:
  EngineSeams seams() {
    EngineSeams seams;
    seams.clock = [this] { return now_ns_.load(); };
    seams.boot_clock = [this] { return now_ns_.load() - stepped_ns_.load(); };
    return seams;
  }

  // Time passes with now_ns_; this only sets the clock.
  void step(std::chrono::nanoseconds by) {
    stepped_ns_ += by.count();
    now_ns_ += by.count();
  }

  static core::TimestampNs at(std::chrono::nanoseconds since_epoch) { return since_epoch.count(); }

  const TemporaryDirectory directory_;
  std::atomic<core::TimestampNs> now_ns_ = at(std::chrono::hours(240));
  std::atomic<core::TimestampNs> stepped_ns_ = 0;
};

TEST_F(EngineOnAClock, ExpiresDayOrdersWhenTheDayEndsAndKeepsTheOthers) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  const auto day = order_in(engine.ask(
      core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "day", core::TimeInForce::kDay))));
  const auto gtc =
      order_in(engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "gtc"))));

  now_ns_ += at(std::chrono::hours(24));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kExpired);
  EXPECT_EQ(status_of(engine, gtc.order_id), core::OrderStatus::kNew);
}

TEST_F(EngineOnAClock, CatchesUpAtTheStartWithADayThatEndedWhileItWasDown) {
  core::OrderId order_id = 0;
  {
    TestEngine engine(test_settings(directory_.path()), seams());
    engine.set_up_market();
    order_id = order_in(engine.ask(core::CommandBody(
                            limit_order(1, Side::kBuy, 1, 10, "day", core::TimeInForce::kDay))))
                   .order_id;
  }
  now_ns_ += at(std::chrono::hours(72));
  TestEngine engine(test_settings(directory_.path()), seams());
  EXPECT_EQ(status_of(engine, order_id), core::OrderStatus::kExpired);
}

TEST_F(EngineOnAClock, CatchesUpWithAMissedDayEndAlsoWhereItsLimitsChange) {
  EngineSettings settings = test_settings(directory_.path());
  core::OrderId order_id = 0;
  {
    TestEngine engine(settings, seams());
    engine.set_up_market();
    order_id = order_in(engine.ask(core::CommandBody(
                            limit_order(1, Side::kBuy, 1, 10, "day", core::TimeInForce::kDay))))
                   .order_id;
  }
  now_ns_ += at(std::chrono::hours(24));
  settings.limits.max_positions *= 2;
  TestEngine engine(settings, seams());
  EXPECT_EQ(status_of(engine, order_id), core::OrderStatus::kExpired);
}

TEST_F(EngineOnAClock, ExpiresMoreOrdersThanOneCommandMay) {
  EngineSettings settings = test_settings(directory_.path());
  settings.limits.max_fills_per_command = 2;
  TestEngine engine(settings, seams());
  engine.set_up_market();
  for (int index = 0; index < 7; ++index) {
    engine.ask(core::CommandBody(
        limit_order(1, Side::kBuy, 1, 10, std::to_string(index), core::TimeInForce::kDay)));
  }
  now_ns_ += at(std::chrono::hours(24));
  const Reply reply = engine.ask(Query(ListOpenOrders{1, 0, 0, 10}));
  EXPECT_TRUE(std::get<OrderList>(reply.body).orders.empty());
}

// An engine that had five DAY orders when it stopped, of which two expire per command.
class EngineWithinADayEnd : public EngineOnAClock {
 protected:
  EngineWithinADayEnd() {
    settings_.limits.max_fills_per_command = 2;
    TestEngine engine(settings_, seams());
    engine.set_up_market();
    for (int index = 0; index < 5; ++index) {
      engine.ask(core::CommandBody(
          limit_order(1, Side::kBuy, 1, 10, std::to_string(index), core::TimeInForce::kDay)));
    }
    now_ns_ += at(std::chrono::hours(24));
  }

  std::size_t open_orders_after_restart() {
    TestEngine engine(settings_, seams());
    return std::get<OrderList>(engine.ask(Query(ListOpenOrders{1, 0, 0, 10})).body).orders.size();
  }

  EngineSettings settings_ = test_settings(directory_.path());
};

TEST_F(EngineWithinADayEnd, FinishesItWhereACrashInterruptedIt) {
  append_last_entries(settings_, now_ns_, {core::EndTradingDay{}});
  EXPECT_EQ(open_orders_after_restart(), 0U);
}

TEST_F(EngineWithinADayEnd, FinishesItAlsoBehindTheLimitsOfAStartThatFailed) {
  append_last_entries(settings_, now_ns_,
                      {core::EndTradingDay{}, core::Configure{settings_.limits},
                       core::Configure{settings_.limits}});
  EXPECT_EQ(open_orders_after_restart(), 0U);
}

TEST_F(EngineOnAClock, NoTwoCommandsShareAMicrosecond) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  core::TimestampNs last_us = 0;
  for (int index = 0; index < 3; ++index) {
    const auto order = order_in(
        engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index)))));
    EXPECT_GT(order.created_ns / 1000, last_us);
    last_us = order.created_ns / 1000;
  }
}

TEST_F(EngineOnAClock, StampsNothingAfterADaysEndBeforeTheDayHasEnded) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  // The clock stops just before the end, and the stamps go on.
  now_ns_ += at(std::chrono::hours(24) - std::chrono::microseconds(2));
  const auto day = order_in(engine.ask(
      core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "day", core::TimeInForce::kDay))));
  for (int index = 0; index < 3; ++index) {
    engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, std::to_string(index))));
  }
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kExpired);
}

TEST_F(EngineOnAClock, NeverStampsACommandEarlierThanTheOneBefore) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  const auto first =
      order_in(engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a"))));
  now_ns_ -= at(std::chrono::hours(1));
  const auto second =
      order_in(engine.ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "b"))));
  EXPECT_GT(second.created_ns, first.created_ns);
}

TEST_F(EngineOnAClock, IsNotLedAstrayByAClockThatIsFarAheadForAMoment) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  const auto day = enter(engine, "day", core::TimeInForce::kDay);
  const core::TimestampNs day_end_ns = engine->next_day_end_ns();

  step(std::chrono::hours(24 * 400));
  now_ns_ += at(std::chrono::seconds(1));
  const auto meanwhile = enter(engine, "meanwhile");
  EXPECT_EQ(meanwhile.created_ns, now_ns_ - stepped_ns_) << "the time since goes on";
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kNew);
  EXPECT_DOUBLE_EQ(gauge(engine, "openvenue_engine_clock_step_seconds"), 400 * 24 * 3600.0);

  step(-std::chrono::hours(24 * 400));
  now_ns_ += at(std::chrono::seconds(1));
  EXPECT_EQ(enter(engine, "later").created_ns, now_ns_);
  EXPECT_EQ(engine->next_day_end_ns(), day_end_ns);
  EXPECT_EQ(gauge(engine, "openvenue_engine_clock_step_seconds"), 0);
}

TEST_F(EngineOnAClock, EndsTheDayByTheTimeSinceWhileItsClockIsFarAhead) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  const auto day = enter(engine, "day", core::TimeInForce::kDay);
  step(std::chrono::hours(24 * 400));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kNew);
  now_ns_ += at(std::chrono::hours(24));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kExpired);
}

TEST_F(EngineOnAClock, FollowsASmallCorrectionAhead) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  step(std::chrono::seconds(200));
  EXPECT_EQ(enter(engine, "a").created_ns, now_ns_);
}

TEST_F(EngineOnAClock, DoesNotStartOnAJournalFarAheadOfItsClockUnlessToldTo) {
  EngineSettings settings = test_settings(directory_.path());
  {
    TestEngine engine(settings, seams());
    engine.set_up_market();
  }
  now_ns_ -= at(std::chrono::hours(24 * 400));
  EXPECT_THROW(TestEngine(settings, seams()), ClockError);

  settings.accept_journal_ahead = true;
  TestEngine engine(settings, seams());
  const auto day = enter(engine, "day", core::TimeInForce::kDay);
  EXPECT_GT(day.created_ns, now_ns_ + at(std::chrono::hours(24 * 399)));
  EXPECT_LE(engine->next_day_end_ns(), now_ns_ + at(std::chrono::hours(24)));
  now_ns_ += at(std::chrono::hours(24));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kExpired)
      << "days go by the clock all the same";
}

TEST_F(EngineOnAClock, EndsDaysByTheClockOnceOneThatWasAheadAtTheStartIsSetRight) {
  now_ns_ += at(std::chrono::hours(24 * 400));
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  step(-std::chrono::hours(24 * 400));
  const auto day = enter(engine, "day", core::TimeInForce::kDay);
  now_ns_ += at(std::chrono::hours(24));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kExpired);
}

TEST_F(EngineOnAClock, DoesNotEndADayTwiceWhereTheClockGoesBackOverItsEnd) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  now_ns_ += at(std::chrono::hours(24));
  (void)enter(engine, "the day has ended");
  step(-std::chrono::seconds(5));
  const auto day = enter(engine, "day", core::TimeInForce::kDay);
  now_ns_ += at(std::chrono::seconds(10));
  EXPECT_EQ(status_of(engine, day.order_id), core::OrderStatus::kNew);
}

// More than a million commands within one reading of the clock.
TEST_F(EngineOnAClock, StampsNoMoreThanASecondAheadHoweverFastCommandsCome) {
  TestEngine engine(test_settings(directory_.path()), seams());
  engine.set_up_market();
  const auto collector = std::make_shared<testing::Collector>();
  constexpr std::size_t kBatch = 1000;
  std::vector<Operation> cancels;
  for (std::size_t index = 0; index < kBatch; ++index) {
    cancels.push_back(testing::operation(index, core::CommandBody(core::CancelOrder{1, 1})));
  }
  std::size_t sent = 0;
  for (int batch = 0; batch < 1'100; ++batch) {
    while (engine.submit(collector, cancels) != Admission::kAccepted) std::this_thread::yield();
    sent += kBatch;
  }
  collector->wait_for(sent);
  const auto order = enter(engine, "last");
  EXPECT_LE(order.created_ns,
            now_ns_ + at(std::chrono::seconds(1)) + at(std::chrono::milliseconds(1)));
  now_ns_ += at(std::chrono::seconds(2));
  EXPECT_EQ(enter(engine, "caught up").created_ns, now_ns_);
}

}  // namespace
}  // namespace openvenue::runtime

#include "runtime/disk_reserve.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "journal/error.h"
#include "journal/file.h"
#include "journal/snapshot.h"
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
using Room = DiskReserve::Room;

TEST(DiskReserve, TakesCancelsBelowTheReserveAndNothingBelowAFourthOfIt) {
  std::uint64_t free_bytes = 400;
  DiskReserve reserve(400, [&] { return free_bytes; });
  EXPECT_TRUE(reserve.takes(core::NewOrder{}));
  free_bytes = 399;
  reserve.look();
  EXPECT_FALSE(reserve.takes(core::NewOrder{}));
  EXPECT_FALSE(reserve.takes(core::ReplaceOrder{}));
  EXPECT_FALSE(reserve.takes(core::AdjustBalance{}));
  EXPECT_TRUE(reserve.takes(core::CancelOrder{}));
  EXPECT_TRUE(reserve.takes(core::CancelOrders{}));
  EXPECT_TRUE(reserve.takes(core::SuspendTrading{}));
  free_bytes = 99;
  reserve.look();
  EXPECT_FALSE(reserve.takes(core::CancelOrders{}));
  EXPECT_FALSE(reserve.takes(core::CancelOrder{}));
}

TEST(DiskReserve, ComesBackOnlyOnceThereIsAFourthMoreThanItTakes) {
  std::uint64_t free_bytes = 0;
  DiskReserve reserve(400, [&] { return free_bytes; });
  const auto room_at = [&](std::uint64_t bytes) {
    free_bytes = bytes;
    reserve.look();
    return reserve.room();
  };
  EXPECT_EQ(room_at(199), Room::kNone);
  EXPECT_EQ(room_at(200), Room::kForCancels);
  EXPECT_EQ(room_at(100), Room::kForCancels);
  EXPECT_EQ(room_at(499), Room::kForCancels);
  EXPECT_EQ(room_at(500), Room::kForAll);
  EXPECT_EQ(room_at(400), Room::kForAll);
}

TEST(DiskReserve, StaysAsItIsWhereTheDiskCannotBeAsked) {
  std::optional<std::uint64_t> free_bytes = 0;
  DiskReserve reserve(400, [&] { return free_bytes; });
  free_bytes.reset();
  reserve.look();
  EXPECT_EQ(reserve.room(), Room::kNone);
}

// An engine whose disk has as many free bytes as the test says.
class ReadOnlyEngine : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kReserve = 1'000'000;

  ReadOnlyEngine() {
    settings_.journal.disk_reserve_bytes = kReserve;
    seams_.free_bytes = [this] { return free_bytes_.load(); };
  }

  static core::ReplaceOrder replacement_of(core::OrderId order_id) {
    core::ReplaceOrder replacement;
    replacement.account = 1;
    replacement.order_id = order_id;
    return replacement;
  }

  void wait_until(bool read_only) {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while ((*engine_)->read_only() != read_only) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  static NotSequenced::Cause cause_of(const Reply& reply) {
    return std::get<NotSequenced>(reply.body).cause;
  }

  const TemporaryDirectory directory_;
  EngineSettings settings_ = test_settings(directory_.path());
  EngineSeams seams_;
  std::atomic<std::uint64_t> free_bytes_ = 2 * kReserve;
  std::optional<TestEngine> engine_;
};

TEST_F(ReadOnlyEngine, RefusesOrdersAndTakesCancelsAndQueriesOfTheSameBatch) {
  engine_.emplace(settings_, seams_);
  engine_->set_up_market();
  const Reply rested = engine_->ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")));
  const core::OrderId order_id = std::get<OrderOutcome>(rested.body).order.order_id;
  free_bytes_ = kReserve - 1;
  wait_until(true);
  const core::Sequence before = (*engine_)->applied_sequence();

  const auto collector = std::make_shared<Collector>();
  ASSERT_EQ(engine_->submit(collector, {operation(1, limit_order(1, Side::kBuy, 1, 10, "b")),
                                        operation(2, replacement_of(order_id)),
                                        operation(3, Query(GetOrder{1, order_id, {}})),
                                        operation(4, core::CancelOrder{1, order_id}),
                                        operation(5, core::AdjustBalance{1, 5})}),
            Admission::kAccepted);
  std::map<std::uint64_t, Reply> replies;
  for (Reply& reply : collector->wait_for(5)) replies.emplace(reply.request_id, reply);
  EXPECT_EQ(cause_of(replies.at(1)), NotSequenced::Cause::kReadOnly);
  EXPECT_EQ(cause_of(replies.at(2)), NotSequenced::Cause::kReadOnly);
  EXPECT_EQ(cause_of(replies.at(5)), NotSequenced::Cause::kReadOnly);
  EXPECT_EQ(std::get<OrderOutcome>(replies.at(3).body).order.status, core::OrderStatus::kNew);
  EXPECT_EQ(std::get<OrderOutcome>(replies.at(4).body).order.status, core::OrderStatus::kCanceled);
  EXPECT_EQ(replies.at(4).sequence, before + 1) << "what is refused gets no sequence number";
}

TEST_F(ReadOnlyEngine, TakesOrdersAgainByItselfOnceThereIsRoom) {
  engine_.emplace(settings_, seams_);
  engine_->set_up_market();
  free_bytes_ = 0;
  wait_until(true);
  EXPECT_EQ(cause_of(engine_->ask(core::CommandBody(core::CancelOrder{1, 1}))),
            NotSequenced::Cause::kReadOnly);
  free_bytes_ = 2 * kReserve;
  wait_until(false);
  const Reply reply = engine_->ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")));
  EXPECT_TRUE(std::holds_alternative<OrderOutcome>(reply.body));
}

TEST_F(ReadOnlyEngine, StartsReadOnlyWhereThereIsTooLittleRoom) {
  {
    TestEngine engine(settings_, seams_);
    engine.set_up_market();
  }
  free_bytes_ = kReserve - 1;
  engine_.emplace(settings_, seams_);
  EXPECT_TRUE((*engine_)->read_only());
  EXPECT_EQ(cause_of(engine_->ask(core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a")))),
            NotSequenced::Cause::kReadOnly);
  EXPECT_EQ(std::get<AccountState>(engine_->ask(Query(GetAccount{1})).body).account.account, 1U);
}

TEST_F(ReadOnlyEngine, EndsTheTradingDayOnlyOnceTheDiskIsNotFull) {
  constexpr core::TimestampNs kDay = 86'400'000'000'000;
  std::atomic<core::TimestampNs> now_ns = 20'000 * kDay + kDay / 2;
  seams_.clock = seams_.boot_clock = [&now_ns] { return now_ns.load(); };
  engine_.emplace(settings_, seams_);
  engine_->set_up_market();
  const Reply day_order = engine_->ask(
      core::CommandBody(limit_order(1, Side::kBuy, 1, 10, "a", core::TimeInForce::kDay)));
  const GetOrder query{1, std::get<OrderOutcome>(day_order.body).order.order_id, {}};
  const auto status = [&] {
    return std::get<OrderOutcome>(engine_->ask(Query(query)).body).order.status;
  };
  free_bytes_ = 0;
  wait_until(true);
  const core::Sequence before = (*engine_)->applied_sequence();
  now_ns += kDay;
  EXPECT_EQ(status(), core::OrderStatus::kNew);
  EXPECT_EQ((*engine_)->applied_sequence(), before);
  free_bytes_ = kReserve / 2;  // enough for cancels
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (status() != core::OrderStatus::kExpired) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
  }
  engine_.reset();  // before the clock goes
}

TEST_F(ReadOnlyEngine, LeavesTheReserveToTheJournalAndNotToSnapshots) {
  free_bytes_ = ~std::uint64_t{0};
  settings_.journal.disk_reserve_bytes = 4 * *journal::free_bytes(directory_.path());
  engine_.emplace(settings_, seams_);
  engine_->set_up_market();
  auto snapshot = (*engine_)->take_snapshot();
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_THROW(snapshot->get(), journal::JournalError);
  EXPECT_TRUE(journal::list_snapshots(directory_.path(), 0).empty());
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "next-snapshot.tmp"));
}

}  // namespace
}  // namespace openvenue::runtime

// Shared by the tests of runtime and server: a data directory, a sink that collects replies, a
// journal whose syncs can be held back or made to fail, and short ways to write operations.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "runtime/engine.h"

namespace openvenue::runtime::testing {

constexpr std::chrono::seconds kPatience{20};  // far longer than any step takes

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "openvenue-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = pattern;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Collector final : public ReplySink {
 public:
  void deliver(std::vector<Reply> replies) noexcept override {
    {
      const std::lock_guard lock(mutex_);
      for (Reply& reply : replies) replies_.push_back(std::move(reply));
    }
    delivered_.notify_all();
  }

  // Fails the test if there are fewer than `count` replies in time.
  std::vector<Reply> wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(delivered_.wait_for(lock, kPatience, [&] { return replies_.size() >= count; }))
        << replies_.size() << " of " << count << " replies";
    return replies_;
  }

  [[nodiscard]] std::size_t size() {
    const std::lock_guard lock(mutex_);
    return replies_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable delivered_;
  std::vector<Reply> replies_;
};

// Holds every sync while closed, and fails the next one when told to. Outlives the sinks it makes.
class SyncGate {
 public:
  [[nodiscard]] EngineSeams seams() {
    EngineSeams seams;
    seams.wrap_sink = [this](std::unique_ptr<FrameSink> sink) {
      return std::make_unique<Sink>(*this, std::move(sink));
    };
    return seams;
  }

  void close() {
    set([this] { closed_ = true; });
  }
  void open() {
    set([this] { closed_ = false; });
  }
  void fail_next() {
    set([this] { failing_ = true; });
  }

  // Waits until the journal thread is held in a sync.
  void wait_until_held() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return held_; }));
  }

  [[nodiscard]] std::uint64_t syncs() const { return syncs_; }

 private:
  class Sink final : public FrameSink {
   public:
    Sink(SyncGate& gate, std::unique_ptr<FrameSink> inner)
        : gate_(gate), inner_(std::move(inner)) {}
    void write(journal::Frame& frame) override { inner_->write(frame); }
    void sync() override {
      gate_.pass();
      inner_->sync();
    }
    void mark_end() override { inner_->mark_end(); }

   private:
    SyncGate& gate_;
    std::unique_ptr<FrameSink> inner_;
  };

  template <class Change>
  void set(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  void pass() {
    std::unique_lock lock(mutex_);
    held_ = closed_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !closed_; });
    held_ = false;
    ++syncs_;
    if (std::exchange(failing_, false)) throw journal::JournalError("sync failed: no such disk");
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  bool held_ = false;
  bool failing_ = false;
  std::atomic<std::uint64_t> syncs_ = 0;
};

// Small pools, so that a test's engine starts at once.
inline EngineSettings test_settings(const std::filesystem::path& directory) {
  EngineSettings settings;
  settings.journal.directory = directory;
  settings.journal.segment_bytes = std::uint64_t{4} << 20;
  settings.limits = {1U << 12, 64, 16, 256, 256, 3U << 10, 3U << 10, 64, 1U << 14};
  settings.snapshot_interval = 0;
  return settings;
}

inline Operation operation(std::uint64_t request_id, core::CommandBody body) {
  return {request_id, std::move(body)};
}
inline Operation operation(std::uint64_t request_id, Query query) {
  return {request_id, std::move(query)};
}
inline Operation operation(std::uint64_t request_id, OrderBatch batch) {
  return {request_id, std::move(batch)};
}

inline core::NewOrder limit_order(core::AccountId account, core::Side side, core::QtyLots qty_lots,
                                  core::PriceTicks price_ticks, const std::string& id,
                                  core::TimeInForce time_in_force = core::TimeInForce::kGtc) {
  const core::OrderTerms terms{.qty_lots = qty_lots,
                               .limit_price_ticks = price_ticks,
                               .side = side,
                               .time_in_force = time_in_force};
  return {terms, account, 1, core::ClientOrderId(id)};
}

// Instrument 1, and accounts 1 and 2 with money and the right to sell short.
inline std::vector<Operation> market_set_up() {
  std::vector<Operation> operations;
  core::DefineInstrument instrument;
  instrument.instrument = 1;
  instrument.symbol = core::Symbol("TEST");
  instrument.tick_size_nanos = 10'000'000;
  instrument.lot_size_nanos = 1'000'000'000;
  instrument.max_price_ticks = 1'000'000;
  instrument.max_order_qty_lots = 1'000'000;
  operations.push_back(operation(0, instrument));
  for (core::AccountId account : {1U, 2U}) {
    operations.push_back(
        operation(0, core::OpenAccount{account, core::Name("test"), true, 1'000'000'000'000}));
    operations.push_back(operation(0, core::AdjustBalance{account, 1'000'000'000'000}));
  }
  return operations;
}

constexpr std::size_t kMarketSetUpSize = 5;

// Appends the last entries of an engine that was killed then.
inline void append_last_entries(const EngineSettings& settings, core::TimestampNs now_ns,
                                const std::vector<core::CommandBody>& bodies) {
  journal::Recovered recovered = journal::recover(settings.journal, settings.limits);
  core::EventBuffer events;
  events.reserve(core::Exchange::max_events_per_command(settings.limits));
  journal::Frame frame;
  for (const core::CommandBody& body : bodies) {
    const core::Command command{recovered.exchange->last_sequence() + 1, now_ns, body};
    recovered.exchange->apply(command, events);
    frame.append(command, events);
  }
  recovered.writer.write(frame);
  recovered.writer.sync();
}

// An engine with its market set up; its destructor stops it.
class TestEngine {
 public:
  explicit TestEngine(const EngineSettings& settings, const EngineSeams& seams = {})
      : engine_(
            settings, metrics_, [this](const std::string& what) { failed(what); }, seams) {}

  void set_up_market() {
    const auto collector = std::make_shared<Collector>();
    ASSERT_EQ(submit(collector, market_set_up()), Admission::kAccepted);
    for (const Reply& reply : collector->wait_for(kMarketSetUpSize)) {
      ASSERT_FALSE(std::holds_alternative<core::Rejected>(
          std::get<CommandEvents>(reply.body).events.front()));
    }
  }

  Admission submit(std::shared_ptr<ReplySink> sink, std::vector<Operation> operations) {
    Batch batch{std::move(operations), std::move(sink), {}};
    return engine_.submit(batch);
  }

  // Submits one operation and waits for its reply.
  template <class Body>
  Reply ask(Body body) {
    const auto collector = std::make_shared<Collector>();
    EXPECT_EQ(submit(collector, {operation(7, std::move(body))}), Admission::kAccepted);
    return collector->wait_for(1).at(0);
  }

  [[nodiscard]] std::uint64_t state_hash() {
    return std::get<StateSummary>(ask(Query(GetStatus{true})).body).state_hash;
  }

  std::string wait_for_failure() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(failed_.wait_for(lock, kPatience, [this] { return !failure_.empty(); }));
    return failure_;
  }

  [[nodiscard]] Engine& operator*() { return engine_; }
  [[nodiscard]] Engine* operator->() { return &engine_; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }

 private:
  void failed(const std::string& what) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = what;
    }
    failed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable failed_;
  std::string failure_;
  Metrics metrics_;
  Engine engine_;
};

}  // namespace openvenue::runtime::testing

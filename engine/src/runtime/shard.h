// The thread that owns a shard's state. It takes batches from the ring, gives each command its
// sequence number and time, applies it, and hands frames with their replies to the journal.
//
// Matching runs ahead of the disk by at most the fixed number of flights.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "core/exchange/exchange.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "runtime/answers.h"
#include "runtime/disk_reserve.h"
#include "runtime/flight.h"
#include "runtime/ingress_ring.h"
#include "runtime/metrics.h"
#include "runtime/trading_day.h"
#include "runtime/venue_clock.h"

namespace openvenue::runtime {

class Shard {
 public:
  // `day_end_unfinished`: the journal ends within an EndTradingDay that has orders left to expire.
  // Stamps that are more than `tolerance` ahead of the clock do not determine the day. All
  // references must outlive the shard.
  Shard(std::unique_ptr<core::Exchange> exchange, const TradingDay& trading_day,
        bool day_end_unfinished, VenueClock& clock, std::chrono::nanoseconds tolerance,
        IngressRing& ring, const DiskReserve& disk_reserve, FlightQueue& free_flights,
        FlightQueue& handed_over, Metrics& metrics);

  // Runs until the ring is closed and empty and everything is handed over.
  void run();

  // For other threads.
  [[nodiscard]] core::Sequence applied_sequence() const { return applied_sequence_; }
  [[nodiscard]] core::TimestampNs applied_timestamp_ns() const { return applied_timestamp_ns_; }
  [[nodiscard]] core::TimestampNs next_day_end_ns() const { return next_day_end_ns_; }
  [[nodiscard]] std::size_t open_orders() const { return open_orders_; }
  [[nodiscard]] std::size_t client_ids() const { return client_ids_; }
  [[nodiscard]] core::Sequence client_ids_floor() const { return client_ids_floor_; }
  [[nodiscard]] double client_ids_filter_load() const { return client_ids_filter_load_; }

 private:
  void process(const Batch& batch);
  [[nodiscard]] std::vector<Reply>& replies_to(const Batch& batch);
  [[nodiscard]] Reply carry_out(const Operation& operation, core::TimestampNs now_ns);
  [[nodiscard]] Reply enter_all(const Operation& operation, core::TimestampNs now_ns);
  void apply(const core::CommandBody& body, const core::Actor& actor, core::TimestampNs now_ns);
  void end_trading_day_if_due(core::TimestampNs now_ns);
  void finish_trading_day(core::TimestampNs now_ns);
  void trigger_orders(core::TimestampNs now_ns);
  [[nodiscard]] core::TimestampNs read_clock();
  // The time of the next command, strictly after the last one's.
  [[nodiscard]] core::TimestampNs stamp(core::TimestampNs now_ns) const;
  [[nodiscard]] core::TimestampNs step_ns() const;
  // The time that determines the trading day.
  [[nodiscard]] core::TimestampNs day_time(core::TimestampNs now_ns) const;
  void make_room();
  void hand_over();

  std::unique_ptr<core::Exchange> exchange_;
  const TradingDay trading_day_;
  bool day_end_unfinished_;
  VenueClock& clock_;
  const core::TimestampNs tolerance_ns_;
  core::TimestampNs read_ns_ = 0;
  core::TimestampNs stepped_ns_ = 0;  // how far steps, not the clock, have put stamps ahead
  IngressRing& ring_;
  const DiskReserve& disk_reserve_;
  FlightQueue& free_flights_;
  FlightQueue& handed_over_;
  Metrics& metrics_;

  CommandTally tally_;
  core::Command command_;
  core::EventBuffer events_;
  std::vector<Flight*> free_;
  Flight* flight_ = nullptr;
  std::atomic<core::Sequence> applied_sequence_;
  std::atomic<core::TimestampNs> applied_timestamp_ns_;
  std::atomic<core::TimestampNs> next_day_end_ns_;
  std::atomic<std::size_t> open_orders_;
  std::atomic<std::size_t> client_ids_;
  std::atomic<core::Sequence> client_ids_floor_;
  std::atomic<double> client_ids_filter_load_;
};

}  // namespace openvenue::runtime

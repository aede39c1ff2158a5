#include "runtime/shard.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "journal/format.h"

namespace openvenue::runtime {
namespace {

// Latest notice of the trading day's end, if nothing else happens.
constexpr std::chrono::milliseconds kIdleWait{250};

// Clients see microseconds and page by time, so no two commands share one. Faster commands are
// stamped ahead of the clock until it has caught up, but never by more than a second: from there on
// they are a nanosecond apart. Pages of one account are then still whole, unless it enters two
// orders within a microsecond, above a million commands a second.
constexpr core::TimestampNs kStampStepNs = 1'000;
constexpr core::TimestampNs kSteppedMaxNs = 1'000'000'000;

// Bounds the replies of one flight in memory, for batches of queries. In operation weight.
constexpr std::uint64_t kReplyWeightPerFlightMax = 8192;

constexpr std::uint64_t kEventsPerOrderBesideFills = 4;
static_assert(kOrdersPerBatchMax * (journal::kCommandBytesMax +
                                    kEventsPerOrderBesideFills * journal::kEventBytesMax) +
                      core::kFillsPerCommandMax * journal::kEventBytesMax <=
                  journal::kFramePayloadBytesMax,
              "a frame holds a batch of orders");

}  // namespace

Shard::Shard(std::unique_ptr<core::Exchange> exchange, const TradingDay& trading_day,
             bool day_end_unfinished, VenueClock& clock, std::chrono::nanoseconds tolerance,
             IngressRing& ring, const DiskReserve& disk_reserve, FlightQueue& free_flights,
             FlightQueue& handed_over, Metrics& metrics)
    : exchange_(std::move(exchange)),
      trading_day_(trading_day),
      day_end_unfinished_(day_end_unfinished),
      clock_(clock),
      tolerance_ns_(tolerance.count()),
      read_ns_(clock_.now()),
      ring_(ring),
      disk_reserve_(disk_reserve),
      free_flights_(free_flights),
      handed_over_(handed_over),
      metrics_(metrics),
      applied_sequence_(exchange_->last_sequence()),
      applied_timestamp_ns_(exchange_->last_timestamp_ns()),
      // From the last command, not from now: a restart catches up with a missed end.
      next_day_end_ns_(trading_day.next_end_after(
          exchange_->last_sequence() == 0 ||
                  exchange_->last_timestamp_ns() - read_ns_ > tolerance_ns_
              ? read_ns_
              : exchange_->last_timestamp_ns())),
      open_orders_(exchange_->open_order_count()),
      client_ids_(exchange_->client_id_count()),
      client_ids_floor_(exchange_->client_ids_floor()),
      client_ids_filter_load_(exchange_->client_ids_filter_load()) {
  events_.reserve(core::Exchange::max_events_per_command(exchange_->limits()));
}

void Shard::run() {
  std::vector<Batch> batches;
  while (ring_.pop_all(batches, kIdleWait)) {
    // Both may be long. On a full disk they wait, as no command comes before them.
    if (disk_reserve_.room() != DiskReserve::Room::kNone) {
      const core::TimestampNs now_ns = read_clock();
      trigger_orders(now_ns);  // a restart finds those of the last commands
      end_trading_day_if_due(now_ns);
    }
    for (const Batch& batch : batches) process(batch);
    hand_over();
  }
  handed_over_.close();
}

void Shard::process(const Batch& batch) {
  make_room();  // first, so that waiting for the disk counts as queueing and not as matching
  metrics_.queue_seconds.Observe(
      seconds_between(batch.submitted_at, std::chrono::steady_clock::now()));
  const StageTimer timer(metrics_.match_seconds);
  const core::TimestampNs now_ns = read_clock();
  for (const Operation& operation : batch.operations) {
    const bool is_query = std::holds_alternative<Query>(operation.body);
    if (is_query && !batch.sink->wanted()) {
      metrics_.abandoned_queries.Increment();
      continue;
    }
    // Before every command: one stamped after an end of a day that has not been applied would hide
    // that end from a restart.
    if (!is_query) end_trading_day_if_due(now_ns);
    make_room();
    Reply reply = carry_out(operation, now_ns);
    flight_->reply_weight += reply.weight;
    replies_to(batch).push_back(std::move(reply));
    if (!is_query) trigger_orders(now_ns);
    if (day_end_unfinished_) finish_trading_day(now_ns);
  }
}

// A batch's replies stay together, unless its flight became full on the way.
std::vector<Reply>& Shard::replies_to(const Batch& batch) {
  auto& deliveries = flight_->deliveries;
  if (deliveries.empty() || deliveries.back().sink != batch.sink) {
    deliveries.push_back({batch.sink, {}});
    deliveries.back().replies.reserve(batch.operations.size());
  }
  return deliveries.back().replies;
}

// Precondition: make_room().
Reply Shard::carry_out(const Operation& operation, core::TimestampNs now_ns) {
  if (const auto* query = std::get_if<Query>(&operation.body)) {
    return answer(*exchange_, *query, operation.request_id);
  }
  if (std::holds_alternative<OrderBatch>(operation.body)) return enter_all(operation, now_ns);
  apply(std::get<core::CommandBody>(operation.body), operation.actor, now_ns);
  return answer(*exchange_, command_, events_, operation.request_id);
}

// A frame of its own holds all orders of the batch, so that a torn write takes all of them or none.
// Precondition: make_room().
Reply Shard::enter_all(const Operation& operation, core::TimestampNs now_ns) {
  const auto& orders = std::get<OrderBatch>(operation.body).orders;
  const std::uint32_t weight_of_all = weight(operation);
  if (const auto refusal = exchange_->find_refusal(orders)) {
    return {operation.request_id, exchange_->last_sequence(), weight_of_all,
            BatchRefused{*refusal}};
  }
  if (!flight_->frame.empty()) {
    hand_over();
    make_room();
  }
  EnteredOrders entered;
  entered.orders.reserve(orders.size());
  for (core::NewOrder order : orders) {
    // An id that was forgotten since find_refusal() was known to it, so it is not one of these.
    order.history_checked = true;
    apply(order, operation.actor, now_ns);
    add_entered(*exchange_, command_, events_, entered);
  }
  return {operation.request_id, command_.sequence, weight_of_all, std::move(entered)};
}

// Precondition: make_room().
void Shard::apply(const core::CommandBody& body, const core::Actor& actor,
                  core::TimestampNs now_ns) {
  command_.sequence = exchange_->last_sequence() + 1;
  command_.timestamp_ns = stamp(now_ns);
  if (command_.timestamp_ns > now_ns) stepped_ns_ += step_ns();
  command_.body = body;
  command_.actor = actor;
  exchange_->apply(command_, events_);
  flight_->frame.append(command_, events_);
  tally_.count(command_, events_);
  if (const auto* ended = std::get_if<core::TradingDayEnded>(&events_.back())) {
    day_end_unfinished_ = !ended->complete;
  }
}

void Shard::end_trading_day_if_due(core::TimestampNs now_ns) {
  if (day_end_unfinished_) finish_trading_day(now_ns);
  const core::TimestampNs day_ns = day_time(now_ns);
  const core::TimestampNs next_end_ns = trading_day_.next_end_after(day_ns);
  if (day_ns < next_day_end_ns_) {
    // More than a day away: a clock that was ahead has been set right.
    if (next_end_ns < next_day_end_ns_) next_day_end_ns_ = next_end_ns;
    return;
  }
  spdlog::info("trading day ends sequence={}", exchange_->last_sequence() + 1);
  day_end_unfinished_ = true;
  finish_trading_day(now_ns);
  next_day_end_ns_ = next_end_ns;
}

// No command comes between those of one day's end, so that no order entered after it expires.
void Shard::finish_trading_day(core::TimestampNs now_ns) {
  while (day_end_unfinished_) {
    make_room();
    apply(core::EndTradingDay{}, {}, now_ns);
  }
}

// No command comes between a trade and the stop orders that it reached.
void Shard::trigger_orders(core::TimestampNs now_ns) {
  while (exchange_->has_due_order()) {
    make_room();
    apply(core::TriggerOrder{}, {}, now_ns);
  }
}

core::TimestampNs Shard::stamp(core::TimestampNs now_ns) const {
  return std::max(now_ns, exchange_->last_timestamp_ns() + step_ns());
}

core::TimestampNs Shard::step_ns() const { return stepped_ns_ < kSteppedMaxNs ? kStampStepNs : 1; }

// The next command's stamp, so that no command gets one behind an end that has not been applied;
// but the clock, if stamps follow one that was far ahead.
core::TimestampNs Shard::day_time(core::TimestampNs now_ns) const {
  const core::TimestampNs stamp_ns = stamp(now_ns);
  return stamp_ns - now_ns > tolerance_ns_ ? now_ns : stamp_ns;
}

core::TimestampNs Shard::read_clock() {
  const core::TimestampNs now_ns = clock_.now();
  stepped_ns_ = std::max<core::TimestampNs>(
      0, stepped_ns_ - std::max<core::TimestampNs>(0, now_ns - read_ns_));
  return read_ns_ = now_ns;
}

void Shard::make_room() {
  if (flight_ != nullptr &&
      (flight_->frame.full() || flight_->reply_weight >= kReplyWeightPerFlightMax)) {
    hand_over();
  }
  if (flight_ != nullptr) return;
  while (free_.empty()) {
    std::vector<Flight*> freed;
    if (free_flights_.pop_all(freed)) free_ = std::move(freed);
  }
  flight_ = free_.back();
  free_.pop_back();
}

void Shard::hand_over() {
  if (flight_ == nullptr || flight_->empty()) return;
  metrics_.add(tally_);
  applied_sequence_ = exchange_->last_sequence();
  applied_timestamp_ns_ = exchange_->last_timestamp_ns();
  open_orders_ = exchange_->open_order_count();
  client_ids_ = exchange_->client_id_count();
  client_ids_floor_ = exchange_->client_ids_floor();
  client_ids_filter_load_ = exchange_->client_ids_filter_load();
  flight_->handed_over_at = std::chrono::steady_clock::now();
  handed_over_.push(std::exchange(flight_, nullptr));
}

}  // namespace openvenue::runtime

// NaiveExchange's stop orders: which are due, the command that triggers one, and stop prices that
// follow the market.
#include <algorithm>

#include "core/testing/naive_exchange.h"

namespace openvenue::core {

// One of the instrument with the lowest id: of the buys the one with the lowest stop price, else of
// the sells the one with the highest.
void NaiveExchange::carry_out(const TriggerOrder& /*command*/) {
  for (const auto& [id, instrument] : instruments_) {
    if (instrument.reached_high_ticks == 0) continue;
    const Order* due = first_reached(instrument, Side::kBuy);
    if (due == nullptr) due = first_reached(instrument, Side::kSell);
    Order& order = orders_.at(due->order_id);
    leave_queue(order);
    if (order.type == OrderType::kTrailingStop) {
      const PriceTicks before = order.limit_price_ticks;
      protect(order);
      order.limit_price_ticks = std::min(order.limit_price_ticks, before);
    }
    order.status = OrderStatus::kNew;
    order.triggered_ns = now_.timestamp_ns;
    touch(order);
    events_.push_back(OrderTriggered{order.order_id, order.account, order.instrument, order.side,
                                     order.type, order.time_in_force, order.qty_lots,
                                     order.limit_price_ticks});
    return match(order);
  }
  reject(Reason::kUnknownOrder);
}

void NaiveExchange::reach(InstrumentId instrument, PriceTicks price) {
  if (price == 0) return;
  Instrument at_price;
  at_price.terms.instrument = instrument;
  at_price.reached_low_ticks = at_price.reached_high_ticks = price;
  const bool reaches_one = first_reached(at_price, Side::kBuy) != nullptr ||
                           first_reached(at_price, Side::kSell) != nullptr;
  if (!reaches_one) return;
  widen(instrument, price);
}

void NaiveExchange::widen(InstrumentId instrument, PriceTicks price) {
  Instrument& reached = instruments_.at(instrument);
  const bool is_first = reached.reached_high_ticks == 0;
  reached.reached_low_ticks = is_first ? price : std::min(reached.reached_low_ticks, price);
  reached.reached_high_ticks = std::max(reached.reached_high_ticks, price);
}

const Order* NaiveExchange::first_reached(const Instrument& reached, Side side) const {
  const Order* first = nullptr;
  for (const OrderId id : waiting_) {
    const Order& order = orders_.at(id);
    const PriceTicks stop = order.stop_price_ticks;
    if (order.instrument != reached.terms.instrument || order.side != side) continue;
    if (order.type == OrderType::kTrailingStop && !order.reached) continue;
    const bool is_reached =
        side == Side::kBuy ? stop <= reached.reached_high_ticks : stop >= reached.reached_low_ticks;
    const bool is_before =
        first == nullptr ||
        (side == Side::kBuy ? stop < first->stop_price_ticks : stop > first->stop_price_ticks);
    if (is_reached && is_before) first = &order;
  }
  return first;
}

void NaiveExchange::settle(InstrumentId instrument) {
  Instrument& reached = instruments_.at(instrument);
  if (reached.reached_high_ticks == 0) return;
  if (first_reached(reached, Side::kBuy) != nullptr) return;
  if (first_reached(reached, Side::kSell) != nullptr) return;
  reached.reached_low_ticks = reached.reached_high_ticks = 0;
}

// The stop price for the mark; a part of the mark is rounded up.
void NaiveExchange::trail(Order& order) const {
  const PriceTicks mark = order.high_water_ticks;
  PriceTicks distance = order.trail.ticks;
  if (order.trail.ppm != 0) {
    const WideInteger millionths = WideInteger{mark} * order.trail.ppm;
    distance = static_cast<PriceTicks>(millionths / 1'000'000 + (millionths % 1'000'000 != 0));
  }
  order.stop_price_ticks = order.side == Side::kBuy ? mark + distance : mark - distance;
}

// The price above which it does not buy, for its stop price; a part of that is rounded up.
void NaiveExchange::protect(Order& order) const {
  if (order.side == Side::kSell) return;
  const WideInteger millionths = WideInteger{order.stop_price_ticks} * order.trail.protection_ppm;
  const auto above =
      static_cast<PriceTicks>(millionths / 1'000'000 + (millionths % 1'000'000 != 0));
  const PriceTicks highest = instruments_.at(order.instrument).terms.max_price_ticks;
  order.limit_price_ticks = std::min(order.stop_price_ticks + above, highest);
}

void NaiveExchange::follow(InstrumentId instrument, PriceTicks price) {
  const std::vector<OrderId> waiting = waiting_;
  for (const OrderId id : waiting) {
    Order& order = orders_.at(id);
    const bool trails = order.type == OrderType::kTrailingStop && !order.reached;
    if (!trails || order.instrument != instrument) continue;
    const bool buys = order.side == Side::kBuy;
    if (buys ? price < order.high_water_ticks : price > order.high_water_ticks) {
      order.high_water_ticks = price;
      trail(order);
    }
    order.reached = buys ? price >= order.stop_price_ticks : price <= order.stop_price_ticks;
    if (!order.reached) continue;
    std::erase(waiting_, id);
    (price == first_price_ ? reached_by_first_price_ : reached_later_).push_back(id);
  }
}

void NaiveExchange::make_due(InstrumentId instrument) {
  if (!reached_by_first_price_.empty()) widen(instrument, first_price_);
  const PriceTicks last = instruments_.at(instrument).last_price_ticks;
  if (!reached_later_.empty()) widen(instrument, last);
  for (std::vector<OrderId>* reached : {&reached_by_first_price_, &reached_later_}) {
    waiting_.insert(waiting_.end(), reached->begin(), reached->end());
    reached->clear();
  }
}

void NaiveExchange::tell_trail(const Order& order) {
  if (order.type != OrderType::kTrailingStop) return;
  events_.push_back(OrderTrailed{order.order_id, order.instrument, order.high_water_ticks,
                                 order.stop_price_ticks});
}

}  // namespace openvenue::core

// NaiveExchange's stop orders: which are due, and the command that triggers one.
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

}  // namespace openvenue::core

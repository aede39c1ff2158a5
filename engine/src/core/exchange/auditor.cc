#include "core/exchange/auditor.h"

#include <limits>
#include <optional>

namespace openvenue::core {

Auditor::Auditor(const Limits& capacity)
    : reserved_lots_(capacity.max_positions),
      wanted_lots_(capacity.max_positions),
      instrument_lots_(capacity.max_instruments) {}

const char* Auditor::find_violation(const ExchangeState& state) {
  if (state.orders.records() > state.limits.max_orders) return "more orders than the limit";
  if (state.orders.open_orders() > state.limits.max_open_orders) {
    return "more open orders than the limit";
  }
  for (Slot slot = 0; slot < state.ledger.position_slots_end(); ++slot) {
    reserved_lots_[slot] = 0;
    wanted_lots_[slot] = 0;
  }
  for (Slot slot = 0; slot < state.instruments.size(); ++slot) instrument_lots_[slot] = 0;
  open_orders_ = 0;
  orders_in_books_ = 0;
  const char* violation = check_accounts(state);
  if (violation == nullptr) violation = check_positions(state);
  if (violation == nullptr) violation = check_books(state);
  if (violation == nullptr) violation = check_client_ids(state);
  return violation;
}

const char* Auditor::check_accounts(const ExchangeState& state) {
  WideInteger cash = 0;
  for (Slot slot = 0; slot < state.ledger.accounts(); ++slot) {
    const AccountRecord& record = state.ledger.account(slot);
    cash += record.account.cash_micros;
    if (record.account.buying_power_micros() < 0) return "an account's buying power is negative";
    const char* violation = check_open_orders(state, slot);
    if (violation != nullptr) return violation;
  }
  if (cash != state.ledger.cash_adjusted_micros()) return "cash is not what was deposited";
  if (open_orders_ != state.orders.open_orders()) return "open orders are miscounted";
  return nullptr;
}

const char* Auditor::check_open_orders(const ExchangeState& state, Slot account) {
  const AccountRecord& record = state.ledger.account(account);
  WideInteger reserved = 0;
  OrderId newer = std::numeric_limits<OrderId>::max();
  for (Slot slot = record.open_orders.tail; slot != kNoSlot;
       slot = state.orders.next_older_open(slot)) {
    const Order order = state.order(slot);
    const OrderOwner& owner = state.orders.owner(slot);
    if (!order.open() || owner.account != account || order.account != record.account.account ||
        order.order_id >= newer) {
      return "an account's open orders are not its open orders, newest first";
    }
    if (order.instrument != state.instruments[owner.instrument].instrument.terms.instrument) {
      return "an order's record names another instrument than its book's";
    }
    newer = order.order_id;
    ++open_orders_;
    const ClientIds& ids = state.orders.client_ids();
    const Slot used = ids.find(client_id_of(order));
    if (used == kNoSlot || used != owner.client_id || ids[used].order_id != order.order_id) {
      return "an open order's client order id is not known as its own";
    }
    if (order.side == Side::kBuy) {
      reserved += state.reservation_micros(order, owner.instrument, order.leaves_lots());
      wanted_lots_[owner.position] += order.leaves_lots();
    } else {
      reserved_lots_[owner.position] += order.leaves_lots();
    }
  }
  const bool equal = reserved == record.account.reserved_micros;
  return equal ? nullptr : "an account's reserved cash is not what its open buy orders need";
}

const char* Auditor::check_positions(const ExchangeState& state) {
  std::uint32_t positions = 0;
  for (Slot account = 0; account < state.ledger.accounts(); ++account) {
    const AccountRecord& record = state.ledger.account(account);
    for (Slot slot = record.positions.head; slot != kNoSlot;
         slot = state.ledger.next_position_of_account(slot)) {
      const char* violation = check_position(state, record.account, slot);
      if (violation != nullptr) return violation;
      const Position& position = state.ledger.position(slot);
      instrument_lots_[state.instruments.find(position.instrument)] += position.qty_lots;
      ++positions;
    }
  }
  if (positions != state.ledger.positions()) return "positions are miscounted";
  for (Slot slot = 0; slot < state.instruments.size(); ++slot) {
    if (instrument_lots_[slot] != state.instruments[slot].instrument.adjusted_lots) {
      return "positions do not add up to what was brought in";
    }
  }
  return nullptr;
}

const char* Auditor::check_position(const ExchangeState& state, const Account& account, Slot slot) {
  const Position& position = state.ledger.position(slot);
  if (position.account != account.account ||
      state.ledger.find_position(position.account, position.instrument) != slot) {
    return "an account's positions are not its own";
  }
  if (position.reserved_lots != reserved_lots_[slot]) {
    return "a position's reserved lots are not what its open sell orders need";
  }
  if (position.wanted_lots != wanted_lots_[slot]) {
    return "a position's wanted lots are not what its open buy orders want";
  }
  if (position.qty_lots < position.reserved_lots && !account.may_sell_short) {
    return "an account that may not sell short is short or could become so";
  }
  const bool kept = state.rules_version < 3 || !position.vacant();
  return kept ? nullptr : "a position without lots and open orders takes a place";
}

const char* Auditor::check_books(const ExchangeState& state) {
  for (Slot slot = 0; slot < state.instruments.size(); ++slot) {
    const FastBook& book = state.instruments[slot].book;
    const BookFront bid = book.front(Side::kBuy);
    const BookFront ask = book.front(Side::kSell);
    if (bid.slot != kNoSlot && ask.slot != kNoSlot && bid.price_ticks >= ask.price_ticks) {
      return "a book is crossed";
    }
    for (const Side side : {Side::kBuy, Side::kSell}) {
      const char* violation = check_side(state, slot, side);
      if (violation == nullptr) violation = check_waiting(state, slot, side);
      if (violation == nullptr) violation = check_trailing(state, slot, side);
      if (violation != nullptr) return violation;
    }
    const Instrument& instrument = state.instruments[slot].instrument;
    const bool is_due = state.instruments[slot].stops.first_reached(
                            instrument.reached_low_ticks, instrument.reached_high_ticks) != kNoSlot;
    if (instrument.reached_high_ticks != 0 && !is_due) return "prices reached no waiting order";
  }
  return orders_in_books_ == open_orders_ ? nullptr : "open orders are missing from the books";
}

const char* Auditor::check_client_ids(const ExchangeState& state) {
  const ClientIds& ids = state.orders.client_ids();
  std::uint64_t retired = ids.surplus().size;
  for (Slot slot = 0; slot < state.ledger.accounts(); ++slot) {
    if (ids.retired(slot).size > ids.share()) return "an account keeps more ids than its share";
    retired += ids.retired(slot).size;
  }
  const std::uint32_t kept =
      ids.outlive_records() ? state.orders.open_orders() : state.orders.records();
  if (ids.size() != kept + retired) return "client order ids are miscounted";
  const bool fits = !ids.outlive_records() || ids.size() <= state.limits.max_client_ids;
  return fits ? nullptr : "more client order ids than the limit";
}

const char* Auditor::check_side(const ExchangeState& state, Slot instrument, Side side) {
  std::optional<PriceTicks> before;
  for (const BookLevel& level : state.instruments[instrument].book.levels(side)) {
    const bool best_first = !before || (side == Side::kBuy) == (*before > level.price_ticks);
    if (!best_first) return "a book's levels are out of order";
    const char* violation = check_level(state, instrument, side, level);
    if (violation != nullptr) return violation;
    before = level.price_ticks;
  }
  return nullptr;
}

const char* Auditor::check_level(const ExchangeState& state, Slot instrument, Side side,
                                 const BookLevel& level) {
  std::uint32_t orders = 0;
  QtyLots qty = 0;
  for (const Slot slot : state.instruments[instrument].book.queue(side, level.price_ticks)) {
    const OrderCore& order = state.orders[slot];
    if (!order.open() || order.status == OrderStatus::kWaiting || order.side != side ||
        order.limit_price_ticks != level.price_ticks ||
        state.orders.owner(slot).instrument != instrument) {
      return "a book holds an order that does not belong there";
    }
    if (++orders > level.orders) return "a level is not the sum of its orders";
    qty += order.leaves_lots();
  }
  orders_in_books_ += level.orders;
  const bool equal = orders == level.orders && qty == level.qty_lots;
  return equal ? nullptr : "a level is not the sum of its orders";
}

const char* Auditor::check_waiting(const ExchangeState& state, Slot instrument, Side side) {
  const StopBook& stops = state.instruments[instrument].stops;
  for (const BookLevel& level : stops.levels(side)) {
    std::uint32_t orders = 0;
    for (const Slot slot : stops.queue(side, level.price_ticks)) {
      const Order order = state.order(slot);
      if (order.status != OrderStatus::kWaiting || order.side != side ||
          order.stop_price_ticks != level.price_ticks || order.filled_lots != 0 ||
          state.orders.owner(slot).instrument != instrument) {
        return "an order waits that does not belong there";
      }
      ++orders;
    }
    if (orders != level.orders) return "a stop price is not the sum of its orders";
    orders_in_books_ += orders;
  }
  return nullptr;
}

const char* Auditor::check_trailing(const ExchangeState& state, Slot instrument, Side side) {
  const InstrumentRecord& record = state.instruments[instrument];
  const PriceTicks last = record.instrument.last_price_ticks;
  std::uint32_t orders = 0;
  for (Slot slot = record.trailing.list(side).head; slot != kNoSlot;
       slot = record.trailing.next(slot)) {
    if (!state.trails(slot) || state.orders.owner(slot).instrument != instrument) {
      return "an order's stop price moves that should not";
    }
    const Order order = state.order(slot);
    const PriceTicks mark = order.high_water_ticks;
    const PriceTicks stop = order.stop_price_ticks;
    const bool is_between =
        side == Side::kSell ? stop < last && last <= mark : mark <= last && last < stop;
    if (order.side != side || !is_between || stop != trailing_stop_price(side, mark, order.trail)) {
      return "a stop price did not follow the market";
    }
    ++orders;
  }
  if (orders != record.trailing.list(side).size) return "moving stop prices are miscounted";
  orders_in_books_ += orders;
  return nullptr;
}

}  // namespace openvenue::core

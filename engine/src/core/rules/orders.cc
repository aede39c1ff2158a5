#include "core/rules/orders.h"

#include <algorithm>

#include "core/rules/risk.h"
#include "core/rules/validate.h"
#include "core/schema/names.h"

namespace openvenue::core {
namespace {

ReplaceTerms terms_of(const ReplaceOrder& command) {
  return {command.qty_lots,           command.limit_price_ticks, command.time_in_force,
          command.keep_time_in_force, command.stop_price_ticks,  command.trail};
}

UsedClientId client_id_of(const ReplaceOrder& command) {
  Order order;
  order.account = command.account;
  order.replaces = command.order_id;
  order.client_order_id = command.client_order_id;
  return core::client_id_of(order, terms_of(command));
}

// Of a trailing stop order, by its mark.
void set_prices(Order& order, PriceTicks max_price_ticks) {
  const PriceTicks stop = trailing_stop_price(order.side, order.high_water_ticks, order.trail);
  order.stop_price_ticks = stop;
  order.limit_price_ticks =
      std::min(trailing_protection_price(order.side, stop, order.trail), max_price_ticks);
}

Order replacement(const Order& old, const ReplaceOrder& command) {
  Order order = old;
  order.replaces = old.order_id;
  order.client_order_id = command.client_order_id;
  if (command.qty_lots != 0) order.qty_lots = command.qty_lots;
  if (command.limit_price_ticks != 0) order.limit_price_ticks = command.limit_price_ticks;
  if (command.stop_price_ticks != 0) order.stop_price_ticks = command.stop_price_ticks;
  if (!command.trail.empty()) order.trail = command.trail;
  if (!command.keep_time_in_force) order.time_in_force = command.time_in_force;
  return order;
}

}  // namespace

Order order_of(const NewOrder& command) {
  Order order;
  static_cast<OrderTerms&>(order) = command;
  order.account = command.account;
  order.instrument = command.instrument;
  order.client_order_id = command.client_order_id;
  order.stop_price_ticks = command.stop_price_ticks;
  order.trail = command.trail;
  if (is_stop(order.type)) order.status = OrderStatus::kWaiting;
  return order;
}

void begin_trailing(Order& order, const Instrument& instrument) {
  if (order.type != OrderType::kTrailingStop || instrument.last_price_ticks == 0) return;
  order.high_water_ticks = instrument.last_price_ticks;
  set_prices(order, instrument.terms.max_price_ticks);
}

// Answers a command whose client order id was used, or may have been. False: the id is new.
// `same(body)`: is that the body of this command?
template <class Same>
bool Orders::answer_used_id(const UsedClientId& sent, const Same& same, bool history_checked,
                            OrderId order_id) {
  const ClientIds& ids = state_.orders.client_ids();
  const Slot earlier = ids.find(sent);
  if (earlier == kNoSlot) {
    if (history_checked || !ids.forgotten().maybe(sent)) return false;
    reject(Reason::kClientOrderIdMaybeUsed, order_id);
  } else if (same(ids[earlier].body)) {
    events_.emplace_back(Duplicate{ids[earlier].order_id});
  } else {
    reject(Reason::kDuplicateClientOrderId, order_id);
  }
  return true;
}

void Orders::enter(const NewOrder& command) {
  const Slot account = state_.ledger.find_account(command.account);
  if (account == kNoSlot) return reject(Reason::kUnknownAccount);
  if (command.client_order_id.empty()) return reject(Reason::kInvalidOrder);
  Order order = order_of(command);
  const UsedClientId sent = client_id_of(order);
  state_.orders.client_ids().prefetch(sent, account);
  state_.orders.prefetch_oldest_ended();
  // Looked up here, while the prefetched lines are on their way.
  const Slot instrument = state_.instruments.find(command.instrument);
  const OrderOwner owner{account, state_.ledger.find_position(command.account, command.instrument),
                         instrument, kNoSlot};
  // An order without an intent may come from a client or a worker of the version before, which did
  // not pass it on: its repetition may have one.
  const auto same = [&](std::uint64_t body) {
    return body == sent.body || body == body_without_intent(order);
  };
  if (answer_used_id(sent, same, command.history_checked)) return;
  if (instrument == kNoSlot) return reject(Reason::kUnknownInstrument);
  Reason reason = state_.check_suspension(account);
  if (reason != Reason::kNone) return reject(reason);
  if (!has_meaning(command)) return reject(Reason::kInvalidOrder);
  begin_trailing(order, state_.instruments[instrument].instrument);
  reason = validate(order, state_.instruments[instrument].instrument.terms);
  if (reason != Reason::kNone) return reject(reason);
  reason = check_position_intent(state_, order, owner);
  if (reason != Reason::kNone) return reject(reason);
  reason = check_risk(state_, order, owner, {});
  if (reason != Reason::kNone) return reject(reason);
  reason = check_open_orders(state_, order, owner);
  if (reason != Reason::kNone) return reject(reason);
  reason = check_post_only(state_, order, instrument);
  if (reason != Reason::kNone) return reject(reason);

  const Slot slot = open(order, owner, {}, sent);
  events_.emplace_back(OrderAccepted{state_.last_sequence});
  if (waits(slot)) {
    wait(slot);
    return record_trail(slot);
  }
  const bool killed = order.time_in_force == TimeInForce::kFok &&
                      sweep(state_, order, owner).qty_lots != order.qty_lots;
  if (killed) return matching_.cancel(slot, Reason::kFillOrKill);
  matching_.match(slot);
}

void Orders::cancel(const CancelOrder& command) {
  const OrderId id = command.order_id;
  const Slot account = state_.ledger.find_account(command.account);
  if (account == kNoSlot) return reject(Reason::kUnknownAccount, id);
  const Slot slot = state_.orders.find(id);
  if (slot == kNoSlot) return reject(Reason::kUnknownOrder, id);
  if (state_.orders.owner(slot).account != account) return reject(Reason::kUnknownOrder, id);
  if (!state_.orders[slot].open()) return reject(Reason::kOrderNotOpen, id);

  take_out(slot, Reason::kUserCanceled);
}

void Orders::cancel_many(const CancelOrders& command) {
  const Slot account = state_.ledger.find_account(command.account);
  if (account == kNoSlot) return reject(Reason::kUnknownAccount);
  const Slot instrument = state_.instruments.find(command.instrument);
  if (command.instrument != 0 && instrument == kNoSlot) return reject(Reason::kUnknownInstrument);
  if (!is_enumerator(command.side)) return reject(Reason::kInvalidOrder);

  const std::size_t events_max =
      std::min(kCancelsPerCommandMax, state_.limits.max_fills_per_command);
  std::uint32_t visits_left = kCancelVisitsMax;
  Slot slot = first_to_cancel(account, command.from);
  while (slot != kNoSlot && events_.size() < events_max && visits_left != 0) {
    const Slot next = state_.orders.next_newer_open(slot);
    const bool wanted =
        (instrument == kNoSlot || state_.orders.owner(slot).instrument == instrument) &&
        (command.both_sides || state_.orders[slot].side == command.side);
    if (wanted) take_out(slot, Reason::kUserCanceled);
    --visits_left;
    slot = next;
  }
  events_.emplace_back(OrdersCanceled{slot == kNoSlot ? 0 : state_.orders[slot].order_id});
}

// `from` if it is an open order of the account; otherwise the account's oldest open order.
Slot Orders::first_to_cancel(Slot account, OrderId from) const {
  const Slot slot = from == 0 ? kNoSlot : state_.orders.find(from);
  const bool usable =
      slot != kNoSlot && state_.orders[slot].open() && state_.orders.owner(slot).account == account;
  return usable ? slot : state_.ledger.account(account).open_orders.head;
}

void Orders::replace(const ReplaceOrder& command) {
  const OrderId id = command.order_id;
  const Slot account = state_.ledger.find_account(command.account);
  if (account == kNoSlot) return reject(Reason::kUnknownAccount, id);
  if (command.client_order_id.empty()) return reject(Reason::kInvalidOrder, id);
  const UsedClientId sent = client_id_of(command);
  const auto same = [&](std::uint64_t body) { return body == sent.body; };
  if (answer_used_id(sent, same, command.history_checked, id)) return;
  const Slot old_slot = state_.orders.find(id);
  if (old_slot == kNoSlot) return reject(Reason::kUnknownOrder, id);
  const OrderOwner owner = state_.orders.owner(old_slot);
  if (owner.account != account) return reject(Reason::kUnknownOrder, id);
  const Order old = state_.order(old_slot);
  if (!old.open()) return reject(Reason::kOrderNotOpen, id);
  Reason reason = state_.check_suspension(account);
  if (reason != Reason::kNone) return reject(reason, id);

  Order order = replacement(old, command);
  const QtyLots old_leaves = old.leaves_lots();
  const bool waiting = waits(old_slot);
  const bool could_stay = may_stay_open(order.type, order.time_in_force);
  const bool trails = waiting && order.type == OrderType::kTrailingStop;
  const bool may_move = command.stop_price_ticks == 0 || (waiting && !trails);
  const bool may_trail = trails
                             ? command.limit_price_ticks == 0 && is_trail(order.trail, order.side)
                             : command.trail.empty();
  if (!could_stay || !may_move || !may_trail) return reject(Reason::kInvalidOrder, id);
  const Instrument& instrument = state_.instruments[owner.instrument].instrument;
  if (!command.trail.empty()) set_prices(order, instrument.terms.max_price_ticks);
  reason = validate(order, instrument.terms);
  if (reason != Reason::kNone) return reject(reason, id);
  reason = check_risk(state_, order, owner,
                      {state_.reservation_micros(old, owner.instrument, old_leaves), old_leaves});
  if (reason != Reason::kNone) return reject(reason, id);
  reason = check_post_only(state_, order, owner.instrument);
  if (reason != Reason::kNone) return reject(reason, id);

  const bool same_place =
      waiting ? order.stop_price_ticks == old.stop_price_ticks && order.trail == old.trail
              : order.limit_price_ticks == old.limit_price_ticks;
  const bool keeps_priority = same_place && order.qty_lots <= old.qty_lots;
  if (!keeps_priority) order.reached = false;
  reserve(state_, old_slot, -old_leaves);  // first: both together may not fit 64 bits
  const Slot slot = open(order, owner, terms_of(command), sent);
  substitute(old_slot, slot, keeps_priority);
  events_.emplace_back(OrderReplaced{
      state_.last_sequence, id, order.account, order.instrument, order.side, order.time_in_force,
      keeps_priority, order.qty_lots, order.limit_price_ticks, order.filled_lots,
      order.filled_value_micros, order.stop_price_ticks, waiting, order.trail});
  if (waiting) {
    if (!keeps_priority) wait(slot);
    return record_trail(slot);
  }
  if (keeps_priority) return;
  matching_.match(slot);
}

void Orders::end_trading_day() {
  while (events_.size() < state_.limits.max_fills_per_command) {
    const Slot slot = state_.orders.oldest_day_order();
    if (slot == kNoSlot) break;
    take_out(slot, Reason::kDayEnded);
  }
  events_.emplace_back(TradingDayEnded{state_.orders.oldest_day_order() == kNoSlot});
}

void Orders::trigger() {
  const Slot slot = state_.instruments.next_due();
  if (slot == kNoSlot) return reject(Reason::kUnknownOrder);
  stop_waiting(slot);
  lower_protection(slot);
  state_.orders[slot].status = OrderStatus::kNew;
  state_.orders.details(slot).triggered_ns = state_.last_timestamp_ns;
  matching_.touch(slot);
  const Order order = state_.orders.record(slot);
  events_.emplace_back(OrderTriggered{order.order_id, order.account, order.instrument, order.side,
                                      order.type, order.time_in_force, order.qty_lots,
                                      order.limit_price_ticks});
  matching_.match(slot);
}

// Cancels an open order that rests in a book or waits.
void Orders::take_out(Slot slot, Reason reason) {
  leave_queue(slot);
  matching_.cancel(slot, reason);
}

// Takes an open order out of the book where it rests, or out of those that wait.
void Orders::leave_queue(Slot slot) {
  if (!waits(slot)) return state_.book_of(slot).remove(slot);
  stop_waiting(slot);
}

bool Orders::waits(Slot slot) const { return state_.orders[slot].status == OrderStatus::kWaiting; }

// Queues a waiting order by its stop price, or lets that follow the market. It is due at once if
// the last trade has reached it.
void Orders::wait(Slot slot) {
  const OrderCore& order = state_.orders[slot];
  const Slot instrument = state_.orders.owner(slot).instrument;
  InstrumentRecord& record = state_.instruments[instrument];
  if (order.type == OrderType::kTrailingStop) {
    const OrderDetails& details = state_.orders.details(slot);
    record.trailing.add(slot, order.side, details.trail, details.high_water_ticks,
                        order.leaves_lots());
    return matching_.follow(instrument, record.instrument.last_price_ticks);
  }
  record.stops.add(slot, order.side, state_.orders.details(slot).stop_price_ticks,
                   order.leaves_lots());
  const PriceTicks last_price = record.instrument.last_price_ticks;
  if (last_price != 0) state_.instruments.reach(instrument, last_price);
}

void Orders::stop_waiting(Slot slot) {
  record_trail(slot);
  const Side side = state_.orders[slot].side;
  const Slot instrument = state_.orders.owner(slot).instrument;
  InstrumentRecord& record = state_.instruments[instrument];
  if (state_.trails(slot)) return record.trailing.remove(slot, side);
  record.stops.of(side).remove(slot);
  state_.instruments.settle_due(instrument);
}

// Tells how far the market has moved a trailing stop order that waits.
void Orders::record_trail(Slot slot) {
  if (state_.orders[slot].type != OrderType::kTrailingStop) return;
  const Order order = state_.order(slot);
  OrderDetails& details = state_.orders.details(slot);
  details.high_water_ticks = order.high_water_ticks;
  details.stop_price_ticks = order.stop_price_ticks;
  events_.emplace_back(OrderTrailed{order.order_id, order.instrument, order.high_water_ticks,
                                    order.stop_price_ticks});
}

// The protection price of a trailing stop order comes down with its stop price.
void Orders::lower_protection(Slot slot) {
  OrderCore& order = state_.orders[slot];
  if (order.type != OrderType::kTrailingStop) return;
  const OrderDetails& details = state_.orders.details(slot);
  const QtyLots leaves = order.leaves_lots();
  reserve(state_, slot, -leaves);
  order.limit_price_ticks =
      std::min(order.limit_price_ticks,
               trailing_protection_price(order.side, details.stop_price_ticks, details.trail));
  reserve(state_, slot, leaves);
}

// Opens `order` under the command's sequence number and makes its reservation.
Slot Orders::open(const Order& order, OrderOwner owner, const ReplaceTerms& terms,
                  const UsedClientId& sent) {
  if (owner.position == kNoSlot) {
    owner.position = state_.ledger.add_position(
        owner.account, {.account = order.account, .instrument = order.instrument});
  }
  Order opened = order;
  opened.order_id = state_.last_sequence;
  if (order.status != OrderStatus::kWaiting) {
    opened.status = order.filled_lots == 0 ? OrderStatus::kNew : OrderStatus::kPartiallyFilled;
  }
  opened.created_ns = state_.last_timestamp_ns;
  const Slot slot = state_.orders.open(opened, owner, terms, sent,
                                       state_.ledger.account(owner.account).open_orders,
                                       state_.limits.max_orders);
  reserve(state_, slot, opened.leaves_lots());
  matching_.touch(slot);
  return slot;
}

// The new order, which wants no more than the old one, takes its place in the queue.
void Orders::keep_place(Slot old_slot, Slot new_slot) {
  const OrderCore& old = state_.orders[old_slot];
  InstrumentRecord& record = state_.instruments[state_.orders.owner(old_slot).instrument];
  if (waits(old_slot)) record_trail(old_slot);
  const QtyLots lots = state_.orders[new_slot].leaves_lots();
  if (state_.trails(old_slot)) return record.trailing.transfer(old_slot, new_slot, old.side, lots);
  FastBook& book = waits(old_slot) ? record.stops.of(old.side) : record.book;
  book.transfer(old_slot, new_slot);
  book.reduce(new_slot, old.qty_lots - state_.orders[new_slot].qty_lots);
}

// Ends the old order and releases its reservation. The new one takes its place in the queue, or
// leaves it to be matched or to wait, and to be queued again.
void Orders::substitute(Slot old_slot, Slot new_slot, bool keeps_priority) {
  if (keeps_priority) {
    keep_place(old_slot, new_slot);
  } else {
    leave_queue(old_slot);
  }
  state_.orders.details(old_slot).replaced_by = state_.orders[new_slot].order_id;
  matching_.end(old_slot, OrderStatus::kReplaced);
}

}  // namespace openvenue::core

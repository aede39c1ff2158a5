#include "core/order_entry.h"

#include <algorithm>
#include <limits>

namespace openvenue::core {
namespace {

bool enumerators_valid(const NewOrder& command) {
  const bool side_known = command.side == Side::kBuy || command.side == Side::kSell;
  const bool type_known = command.type == OrderType::kMarket || command.type == OrderType::kLimit;
  const bool time_in_force_known =
      command.time_in_force >= TimeInForce::kDay && command.time_in_force <= TimeInForce::kFok;
  return side_known && type_known && time_in_force_known &&
         command.position_intent <= PositionIntent::kSellToClose;
}

bool can_rest(TimeInForce time_in_force) {
  return time_in_force == TimeInForce::kDay || time_in_force == TimeInForce::kGtc;
}

// The worst price at which the order may trade.
PriceTicks effective_limit(const Order& order) {
  if (order.type == OrderType::kLimit) return order.limit_price_ticks;
  return order.side == Side::kBuy ? std::numeric_limits<PriceTicks>::max() : 0;
}

Order order_of(const NewOrder& command) {
  Order order;
  order.account = command.account;
  order.instrument = command.instrument;
  order.side = command.side;
  order.type = command.type;
  order.time_in_force = command.time_in_force;
  order.qty_lots = command.qty_lots;
  order.limit_price_ticks = command.limit_price_ticks;
  order.client_order_id = command.client_order_id;
  order.position_intent = command.position_intent;
  return order;
}

// An order without an intent may come from a client or a worker of the version before, which did
// not pass it on: its repetition may have one.
bool made_by(const NewOrder& command, const Order& order) {
  return order.replaces == 0 && order.instrument == command.instrument &&
         order.side == command.side && order.type == command.type &&
         order.time_in_force == command.time_in_force && order.qty_lots == command.qty_lots &&
         order.limit_price_ticks == command.limit_price_ticks &&
         (order.position_intent == command.position_intent ||
          order.position_intent == PositionIntent::kUnspecified);
}

ReplaceTerms terms_of(const ReplaceOrder& command) {
  return {command.qty_lots, command.limit_price_ticks, command.time_in_force,
          command.keep_time_in_force};
}

OrderStatus open_status(QtyLots filled_lots) {
  return filled_lots == 0 ? OrderStatus::kNew : OrderStatus::kPartiallyFilled;
}

}  // namespace

void OrderEntry::enter(const NewOrder& command) {
  const Slot account = state_.ledger.find_account(command.account);
  if (account == kNoSlot) return reject(Reason::kUnknownAccount);
  if (command.client_order_id.empty()) return reject(Reason::kInvalidOrder);
  const Slot earlier = state_.orders.find(command.account, command.client_order_id);
  if (earlier != kNoSlot) {
    const Order& known = state_.orders[earlier];
    if (!made_by(command, known)) return reject(Reason::kDuplicateClientOrderId);
    events_.emplace_back(Duplicate{known.order_id});
    return;
  }
  const Slot instrument = state_.instruments.find(command.instrument);
  if (instrument == kNoSlot) return reject(Reason::kUnknownInstrument);
  if (!enumerators_valid(command)) return reject(Reason::kInvalidOrder);

  const Order order = order_of(command);
  const OrderOwner owner{account, state_.ledger.find_position(command.account, command.instrument),
                         instrument};
  Reason reason = check_terms(order, state_.instruments[instrument].instrument);
  if (reason == Reason::kNone) reason = check_position_intent(order, owner);
  if (reason == Reason::kNone) reason = check_risk(order, owner, {});
  if (reason == Reason::kNone) reason = check_room(owner);
  if (reason == Reason::kNone) reason = check_open_orders(order, owner);
  if (reason != Reason::kNone) return reject(reason);

  const Slot slot = open(order, owner, {});
  events_.emplace_back(OrderAccepted{state_.last_sequence});
  if (order.time_in_force == TimeInForce::kFok && !fills_at_once(order, instrument)) {
    return cancel_rest(slot, Reason::kFillOrKill);
  }
  match(slot);
}

void OrderEntry::cancel(const CancelOrder& command) {
  if (state_.ledger.find_account(command.account) == kNoSlot) {
    return reject(Reason::kUnknownAccount, command.order_id);
  }
  const Slot slot = state_.orders.find(command.order_id);
  if (slot == kNoSlot || state_.orders[slot].account != command.account) {
    return reject(Reason::kUnknownOrder, command.order_id);
  }
  if (!state_.orders[slot].open()) return reject(Reason::kOrderNotOpen, command.order_id);
  book_of(slot).remove(slot);
  cancel_rest(slot, Reason::kUserCanceled);
}

void OrderEntry::replace(const ReplaceOrder& command) {
  const auto reject_replace = [&](Reason reason) { reject(reason, command.order_id); };
  if (state_.ledger.find_account(command.account) == kNoSlot) {
    return reject_replace(Reason::kUnknownAccount);
  }
  if (command.client_order_id.empty()) return reject_replace(Reason::kInvalidOrder);
  const Slot earlier = state_.orders.find(command.account, command.client_order_id);
  if (earlier != kNoSlot) {
    const Order& known = state_.orders[earlier];
    const bool same = known.replaces == command.order_id && command.order_id != 0 &&
                      state_.orders.replace_terms(earlier) == terms_of(command);
    if (!same) return reject_replace(Reason::kDuplicateClientOrderId);
    events_.emplace_back(Duplicate{known.order_id});
    return;
  }
  const Slot old_slot = state_.orders.find(command.order_id);
  if (old_slot == kNoSlot || state_.orders[old_slot].account != command.account) {
    return reject_replace(Reason::kUnknownOrder);
  }
  const Order& old = state_.orders[old_slot];
  if (!old.open()) return reject_replace(Reason::kOrderNotOpen);

  const Order order = replacement(old, command);
  const OrderOwner owner = state_.orders.owner(old_slot);
  if (!can_rest(order.time_in_force)) return reject_replace(Reason::kInvalidOrder);
  Reason reason = check_terms(order, state_.instruments[owner.instrument].instrument);
  if (reason == Reason::kNone && order.qty_lots <= old.filled_lots) {
    reason = Reason::kQuantityBelowFilled;
  }
  if (reason == Reason::kNone) {
    const QtyLots leaves = old.leaves_lots();
    reason = check_risk(order, owner,
                        {state_.reservation_micros(old, owner.instrument, leaves), leaves});
  }
  if (reason == Reason::kNone) reason = check_room(owner);
  if (reason != Reason::kNone) return reject_replace(reason);

  const bool keeps_priority =
      order.limit_price_ticks == old.limit_price_ticks && order.qty_lots <= old.qty_lots;
  const Slot slot = open(order, owner, terms_of(command));
  substitute(old_slot, slot, keeps_priority);
  events_.emplace_back(OrderReplaced{state_.last_sequence, old.order_id, order.account,
                                     order.instrument, order.side, order.time_in_force,
                                     keeps_priority, order.qty_lots, order.limit_price_ticks,
                                     order.filled_lots, order.filled_value_micros});
  if (!keeps_priority) match(slot);
}

void OrderEntry::end_trading_day() {
  for (std::uint32_t ended = 0; ended < state_.limits.max_fills_per_command; ++ended) {
    const Slot slot = state_.orders.oldest_day_order();
    if (slot == kNoSlot) break;
    book_of(slot).remove(slot);
    cancel_rest(slot, Reason::kDayEnded);
  }
  events_.emplace_back(TradingDayEnded{state_.orders.oldest_day_order() == kNoSlot});
}

// --- checks: nothing below changes anything

Reason OrderEntry::check_terms(const Order& order, const Instrument& instrument) const {
  const DefineInstrument& terms = instrument.terms;
  if (terms.state != InstrumentState::kActive) return Reason::kInstrumentInactive;
  if (order.qty_lots <= 0 || order.qty_lots > terms.max_order_qty_lots) {
    return Reason::kInvalidQuantity;
  }
  const PriceTicks price = order.limit_price_ticks;
  const bool price_valid = order.type == OrderType::kMarket
                               ? price == 0
                               : price >= terms.min_price_ticks && price <= terms.max_price_ticks;
  return price_valid ? Reason::kNone : Reason::kInvalidPrice;
}

// An order closes what is held less what the account's open orders on its side may take of it. It
// opens where it takes away nothing from a position of the other sign. Rules before version 2 knew
// no intents.
Reason OrderEntry::check_position_intent(const Order& order, const OrderOwner& owner) const {
  const PositionIntent intent = order.position_intent;
  if (intent == PositionIntent::kUnspecified || state_.rules_version < 2) return Reason::kNone;
  const bool buys = intent == PositionIntent::kBuyToOpen || intent == PositionIntent::kBuyToClose;
  const bool closes =
      intent == PositionIntent::kBuyToClose || intent == PositionIntent::kSellToClose;
  const Position position =
      owner.position == kNoSlot ? Position{} : state_.ledger.position(owner.position);
  const WideInteger against = buys ? -WideInteger{position.qty_lots} : position.qty_lots;
  const QtyLots taken = buys ? position.wanted_lots : position.reserved_lots;
  const bool fits = closes ? order.qty_lots <= against - taken : against <= 0;
  return fits && buys == (order.side == Side::kBuy) ? Reason::kNone
                                                    : Reason::kPositionIntentMismatch;
}

Reason OrderEntry::check_risk(const Order& order, const OrderOwner& owner,
                              const Released& released) const {
  const Instrument& instrument = state_.instruments[owner.instrument].instrument;
  const Account& account = state_.ledger.account(owner.account).account;
  const Position position =
      owner.position == kNoSlot ? Position{} : state_.ledger.position(owner.position);
  const QtyLots leaves = order.qty_lots - order.filled_lots;

  const bool bounded_by_limit = order.side == Side::kBuy && order.type == OrderType::kLimit;
  const PriceTicks highest_price =
      bounded_by_limit ? order.limit_price_ticks : instrument.terms.max_price_ticks;
  const WideInteger highest_value = order.filled_value_micros + WideInteger{leaves} *
                                                                    highest_price *
                                                                    instrument.tick_value_micros;
  if (!fits_int64(highest_value)) return Reason::kOverflow;
  if (position.qty_lots > kPositionLotsMax || position.qty_lots < -kPositionLotsMax) {
    return Reason::kOverflow;
  }

  if (order.side == Side::kBuy) {
    const WideInteger power = account.buying_power_micros() + released.cash_micros;
    return cash_needed_micros(order, owner.instrument) > power ? Reason::kInsufficientCash
                                                               : Reason::kNone;
  }
  const QtyLots free_lots = position.qty_lots - position.reserved_lots + released.lots;
  return leaves > free_lots && !account.may_sell_short ? Reason::kInsufficientPosition
                                                       : Reason::kNone;
}

Reason OrderEntry::check_room(const OrderOwner& owner) const {
  const bool position_fits =
      owner.position != kNoSlot || state_.ledger.positions() < state_.limits.max_positions;
  return position_fits ? Reason::kNone : Reason::kCapacity;
}

// An order that cannot rest is over with its command, and a replacement takes its order's place:
// neither adds an open order.
Reason OrderEntry::check_open_orders(const Order& order, const OrderOwner& owner) const {
  if (order.type == OrderType::kMarket || !can_rest(order.time_in_force)) return Reason::kNone;
  const Limits& limits = state_.limits;
  if (state_.orders.open_orders() >= limits.max_open_orders) return Reason::kOpenOrderLimit;
  const SlotList& open_of_account = state_.ledger.account(owner.account).open_orders;
  return open_of_account.size < limits.max_open_orders_per_account ? Reason::kNone
                                                                   : Reason::kAccountOpenOrderLimit;
}

// A limit order reserves its worst case. A market order never rests, so what it costs is known: it
// pays exactly for what it would sweep now.
WideInteger OrderEntry::cash_needed_micros(const Order& order, Slot instrument) const {
  if (order.type == OrderType::kLimit) {
    return state_.reservation_micros(order, instrument, order.qty_lots - order.filled_lots);
  }
  return sweep(order, instrument).lot_ticks *
         state_.instruments[instrument].instrument.tick_value_micros;
}

bool OrderEntry::fills_at_once(const Order& order, Slot instrument) const {
  return sweep(order, instrument).qty_lots == order.qty_lots;
}

SweepResult OrderEntry::sweep(const Order& order, Slot instrument) const {
  return state_.instruments[instrument].book.sweep({opposite(order.side), effective_limit(order),
                                                    order.qty_lots - order.filled_lots,
                                                    state_.limits.max_fills_per_command});
}

Order OrderEntry::replacement(const Order& old, const ReplaceOrder& command) const {
  Order order = old;
  order.replaces = old.order_id;
  order.client_order_id = command.client_order_id;
  if (command.qty_lots != 0) order.qty_lots = command.qty_lots;
  if (command.limit_price_ticks != 0) order.limit_price_ticks = command.limit_price_ticks;
  if (!command.keep_time_in_force) order.time_in_force = command.time_in_force;
  return order;
}

// --- changes: everything below has been checked

// Opens `order` under the command's sequence number and reserves what it needs.
Slot OrderEntry::open(const Order& order, OrderOwner owner, const ReplaceTerms& terms) {
  if (owner.position == kNoSlot) {
    owner.position = state_.ledger.add_position(
        owner.account, {.account = order.account, .instrument = order.instrument});
  }
  Order opened = order;
  opened.order_id = state_.last_sequence;
  opened.status = open_status(order.filled_lots);
  opened.created_ns = state_.last_timestamp_ns;
  const Slot slot =
      state_.orders.open(opened, owner, terms, state_.ledger.account(owner.account).open_orders,
                         state_.limits.max_orders);
  reserve(slot, opened.leaves_lots());
  touch(slot);
  return slot;
}

// Ends the old order in favour of the new one, which takes its place in the queue or leaves the
// book to be matched and queued anew.
void OrderEntry::substitute(Slot old_slot, Slot new_slot, bool keeps_priority) {
  Order& old = state_.orders[old_slot];
  const QtyLots fewer_lots = old.qty_lots - state_.orders[new_slot].qty_lots;
  if (keeps_priority) {
    book_of(old_slot).transfer(old_slot, new_slot);
    book_of(old_slot).reduce(new_slot, fewer_lots);
  } else {
    book_of(old_slot).remove(old_slot);
  }
  old.replaced_by = state_.orders[new_slot].order_id;
  reserve(old_slot, -old.leaves_lots());
  end(old_slot, OrderStatus::kReplaced);
}

void OrderEntry::match(Slot slot) {
  const Order& order = state_.orders[slot];
  const Side resting_side = opposite(order.side);
  const PriceTicks limit = effective_limit(order);
  const FastBook& book = book_of(slot);
  std::uint32_t fills = 0;
  while (order.open()) {
    const BookFront front = book.front(resting_side);
    if (front.slot == kNoSlot || !crosses(resting_side, front.price_ticks, limit)) {
      return settle_rest(slot);
    }
    if (fills++ == state_.limits.max_fills_per_command) {
      return cancel_rest(slot, Reason::kFillLimit);
    }
    fill(slot, front);
  }
}

void OrderEntry::fill(Slot taker, const BookFront& front) {
  const Slot maker = front.slot;
  const Side taker_side = state_.orders[taker].side;
  const OrderOwner& taker_owner = state_.orders.owner(taker);
  const OrderOwner& maker_owner = state_.orders.owner(maker);
  InstrumentRecord& record = state_.instruments[taker_owner.instrument];
  Instrument& instrument = record.instrument;
  const QtyLots qty = std::min(state_.orders[taker].leaves_lots(), front.leaves_lots);
  const CashMicros lot_value = front.price_ticks * instrument.tick_value_micros;

  record.book.fill_front(opposite(taker_side), qty);
  instrument.last_price_ticks = front.price_ticks;
  const OrderOwner& buyer = taker_side == Side::kBuy ? taker_owner : maker_owner;
  const OrderOwner& seller = taker_side == Side::kBuy ? maker_owner : taker_owner;
  state_.ledger.settle(buyer.account, buyer.position, seller.account, seller.position, qty,
                       lot_value);
  record_fill(maker, qty, qty * lot_value);
  record_fill(taker, qty, qty * lot_value);
  events_.emplace_back(Trade{++state_.last_trade_id, instrument.terms.instrument, taker_side,
                             front.price_ticks, qty, trade_side(maker), trade_side(taker)});
}

void OrderEntry::record_fill(Slot slot, QtyLots qty_lots, CashMicros value_micros) {
  Order& order = state_.orders[slot];
  reserve(slot, -qty_lots);
  order.filled_lots += qty_lots;
  order.filled_value_micros += value_micros;
  order.status = OrderStatus::kPartiallyFilled;
  touch(slot);
  if (order.filled_lots == order.qty_lots) end(slot, OrderStatus::kFilled);
}

// What remains of an order that meets nothing more rests, or is canceled if it must not.
void OrderEntry::settle_rest(Slot slot) {
  const Order& order = state_.orders[slot];
  if (order.type == OrderType::kMarket) return cancel_rest(slot, Reason::kNoLiquidity);
  if (!can_rest(order.time_in_force)) return cancel_rest(slot, Reason::kImmediateOrCancel);
  book_of(slot).add(slot, order.side, order.limit_price_ticks, order.leaves_lots());
}

// Precondition: the order is in no book.
void OrderEntry::cancel_rest(Slot slot, Reason reason) {
  Order& order = state_.orders[slot];
  const QtyLots leaves = order.leaves_lots();
  reserve(slot, -leaves);
  order.end_reason = reason;
  end(slot, reason == Reason::kDayEnded ? OrderStatus::kExpired : OrderStatus::kCanceled);
  events_.emplace_back(OrderCanceled{order.order_id, order.account, reason, leaves});
}

void OrderEntry::end(Slot slot, OrderStatus status) {
  state_.orders[slot].status = status;
  touch(slot);
  const Slot account = state_.orders.owner(slot).account;
  state_.orders.end(slot, state_.ledger.account(account).open_orders);
}

// Reserves what `lots` more of an open order need; negative `lots` release it.
void OrderEntry::reserve(Slot slot, QtyLots lots) {
  const Order& order = state_.orders[slot];
  const OrderOwner& owner = state_.orders.owner(slot);
  if (order.side == Side::kBuy) {
    state_.ledger.account(owner.account).account.reserved_micros +=
        static_cast<CashMicros>(state_.reservation_micros(order, owner.instrument, lots));
    state_.ledger.position(owner.position).wanted_lots += lots;
  } else {
    state_.ledger.position(owner.position).reserved_lots += lots;
  }
}

void OrderEntry::touch(Slot slot) {
  Order& order = state_.orders[slot];
  order.updated_ns = state_.last_timestamp_ns;
  order.updated_sequence = state_.last_sequence;
  state_.ledger.account(state_.orders.owner(slot).account).account.updated_sequence =
      state_.last_sequence;
}

TradeSide OrderEntry::trade_side(Slot slot) const {
  const Order& order = state_.orders[slot];
  const OrderOwner& owner = state_.orders.owner(slot);
  const Position& position = state_.ledger.position(owner.position);
  return {order.order_id,
          order.account,
          order.filled_lots,
          order.filled_value_micros,
          state_.ledger.account(owner.account).account.cash_micros,
          position.qty_lots,
          position.cost_micros};
}

}  // namespace openvenue::core

#include "core/rules/matching.h"

#include <algorithm>

#include "core/rules/risk.h"
#include "core/rules/validate.h"

namespace openvenue::core {

// Prices of one order's trades go one way. So the trailing stop orders are reached at the first or
// at the last of them, and need not follow those in between.
void Matching::match(Slot slot) {
  const Slot instrument = state_.orders.owner(slot).instrument;
  first_price_ticks_ = 0;
  take(slot);
  if (first_price_ticks_ == 0) return;
  follow(instrument, first_price_ticks_);
  const PriceTicks last = state_.instruments[instrument].instrument.last_price_ticks;
  if (last != first_price_ticks_) follow(instrument, last);
}

void Matching::follow(Slot instrument, PriceTicks price_ticks) {
  InstrumentRecord& record = state_.instruments[instrument];
  record.trailing.follow(price_ticks, [&](Slot slot) {
    OrderDetails& details = state_.orders.details(slot);
    details.high_water_ticks = record.trailing[slot].high_water_ticks;
    details.stop_price_ticks = record.trailing[slot].stop_price_ticks;
    details.reached = true;
    record.stops.add(slot, state_.orders[slot].side, details.stop_price_ticks,
                     record.trailing[slot].lots);
    state_.instruments.make_due(instrument, price_ticks, price_ticks);
  });
}

void Matching::take(Slot slot) {
  const OrderCore& order = state_.orders[slot];
  const Side resting_side = opposite(order.side);
  const PriceTicks limit = effective_limit(order);
  const FastBook& book = state_.book_of(slot);
  std::uint32_t orders_met = 0;
  while (order.open()) {
    const BookFront front = book.front(resting_side);
    if (front.slot == kNoSlot || !crosses(resting_side, front.price_ticks, limit)) {
      return settle_rest(slot);
    }
    // The rest cannot be queued, because it would stand crossed.
    if (orders_met++ == state_.limits.max_fills_per_command) {
      return cancel(slot, Reason::kFillLimit);
    }
    if (prevents_trade(slot, front.slot)) {
      prevent_trade(slot, front.slot);
    } else {
      fill(slot, front);
    }
  }
}

bool Matching::prevents_trade(Slot taker, Slot maker) const {
  return state_.orders[taker].self_trade_prevention != SelfTradePrevention::kNone &&
         state_.orders.owner(taker).account == state_.orders.owner(maker).account;
}

// Cancels one of the two, or both.
void Matching::prevent_trade(Slot taker, Slot maker) {
  const SelfTradePrevention prevention = state_.orders[taker].self_trade_prevention;
  if (prevention != SelfTradePrevention::kCancelNewest) {
    state_.book_of(maker).remove(maker);
    cancel(maker, Reason::kSelfTrade);
  }
  if (prevention != SelfTradePrevention::kCancelOldest) cancel(taker, Reason::kSelfTrade);
}

void Matching::cancel(Slot slot, Reason reason) {
  OrderCore& order = state_.orders[slot];
  const QtyLots leaves = order.leaves_lots();
  reserve(state_, slot, -leaves);
  order.end_reason = reason;
  end(slot, reason == Reason::kDayEnded ? OrderStatus::kExpired : OrderStatus::kCanceled);
  const AccountRecord& account = state_.ledger.account(state_.orders.owner(slot).account);
  events_.emplace_back(OrderCanceled{order.order_id, account.account.account, reason, leaves});
}

void Matching::end(Slot slot, OrderStatus status) {
  state_.orders[slot].status = status;
  touch(slot);
  const OrderOwner& owner = state_.orders.owner(slot);
  state_.orders.end(slot, state_.ledger.account(owner.account).open_orders);
  state_.release_if_vacant(owner.account, owner.position);
}

void Matching::touch(Slot slot) {
  OrderCore& order = state_.orders[slot];
  order.updated_ns = state_.last_timestamp_ns;
  order.updated_sequence = state_.last_sequence;
  state_.ledger.account(state_.orders.owner(slot).account).account.updated_sequence =
      state_.last_sequence;
}

void Matching::fill(Slot taker, const BookFront& front) {
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
  if (first_price_ticks_ == 0) first_price_ticks_ = front.price_ticks;
  state_.instruments.reach(taker_owner.instrument, front.price_ticks);
  const OrderOwner& buyer = taker_side == Side::kBuy ? taker_owner : maker_owner;
  const OrderOwner& seller = taker_side == Side::kBuy ? maker_owner : taker_owner;
  state_.ledger.settle(buyer.account, buyer.position, seller.account, seller.position, qty,
                       lot_value);
  record_fill(maker, qty, qty * lot_value);
  record_fill(taker, qty, qty * lot_value);
  events_.emplace_back(Trade{++state_.last_trade_id, instrument.terms.instrument, taker_side,
                             front.price_ticks, qty, trade_side(maker), trade_side(taker)});
}

void Matching::record_fill(Slot slot, QtyLots qty_lots, CashMicros value_micros) {
  OrderCore& order = state_.orders[slot];
  reserve(state_, slot, -qty_lots);
  order.filled_lots += qty_lots;
  order.filled_value_micros += value_micros;
  order.status = OrderStatus::kPartiallyFilled;
  touch(slot);
  if (order.filled_lots == order.qty_lots) end(slot, OrderStatus::kFilled);
}

// Queues the rest of an order that meets no more orders, or cancels it if it must not rest.
void Matching::settle_rest(Slot slot) {
  const OrderCore& order = state_.orders[slot];
  if (order.type != OrderType::kLimit && order.type != OrderType::kStopLimit) {
    return cancel(slot, Reason::kNoLiquidity);
  }
  if (!may_stay_open(order.type, order.time_in_force))
    return cancel(slot, Reason::kImmediateOrCancel);
  state_.book_of(slot).add(slot, order.side, order.limit_price_ticks, order.leaves_lots());
}

TradeSide Matching::trade_side(Slot slot) const {
  const OrderCore& order = state_.orders[slot];
  const OrderOwner& owner = state_.orders.owner(slot);
  const Account& account = state_.ledger.account(owner.account).account;
  const Position& position = state_.ledger.position(owner.position);
  return {order.order_id,      account.account,   order.filled_lots,   order.filled_value_micros,
          account.cash_micros, position.qty_lots, position.cost_micros};
}

}  // namespace openvenue::core

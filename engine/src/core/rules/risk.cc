#include "core/rules/risk.h"

#include <algorithm>
#include <limits>

#include "core/rules/validate.h"

namespace openvenue::core {
namespace {

QtyLots leaves_of(const OrderCore& order) { return order.qty_lots - order.filled_lots; }

// True if the value of the order's fills fits 64 bits at any price that it may trade at.
bool value_fits(const OrderCore& order, const Instrument& instrument) {
  const bool bounded_by_limit = order.side == Side::kBuy && order.limit_price_ticks != 0;
  const PriceTicks highest_price =
      bounded_by_limit ? order.limit_price_ticks : instrument.terms.max_price_ticks;
  return fits_int64(order.filled_value_micros +
                    WideInteger{leaves_of(order)} * highest_price * instrument.tick_value_micros);
}

bool position_fits(const Position& position, const Ahead& ahead) {
  return position.qty_lots + WideInteger{ahead.bought_lots} <= kPositionLotsMax &&
         position.qty_lots - WideInteger{ahead.sold_lots} >= -kPositionLotsMax;
}

bool affords(const ExchangeState& state, const OrderCore& order, const OrderOwner& owner,
             const Released& released, const Ahead& ahead) {
  const Account& account = state.ledger.account(owner.account).account;
  return cash_needed_micros(state, order, owner) <=
         account.buying_power_micros() + released.cash_micros - ahead.cash_micros;
}

bool delivers(const ExchangeState& state, const OrderCore& order, const OrderOwner& owner,
              const Position& position, const Released& released, const Ahead& ahead) {
  const WideInteger free_lots =
      WideInteger{position.qty_lots} - position.reserved_lots + released.lots - ahead.sold_lots;
  return leaves_of(order) <= free_lots ||
         state.ledger.account(owner.account).account.may_sell_short;
}

// A sweep that takes from other accounts alone: order by order, as levels do not know whose they
// are.
SweepResult sweep_of_others(const ExchangeState& state, const SweepRequest& request,
                            SelfTradePrevention prevention, const OrderOwner& owner) {
  const FastBook& book = state.instruments[owner.instrument].book;
  SweepResult result;
  for (const BookLevel& level : book.levels(request.side)) {
    if (!crosses(request.side, level.price_ticks, request.limit_price_ticks)) break;
    for (const Slot slot : book.queue(request.side, level.price_ticks)) {
      if (result.qty_lots == request.qty_lots || result.fills == request.fills_max) return result;
      const bool own = state.orders.owner(slot).account == owner.account;
      if (own && prevention != SelfTradePrevention::kCancelOldest) return result;
      ++result.fills;
      if (own) continue;
      const QtyLots qty =
          std::min(request.qty_lots - result.qty_lots, state.orders[slot].leaves_lots());
      result.qty_lots += qty;
      result.lot_ticks += WideInteger{qty} * level.price_ticks;
    }
  }
  return result;
}

}  // namespace

Reason check_position_intent(const ExchangeState& state, const OrderCore& order,
                             const OrderOwner& owner, const Ahead& ahead) {
  const PositionIntent intent = order.position_intent;
  if (intent == PositionIntent::kUnspecified || state.rules_version < 2) return Reason::kNone;
  const bool buys = intent == PositionIntent::kBuyToOpen || intent == PositionIntent::kBuyToClose;
  const bool closes =
      intent == PositionIntent::kBuyToClose || intent == PositionIntent::kSellToClose;
  const Position position =
      owner.position == kNoSlot ? Position{} : state.ledger.position(owner.position);
  const WideInteger against = buys ? -WideInteger{position.qty_lots} : position.qty_lots;
  const WideInteger taken = buys ? WideInteger{position.wanted_lots} + ahead.bought_lots
                                 : WideInteger{position.reserved_lots} + ahead.sold_lots;
  const QtyLots added = buys ? ahead.sold_lots : ahead.bought_lots;
  const bool fits = closes ? order.qty_lots <= against - taken : against + added <= 0;
  return fits && buys == (order.side == Side::kBuy) ? Reason::kNone
                                                    : Reason::kPositionIntentMismatch;
}

Reason check_risk(const ExchangeState& state, const OrderCore& order, const OrderOwner& owner,
                  const Released& released, const Ahead& ahead) {
  const bool held = owner.position != kNoSlot;
  const Position position = held ? state.ledger.position(owner.position) : Position{};
  const bool buys = order.side == Side::kBuy;

  if (!value_fits(order, state.instruments[owner.instrument].instrument)) return Reason::kOverflow;
  if (!position_fits(position, ahead)) return Reason::kOverflow;
  if (buys && !affords(state, order, owner, released, ahead)) return Reason::kInsufficientCash;
  if (!buys && !delivers(state, order, owner, position, released, ahead)) {
    return Reason::kInsufficientPosition;
  }
  return held ? Reason::kNone : state.check_room_for_position(owner.account, ahead.positions);
}

Reason check_open_orders(const ExchangeState& state, const OrderCore& order,
                         const OrderOwner& owner, const Ahead& ahead) {
  if (!may_stay_open(order.type, order.time_in_force)) return Reason::kNone;
  const Limits& limits = state.limits;
  const SlotList& open_of_account = state.ledger.account(owner.account).open_orders;
  if (state.orders.open_orders() + ahead.open_orders >= limits.max_open_orders) {
    return Reason::kOpenOrderLimit;
  }
  if (open_of_account.size + ahead.open_orders >= limits.max_open_orders_per_account) {
    return Reason::kAccountOpenOrderLimit;
  }
  return Reason::kNone;
}

WideInteger cash_needed_micros(const ExchangeState& state, const OrderCore& order,
                               const OrderOwner& owner) {
  if (order.type != OrderType::kMarket) {
    return state.reservation_micros(order, owner.instrument, leaves_of(order));
  }
  return sweep(state, order, owner).lot_ticks *
         state.instruments[owner.instrument].instrument.tick_value_micros;
}

SweepResult sweep(const ExchangeState& state, const OrderCore& order, const OrderOwner& owner) {
  const SweepRequest request{opposite(order.side), effective_limit(order), leaves_of(order),
                             state.limits.max_fills_per_command};
  if (order.self_trade_prevention == SelfTradePrevention::kNone) {
    return state.instruments[owner.instrument].book.sweep(request);
  }
  return sweep_of_others(state, request, order.self_trade_prevention, owner);
}

Reason check_post_only(const ExchangeState& state, const OrderCore& order, Slot instrument) {
  if (!order.post_only) return Reason::kNone;
  const Side resting_side = opposite(order.side);
  const BookFront front = state.instruments[instrument].book.front(resting_side);
  const bool meets_one =
      front.slot != kNoSlot && crosses(resting_side, front.price_ticks, effective_limit(order));
  return meets_one ? Reason::kPostOnlyWouldTrade : Reason::kNone;
}

void reserve(ExchangeState& state, Slot slot, QtyLots lots) {
  const OrderCore& order = state.orders[slot];
  const OrderOwner& owner = state.orders.owner(slot);
  if (order.side == Side::kBuy) {
    state.ledger.account(owner.account).account.reserved_micros +=
        static_cast<CashMicros>(state.reservation_micros(order, owner.instrument, lots));
    state.ledger.position(owner.position).wanted_lots += lots;
  } else {
    state.ledger.position(owner.position).reserved_lots += lots;
  }
}

PriceTicks effective_limit(const OrderCore& order) {
  if (order.limit_price_ticks != 0) return order.limit_price_ticks;
  return order.side == Side::kBuy ? std::numeric_limits<PriceTicks>::max() : 0;
}

}  // namespace openvenue::core

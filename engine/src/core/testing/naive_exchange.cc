#include "core/testing/naive_exchange.h"

#include <algorithm>
#include <initializer_list>
#include <limits>

namespace openvenue::core {
namespace {

bool may_stay_open(const Order& order) {
  return order.type != OrderType::kMarket &&
         (order.time_in_force == TimeInForce::kDay || order.time_in_force == TimeInForce::kGtc);
}

template <class Enum>
bool one_of(Enum value, std::initializer_list<Enum> values) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool is_stop(OrderType type) {
  return one_of(type, {OrderType::kStop, OrderType::kStopLimit, OrderType::kTrailingStop});
}

// A market order, once a trade has reached its stop price.
bool becomes_market_order(OrderType type) {
  return one_of(type, {OrderType::kStop, OrderType::kTrailingStop});
}

bool can_trail(const Trail& trail, Side side) {
  const bool protection_fits =
      side == Side::kBuy ? trail.protection_ppm <= 1'000'000 : trail.protection_ppm == 0;
  return (trail.ticks != 0) != (trail.ppm != 0) && trail.ppm < 1'000'000 && protection_fits;
}

}  // namespace

const std::vector<Event>& NaiveExchange::apply(const Command& command) {
  now_ = command;
  events_.clear();
  std::visit([&](const auto& body) { carry_out(body); }, command.body);
  if (rules_version_ >= 3) {
    const auto in_use = pairs_in_use();
    std::erase_if(holdings_, [&](const auto& held) { return !in_use.contains(held.first); });
  }
  return events_;
}

// --- orders

void NaiveExchange::carry_out(const NewOrder& command) {
  if (!accounts_.contains(command.account)) return reject(Reason::kUnknownAccount);
  if (command.client_order_id.empty()) return reject(Reason::kInvalidOrder);
  if (sent_before(command, command.account, command.client_order_id, 0, command.history_checked)) {
    return;
  }
  if (!instruments_.contains(command.instrument)) return reject(Reason::kUnknownInstrument);
  Reason reason = check_suspension(command.account);
  if (reason != Reason::kNone) return reject(reason);
  const bool meaningful =
      one_of(command.side, {Side::kBuy, Side::kSell}) &&
      one_of(command.type, {OrderType::kMarket, OrderType::kLimit, OrderType::kStop,
                            OrderType::kStopLimit, OrderType::kTrailingStop}) &&
      one_of(command.time_in_force,
             {TimeInForce::kDay, TimeInForce::kGtc, TimeInForce::kIoc, TimeInForce::kFok}) &&
      one_of(command.position_intent,
             {PositionIntent::kUnspecified, PositionIntent::kBuyToOpen, PositionIntent::kBuyToClose,
              PositionIntent::kSellToOpen, PositionIntent::kSellToClose}) &&
      one_of(command.self_trade_prevention,
             {SelfTradePrevention::kNone, SelfTradePrevention::kCancelNewest,
              SelfTradePrevention::kCancelOldest, SelfTradePrevention::kCancelBoth});
  if (!meaningful) return reject(Reason::kInvalidOrder);

  Order wanted;
  wanted.account = command.account;
  wanted.instrument = command.instrument;
  wanted.side = command.side;
  wanted.type = command.type;
  wanted.time_in_force = command.time_in_force;
  wanted.qty_lots = command.qty_lots;
  wanted.limit_price_ticks = command.limit_price_ticks;
  wanted.client_order_id = command.client_order_id;
  wanted.position_intent = command.position_intent;
  wanted.self_trade_prevention = command.self_trade_prevention;
  wanted.post_only = command.post_only;
  wanted.stop_price_ticks = command.stop_price_ticks;
  wanted.trail = command.trail;
  if (is_stop(wanted.type)) wanted.status = OrderStatus::kWaiting;
  const bool must_be_able_to_stay = wanted.post_only || is_stop(wanted.type);
  if (must_be_able_to_stay && !may_stay_open(wanted)) return reject(Reason::kInvalidOrder);
  if (wanted.post_only && is_stop(wanted.type)) return reject(Reason::kInvalidOrder);
  if (wanted.type == OrderType::kTrailingStop) {
    const bool is_priced = wanted.limit_price_ticks != 0 || wanted.stop_price_ticks != 0;
    if (is_priced || !can_trail(wanted.trail, wanted.side)) return reject(Reason::kInvalidOrder);
    wanted.high_water_ticks = instruments_.at(wanted.instrument).last_price_ticks;
    if (wanted.high_water_ticks != 0) {
      trail(wanted);
      protect(wanted);
    }
  } else if (!wanted.trail.empty()) {
    return reject(Reason::kInvalidOrder);
  }
  reason = check_terms(wanted);
  if (reason == Reason::kNone) reason = check_intent(wanted);
  if (reason == Reason::kNone) reason = check_amounts(wanted);
  if (reason == Reason::kNone) reason = check_means(wanted, nullptr);
  if (reason == Reason::kNone) reason = check_place(wanted.account, wanted.instrument);
  if (reason == Reason::kNone && may_stay_open(wanted)) {
    if (open_orders_of(wanted.account) >= limits_.max_open_orders_per_account) {
      reason = Reason::kAccountOpenOrderLimit;
    }
    if (open_order_count() >= limits_.max_open_orders) reason = Reason::kOpenOrderLimit;
  }
  if (reason == Reason::kNone) reason = check_post_only(wanted);
  if (reason != Reason::kNone) return reject(reason);

  Order& order = open(wanted, command);
  events_.push_back(OrderAccepted{order.order_id});
  if (order.status == OrderStatus::kWaiting) {
    queue_up(order);
    return tell_trail(order);
  }
  if (order.time_in_force == TimeInForce::kFok && sweep(order).qty_lots < order.qty_lots) {
    return cancel(order, Reason::kFillOrKill);
  }
  match(order);
}

void NaiveExchange::carry_out(const CancelOrder& command) {
  if (!accounts_.contains(command.account)) {
    return reject(Reason::kUnknownAccount, command.order_id);
  }
  const auto found = orders_.find(command.order_id);
  if (found == orders_.end() || found->second.account != command.account) {
    return reject(Reason::kUnknownOrder, command.order_id);
  }
  if (!found->second.open()) return reject(Reason::kOrderNotOpen, command.order_id);
  leave_queue(found->second);
  cancel(found->second, Reason::kUserCanceled);
}

void NaiveExchange::carry_out(const CancelOrders& command) {
  if (!accounts_.contains(command.account)) return reject(Reason::kUnknownAccount);
  if (command.instrument != 0 && !instruments_.contains(command.instrument)) {
    return reject(Reason::kUnknownInstrument);
  }
  if (!one_of(command.side, {Side::kBuy, Side::kSell})) return reject(Reason::kInvalidOrder);
  const auto begin = orders_.find(command.from);
  const bool known =
      begin != orders_.end() && begin->second.account == command.account && begin->second.open();
  std::size_t looked_at = 0;
  OrderId stopped_at = 0;
  for (auto& [id, order] : orders_) {
    if (order.account != command.account || !order.open()) continue;
    if (known && id < command.from) continue;
    const std::size_t events_max = std::min(5'000U, limits_.max_fills_per_command);
    if (looked_at == 20'000 || events_.size() >= events_max) {
      stopped_at = id;
      break;
    }
    ++looked_at;
    if (command.instrument != 0 && order.instrument != command.instrument) continue;
    if (!command.both_sides && order.side != command.side) continue;
    leave_queue(order);
    cancel(order, Reason::kUserCanceled);
  }
  events_.push_back(OrdersCanceled{stopped_at});
}

void NaiveExchange::carry_out(const ReplaceOrder& command) {
  const OrderId id = command.order_id;
  if (!accounts_.contains(command.account)) return reject(Reason::kUnknownAccount, id);
  if (command.client_order_id.empty()) return reject(Reason::kInvalidOrder, id);
  if (sent_before(command, command.account, command.client_order_id, id, command.history_checked)) {
    return;
  }
  const auto found = orders_.find(id);
  if (found == orders_.end() || found->second.account != command.account) {
    return reject(Reason::kUnknownOrder, id);
  }
  Order& old = found->second;
  if (!old.open()) return reject(Reason::kOrderNotOpen, id);
  Reason reason = check_suspension(command.account);
  if (reason != Reason::kNone) return reject(reason, id);

  Order wanted = old;
  wanted.client_order_id = command.client_order_id;
  wanted.replaces = old.order_id;
  if (command.qty_lots != 0) wanted.qty_lots = command.qty_lots;
  if (command.limit_price_ticks != 0) wanted.limit_price_ticks = command.limit_price_ticks;
  if (command.stop_price_ticks != 0) wanted.stop_price_ticks = command.stop_price_ticks;
  const bool trails = old.type == OrderType::kTrailingStop;
  if (!command.trail.empty()) {
    wanted.trail = command.trail;
    trail(wanted);
    protect(wanted);
  }
  if (!command.keep_time_in_force) wanted.time_in_force = command.time_in_force;
  if (!may_stay_open(wanted)) return reject(Reason::kInvalidOrder, id);
  const bool waiting = old.status == OrderStatus::kWaiting;
  if (command.stop_price_ticks != 0 && (!waiting || trails)) {
    return reject(Reason::kInvalidOrder, id);
  }
  if (!command.trail.empty() && !(waiting && trails && can_trail(command.trail, old.side))) {
    return reject(Reason::kInvalidOrder, id);
  }
  if (trails && command.limit_price_ticks != 0) return reject(Reason::kInvalidOrder, id);
  reason = check_terms(wanted);
  if (reason == Reason::kNone && wanted.qty_lots <= old.filled_lots) {
    reason = Reason::kQuantityBelowFilled;
  }
  if (reason == Reason::kNone) reason = check_amounts(wanted);
  if (reason == Reason::kNone) reason = check_means(wanted, &old);
  if (reason == Reason::kNone) reason = check_post_only(wanted);
  if (reason != Reason::kNone) return reject(reason, id);

  const bool moves =
      waiting ? wanted.stop_price_ticks != old.stop_price_ticks || !(wanted.trail == old.trail)
              : wanted.limit_price_ticks != old.limit_price_ticks;
  const bool keeps_priority = !moves && wanted.qty_lots <= old.qty_lots;
  if (!keeps_priority) wanted.reached = false;
  Order& order = open(wanted, command);
  if (keeps_priority && waiting) {
    tell_trail(old);
    *std::find(waiting_.begin(), waiting_.end(), old.order_id) = order.order_id;
  } else if (keeps_priority) {
    Book& book = books_[order.instrument];
    Levels& levels = order.side == Side::kBuy ? book.bids : book.asks;
    Queue& level = levels.at(order.limit_price_ticks);
    *std::find(level.begin(), level.end(), old.order_id) = order.order_id;
  } else {
    leave_queue(old);
  }
  old.replaced_by = order.order_id;
  end(old, OrderStatus::kReplaced);
  events_.push_back(OrderReplaced{
      order.order_id, id, order.account, order.instrument, order.side, order.time_in_force,
      keeps_priority, order.qty_lots, order.limit_price_ticks, order.filled_lots,
      order.filled_value_micros, order.stop_price_ticks, waiting, order.trail});
  if (waiting) {
    if (!keeps_priority) queue_up(order);
    return tell_trail(order);
  }
  if (!keeps_priority) match(order);
}

void NaiveExchange::carry_out(const EndTradingDay& /*command*/) {
  std::vector<Order*> day_orders;
  for (auto& [id, order] : orders_) {
    if (order.open() && order.time_in_force == TimeInForce::kDay) day_orders.push_back(&order);
  }
  for (Order* order : day_orders) {
    if (events_.size() >= limits_.max_fills_per_command) break;
    leave_queue(*order);
    cancel(*order, Reason::kDayEnded);
  }
  events_.push_back(TradingDayEnded{day_orders.empty() || !day_orders.back()->open()});
}

// --- what an order must fulfil

Reason NaiveExchange::check_suspension(AccountId account) const {
  if (accounts_.at(account).suspended) return Reason::kAccountSuspended;
  return suspended_ ? Reason::kVenueSuspended : Reason::kNone;
}

Reason NaiveExchange::check_terms(const Order& order) const {
  const DefineInstrument& terms = instruments_.at(order.instrument).terms;
  if (terms.state != InstrumentState::kActive) return Reason::kInstrumentInactive;
  if (order.qty_lots <= 0 || order.qty_lots > terms.max_order_qty_lots) {
    return Reason::kInvalidQuantity;
  }
  const PriceTicks limit = order.limit_price_ticks;
  const PriceTicks stop = order.stop_price_ticks;
  const auto within = [&](PriceTicks price) {
    return price >= terms.min_price_ticks && price <= terms.max_price_ticks;
  };
  const bool has_no_limit = order.type == OrderType::kMarket ||
                            (becomes_market_order(order.type) && order.side == Side::kSell);
  if (order.type == OrderType::kTrailingStop && order.high_water_ticks == 0) {
    return Reason::kNoLastPrice;
  }
  if (has_no_limit ? limit != 0 : !within(limit)) return Reason::kInvalidPrice;
  if (is_stop(order.type) ? !within(stop) : stop != 0) return Reason::kInvalidPrice;
  const bool is_protected = becomes_market_order(order.type) && order.side == Side::kBuy;
  return is_protected && limit < stop ? Reason::kInvalidPrice : Reason::kNone;
}

// A closing order needs a position of the other sign that covers it and all open orders on its
// side; an opening one needs that there is none of the other sign.
Reason NaiveExchange::check_intent(const Order& order) const {
  const PositionIntent intent = order.position_intent;
  if (rules_version_ < 2 || intent == PositionIntent::kUnspecified) return Reason::kNone;
  const bool is_buy = one_of(intent, {PositionIntent::kBuyToOpen, PositionIntent::kBuyToClose});
  if (is_buy != (order.side == Side::kBuy)) return Reason::kPositionIntentMismatch;
  const QtyLots held = holding(order.account, order.instrument).qty_lots;
  const QtyLots against = is_buy ? -held : held;
  if (one_of(intent, {PositionIntent::kBuyToOpen, PositionIntent::kSellToOpen})) {
    return against > 0 ? Reason::kPositionIntentMismatch : Reason::kNone;
  }
  const WideInteger closing =
      WideInteger{order.qty_lots} + open_lots(order.account, order.instrument, order.side, nullptr);
  return closing <= against ? Reason::kNone : Reason::kPositionIntentMismatch;
}

// The value of all fills must fit 64 bits at any price that the order may trade at.
Reason NaiveExchange::check_amounts(const Order& order) const {
  const Instrument& instrument = instruments_.at(order.instrument);
  const bool limited = order.type != OrderType::kMarket && order.side == Side::kBuy;
  const PriceTicks dearest = limited ? order.limit_price_ticks : instrument.terms.max_price_ticks;
  const WideInteger value =
      WideInteger{order.qty_lots - order.filled_lots} * dearest * instrument.tick_value_micros +
      order.filled_value_micros;
  const QtyLots held = holding(order.account, order.instrument).qty_lots;
  const bool fits = fits_int64(value) && held <= kPositionLotsMax && held >= -kPositionLotsMax;
  return fits ? Reason::kNone : Reason::kOverflow;
}

Reason NaiveExchange::check_means(const Order& order, const Order* replaced) const {
  const Account& account = accounts_.at(order.account);
  const QtyLots leaves = order.qty_lots - order.filled_lots;
  if (order.side == Side::kSell) {
    const QtyLots free = holding(order.account, order.instrument).qty_lots -
                         open_lots(order.account, order.instrument, Side::kSell, replaced);
    return leaves <= free || account.may_sell_short ? Reason::kNone : Reason::kInsufficientPosition;
  }
  const WideInteger power = WideInteger{account.cash_micros} + account.credit_limit_micros -
                            reserved_micros(order.account, replaced);
  const WideInteger needed = order.type == OrderType::kMarket
                                 ? sweep(order).cost_micros
                                 : WideInteger{leaves} * order.limit_price_ticks *
                                       instruments_.at(order.instrument).tick_value_micros;
  return needed <= power ? Reason::kNone : Reason::kInsufficientCash;
}

Reason NaiveExchange::check_post_only(const Order& order) {
  const bool meets_one = best_against(order) != nullptr;
  return order.post_only && meets_one ? Reason::kPostOnlyWouldTrade : Reason::kNone;
}

Reason NaiveExchange::check_place(AccountId account, InstrumentId instrument) const {
  if (holdings_.contains({account, instrument})) return Reason::kNone;
  if (holdings_.size() >= limits_.max_positions) return Reason::kCapacity;
  const auto of_account = std::count_if(holdings_.begin(), holdings_.end(), [&](const auto& held) {
    return held.first.first == account;
  });
  const bool has_all = of_account >= std::int64_t{limits_.max_positions_per_account};
  return rules_version_ >= 3 && has_all ? Reason::kAccountPositionLimit : Reason::kNone;
}

std::set<std::pair<AccountId, InstrumentId>> NaiveExchange::pairs_in_use() const {
  std::set<std::pair<AccountId, InstrumentId>> pairs;
  for (const auto& [pair, held] : holdings_) {
    if (held.qty_lots != 0) pairs.insert(pair);
  }
  for (const auto& [id, order] : orders_) {
    if (order.open()) pairs.insert({order.account, order.instrument});
  }
  return pairs;
}

WideInteger NaiveExchange::reserved_micros(AccountId account, const Order* besides) const {
  WideInteger sum = 0;
  for (const auto& [id, order] : orders_) {
    if (order.account != account || order.side != Side::kBuy || &order == besides) continue;
    sum += WideInteger{order.leaves_lots()} * order.limit_price_ticks *
           instruments_.at(order.instrument).tick_value_micros;
  }
  return sum;
}

QtyLots NaiveExchange::open_lots(AccountId account, InstrumentId instrument, Side side,
                                 const Order* besides) const {
  QtyLots sum = 0;
  for (const auto& [id, order] : orders_) {
    const bool counts = order.account == account && order.instrument == instrument &&
                        order.side == side && &order != besides;
    if (counts) sum += order.leaves_lots();
  }
  return sum;
}

std::size_t NaiveExchange::open_orders_of(AccountId account) const {
  return open_orders(account, 0, 0, orders_.size()).size();
}

NaiveExchange::Holding NaiveExchange::holding(AccountId account, InstrumentId instrument) const {
  const auto found = holdings_.find({account, instrument});
  return found == holdings_.end() ? Holding{} : found->second;
}

// --- matching

Order& NaiveExchange::open(Order order, const CommandBody& made_by) {
  forget_ended_orders(limits_.max_orders - 1);
  order.order_id = now_.sequence;
  if (rules_version_ >= 3) {
    forget_ids(limits_.max_client_ids - 1);
    ids_[{order.account, std::string(order.client_order_id.view())}] = {order.order_id, made_by};
  }
  if (order.status != OrderStatus::kWaiting) {
    order.status = order.filled_lots == 0 ? OrderStatus::kNew : OrderStatus::kPartiallyFilled;
  }
  order.created_ns = now_.timestamp_ns;
  holdings_.try_emplace({order.account, order.instrument});
  made_by_.emplace(order.order_id, made_by);
  Order& opened = orders_.emplace(order.order_id, order).first->second;
  touch(opened);
  return opened;
}

void NaiveExchange::forget_ended_orders(std::size_t records_max) {
  while (orders_.size() > records_max && !ended_.empty()) {
    orders_.erase(ended_.front());
    made_by_.erase(ended_.front());
    ended_.pop_front();
  }
}

void NaiveExchange::match(Order& taker) {
  first_price_ = 0;
  fill_or_rest(taker);
  make_due(taker.instrument);
}

void NaiveExchange::fill_or_rest(Order& taker) {
  for (std::uint32_t met = 0; taker.open(); ++met) {
    Order* maker = best_against(taker);
    if (maker == nullptr) {
      const bool has_limit = one_of(taker.type, {OrderType::kLimit, OrderType::kStopLimit});
      if (has_limit && may_stay_open(taker)) return queue_up(taker);
      return cancel(taker, has_limit ? Reason::kImmediateOrCancel : Reason::kNoLiquidity);
    }
    // It would stand crossed, so it cannot rest.
    if (met == limits_.max_fills_per_command) return cancel(taker, Reason::kFillLimit);
    if (maker->account != taker.account ||
        taker.self_trade_prevention == SelfTradePrevention::kNone) {
      trade(*maker, taker);
      continue;
    }
    const auto canceled = [&](SelfTradePrevention one) {
      return one_of(taker.self_trade_prevention, {one, SelfTradePrevention::kCancelBoth});
    };
    if (canceled(SelfTradePrevention::kCancelOldest)) {
      leave_queue(*maker);
      cancel(*maker, Reason::kSelfTrade);
    }
    if (canceled(SelfTradePrevention::kCancelNewest)) cancel(taker, Reason::kSelfTrade);
  }
}

bool NaiveExchange::crosses(const Order& taker, PriceTicks price) const {
  const bool sells_at_any_price = becomes_market_order(taker.type) && taker.side == Side::kSell;
  if (taker.type == OrderType::kMarket || sells_at_any_price) return true;
  return taker.side == Side::kBuy ? price <= taker.limit_price_ticks
                                  : price >= taker.limit_price_ticks;
}

Order* NaiveExchange::best_against(const Order& taker) {
  const Levels& levels = levels_of(taker.instrument, opposite(taker.side));
  if (levels.empty()) return nullptr;
  const auto& best = taker.side == Side::kBuy ? *levels.begin() : *levels.rbegin();
  return crosses(taker, best.first) ? &orders_.at(best.second.front()) : nullptr;
}

// The trades of the order if it were matched now.
NaiveExchange::Sweep NaiveExchange::sweep(const Order& taker) const {
  std::vector<OrderId> makers;
  const Levels& levels = levels_of(taker.instrument, opposite(taker.side));
  const auto take = [&](const auto& level) {
    if (crosses(taker, level.first)) {
      makers.insert(makers.end(), level.second.begin(), level.second.end());
    }
  };
  if (taker.side == Side::kBuy) std::for_each(levels.begin(), levels.end(), take);
  if (taker.side == Side::kSell) std::for_each(levels.rbegin(), levels.rend(), take);
  if (makers.size() > limits_.max_fills_per_command) makers.resize(limits_.max_fills_per_command);

  Sweep swept;
  for (const OrderId id : makers) {
    const Order& maker = orders_.at(id);
    if (maker.account == taker.account &&
        taker.self_trade_prevention != SelfTradePrevention::kNone) {
      // It is canceled, or it ends the order.
      if (taker.self_trade_prevention == SelfTradePrevention::kCancelOldest) continue;
      break;
    }
    const QtyLots wanted = taker.qty_lots - taker.filled_lots - swept.qty_lots;
    const QtyLots qty = std::min(maker.leaves_lots(), wanted);
    swept.qty_lots += qty;
    swept.cost_micros += WideInteger{qty} * maker.limit_price_ticks *
                         instruments_.at(taker.instrument).tick_value_micros;
  }
  return swept;
}

// At the maker's price. If one account is on both sides, it buys before it sells.
void NaiveExchange::trade(Order& maker, Order& taker) {
  Instrument& instrument = instruments_.at(taker.instrument);
  const PriceTicks price = maker.limit_price_ticks;
  const QtyLots qty = std::min(maker.leaves_lots(), taker.leaves_lots());
  const CashMicros lot_value = price * instrument.tick_value_micros;
  const Order& buy = taker.side == Side::kBuy ? taker : maker;
  const Order& sell = taker.side == Side::kBuy ? maker : taker;
  accounts_.at(buy.account).cash_micros -= qty * lot_value;
  accounts_.at(sell.account).cash_micros += qty * lot_value;
  hold(holdings_.at({buy.account, buy.instrument}), qty, lot_value);
  hold(holdings_.at({sell.account, sell.instrument}), -qty, lot_value);
  instrument.last_price_ticks = price;
  if (qty == maker.leaves_lots()) leave_queue(maker);
  reach(taker.instrument, price);
  if (first_price_ == 0) first_price_ = price;
  follow(taker.instrument, price);
  fill(maker, qty, qty * lot_value);
  fill(taker, qty, qty * lot_value);
  events_.push_back(
      Trade{++trades_, taker.instrument, taker.side, price, qty, side_of(maker), side_of(taker)});
}

void NaiveExchange::fill(Order& order, QtyLots qty_lots, CashMicros value_micros) {
  order.filled_lots += qty_lots;
  order.filled_value_micros += value_micros;
  order.status = OrderStatus::kPartiallyFilled;
  touch(order);
  if (order.filled_lots == order.qty_lots) end(order, OrderStatus::kFilled);
}

// Average cost: added lots cost their price, leaving lots take their share (rounded toward zero),
// and a position that crosses zero starts again at the price.
void NaiveExchange::hold(Holding& holding, QtyLots change, CashMicros lot_value_micros) {
  const QtyLots before = holding.qty_lots;
  const QtyLots after = before + change;
  const bool grows = before == 0 || (before > 0) == (change > 0);
  const bool crosses_zero = !grows && (after > 0) != (before > 0) && after != 0;
  WideInteger cost = holding.cost_micros;
  if (grows) {
    cost += WideInteger{change} * lot_value_micros;
  } else if (crosses_zero) {
    cost = WideInteger{after} * lot_value_micros;
  } else {
    const QtyLots gone = change < 0 ? -change : change;
    cost -= cost * gone / (before < 0 ? -before : before);
  }
  constexpr WideInteger kMax = std::numeric_limits<CashMicros>::max();
  holding = {after, static_cast<CashMicros>(std::clamp(cost, -kMax, kMax))};
}

void NaiveExchange::end(Order& order, OrderStatus status) {
  order.status = status;
  touch(order);
  ended_.push_back(order.order_id);
  if (rules_version_ >= 3) retire_id(order);
}

void NaiveExchange::cancel(Order& order, Reason reason) {
  const QtyLots leaves = order.leaves_lots();
  order.end_reason = reason;
  end(order, reason == Reason::kDayEnded ? OrderStatus::kExpired : OrderStatus::kCanceled);
  events_.push_back(OrderCanceled{order.order_id, order.account, reason, leaves});
}

void NaiveExchange::queue_up(const Order& order) {
  if (order.status == OrderStatus::kWaiting) {
    waiting_.push_back(order.order_id);
    const PriceTicks last = instruments_.at(order.instrument).last_price_ticks;
    if (order.type != OrderType::kTrailingStop) return reach(order.instrument, last);
    first_price_ = last;
    follow(order.instrument, last);
    return make_due(order.instrument);
  }
  Book& book = books_[order.instrument];
  (order.side == Side::kBuy ? book.bids : book.asks)[order.limit_price_ticks].push_back(
      order.order_id);
}

void NaiveExchange::leave_queue(const Order& order) {
  if (order.status == OrderStatus::kWaiting) {
    tell_trail(order);
    std::erase(waiting_, order.order_id);
    return settle(order.instrument);
  }
  Book& book = books_[order.instrument];
  Levels& levels = order.side == Side::kBuy ? book.bids : book.asks;
  Queue& level = levels.at(order.limit_price_ticks);
  level.erase(std::find(level.begin(), level.end(), order.order_id));
  if (level.empty()) levels.erase(order.limit_price_ticks);
}

void NaiveExchange::touch(Order& order) {
  order.updated_ns = now_.timestamp_ns;
  order.updated_sequence = now_.sequence;
  accounts_.at(order.account).updated_sequence = now_.sequence;
}

TradeSide NaiveExchange::side_of(const Order& order) const {
  const Holding held = holding(order.account, order.instrument);
  return {order.order_id,
          order.account,
          order.filled_lots,
          order.filled_value_micros,
          accounts_.at(order.account).cash_micros,
          held.qty_lots,
          held.cost_micros};
}

}  // namespace openvenue::core

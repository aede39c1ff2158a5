#include "core/rules/validate.h"

namespace openvenue::core {
namespace {

bool within(PriceTicks price, const DefineInstrument& terms) {
  return price >= terms.min_price_ticks && price <= terms.max_price_ticks;
}

}  // namespace

bool prices_valid(const Order& order, const DefineInstrument& terms) {
  const PriceTicks limit = order.limit_price_ticks;
  const PriceTicks stop = order.stop_price_ticks;
  switch (order.type) {
    case OrderType::kMarket:
      return limit == 0 && stop == 0;
    case OrderType::kLimit:
      return within(limit, terms) && stop == 0;
    case OrderType::kTrailingStop:
    case OrderType::kStop:
      return within(stop, terms) &&
             (order.side == Side::kBuy ? within(limit, terms) && limit >= stop : limit == 0);
    case OrderType::kStopLimit:
      return within(limit, terms) && within(stop, terms);
  }
  return false;
}

bool has_meaning(const NewOrder& command) {
  if (command.side != Side::kBuy && command.side != Side::kSell) return false;
  if (command.type < OrderType::kMarket || command.type > OrderType::kTrailingStop) {
    return false;
  }
  if (command.time_in_force < TimeInForce::kDay || command.time_in_force > TimeInForce::kFok) {
    return false;
  }
  if (command.position_intent > PositionIntent::kSellToClose) return false;
  if (command.self_trade_prevention > SelfTradePrevention::kCancelBoth) return false;
  const bool trails = command.type == OrderType::kTrailingStop;
  if (trails ? !is_trail(command.trail, command.side) : !command.trail.empty()) return false;
  // The market sets its prices.
  if (trails && (command.limit_price_ticks != 0 || command.stop_price_ticks != 0)) return false;
  const bool may_stay = may_stay_open(command.type, command.time_in_force);
  if (is_stop(command.type)) return may_stay && !command.post_only;
  return may_stay || !command.post_only;
}

Reason validate(const Order& order, const DefineInstrument& terms) {
  if (terms.state != InstrumentState::kActive) return Reason::kInstrumentInactive;
  if (order.qty_lots <= 0) return Reason::kInvalidQuantity;
  if (order.qty_lots > terms.max_order_qty_lots) return Reason::kInvalidQuantity;
  const bool trails = order.type == OrderType::kTrailingStop;
  if (trails && order.high_water_ticks == 0) return Reason::kNoLastPrice;
  if (!prices_valid(order, terms)) return Reason::kInvalidPrice;
  if (order.qty_lots <= order.filled_lots) return Reason::kQuantityBelowFilled;
  return Reason::kNone;
}

}  // namespace openvenue::core

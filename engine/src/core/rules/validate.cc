#include "core/rules/validate.h"

namespace openvenue::core {
namespace {

bool price_valid(const OrderCore& order, const DefineInstrument& terms) {
  const PriceTicks price = order.limit_price_ticks;
  if (order.type == OrderType::kMarket) return price == 0;
  return price >= terms.min_price_ticks && price <= terms.max_price_ticks;
}

}  // namespace

bool has_meaning(const NewOrder& command) {
  if (command.side != Side::kBuy && command.side != Side::kSell) return false;
  if (command.type != OrderType::kMarket && command.type != OrderType::kLimit) return false;
  if (command.time_in_force < TimeInForce::kDay || command.time_in_force > TimeInForce::kFok) {
    return false;
  }
  if (command.position_intent > PositionIntent::kSellToClose) return false;
  if (command.self_trade_prevention > SelfTradePrevention::kCancelBoth) return false;
  return !command.post_only || may_rest(command.type, command.time_in_force);
}

Reason validate(const OrderCore& order, const DefineInstrument& terms) {
  if (terms.state != InstrumentState::kActive) return Reason::kInstrumentInactive;
  if (order.qty_lots <= 0) return Reason::kInvalidQuantity;
  if (order.qty_lots > terms.max_order_qty_lots) return Reason::kInvalidQuantity;
  if (!price_valid(order, terms)) return Reason::kInvalidPrice;
  if (order.qty_lots <= order.filled_lots) return Reason::kQuantityBelowFilled;
  return Reason::kNone;
}

}  // namespace openvenue::core

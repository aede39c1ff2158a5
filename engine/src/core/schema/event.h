// Events: the effects of a command. Readers have both (journal and event stream keep them
// together), so events do not repeat the command's fields. Amounts are those after the event.
#pragma once

#include <variant>
#include <vector>

#include "core/base/types.h"
#include "core/schema/command.h"

namespace openvenue::core {

// The NewOrder command opened order `order_id` (= its sequence number). Its trades, and its end if
// it ended, follow as further events.
struct OrderAccepted {
  OrderId order_id = 0;
  friend bool operator==(const OrderAccepted&, const OrderAccepted&) = default;
};

// A command of any kind changed nothing; `order_id` is the order of a cancel or replace.
struct Rejected {
  Reason reason = Reason::kNone;
  OrderId order_id = 0;
  friend bool operator==(const Rejected&, const Rejected&) = default;
};

// Nothing changed: the account had sent the same body under the same client_order_id before.
struct Duplicate {
  OrderId order_id = 0;  // the order that the first one opened
  friend bool operator==(const Duplicate&, const Duplicate&) = default;
};

struct TradeSide {
  OrderId order_id = 0;
  AccountId account = 0;
  QtyLots filled_lots = 0;              // of the order, this fill included
  CashMicros filled_value_micros = 0;   // sum of price x quantity over the order's fills
  CashMicros cash_micros = 0;           // of the account
  QtyLots position_lots = 0;            // of the account in this instrument
  CashMicros position_cost_micros = 0;  // cost basis, signed like the position
  friend bool operator==(const TradeSide&, const TradeSide&) = default;
};

// A fill at the maker's price. If both sides are one account, both carry its state afterwards.
struct Trade {
  TradeId trade_id = 0;
  InstrumentId instrument = 0;
  Side taker_side = Side::kBuy;
  PriceTicks price_ticks = 0;
  QtyLots qty_lots = 0;
  TradeSide maker;
  TradeSide taker;
  friend bool operator==(const Trade&, const Trade&) = default;
};

struct OrderCanceled {
  OrderId order_id = 0;
  AccountId account = 0;
  Reason reason = Reason::kNone;  // kDayEnded makes the status kExpired, all others kCanceled
  QtyLots canceled_lots = 0;      // what was left
  friend bool operator==(const OrderCanceled&, const OrderCanceled&) = default;
};

// Order `old_order_id` ended as kReplaced, and `order_id` (= the command's sequence number)
// replaced it with these complete terms; trades of the new order follow.
struct OrderReplaced {
  OrderId order_id = 0;
  OrderId old_order_id = 0;
  AccountId account = 0;
  InstrumentId instrument = 0;
  Side side = Side::kBuy;
  TimeInForce time_in_force = TimeInForce::kDay;
  bool kept_priority = false;
  QtyLots qty_lots = 0;
  PriceTicks limit_price_ticks = 0;
  QtyLots filled_lots = 0;
  CashMicros filled_value_micros = 0;
  PriceTicks stop_price_ticks = 0;
  bool waiting = false;  // for its stop price, as the old one did: both are in no book
  Trail trail = {};
  friend bool operator==(const OrderReplaced&, const OrderReplaced&) = default;
};

// A trade had reached the order's stop price: it waits no more. Its trades follow.
struct OrderTriggered {
  OrderId order_id = 0;
  AccountId account = 0;
  InstrumentId instrument = 0;
  Side side = Side::kBuy;
  OrderType type = OrderType::kStop;
  TimeInForce time_in_force = TimeInForce::kDay;
  QtyLots qty_lots = 0;  // nothing of it is filled
  PriceTicks limit_price_ticks = 0;
  friend bool operator==(const OrderTriggered&, const OrderTriggered&) = default;
};

// How far the market has moved a trailing stop order that waits. Follows the OrderAccepted or
// OrderReplaced that opened it, and comes before what ends its wait; the moves in between have no
// events.
struct OrderTrailed {
  OrderId order_id = 0;
  InstrumentId instrument = 0;
  PriceTicks high_water_ticks = 0;
  PriceTicks stop_price_ticks = 0;
  friend bool operator==(const OrderTrailed&, const OrderTrailed&) = default;
};

// The administrative command took effect as written.
struct Applied {
  friend bool operator==(const Applied&, const Applied&) = default;
};

struct BalanceAdjusted {
  CashMicros cash_micros = 0;
  friend bool operator==(const BalanceAdjusted&, const BalanceAdjusted&) = default;
};

struct PositionAdjusted {
  QtyLots position_lots = 0;
  CashMicros position_cost_micros = 0;
  friend bool operator==(const PositionAdjusted&, const PositionAdjusted&) = default;
};

struct TradingDayEnded {
  bool complete = false;  // no DAY order is left
  friend bool operator==(const TradingDayEnded&, const TradingDayEnded&) = default;
};

// Follows the OrderCanceled events of a CancelOrders.
struct OrdersCanceled {
  OrderId stopped_at = 0;  // the next order to look at; 0: it looked at all
  friend bool operator==(const OrdersCanceled&, const OrdersCanceled&) = default;
};

// The order of alternatives is part of the journal format: only append.
using Event = std::variant<OrderAccepted, Rejected, Duplicate, Trade, OrderCanceled, OrderReplaced,
                           Applied, BalanceAdjusted, PositionAdjusted, TradingDayEnded,
                           OrdersCanceled, OrderTriggered, OrderTrailed>;

// Reserved once for the largest number of events of a command (see
// Exchange::max_events_per_command), so that appending never allocates.
using EventBuffer = std::vector<Event>;

}  // namespace openvenue::core

// The records of a state, in memory and in snapshots.
#pragma once

#include "core/base/types.h"
#include "core/schema/command.h"

namespace openvenue::core {

// Values that a state has once.
struct Counters {
  Limits limits;
  Sequence last_sequence = 0;
  TimestampNs last_timestamp_ns = 0;
  TradeId last_trade_id = 0;
  CashMicros cash_adjusted_micros = 0;  // deposits less withdrawals
  RulesVersion rules_version = kRulesVersion;
  Sequence client_ids_floor = 0;           // ids of orders that opened after it are all remembered
  std::uint64_t client_ids_forgotten = 0;  // ids that left marks in the filter
  bool suspended = false;                  // see SuspendTrading
};

// What a fill or a cancel reads and changes of an order: no more than a cache line.
struct OrderCore : OrderTerms {
  OrderStatus status = OrderStatus::kNew;
  Reason end_reason = Reason::kNone;  // of kCanceled and kExpired
  OrderId order_id = 0;
  QtyLots filled_lots = 0;
  CashMicros filled_value_micros = 0;
  TimestampNs updated_ns = 0;  // of the last change; the end's time for ended orders
  Sequence updated_sequence = 0;

  [[nodiscard]] bool open() const {
    return status == OrderStatus::kNew || status == OrderStatus::kPartiallyFilled ||
           status == OrderStatus::kWaiting;
  }
  [[nodiscard]] QtyLots leaves_lots() const { return open() ? qty_lots - filled_lots : 0; }
  friend bool operator==(const OrderCore&, const OrderCore&) = default;
};
static_assert(sizeof(OrderCore) == 64);

// The rest of it.
struct OrderDetails {
  AccountId account = 0;
  InstrumentId instrument = 0;
  OrderId replaces = 0;
  OrderId replaced_by = 0;
  TimestampNs created_ns = 0;
  ClientOrderId client_order_id;
  // Of a trailing stop order: a trade reached its stop price, which moves no more.
  bool reached = false;
  PriceTicks stop_price_ticks = 0;  // of stop orders
  TimestampNs triggered_ns = 0;     // when a stop order stopped waiting; 0: it has not
  Trail trail = {};                 // of trailing stop orders, as all that follows
  PriceTicks high_water_ticks = 0;  // the mark from which the stop price stays away
  friend bool operator==(const OrderDetails&, const OrderDetails&) = default;
};

// An order in its present state: open, or ended and still remembered. Limits::max_orders bounds
// both together. The order that ended longest ago is forgotten first, an open one never.
struct Order : OrderCore, OrderDetails {
  friend bool operator==(const Order&, const Order&) = default;
};

// What a ReplaceOrder asked for, kept beside the order that it made: what it was, by which its
// repetition is recognized, can be told from the record.
struct ReplaceTerms {
  QtyLots qty_lots = 0;
  PriceTicks limit_price_ticks = 0;
  TimeInForce time_in_force = TimeInForce::kDay;
  bool keep_time_in_force = true;
  PriceTicks stop_price_ticks = 0;
  Trail trail = {};
  friend bool operator==(const ReplaceTerms&, const ReplaceTerms&) = default;
};

// A client order id that was used, as hashes: of the id, and of the command's body without it.
struct UsedClientId {
  AccountId account = 0;
  std::uint64_t id_low = 0;
  std::uint64_t id_high = 0;
  std::uint64_t body = 0;
  OrderId order_id = 0;  // the order that it opened
  friend bool operator==(const UsedClientId&, const UsedClientId&) = default;
};

struct Account {
  AccountId account = 0;
  Name name;
  bool may_sell_short = false;
  CashMicros credit_limit_micros = 0;
  CashMicros cash_micros = 0;
  CashMicros reserved_micros = 0;  // by open buy orders: leaves x limit price
  TimestampNs created_ns = 0;
  Sequence updated_sequence = 0;  // of the last command that changed it or one of its orders
  bool suspended = false;         // see SuspendTrading
  [[nodiscard]] CashMicros buying_power_micros() const {
    return cash_micros + credit_limit_micros - reserved_micros;
  }
  friend bool operator==(const Account&, const Account&) = default;
};

struct Position {
  AccountId account = 0;
  InstrumentId instrument = 0;
  QtyLots qty_lots = 0;        // negative: short
  QtyLots reserved_lots = 0;   // by open sell orders
  CashMicros cost_micros = 0;  // cost basis, signed like qty_lots
  QtyLots wanted_lots = 0;     // by open buy orders

  // True if it holds nothing and no order is open in it: an open order has lots left.
  [[nodiscard]] bool vacant() const {
    return qty_lots == 0 && reserved_lots == 0 && wanted_lots == 0;
  }
  friend bool operator==(const Position&, const Position&) = default;
};

struct Instrument {
  DefineInstrument terms;
  PriceTicks last_price_ticks = 0;  // of the last trade; 0 before the first
  // Cash value of one lot at one tick, in micros; exact by construction.
  CashMicros tick_value_micros = 0;
  QtyLots adjusted_lots = 0;  // sum of all position adjustments; what all positions add up to
  // Lowest and highest price by which waiting orders were reached that have not been triggered yet.
  // 0: there are none.
  PriceTicks reached_low_ticks = 0;
  PriceTicks reached_high_ticks = 0;
  friend bool operator==(const Instrument&, const Instrument&) = default;
};

}  // namespace openvenue::core

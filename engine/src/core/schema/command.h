// Commands: the only way to change a shard's state. The state after a command is a function of the
// state before it and of the command alone.
#pragma once

#include <utility>
#include <variant>

#include "core/base/types.h"

namespace openvenue::core {

// How far the stop price of a trailing stop order stays from its high-water mark: one of the two,
// below it if the order sells, above it if it buys. The mark is the best price of a trade since the
// order opened, and of the last one before: the highest for an order that sells, the lowest for one
// that buys.
struct Trail {
  std::uint32_t ticks = 0;
  std::uint32_t ppm = 0;  // parts per million of the mark, rounded up to a tick; below 1,000,000
  // Of an order that buys: how far its protection price is above its stop price, in parts per
  // million of that, rounded up to a tick; at most 1,000,000. The protection price follows, too.
  std::uint32_t protection_ppm = 0;
  [[nodiscard]] bool empty() const { return ticks == 0 && ppm == 0 && protection_ppm == 0; }
  friend bool operator==(const Trail&, const Trail&) = default;
};

// What an order asks for. The smallest fields come last: a derived record goes on in their padding.
struct OrderTerms {
  QtyLots qty_lots = 0;  // total, filled part included
  // 0 for market and trailing stop orders, and for kStop orders that sell. Of a kStop order that
  // buys: its protection price, above which it does not trade; at least the stop price.
  PriceTicks limit_price_ticks = 0;
  Side side = Side::kBuy;
  OrderType type = OrderType::kLimit;
  TimeInForce time_in_force = TimeInForce::kDay;
  PositionIntent position_intent = PositionIntent::kUnspecified;
  SelfTradePrevention self_trade_prevention = SelfTradePrevention::kNone;
  bool post_only = false;  // refused where it would trade at once; of orders that may rest
  friend bool operator==(const OrderTerms&, const OrderTerms&) = default;
};

struct NewOrder : OrderTerms {
  AccountId account = 0;
  InstrumentId instrument = 0;
  ClientOrderId client_order_id;    // never empty: the API makes one if the client gave none
  bool history_checked = false;     // no earlier order of that id is in the history
  PriceTicks stop_price_ticks = 0;  // of kStop and kStopLimit orders; 0 for others
  Trail trail = {};                 // of trailing stop orders
  friend bool operator==(const NewOrder&, const NewOrder&) = default;
};

struct CancelOrder {
  AccountId account = 0;
  OrderId order_id = 0;
  friend bool operator==(const CancelOrder&, const CancelOrder&) = default;
};

// Cancels the account's open orders, oldest first: those of one instrument or of all, of one side
// or of both. Looks at a bounded number of orders, because other commands wait behind it; its event
// says where it stopped, and the same command with that as `from` goes on there.
struct CancelOrders {
  AccountId account = 0;
  InstrumentId instrument = 0;  // 0: all
  bool both_sides = true;
  Side side = Side::kBuy;  // counts unless both_sides
  // Begin at this order of the account; at the oldest one if it is not open. 0: at the oldest one.
  OrderId from = 0;
  friend bool operator==(const CancelOrders&, const CancelOrders&) = default;
};

// Ends `order_id` as kReplaced and opens a new order in its place, which carries over the filled
// quantity (FIX cancel/replace: qty_lots is the new total, including the filled part). At the same
// price and a quantity no larger than before it keeps its place in the queue; otherwise it goes to
// the back.
struct ReplaceOrder {
  AccountId account = 0;
  OrderId order_id = 0;
  QtyLots qty_lots = 0;              // 0: as before
  PriceTicks limit_price_ticks = 0;  // 0: as before
  TimeInForce time_in_force = TimeInForce::kDay;
  bool keep_time_in_force = true;
  ClientOrderId client_order_id;    // the new order's; never empty
  bool history_checked = false;     // as of NewOrder
  PriceTicks stop_price_ticks = 0;  // of an order that waits; 0: as before
  Trail trail = {};                 // of a trailing stop order that waits; empty: as before
  friend bool operator==(const ReplaceOrder&, const ReplaceOrder&) = default;
};

// A new instrument, or new terms for a known one (name, state, maximum quantity and tradability may
// change; symbol, class, tick, lot and price limits may not).
struct DefineInstrument {
  InstrumentId instrument = 0;
  Symbol symbol;
  Name name;
  AssetClass asset_class = AssetClass::kUsEquity;
  InstrumentState state = InstrumentState::kActive;
  std::int64_t tick_size_nanos = 0;  // price of one tick, in 1e-9 of the currency
  std::int64_t lot_size_nanos = 0;   // size of one lot, in 1e-9 of a unit
  PriceTicks min_price_ticks = 1;    // >= 1
  PriceTicks max_price_ticks = 0;    // max - min < kPriceRangeTicksMax
  QtyLots max_order_qty_lots = 0;    // <= kOrderQtyLotsMax
  friend bool operator==(const DefineInstrument&, const DefineInstrument&) = default;
};

// A new account, or new terms for a known one.
struct OpenAccount {
  AccountId account = 0;
  Name name;
  bool may_sell_short = false;
  CashMicros credit_limit_micros = 0;  // >= 0; buying power is cash + credit - reserved
  friend bool operator==(const OpenAccount&, const OpenAccount&) = default;
};

struct AdjustBalance {
  AccountId account = 0;
  CashMicros amount_micros = 0;  // deposit if positive, withdrawal if negative
  friend bool operator==(const AdjustBalance&, const AdjustBalance&) = default;
};

struct AdjustPosition {
  AccountId account = 0;
  InstrumentId instrument = 0;
  QtyLots qty_lots = 0;        // signed change
  CashMicros cost_micros = 0;  // signed change of the cost basis; no cash moves
  friend bool operator==(const AdjustPosition&, const AdjustPosition&) = default;
};

// Expires DAY orders accepted before it, oldest first, until it has Limits::max_fills_per_command
// events. The shard repeats the command until its event says that none is left.
struct EndTradingDay {
  friend bool operator==(const EndTradingDay&, const EndTradingDay&) = default;
};

// Brings into force the next stop order that a trade has reached: one instrument after the other by
// id, buys before sells, the order first whose stop price the market reached first, then the one
// that has waited there for longest. The shard gives it before any other command while
// Exchange::has_due_order().
struct TriggerOrder {
  friend bool operator==(const TriggerOrder&, const TriggerOrder&) = default;
};

// New orders and replacements of the account are refused, or taken again. What is open stays so, a
// stop order that is reached included, and can be canceled.
struct SuspendTrading {
  AccountId account = 0;  // 0: of all accounts, whatever holds for each
  bool suspended = false;
  friend bool operator==(const SuspendTrading&, const SuspendTrading&) = default;
};

// Bounds that change outcomes are part of the state, so a command sets them. Pools must be at least
// this large wherever the journal is replayed.
struct Limits {
  std::uint32_t max_orders = 1U << 20;  // records of open and of remembered ended orders
  std::uint32_t max_accounts = 1U << 14;
  std::uint32_t max_instruments = 1U << 10;
  std::uint32_t max_positions = 1U << 17;  // (account, instrument) pairs with lots or an open order
  std::uint32_t max_fills_per_command = 1U << 14;
  // Less than max_orders, so that some records always remember ended orders.
  std::uint32_t max_open_orders = 3U << 18;
  std::uint32_t max_open_orders_per_account = 3U << 16;
  std::uint32_t max_positions_per_account = 1U << 15;  // since rules 3
  // Client order ids that are remembered, those of open orders included: more than
  // max_open_orders. Since rules 3; before, as many as there are order records.
  std::uint32_t max_client_ids = 1U << 22;
  friend bool operator==(const Limits&, const Limits&) = default;
};

// The larger of the two, limit by limit.
[[nodiscard]] Limits larger_of(const Limits& a, const Limits& b);

// Version of the state machine's rules, raised whenever a command gets another outcome than before.
// Configure sets it, so that a replay decides as the original did.
//   1  as in journal format 2
//   2  position intents are looked at
//   3  a position without lots and open orders gives its place back; an account has only so many;
//      a client order id is remembered for longer than its order, and one that was perhaps
//      forgotten is refused unless the history was asked
using RulesVersion = std::uint32_t;
constexpr RulesVersion kRulesVersion = 3;  // the newest, and what a start configures

struct Configure {
  Configure() = default;
  explicit Configure(const Limits& wanted, RulesVersion rules = kRulesVersion)
      : limits(wanted), rules_version(rules) {}

  Limits limits;
  RulesVersion rules_version = kRulesVersion;
  friend bool operator==(const Configure&, const Configure&) = default;
};

// The order of alternatives is part of the journal format: only append.
using CommandBody = std::variant<NewOrder, CancelOrder, ReplaceOrder, DefineInstrument, OpenAccount,
                                 AdjustBalance, AdjustPosition, EndTradingDay, Configure,
                                 CancelOrders, TriggerOrder, SuspendTrading>;

struct Command {
  Command() = default;
  Command(Sequence number, TimestampNs stamp_ns, CommandBody what, const Actor& who = {})
      : sequence(number), timestamp_ns(stamp_ns), body(std::move(what)), actor(who) {}

  Sequence sequence = 0;
  TimestampNs timestamp_ns = 0;
  CommandBody body;
  Actor actor;  // who gave an administrative command; empty for all others
  friend bool operator==(const Command&, const Command&) = default;
};

// Widest price range of one instrument; a book indexes its levels by tick.
constexpr PriceTicks kPriceRangeTicksMax = PriceTicks{1} << 26;
// Bounds of an instrument's definition and of the order pool. With them every product of price,
// quantity and tick value fits 128 bits, and every sum of open quantities fits 64.
constexpr PriceTicks kPriceTicksMax = PriceTicks{1} << 40;
constexpr QtyLots kOrderQtyLotsMax = QtyLots{1} << 38;
constexpr CashMicros kTickValueMicrosMax = CashMicros{1} << 47;
constexpr CashMicros kCashTotalMax = CashMicros{1} << 61;  // of all cash, and of all credit
// Bound of one position when an order opens or an adjustment ends, and of all adjustments of an
// instrument.
constexpr QtyLots kPositionLotsMax = QtyLots{1} << 61;
// Bounds of one CancelOrders: its events (no more than Limits::max_fills_per_command either; a
// canceled order is one, a trailing stop order two) and orders that it looks at.
constexpr std::uint32_t kCancelsPerCommandMax = 5'000;
constexpr std::uint32_t kCancelVisitsMax = 20'000;
constexpr std::uint32_t kOrdersMax = 1U << 24;
constexpr std::uint32_t kAccountsMax = 1U << 24;
constexpr std::uint32_t kInstrumentsMax = 1U << 20;
constexpr std::uint32_t kPositionsMax = 1U << 26;
constexpr std::uint32_t kClientIdsMax = 1U << 26;
// With this bound a command and its events fit into one frame of the journal and into one message
// of the event stream.
constexpr std::uint32_t kFillsPerCommandMax = 1U << 16;

}  // namespace openvenue::core

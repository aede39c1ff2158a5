// A reproducible stream of commands that meets every rule of the exchange often: tiny pools, poor
// accounts, repeated and contradictory commands, cancels of orders long gone. One seed in three
// keeps to a few prices, one has clusters of them far apart, and one uses the whole range. One seed
// in eight has amounts near the bounds of 64 bits.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/base/wide_integer.h"
#include "core/schema/command.h"

namespace openvenue::core {

class RandomFlow {
 public:
  static constexpr PriceTicks kMinPrice = 1;

  // Pools of about `max_orders` records and matching other bounds, with which to make an Exchange.
  RandomFlow(std::uint64_t seed, std::uint32_t max_orders) : random_(seed) {
    limits_.max_orders = max_orders;
    limits_.max_accounts = static_cast<std::uint32_t>(between(2, 6));
    limits_.max_instruments = static_cast<std::uint32_t>(between(1, 3));
    limits_.max_positions = static_cast<std::uint32_t>(between(4, 18));
    limits_.max_fills_per_command = static_cast<std::uint32_t>(between(1, 12));
    limits_.max_open_orders = max_orders * 3 / 4;
    limits_.max_open_orders_per_account = max_orders / 2;
    limits_.max_positions_per_account = static_cast<std::uint32_t>(between(1, 4));
    limits_.max_client_ids = limits_.max_open_orders +
                             static_cast<std::uint32_t>(between(1, std::int64_t{2} * max_orders));
    first_rules_ = one_in(4) ? static_cast<RulesVersion>(between(1, kRulesVersion)) : kRulesVersion;
    spread_ = between(1, 12);
    // Rarely the widest possible range, because its books take long to make.
    if (seed % 3 != 0) max_price_ = seed % 50 == 1 ? kPriceRangeTicksMax : PriceTicks{1} << 20;
    if (seed % 3 == 0) centers_ = {max_price_ / 2};
    if (seed % 3 == 1) choose_clusters();
    if (seed % 8 == 6) lot_scale_ = std::min(kLotScaleMax, kCashTotalMax / (320 * max_price_));
  }

  [[nodiscard]] const Limits& limits() const { return limits_; }

  // The commands that define instruments and fund accounts.
  std::vector<Command> opening() {
    std::vector<Command> commands{stamp(Configure{limits_, first_rules_})};
    for (InstrumentId id = 1; id <= limits_.max_instruments; ++id) {
      commands.push_back(stamp(definition(id)));
    }
    for (AccountId id = 1; id <= limits_.max_accounts; ++id) {
      commands.push_back(stamp(terms(id)));
      commands.push_back(stamp(AdjustBalance{id, cash(0, 200'000)}));
      commands.push_back(stamp(AdjustPosition{id, instrument(), between(0, 300), between(0, 999)}));
      if (lot_scale_ > 1) commands.push_back(stamp(large_adjustment(id)));
    }
    return commands;
  }

  // Order flow alone: new orders, cancels, replacements, repetitions and ends of the day.
  Command next_order_command() {
    // In the shard's place: soon after an order is due, or late, or for nothing.
    if (one_in(10)) return stamp(TriggerOrder{});
    const std::int64_t dice = between(0, 99);
    if (dice < 4 && !recent_.empty()) return stamp(recent_[index(recent_.size())]);
    if (dice < 7 && !recent_.empty()) return stamp(varied(recent_[index(recent_.size())]));
    if (dice < 54) return remember(order());
    if (dice < 74) return remember(CancelOrder{account(), some_order()});
    if (dice < 98) return remember(replacement());
    if (dice < 99) return stamp(cancel_many());
    return stamp(EndTradingDay{});
  }

  // The same with administration in between.
  Command next() {
    if (!suspended_.empty() && one_in(10)) return stamp(lift_suspension());
    switch (between(0, 49)) {
      case 0:
        return stamp(definition(instrument()));
      case 1:
        return stamp(terms(account()));
      case 2:
        return stamp(AdjustBalance{account(), cash(-50'000, 60'000)});
      case 3:
        if (lot_scale_ > 1 && one_in(2)) return stamp(large_adjustment(account()));
        return stamp(AdjustPosition{account(), instrument(), between(-80, 100), between(-50, 50)});
      case 4:
        return stamp(configuration());
      case 5:
        return stamp(suspension());
      default:
        return next_order_command();
    }
  }

 private:
  std::int64_t between(std::int64_t first, std::int64_t last) {
    return first +
           static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(last - first + 1));
  }
  std::size_t index(std::size_t size) { return random_() % size; }
  bool one_in(std::int64_t count) { return between(1, count) == 1; }

  // Sometimes one that does not exist.
  AccountId account() {
    return static_cast<AccountId>(between(1, limits_.max_accounts + one_in(50)));
  }
  InstrumentId instrument() {
    return static_cast<InstrumentId>(between(1, limits_.max_instruments + one_in(50)));
  }
  OrderId some_order() {
    const auto back = static_cast<Sequence>(between(0, one_in(4) ? 400 : 30));
    return back < sequence_ ? sequence_ - back : 1;
  }
  PriceTicks price() {
    if (one_in(100)) return between(-1, max_price_ + 1);
    if (centers_.empty()) return between(kMinPrice, max_price_);
    return centers_[index(centers_.size())] + between(-spread_, spread_);
  }
  // At both ends of the range, and at the first bits of words of a book's bitmap and its summaries.
  void choose_clusters() {
    centers_ = {kMinPrice + spread_, max_price_ - spread_};
    for (const PriceTicks block : {64, 64 * 64, 64 * 64 * 64}) {
      centers_.push_back(kMinPrice + block * between(1, max_price_ / block - 1));
    }
  }
  // Enough to buy about the same number of lots at any prices and value of a lot.
  CashMicros cash(CashMicros first, CashMicros last) {
    const WideInteger scaled = WideInteger{between(first, last)} * (max_price_ / 100) * lot_scale_;
    return static_cast<CashMicros>(
        std::clamp(scaled, -WideInteger{kCashTotalMax}, WideInteger{kCashTotalMax}));
  }
  AdjustPosition large_adjustment(AccountId id) {
    constexpr CashMicros kCostMax = std::numeric_limits<CashMicros>::max();
    const QtyLots qty = between(-kPositionLotsMax, kPositionLotsMax) >> between(0, 8);
    return {id, instrument(), qty, one_in(4) ? kCostMax >> between(0, 4) : qty};
  }
  ClientOrderId client_order_id() {
    if (one_in(30)) return ClientOrderId("c" + std::to_string(between(0, ++ids_)));
    return one_in(200) ? ClientOrderId() : ClientOrderId("c" + std::to_string(++ids_));
  }

  NewOrder order() {
    NewOrder order;
    order.account = account();
    order.instrument = instrument();
    order.side = one_in(2) ? Side::kBuy : Side::kSell;
    order.type = one_in(8) ? OrderType::kMarket : OrderType::kLimit;
    order.time_in_force = static_cast<TimeInForce>(one_in(4) ? between(0, 5) : between(1, 2));
    order.qty_lots = one_in(60) ? between(-1, 2'000) : between(1, 40);
    order.limit_price_ticks = order.type == OrderType::kMarket && !one_in(20) ? 0 : price();
    order.client_order_id = client_order_id();
    if (one_in(4)) order.position_intent = static_cast<PositionIntent>(between(0, 4 + one_in(20)));
    order.history_checked = one_in(3);
    if (one_in(3)) {
      order.self_trade_prevention = static_cast<SelfTradePrevention>(between(0, 3 + one_in(20)));
    }
    order.post_only = one_in(8);
    if (one_in(8)) make_stop(order);
    if (one_in(8)) make_trailing_stop(order);
    if (one_in(60)) order.trail = trail();
    return order;
  }

  // Mostly one that may wait.
  void make_stop(NewOrder& order) {
    order.type = one_in(2) ? OrderType::kStop : OrderType::kStopLimit;
    if (!one_in(20)) order.time_in_force = static_cast<TimeInForce>(between(1, 2));
    if (!one_in(20)) order.post_only = false;
    order.stop_price_ticks = one_in(30) ? 0 : price();
    order.limit_price_ticks = price();
    if (order.type != OrderType::kStop || one_in(20)) return;
    order.limit_price_ticks =
        order.side == Side::kSell
            ? 0
            : std::min(max_price_, order.stop_price_ticks + between(0, 2 * spread_));
  }

  void make_trailing_stop(NewOrder& order) {
    order.type = OrderType::kTrailingStop;
    if (!one_in(20)) order.time_in_force = static_cast<TimeInForce>(between(1, 2));
    if (!one_in(20)) order.post_only = false;
    if (!one_in(20)) order.stop_price_ticks = 0;
    if (!one_in(20)) order.limit_price_ticks = 0;
    order.trail = trail();
    if (order.side == Side::kSell && !one_in(20)) order.trail.protection_ppm = 0;
  }
  Trail trail() {
    Trail trail;
    const bool is_part = one_in(2);
    if (is_part) trail.ppm = number(1, one_in(20) ? 1'100'000 : 90'000);
    if (!is_part || one_in(30)) trail.ticks = number(1, one_in(20) ? max_price_ : 2 * spread_);
    if (!one_in(4)) trail.protection_ppm = number(0, one_in(20) ? 1'100'000 : 90'000);
    return trail;
  }
  std::uint32_t number(std::int64_t first, std::int64_t last) {
    return static_cast<std::uint32_t>(between(first, last));
  }

  ReplaceOrder replacement() {
    ReplaceOrder command;
    command.account = account();
    command.order_id = some_order();
    command.qty_lots = one_in(3) ? 0 : between(-1, 40);
    command.limit_price_ticks = one_in(2) ? 0 : price();
    command.keep_time_in_force = !one_in(5);
    command.time_in_force = static_cast<TimeInForce>(between(1, 3));
    command.client_order_id = client_order_id();
    command.history_checked = one_in(3);
    if (one_in(4)) command.stop_price_ticks = price();
    if (one_in(6)) command.trail = trail();
    if (!command.trail.empty() && !one_in(10)) {
      command.stop_price_ticks = command.limit_price_ticks = 0;
      if (one_in(2)) command.trail.protection_ppm = 0;  // as of an order that sells
    }
    return command;
  }

  CancelOrders cancel_many() {
    CancelOrders command;
    command.account = account();
    if (one_in(2)) command.instrument = instrument();
    command.both_sides = one_in(2);
    command.side = static_cast<Side>(one_in(20) ? between(0, 3) : between(1, 2));
    if (one_in(3)) command.from = some_order();
    return command;
  }

  // The same command except for one field: it must not be taken for a repetition.
  CommandBody varied(CommandBody body) {
    if (auto* order = std::get_if<NewOrder>(&body)) vary(*order);
    if (auto* order = std::get_if<ReplaceOrder>(&body)) vary(*order);
    return body;
  }
  void vary(NewOrder& order) {
    const auto kind = between(0, 9);
    if (kind == 0) order.instrument = instrument();
    if (kind == 1) order.side = opposite(order.side);
    if (kind == 2) order.type = static_cast<OrderType>(between(1, 5));
    if (kind == 3) order.time_in_force = static_cast<TimeInForce>(between(1, 4));
    if (kind == 4) order.qty_lots += between(-1, 1);
    if (kind == 5) order.limit_price_ticks += between(-1, 1);
    if (kind == 6) order.self_trade_prevention = static_cast<SelfTradePrevention>(between(0, 3));
    if (kind == 7) order.post_only = !order.post_only;
    if (kind == 8) order.stop_price_ticks += between(-1, 1);
    if (kind == 9) vary(order.trail);
  }
  void vary(Trail& trail) {
    trail.ticks += number(0, 1);
    trail.ppm += number(0, 1);
    trail.protection_ppm += number(0, 1);
  }
  void vary(ReplaceOrder& order) {
    const auto kind = between(0, 6);
    if (kind == 0) order.order_id = some_order();
    if (kind == 1) order.qty_lots += between(-1, 1);
    if (kind == 2) order.limit_price_ticks += between(-1, 1);
    if (kind == 3) order.keep_time_in_force = !order.keep_time_in_force;
    if (kind == 4) order.time_in_force = static_cast<TimeInForce>(between(1, 2));
    if (kind == 5) order.stop_price_ticks += between(-1, 1);
    if (kind == 6) vary(order.trail);
  }

  // Of an account, or of the venue. They do not last, as they stop most of the flow.
  SuspendTrading suspension() {
    const SuspendTrading command{one_in(3) ? 0 : account(), !one_in(10)};
    if (command.suspended) suspended_.push_back(command.account);
    return command;
  }
  SuspendTrading lift_suspension() {
    const AccountId lifted = suspended_.back();
    suspended_.pop_back();
    return {lifted, false};
  }

  DefineInstrument definition(InstrumentId id) {
    DefineInstrument terms;
    terms.instrument = id;
    terms.symbol = Symbol("S" + std::to_string(id));
    terms.name = Name(std::to_string(between(0, 9)));
    terms.state = one_in(8) ? InstrumentState::kInactive : InstrumentState::kActive;
    terms.tick_size_nanos = 10'000'000;
    terms.lot_size_nanos = 1'000'000 * lot_scale_;
    terms.min_price_ticks = kMinPrice;
    terms.max_price_ticks = one_in(10) ? max_price_ + 1 : max_price_;
    terms.max_order_qty_lots = between(30, 1'000);
    return terms;
  }

  OpenAccount terms(AccountId id) {
    return {id, Name(std::to_string(between(0, 9))), one_in(3), one_in(2) ? 0 : cash(0, 90'000)};
  }

  Configure configuration() {
    Limits limits = limits_;
    limits.max_orders =
        static_cast<std::uint32_t>(between(limits.max_orders / 2, limits.max_orders));
    limits.max_fills_per_command =
        static_cast<std::uint32_t>(between(0, limits.max_fills_per_command));
    limits.max_open_orders = static_cast<std::uint32_t>(between(0, limits.max_orders));
    limits.max_open_orders_per_account =
        static_cast<std::uint32_t>(between(0, limits_.max_open_orders));
    limits.max_positions =
        static_cast<std::uint32_t>(between(limits.max_positions / 2, limits.max_positions));
    limits.max_positions_per_account = static_cast<std::uint32_t>(between(0, 4));
    limits.max_client_ids =
        static_cast<std::uint32_t>(between(limits_.max_client_ids / 2, limits_.max_client_ids));
    // Mostly the newest rules, now and then older ones or none that there are.
    const std::int64_t rules = one_in(4) ? between(0, kRulesVersion + 1) : kRulesVersion;
    return Configure{limits, static_cast<RulesVersion>(rules)};
  }

  Command stamp(const CommandBody& body) {
    ++sequence_;
    return {sequence_, static_cast<TimestampNs>(sequence_) * 1'000, body};
  }

  Command remember(const CommandBody& body) {
    constexpr std::size_t kRemembered = 32;
    if (recent_.size() < kRemembered) {
      recent_.push_back(body);
    } else {
      recent_[index(kRemembered)] = body;
    }
    return stamp(body);
  }

  static constexpr std::int64_t kLotScaleMax = std::int64_t{1} << 40;

  std::mt19937_64 random_;
  Limits limits_;
  PriceTicks max_price_ = 100;
  std::int64_t lot_scale_ = 1;       // what a lot is worth, against most seeds
  std::vector<PriceTicks> centers_;  // of the prices in use; none: all prices alike
  PriceTicks spread_ = 1;            // around them
  Sequence sequence_ = 0;
  RulesVersion first_rules_ = kRulesVersion;
  std::int64_t ids_ = 0;
  std::vector<AccountId> suspended_;  // 0: the venue
  std::vector<CommandBody> recent_;
};

}  // namespace openvenue::core

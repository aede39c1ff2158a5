// The complete state of a shard. Rules, administration, snapshots and the auditor work on it.
#pragma once

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/state/instrument_store.h"
#include "core/state/ledger.h"
#include "core/state/order_store.h"

namespace openvenue::core {

struct ExchangeState {
  explicit ExchangeState(const Limits& pool_sizes)
      : capacity(pool_sizes),
        limits(pool_sizes),
        orders(pool_sizes),
        ledger(pool_sizes.max_accounts, pool_sizes.max_positions),
        instruments(pool_sizes.max_instruments, pool_sizes.max_orders) {}

  // The cash that an open buy order of `leaves_lots` reserves; none for market orders.
  [[nodiscard]] WideInteger reservation_micros(const OrderCore& order, Slot instrument,
                                               QtyLots leaves_lots) const {
    return WideInteger{leaves_lots} * order.limit_price_ticks *
           instruments[instrument].instrument.tick_value_micros;
  }

  // Why the account cannot have one more position, if it gets `ahead` others first; or kNone.
  [[nodiscard]] Reason check_room_for_position(Slot account, std::uint32_t ahead = 0) const {
    if (ledger.positions() + ahead >= limits.max_positions) return Reason::kCapacity;
    const bool has_all =
        ledger.account(account).positions.size + ahead >= limits.max_positions_per_account;
    return rules_version >= 3 && has_all ? Reason::kAccountPositionLimit : Reason::kNone;
  }

  // Why the account may enter no orders now; or kNone.
  [[nodiscard]] Reason check_suspension(Slot account) const {
    if (ledger.account(account).account.suspended) return Reason::kAccountSuspended;
    return suspended ? Reason::kVenueSuspended : Reason::kNone;
  }

  // Gives the position's place back if nothing is left of it; its record stays readable until the
  // next command.
  void release_if_vacant(Slot account, Slot position) {
    if (rules_version >= 3 && ledger.position(position).vacant()) {
      ledger.release_position(account, position);
    }
  }

  // True if the order's stop price follows the market still; its record does not have it then.
  [[nodiscard]] bool trails(Slot slot) const {
    return orders[slot].status == OrderStatus::kWaiting &&
           orders[slot].type == OrderType::kTrailingStop && !orders.details(slot).reached;
  }
  // The order as it is now.
  [[nodiscard]] Order order(Slot slot) const {
    Order order = orders.record(slot);
    if (!trails(slot)) return order;
    const auto& trailing = instruments[orders.owner(slot).instrument].trailing[slot];
    order.high_water_ticks = trailing.high_water_ticks;
    order.stop_price_ticks = trailing.stop_price_ticks;
    return order;
  }

  [[nodiscard]] FastBook& book_of(Slot order) {
    return instruments[orders.owner(order).instrument].book;
  }

  Limits capacity;                             // of the pools
  Limits limits;                               // in force
  RulesVersion rules_version = kRulesVersion;  // in force
  Sequence last_sequence = 0;
  TimestampNs last_timestamp_ns = 0;
  TradeId last_trade_id = 0;
  bool suspended = false;  // all accounts, see SuspendTrading
  OrderStore orders;
  Ledger ledger;
  InstrumentStore instruments;
};

}  // namespace openvenue::core

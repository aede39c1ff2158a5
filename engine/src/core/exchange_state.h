// The complete state of a shard. Rules, administration, snapshots and the auditor work on it.
#pragma once

#include "core/command.h"
#include "core/instrument_store.h"
#include "core/ledger.h"
#include "core/order_store.h"
#include "core/types.h"

namespace openvenue::core {

struct ExchangeState {
  explicit ExchangeState(const Limits& pool_sizes)
      : capacity(pool_sizes),
        limits(pool_sizes),
        orders(pool_sizes.max_orders),
        ledger(pool_sizes.max_accounts, pool_sizes.max_positions),
        instruments(pool_sizes.max_instruments, pool_sizes.max_orders) {}

  // The cash that an open buy order of `leaves_lots` reserves; none for market orders.
  [[nodiscard]] WideInteger reservation_micros(const Order& order, Slot instrument,
                                               QtyLots leaves_lots) const {
    return WideInteger{leaves_lots} * order.limit_price_ticks *
           instruments[instrument].instrument.tick_value_micros;
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
  OrderStore orders;
  Ledger ledger;
  InstrumentStore instruments;
};

}  // namespace openvenue::core

// The fields of every stored record, each listed once. The journal's entries, snapshots of the
// state, its hash and `journal dump` are all read and written by walking these lists.
//
// visit_fields(record, visit) calls, in the order in which the fields are stored,
//   visit.field("name", record.member)                    for fields of every readable version
//   visit.since(3, "name", record.member, before = {})    for fields that version 3 added;
//                                                         `before`: their value in older records
// The record's constness is kept. Fields are only ever added, at the end of a list; docs/journal.md
// has the steps.
#pragma once

#include <concepts>
#include <type_traits>

#include "core/schema/command.h"
#include "core/schema/event.h"
#include "core/schema/records.h"
#include "core/schema/version.h"

namespace openvenue::core {

template <class T, class Record>
concept Is = std::same_as<std::remove_const_t<T>, Record>;

// Part of the records of orders and of replacements.
template <Is<Trail> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.since(6, "trail_ticks", record.ticks);
  visit.since(6, "trail_ppm", record.ppm);
  visit.since(6, "protection_ppm", record.protection_ppm);
}

// --- commands

template <Is<NewOrder> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("side", record.side);
  visit.field("type", record.type);
  visit.field("time_in_force", record.time_in_force);
  visit.field("qty_lots", record.qty_lots);
  visit.field("limit_price_ticks", record.limit_price_ticks);
  visit.field("client_order_id", record.client_order_id);
  visit.since(3, "position_intent", record.position_intent);
  visit.since(3, "history_checked", record.history_checked);
  visit.since(4, "self_trade_prevention", record.self_trade_prevention);
  visit.since(4, "post_only", record.post_only);
  visit.since(5, "stop_price_ticks", record.stop_price_ticks);
  visit_fields(record.trail, visit);
}

template <Is<CancelOrder> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("order_id", record.order_id);
}

template <Is<CancelOrders> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("both_sides", record.both_sides);
  visit.field("side", record.side);
  visit.field("from_order_id", record.from);
}

template <Is<ReplaceOrder> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("order_id", record.order_id);
  visit.field("qty_lots", record.qty_lots);
  visit.field("limit_price_ticks", record.limit_price_ticks);
  visit.field("time_in_force", record.time_in_force);
  visit.field("keep_time_in_force", record.keep_time_in_force);
  visit.field("client_order_id", record.client_order_id);
  visit.since(3, "history_checked", record.history_checked);
  visit.since(5, "stop_price_ticks", record.stop_price_ticks);
  visit_fields(record.trail, visit);
}

template <Is<DefineInstrument> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("instrument_id", record.instrument);
  visit.field("symbol", record.symbol);
  visit.field("name", record.name);
  visit.field("asset_class", record.asset_class);
  visit.field("state", record.state);
  visit.field("tick_size_nanos", record.tick_size_nanos);
  visit.field("lot_size_nanos", record.lot_size_nanos);
  visit.field("min_price_ticks", record.min_price_ticks);
  visit.field("max_price_ticks", record.max_price_ticks);
  visit.field("max_order_qty_lots", record.max_order_qty_lots);
}

template <Is<OpenAccount> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("name", record.name);
  visit.field("may_sell_short", record.may_sell_short);
  visit.field("credit_limit_micros", record.credit_limit_micros);
}

template <Is<AdjustBalance> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("amount_micros", record.amount_micros);
}

template <Is<AdjustPosition> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("qty_lots", record.qty_lots);
  visit.field("cost_micros", record.cost_micros);
}

template <Is<EndTradingDay> T, class Visit>
constexpr void visit_fields(T& /*record*/, Visit&& /*visit*/) {}

template <Is<TriggerOrder> T, class Visit>
constexpr void visit_fields(T& /*record*/, Visit&& /*visit*/) {}

template <Is<SuspendTrading> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("suspended", record.suspended);
}

// Part of Configure and of a state's counters: both store a limit that is added here.
template <Is<Limits> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("max_orders", record.max_orders);
  visit.field("max_accounts", record.max_accounts);
  visit.field("max_instruments", record.max_instruments);
  visit.field("max_positions", record.max_positions);
  visit.field("max_fills_per_command", record.max_fills_per_command);
  visit.field("max_open_orders", record.max_open_orders);
  visit.field("max_open_orders_per_account", record.max_open_orders_per_account);
  visit.since(3, "max_positions_per_account", record.max_positions_per_account, kPositionsMax);
  visit.since(3, "max_client_ids", record.max_client_ids, record.max_orders);
}

template <Is<Configure> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit_fields(record.limits, visit);
  visit.since(3, "rules_version", record.rules_version, RulesVersion{1});
}

// The fields of an entry before its body.
template <Is<Command> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("sequence", record.sequence);
  visit.field("timestamp_ns", record.timestamp_ns);
  visit.since(3, "actor", record.actor);
}

// --- events

template <Is<OrderAccepted> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
}

template <Is<Rejected> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("reason", record.reason);
  visit.field("order_id", record.order_id);
}

template <Is<Duplicate> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
}

// The two sides of a trade are nested records.
template <Is<TradeSide> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("account_id", record.account);
  visit.field("filled_lots", record.filled_lots);
  visit.field("filled_value_micros", record.filled_value_micros);
  visit.field("cash_micros", record.cash_micros);
  visit.field("position_lots", record.position_lots);
  visit.field("position_cost_micros", record.position_cost_micros);
}

template <Is<Trade> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("trade_id", record.trade_id);
  visit.field("instrument_id", record.instrument);
  visit.field("taker_side", record.taker_side);
  visit.field("price_ticks", record.price_ticks);
  visit.field("qty_lots", record.qty_lots);
  visit.field("maker", record.maker);
  visit.field("taker", record.taker);
}

template <Is<OrderCanceled> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("account_id", record.account);
  visit.field("reason", record.reason);
  visit.field("canceled_lots", record.canceled_lots);
}

template <Is<OrderReplaced> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("old_order_id", record.old_order_id);
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("side", record.side);
  visit.field("time_in_force", record.time_in_force);
  visit.field("kept_priority", record.kept_priority);
  visit.field("qty_lots", record.qty_lots);
  visit.field("limit_price_ticks", record.limit_price_ticks);
  visit.field("filled_lots", record.filled_lots);
  visit.field("filled_value_micros", record.filled_value_micros);
  visit.since(5, "stop_price_ticks", record.stop_price_ticks);
  visit.since(5, "waiting", record.waiting);
  visit_fields(record.trail, visit);
}

template <Is<OrderTriggered> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("side", record.side);
  visit.field("type", record.type);
  visit.field("time_in_force", record.time_in_force);
  visit.field("qty_lots", record.qty_lots);
  visit.field("limit_price_ticks", record.limit_price_ticks);
}

template <Is<OrderTrailed> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("instrument_id", record.instrument);
  visit.field("high_water_ticks", record.high_water_ticks);
  visit.field("stop_price_ticks", record.stop_price_ticks);
}

template <Is<Applied> T, class Visit>
constexpr void visit_fields(T& /*record*/, Visit&& /*visit*/) {}

template <Is<BalanceAdjusted> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("cash_micros", record.cash_micros);
}

template <Is<PositionAdjusted> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("position_lots", record.position_lots);
  visit.field("position_cost_micros", record.position_cost_micros);
}

template <Is<TradingDayEnded> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("complete", record.complete);
}

template <Is<OrdersCanceled> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("stopped_at_order_id", record.stopped_at);
}

// --- the state

template <Is<Counters> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit_fields(record.limits, visit);
  visit.field("last_sequence", record.last_sequence);
  visit.field("last_timestamp_ns", record.last_timestamp_ns);
  visit.field("last_trade_id", record.last_trade_id);
  visit.field("cash_adjusted_micros", record.cash_adjusted_micros);
  visit.since(3, "rules_version", record.rules_version, RulesVersion{1});
  visit.since(3, "client_ids_floor", record.client_ids_floor);
  visit.since(3, "client_ids_forgotten", record.client_ids_forgotten);
  visit.since(5, "suspended", record.suspended);
}

template <Is<Account> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("name", record.name);
  visit.field("may_sell_short", record.may_sell_short);
  visit.field("credit_limit_micros", record.credit_limit_micros);
  visit.field("cash_micros", record.cash_micros);
  visit.field("reserved_micros", record.reserved_micros);
  visit.field("created_ns", record.created_ns);
  visit.field("updated_sequence", record.updated_sequence);
  visit.since(5, "suspended", record.suspended);
}

// The value of a tick is not stored: it follows from the terms.
template <Is<Instrument> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("terms", record.terms);
  visit.field("last_price_ticks", record.last_price_ticks);
  visit.field("adjusted_lots", record.adjusted_lots);
  visit.since(5, "reached_low_ticks", record.reached_low_ticks);
  visit.since(5, "reached_high_ticks", record.reached_high_ticks);
}

// The lots that open buy orders want are not stored: they follow from the orders.
template <Is<Position> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("qty_lots", record.qty_lots);
  visit.field("reserved_lots", record.reserved_lots);
  visit.field("cost_micros", record.cost_micros);
}

// A state's record of an order is this and its ReplaceTerms.
template <Is<Order> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("order_id", record.order_id);
  visit.field("account_id", record.account);
  visit.field("instrument_id", record.instrument);
  visit.field("side", record.side);
  visit.field("type", record.type);
  visit.field("time_in_force", record.time_in_force);
  visit.field("status", record.status);
  visit.field("end_reason", record.end_reason);
  visit.field("qty_lots", record.qty_lots);
  visit.field("filled_lots", record.filled_lots);
  visit.field("filled_value_micros", record.filled_value_micros);
  visit.field("limit_price_ticks", record.limit_price_ticks);
  visit.field("replaces", record.replaces);
  visit.field("replaced_by", record.replaced_by);
  visit.field("created_ns", record.created_ns);
  visit.field("updated_ns", record.updated_ns);
  visit.field("updated_sequence", record.updated_sequence);
  visit.field("client_order_id", record.client_order_id);
  visit.since(3, "position_intent", record.position_intent);
  visit.since(4, "self_trade_prevention", record.self_trade_prevention);
  visit.since(4, "post_only", record.post_only);
  visit.since(5, "stop_price_ticks", record.stop_price_ticks);
  visit.since(5, "triggered_ns", record.triggered_ns);
  visit_fields(record.trail, visit);
  visit.since(6, "high_water_ticks", record.high_water_ticks);
  visit.since(6, "reached", record.reached);
}

template <Is<UsedClientId> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("account_id", record.account);
  visit.field("id_low", record.id_low);
  visit.field("id_high", record.id_high);
  visit.field("body", record.body);
  visit.field("order_id", record.order_id);
}

template <Is<ReplaceTerms> T, class Visit>
constexpr void visit_fields(T& record, Visit&& visit) {
  visit.field("qty_lots", record.qty_lots);
  visit.field("limit_price_ticks", record.limit_price_ticks);
  visit.field("time_in_force", record.time_in_force);
  visit.field("keep_time_in_force", record.keep_time_in_force);
  visit.since(5, "stop_price_ticks", record.stop_price_ticks);
  visit_fields(record.trail, visit);
}

}  // namespace openvenue::core

// The fields of every command and event, in the order of the format and with the names that people
// see. Written once: the encoder, the decoder and `journal dump` all walk these descriptions.
//
// visit_fields(record, visit) calls visit(name, field) for each field; constness follows the
// record. The order of fields is part of the journal format.
#pragma once

#include <array>
#include <concepts>
#include <string_view>
#include <type_traits>
#include <variant>

#include "core/command.h"
#include "core/event.h"

namespace openvenue::journal {

template <class T, class Record>
concept Is = std::same_as<std::remove_const_t<T>, Record>;

// By the alternatives of core::CommandBody and core::Event, in their order.
constexpr std::array<std::string_view, std::variant_size_v<core::CommandBody>> kCommandNames = {
    "new_order",      "cancel_order",    "replace_order",   "define_instrument", "open_account",
    "adjust_balance", "adjust_position", "end_trading_day", "configure"};
constexpr std::array<std::string_view, std::variant_size_v<core::Event>> kEventNames = {
    "order_accepted",    "rejected",         "duplicate", "trade",
    "order_canceled",    "order_replaced",   "applied",   "balance_adjusted",
    "position_adjusted", "trading_day_ended"};

template <Is<core::NewOrder> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("instrument_id", record.instrument);
  visit("side", record.side);
  visit("type", record.type);
  visit("time_in_force", record.time_in_force);
  visit("qty_lots", record.qty_lots);
  visit("limit_price_ticks", record.limit_price_ticks);
  visit("client_order_id", record.client_order_id);
}

template <Is<core::CancelOrder> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("order_id", record.order_id);
}

template <Is<core::ReplaceOrder> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("order_id", record.order_id);
  visit("qty_lots", record.qty_lots);
  visit("limit_price_ticks", record.limit_price_ticks);
  visit("time_in_force", record.time_in_force);
  visit("keep_time_in_force", record.keep_time_in_force);
  visit("client_order_id", record.client_order_id);
}

template <Is<core::DefineInstrument> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("instrument_id", record.instrument);
  visit("symbol", record.symbol);
  visit("name", record.name);
  visit("asset_class", record.asset_class);
  visit("state", record.state);
  visit("tick_size_nanos", record.tick_size_nanos);
  visit("lot_size_nanos", record.lot_size_nanos);
  visit("min_price_ticks", record.min_price_ticks);
  visit("max_price_ticks", record.max_price_ticks);
  visit("max_order_qty_lots", record.max_order_qty_lots);
}

template <Is<core::OpenAccount> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("name", record.name);
  visit("may_sell_short", record.may_sell_short);
  visit("credit_limit_micros", record.credit_limit_micros);
}

template <Is<core::AdjustBalance> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("amount_micros", record.amount_micros);
}

template <Is<core::AdjustPosition> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("account_id", record.account);
  visit("instrument_id", record.instrument);
  visit("qty_lots", record.qty_lots);
  visit("cost_micros", record.cost_micros);
}

template <Is<core::EndTradingDay> T, class Visit>
void visit_fields(T&, Visit&&) {}

template <Is<core::Configure> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("max_orders", record.limits.max_orders);
  visit("max_accounts", record.limits.max_accounts);
  visit("max_instruments", record.limits.max_instruments);
  visit("max_positions", record.limits.max_positions);
  visit("max_fills_per_command", record.limits.max_fills_per_command);
  visit("max_open_orders", record.limits.max_open_orders);
  visit("max_open_orders_per_account", record.limits.max_open_orders_per_account);
}

template <Is<core::OrderAccepted> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("order_id", record.order_id);
}

template <Is<core::Rejected> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("reason", record.reason);
  visit("order_id", record.order_id);
}

template <Is<core::Duplicate> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("order_id", record.order_id);
}

// A trade's two sides are records of their own inside it.
template <Is<core::TradeSide> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("order_id", record.order_id);
  visit("account_id", record.account);
  visit("filled_lots", record.filled_lots);
  visit("filled_value_micros", record.filled_value_micros);
  visit("cash_micros", record.cash_micros);
  visit("position_lots", record.position_lots);
  visit("position_cost_micros", record.position_cost_micros);
}

template <Is<core::Trade> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("trade_id", record.trade_id);
  visit("instrument_id", record.instrument);
  visit("taker_side", record.taker_side);
  visit("price_ticks", record.price_ticks);
  visit("qty_lots", record.qty_lots);
  visit("maker", record.maker);
  visit("taker", record.taker);
}

template <Is<core::OrderCanceled> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("order_id", record.order_id);
  visit("account_id", record.account);
  visit("reason", record.reason);
  visit("canceled_lots", record.canceled_lots);
}

template <Is<core::OrderReplaced> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("order_id", record.order_id);
  visit("old_order_id", record.old_order_id);
  visit("account_id", record.account);
  visit("instrument_id", record.instrument);
  visit("side", record.side);
  visit("time_in_force", record.time_in_force);
  visit("kept_priority", record.kept_priority);
  visit("qty_lots", record.qty_lots);
  visit("limit_price_ticks", record.limit_price_ticks);
  visit("filled_lots", record.filled_lots);
  visit("filled_value_micros", record.filled_value_micros);
}

template <Is<core::Applied> T, class Visit>
void visit_fields(T&, Visit&&) {}

template <Is<core::BalanceAdjusted> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("cash_micros", record.cash_micros);
}

template <Is<core::PositionAdjusted> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("position_lots", record.position_lots);
  visit("position_cost_micros", record.position_cost_micros);
}

template <Is<core::TradingDayEnded> T, class Visit>
void visit_fields(T& record, Visit&& visit) {
  visit("complete", record.complete);
}

}  // namespace openvenue::journal

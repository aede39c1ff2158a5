#include "rpc/encode.h"

#include <string>
#include <type_traits>
#include <variant>

namespace openvenue::rpc {
namespace {

template <std::size_t Capacity>
std::string text(const core::FixedString<Capacity>& value) {
  return std::string(value.view());
}

// `Owner` is a message with a trail; that stays absent where the record has none.
template <class Owner>
void encode_trail(const core::Trail& trail, Owner& out) {
  if (trail.empty()) return;
  out.mutable_trail()->set_ticks(trail.ticks);
  out.mutable_trail()->set_ppm(trail.ppm);
  out.mutable_trail()->set_protection_ppm(trail.protection_ppm);
}

void encode(const core::Order& order, v1::Order& out) {
  out.set_order_id(order.order_id);
  out.set_account_id(order.account);
  out.set_instrument_id(order.instrument);
  out.set_side(static_cast<v1::Side>(order.side));
  out.set_type(static_cast<v1::OrderType>(order.type));
  out.set_time_in_force(static_cast<v1::TimeInForce>(order.time_in_force));
  out.set_status(static_cast<v1::OrderStatus>(order.status));
  out.set_end_reason(static_cast<v1::Reason>(order.end_reason));
  out.set_qty_lots(order.qty_lots);
  out.set_filled_lots(order.filled_lots);
  out.set_filled_value_micros(order.filled_value_micros);
  out.set_limit_price_ticks(order.limit_price_ticks);
  out.set_replaces(order.replaces);
  out.set_replaced_by(order.replaced_by);
  out.set_created_ns(order.created_ns);
  out.set_updated_ns(order.updated_ns);
  out.set_updated_sequence(order.updated_sequence);
  out.set_client_order_id(text(order.client_order_id));
  out.set_position_intent(static_cast<v1::PositionIntent>(order.position_intent));
  out.set_self_trade_prevention(static_cast<v1::SelfTradePrevention>(order.self_trade_prevention));
  out.set_post_only(order.post_only);
  out.set_stop_price_ticks(order.stop_price_ticks);
  out.set_triggered_ns(order.triggered_ns);
  encode_trail(order.trail, out);
  out.set_high_water_ticks(order.high_water_ticks);
}

// Of an order that the engine no longer holds.
void encode_ids(const core::Order& order, v1::Order& out) {
  out.set_order_id(order.order_id);
  out.set_account_id(order.account);
  out.set_client_order_id(text(order.client_order_id));
}

// Replies.

void encode_body(const runtime::OrderOutcome& outcome, v1::Reply& out) {
  encode(outcome.order, *out.mutable_order());
  out.set_duplicate(outcome.duplicate);
}

void encode_body(const runtime::Refusal& refusal, v1::Reply& out) {
  out.mutable_reject()->set_reason(static_cast<v1::Reason>(refusal.reason));
  out.set_duplicate(refusal.duplicate);
  if (!refusal.order) return;
  v1::Order& order = *out.mutable_reject()->mutable_order();
  refusal.duplicate ? encode_ids(*refusal.order, order) : encode(*refusal.order, order);
}

void encode_body(const runtime::EnteredOrders& entered, v1::Reply& out) {
  auto& orders = *out.mutable_entered_orders();
  for (const core::Order& order : entered.orders) {
    const bool is_held = order.created_ns != 0;
    is_held ? encode(order, *orders.add_orders()) : encode_ids(order, *orders.add_orders());
  }
  out.set_duplicate(entered.duplicate);
}

void encode_body(const runtime::BatchRefused& refused, v1::Reply& out) {
  out.mutable_reject()->set_reason(static_cast<v1::Reason>(refused.refusal.reason));
  out.mutable_reject()->set_item(refused.refusal.item);
}

void encode_body(const runtime::NotSequenced& not_sequenced, v1::Reply& out) {
  auto& body = *out.mutable_not_sequenced();
  body.set_cause(static_cast<v1::NotSequenced::Cause>(not_sequenced.cause));
  body.set_message(not_sequenced.message);
}

void encode_body(const runtime::OrderList& list, v1::Reply& out) {
  auto& body = *out.mutable_order_list();
  body.set_stopped_at_order_id(list.stopped_at);
  body.set_account_updated_sequence(list.account_updated_sequence);
  for (const core::Order& order : list.orders) encode(order, *body.add_orders());
}

// Of a CancelOrders, the only one of these that comes in a session.
void encode_body(const runtime::CommandEvents& outcome, v1::Reply& out) {
  for (const core::Event& event : outcome.events) {
    if (const auto* rejected = std::get_if<core::Rejected>(&event)) {
      out.mutable_reject()->set_reason(static_cast<v1::Reason>(rejected->reason));
    } else if (const auto* canceled = std::get_if<core::OrderCanceled>(&event)) {
      out.mutable_canceled_orders()->add_order_ids(canceled->order_id);
    } else if (const auto* end = std::get_if<core::OrdersCanceled>(&event)) {
      out.mutable_canceled_orders()->set_stopped_at_order_id(end->stopped_at);
    }
  }
}

void encode_body(const runtime::AccountState& state, v1::Reply& out) {
  rpc::encode(state, *out.mutable_account());
}

// Commands.

void encode_command(const core::NewOrder& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_new_order();
  body.set_account_id(command.account);
  body.set_instrument_id(command.instrument);
  body.set_side(static_cast<v1::Side>(command.side));
  body.set_type(static_cast<v1::OrderType>(command.type));
  body.set_time_in_force(static_cast<v1::TimeInForce>(command.time_in_force));
  body.set_qty_lots(command.qty_lots);
  body.set_limit_price_ticks(command.limit_price_ticks);
  body.set_client_order_id(text(command.client_order_id));
  body.set_position_intent(static_cast<v1::PositionIntent>(command.position_intent));
  body.set_self_trade_prevention(
      static_cast<v1::SelfTradePrevention>(command.self_trade_prevention));
  body.set_post_only(command.post_only);
  body.set_history_checked(command.history_checked);
  body.set_stop_price_ticks(command.stop_price_ticks);
  encode_trail(command.trail, body);
}

void encode_command(const core::CancelOrder& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_cancel_order();
  body.set_account_id(command.account);
  body.set_order_id(command.order_id);
}

void encode_command(const core::CancelOrders& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_cancel_orders();
  body.set_account_id(command.account);
  body.set_instrument_id(command.instrument);
  if (!command.both_sides) body.set_side(static_cast<v1::Side>(command.side));
  body.set_from_order_id(command.from);
}

void encode_command(const core::ReplaceOrder& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_replace_order();
  body.set_account_id(command.account);
  body.set_order_id(command.order_id);
  body.set_qty_lots(command.qty_lots);
  body.set_limit_price_ticks(command.limit_price_ticks);
  body.set_time_in_force(command.keep_time_in_force
                             ? v1::TIME_IN_FORCE_UNSPECIFIED
                             : static_cast<v1::TimeInForce>(command.time_in_force));
  body.set_client_order_id(text(command.client_order_id));
  body.set_history_checked(command.history_checked);
  body.set_stop_price_ticks(command.stop_price_ticks);
  encode_trail(command.trail, body);
}

void encode(const core::DefineInstrument& terms, v1::DefineInstrument& out) {
  out.set_instrument_id(terms.instrument);
  out.set_symbol(text(terms.symbol));
  out.set_name(text(terms.name));
  out.set_asset_class(static_cast<v1::AssetClass>(terms.asset_class));
  out.set_state(static_cast<v1::InstrumentState>(terms.state));
  out.set_tick_size_nanos(terms.tick_size_nanos);
  out.set_lot_size_nanos(terms.lot_size_nanos);
  out.set_min_price_ticks(terms.min_price_ticks);
  out.set_max_price_ticks(terms.max_price_ticks);
  out.set_max_order_qty_lots(terms.max_order_qty_lots);
}

void encode_command(const core::DefineInstrument& command, v1::JournalEntry& out) {
  encode(command, *out.mutable_define_instrument());
}

void encode_command(const core::OpenAccount& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_open_account();
  body.set_account_id(command.account);
  body.set_name(text(command.name));
  body.set_may_sell_short(command.may_sell_short);
  body.set_credit_limit_micros(command.credit_limit_micros);
}

void encode_command(const core::AdjustBalance& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_adjust_balance();
  body.set_account_id(command.account);
  body.set_amount_micros(command.amount_micros);
}

void encode_command(const core::AdjustPosition& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_adjust_position();
  body.set_account_id(command.account);
  body.set_instrument_id(command.instrument);
  body.set_qty_lots(command.qty_lots);
  body.set_cost_micros(command.cost_micros);
}

void encode_command(const core::EndTradingDay&, v1::JournalEntry& out) {
  out.mutable_end_trading_day();
}

void encode_command(const core::TriggerOrder&, v1::JournalEntry& out) {
  out.mutable_trigger_order();
}

void encode_command(const core::SuspendTrading& command, v1::JournalEntry& out) {
  auto& body = *out.mutable_suspend_trading();
  body.set_account_id(command.account);
  body.set_suspended(command.suspended);
}

void encode_command(const core::Configure& command, v1::JournalEntry& out) {
  auto& limits = *out.mutable_configure()->mutable_limits();
  limits.set_max_orders(command.limits.max_orders);
  limits.set_max_accounts(command.limits.max_accounts);
  limits.set_max_instruments(command.limits.max_instruments);
  limits.set_max_positions(command.limits.max_positions);
  limits.set_max_fills_per_command(command.limits.max_fills_per_command);
  limits.set_max_open_orders(command.limits.max_open_orders);
  limits.set_max_open_orders_per_account(command.limits.max_open_orders_per_account);
  limits.set_max_positions_per_account(command.limits.max_positions_per_account);
  limits.set_max_client_ids(command.limits.max_client_ids);
  out.mutable_configure()->set_rules_version(command.rules_version);
}

// Events.

void encode_event(const core::OrderAccepted& event, v1::Event& out) {
  out.mutable_order_accepted()->set_order_id(event.order_id);
}

void encode_event(const core::Rejected& event, v1::Event& out) {
  out.mutable_rejected()->set_reason(static_cast<v1::Reason>(event.reason));
  out.mutable_rejected()->set_order_id(event.order_id);
}

void encode_event(const core::Duplicate& event, v1::Event& out) {
  out.mutable_duplicate()->set_order_id(event.order_id);
}

void encode(const core::TradeSide& side, v1::TradeSide& out) {
  out.set_order_id(side.order_id);
  out.set_account_id(side.account);
  out.set_filled_lots(side.filled_lots);
  out.set_filled_value_micros(side.filled_value_micros);
  out.set_cash_micros(side.cash_micros);
  out.set_position_lots(side.position_lots);
  out.set_position_cost_micros(side.position_cost_micros);
}

void encode_event(const core::Trade& event, v1::Event& out) {
  auto& body = *out.mutable_trade();
  body.set_trade_id(event.trade_id);
  body.set_instrument_id(event.instrument);
  body.set_taker_side(static_cast<v1::Side>(event.taker_side));
  body.set_price_ticks(event.price_ticks);
  body.set_qty_lots(event.qty_lots);
  encode(event.maker, *body.mutable_maker());
  encode(event.taker, *body.mutable_taker());
}

void encode_event(const core::OrderCanceled& event, v1::Event& out) {
  auto& body = *out.mutable_order_canceled();
  body.set_order_id(event.order_id);
  body.set_account_id(event.account);
  body.set_reason(static_cast<v1::Reason>(event.reason));
  body.set_canceled_lots(event.canceled_lots);
}

void encode_event(const core::OrderReplaced& event, v1::Event& out) {
  auto& body = *out.mutable_order_replaced();
  body.set_order_id(event.order_id);
  body.set_old_order_id(event.old_order_id);
  body.set_account_id(event.account);
  body.set_instrument_id(event.instrument);
  body.set_side(static_cast<v1::Side>(event.side));
  body.set_time_in_force(static_cast<v1::TimeInForce>(event.time_in_force));
  body.set_kept_priority(event.kept_priority);
  body.set_qty_lots(event.qty_lots);
  body.set_limit_price_ticks(event.limit_price_ticks);
  body.set_filled_lots(event.filled_lots);
  body.set_filled_value_micros(event.filled_value_micros);
  body.set_stop_price_ticks(event.stop_price_ticks);
  body.set_waiting(event.waiting);
  encode_trail(event.trail, body);
}

void encode_event(const core::OrderTriggered& event, v1::Event& out) {
  auto& body = *out.mutable_order_triggered();
  body.set_order_id(event.order_id);
  body.set_account_id(event.account);
  body.set_instrument_id(event.instrument);
  body.set_side(static_cast<v1::Side>(event.side));
  body.set_type(static_cast<v1::OrderType>(event.type));
  body.set_time_in_force(static_cast<v1::TimeInForce>(event.time_in_force));
  body.set_qty_lots(event.qty_lots);
  body.set_limit_price_ticks(event.limit_price_ticks);
}

void encode_event(const core::OrderTrailed& event, v1::Event& out) {
  auto& body = *out.mutable_order_trailed();
  body.set_order_id(event.order_id);
  body.set_instrument_id(event.instrument);
  body.set_high_water_ticks(event.high_water_ticks);
  body.set_stop_price_ticks(event.stop_price_ticks);
}

void encode_event(const core::Applied&, v1::Event& out) { out.mutable_applied(); }

void encode_event(const core::BalanceAdjusted& event, v1::Event& out) {
  out.mutable_balance_adjusted()->set_cash_micros(event.cash_micros);
}

void encode_event(const core::PositionAdjusted& event, v1::Event& out) {
  out.mutable_position_adjusted()->set_position_lots(event.position_lots);
  out.mutable_position_adjusted()->set_position_cost_micros(event.position_cost_micros);
}

void encode_event(const core::TradingDayEnded& event, v1::Event& out) {
  out.mutable_trading_day_ended()->set_complete(event.complete);
}

void encode_event(const core::OrdersCanceled& event, v1::Event& out) {
  out.mutable_orders_canceled()->set_stopped_at_order_id(event.stopped_at);
}

}  // namespace

void encode(const runtime::Reply& reply, v1::Reply& out) {
  out.set_request_id(reply.request_id);
  out.set_sequence(reply.sequence);
  std::visit(
      [&out](const auto& body) {
        if constexpr (requires { encode_body(body, out); }) encode_body(body, out);
      },
      reply.body);
}

void encode(const core::Event& event, v1::Event& out) {
  std::visit([&out](const auto& body) { encode_event(body, out); }, event);
}

void encode(const core::Command& command, const core::EventBuffer& events, v1::JournalEntry& out) {
  out.set_sequence(command.sequence);
  out.set_timestamp_ns(command.timestamp_ns);
  if (!command.actor.empty()) out.set_actor(text(command.actor));
  std::visit([&out](const auto& body) { encode_command(body, out); }, command.body);
  for (const core::Event& event : events) encode(event, *out.add_events());
}

void encode(const runtime::BookState& book, core::Sequence sequence, v1::BookSnapshot& out) {
  out.set_instrument_id(book.instrument);
  out.set_sequence(sequence);
  out.set_last_price_ticks(book.last_price_ticks);
  const auto add = [](const core::BookLevel& level, v1::BookLevel& wire) {
    wire.set_price_ticks(level.price_ticks);
    wire.set_qty_lots(level.qty_lots);
    wire.set_orders(level.orders);
  };
  for (const core::BookLevel& level : book.bids) add(level, *out.add_bids());
  for (const core::BookLevel& level : book.asks) add(level, *out.add_asks());
}

void encode(const runtime::AccountState& state, v1::Account& out) {
  const core::Account& account = state.account;
  out.set_account_id(account.account);
  out.set_name(text(account.name));
  out.set_may_sell_short(account.may_sell_short);
  out.set_credit_limit_micros(account.credit_limit_micros);
  out.set_cash_micros(account.cash_micros);
  out.set_reserved_micros(account.reserved_micros);
  out.set_buying_power_micros(account.buying_power_micros());
  out.set_created_ns(account.created_ns);
  out.set_updated_sequence(account.updated_sequence);
  out.set_suspended(account.suspended);
  out.set_venue_suspended(state.venue_suspended);
  for (const runtime::PositionState& position : state.positions) {
    auto& wire = *out.add_positions();
    wire.set_instrument_id(position.position.instrument);
    wire.set_qty_lots(position.position.qty_lots);
    wire.set_reserved_lots(position.position.reserved_lots);
    wire.set_cost_micros(position.position.cost_micros);
    wire.set_last_price_ticks(position.last_price_ticks);
  }
}

void encode(const core::Instrument& instrument, v1::InstrumentInfo& out) {
  encode(instrument.terms, *out.mutable_terms());
  out.set_last_price_ticks(instrument.last_price_ticks);
  out.set_tick_value_micros(instrument.tick_value_micros);
}

}  // namespace openvenue::rpc

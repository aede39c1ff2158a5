#include "rpc/decode.h"

#include <algorithm>
#include <string_view>

namespace openvenue::rpc {
namespace {

// PostgreSQL's text cannot hold a NUL, and the others would garble logs.
bool is_control(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  return code < 0x20 || code == 0x7f;
}

template <std::size_t Capacity>
Malformed decode_text(const char* field, const std::string& text, std::size_t size_min,
                      core::FixedString<Capacity>& out) {
  if (text.size() < size_min || text.size() > Capacity) {
    return std::string(field) + " has " + std::to_string(text.size()) + " bytes; give " +
           std::to_string(size_min) + " to " + std::to_string(Capacity);
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return std::string(field) + " has a control character; give printable text";
  }
  out = core::FixedString<Capacity>(text);
  return std::nullopt;
}

// Precondition: `is_valid` is protobuf's own check of the enumeration.
template <class CoreEnum, class WireEnum>
Malformed decode_enum(const char* field, WireEnum value, bool is_valid, CoreEnum& out) {
  if (!is_valid || static_cast<int>(value) == 0) {
    return std::string(field) + " is " + std::to_string(static_cast<int>(value)) +
           ", which names nothing; give one of its enumeration";
  }
  out = static_cast<CoreEnum>(value);
  return std::nullopt;
}

Malformed decode_time_in_force(v1::TimeInForce value, core::TimeInForce& out) {
  return decode_enum("time_in_force", value, v1::TimeInForce_IsValid(value), out);
}

Malformed decode(const v1::NewOrder& wire, core::NewOrder& out) {
  if (auto bad = decode_enum("side", wire.side(), v1::Side_IsValid(wire.side()), out.side)) {
    return bad;
  }
  if (auto bad = decode_enum("type", wire.type(), v1::OrderType_IsValid(wire.type()), out.type)) {
    return bad;
  }
  if (auto bad = decode_time_in_force(wire.time_in_force(), out.time_in_force)) return bad;
  if (wire.position_intent() != v1::POSITION_INTENT_UNSPECIFIED) {
    if (auto bad =
            decode_enum("position_intent", wire.position_intent(),
                        v1::PositionIntent_IsValid(wire.position_intent()), out.position_intent)) {
      return bad;
    }
  }
  if (wire.self_trade_prevention() != v1::SELF_TRADE_PREVENTION_UNSPECIFIED) {
    if (auto bad = decode_enum("self_trade_prevention", wire.self_trade_prevention(),
                               v1::SelfTradePrevention_IsValid(wire.self_trade_prevention()),
                               out.self_trade_prevention)) {
      return bad;
    }
  }
  out.post_only = wire.post_only();
  out.stop_price_ticks = wire.stop_price_ticks();
  out.trail = {wire.trail().ticks(), wire.trail().ppm(), wire.trail().protection_ppm()};
  out.account = wire.account_id();
  out.instrument = wire.instrument_id();
  out.qty_lots = wire.qty_lots();
  out.limit_price_ticks = wire.limit_price_ticks();
  out.history_checked = wire.history_checked();
  return decode_text("client_order_id", wire.client_order_id(), 1, out.client_order_id);
}

Malformed decode(const v1::EnterAll& wire, runtime::OrderBatch& out) {
  const auto size = static_cast<std::size_t>(wire.orders_size());
  if (size < 1 || size > runtime::kOrdersPerBatchMax) {
    return "enter_all has " + std::to_string(size) + " orders; give 1 to " +
           std::to_string(runtime::kOrdersPerBatchMax);
  }
  out.orders.reserve(size);
  for (const v1::NewOrder& order : wire.orders()) {
    if (auto bad = decode(order, out.orders.emplace_back())) {
      return "orders[" + std::to_string(out.orders.size() - 1) + "]: " + *bad;
    }
    if (order.account_id() != wire.orders(0).account_id()) {
      return "the orders of enter_all are of several accounts; give those of one";
    }
  }
  return std::nullopt;
}

Malformed decode(const v1::CancelOrder& wire, core::CancelOrder& out) {
  out.account = wire.account_id();
  out.order_id = wire.order_id();
  return std::nullopt;
}

Malformed decode(const v1::CancelOrders& wire, core::CancelOrders& out) {
  out.both_sides = wire.side() == v1::SIDE_UNSPECIFIED;
  if (!out.both_sides) {
    if (auto bad = decode_enum("side", wire.side(), v1::Side_IsValid(wire.side()), out.side)) {
      return bad;
    }
  }
  out.account = wire.account_id();
  out.instrument = wire.instrument_id();
  out.from = wire.from_order_id();
  return std::nullopt;
}

Malformed decode(const v1::ReplaceOrder& wire, core::ReplaceOrder& out) {
  out.account = wire.account_id();
  out.order_id = wire.order_id();
  out.qty_lots = wire.qty_lots();
  out.limit_price_ticks = wire.limit_price_ticks();
  out.stop_price_ticks = wire.stop_price_ticks();
  out.trail = {wire.trail().ticks(), wire.trail().ppm(), wire.trail().protection_ppm()};
  out.keep_time_in_force = wire.time_in_force() == v1::TIME_IN_FORCE_UNSPECIFIED;
  if (!out.keep_time_in_force) {
    if (auto bad = decode_time_in_force(wire.time_in_force(), out.time_in_force)) return bad;
  }
  out.history_checked = wire.history_checked();
  return decode_text("client_order_id", wire.client_order_id(), 1, out.client_order_id);
}

Malformed decode(const v1::GetOrder& wire, runtime::GetOrder& out) {
  if ((wire.order_id() == 0) == wire.client_order_id().empty()) {
    return "get_order needs either order_id or client_order_id";
  }
  out.account = wire.account_id();
  out.order_id = wire.order_id();
  return decode_text("client_order_id", wire.client_order_id(), 0, out.client_order_id);
}

Malformed decode(const v1::ListOpenOrders& wire, runtime::ListOpenOrders& out) {
  if (wire.limit() < 1 || wire.limit() > runtime::kListLimitMax) {
    return "limit is " + std::to_string(wire.limit()) + "; give 1 to " +
           std::to_string(runtime::kListLimitMax);
  }
  out = {wire.account_id(), wire.instrument_id(), wire.before_order_id(), wire.limit(),
         wire.from_order_id()};
  return std::nullopt;
}

Malformed decode(const v1::GetAccount& wire, runtime::GetAccount& out) {
  out.account = wire.account_id();
  return std::nullopt;
}

Malformed decode(const v1::DefineInstrument& wire, core::DefineInstrument& out) {
  if (auto bad = decode_enum("asset_class", wire.asset_class(),
                             v1::AssetClass_IsValid(wire.asset_class()), out.asset_class)) {
    return bad;
  }
  if (auto bad = decode_enum("state", wire.state(), v1::InstrumentState_IsValid(wire.state()),
                             out.state)) {
    return bad;
  }
  if (auto bad = decode_text("symbol", wire.symbol(), 1, out.symbol)) return bad;
  if (auto bad = decode_text("name", wire.name(), 0, out.name)) return bad;
  out.instrument = wire.instrument_id();
  out.tick_size_nanos = wire.tick_size_nanos();
  out.lot_size_nanos = wire.lot_size_nanos();
  out.min_price_ticks = wire.min_price_ticks();
  out.max_price_ticks = wire.max_price_ticks();
  out.max_order_qty_lots = wire.max_order_qty_lots();
  return std::nullopt;
}

Malformed decode(const v1::OpenAccount& wire, core::OpenAccount& out) {
  out.account = wire.account_id();
  out.may_sell_short = wire.may_sell_short();
  out.credit_limit_micros = wire.credit_limit_micros();
  return decode_text("name", wire.name(), 0, out.name);
}

Malformed decode(const v1::AdjustBalance& wire, core::AdjustBalance& out) {
  out = {wire.account_id(), wire.amount_micros()};
  return std::nullopt;
}

Malformed decode(const v1::AdjustPosition& wire, core::AdjustPosition& out) {
  out = {wire.account_id(), wire.instrument_id(), wire.qty_lots(), wire.cost_micros()};
  return std::nullopt;
}

// Decodes directly into an alternative of the variant.
template <class Alternative, class Wire>
Malformed decode_command(const Wire& wire, core::CommandBody& out) {
  return decode(wire, out.emplace<Alternative>());
}

template <class Alternative, class Wire>
Malformed decode_query(const Wire& wire, runtime::Operation& out) {
  return decode(wire, out.body.emplace<runtime::Query>().emplace<Alternative>());
}

}  // namespace

Malformed decode(const v1::Request& request, runtime::Operation& out) {
  out.request_id = request.request_id();
  const auto command = [&out]() -> core::CommandBody& {
    return out.body.emplace<core::CommandBody>();
  };
  switch (request.body_case()) {
    case v1::Request::kNewOrder:
      return decode_command<core::NewOrder>(request.new_order(), command());
    case v1::Request::kEnterAll:
      return decode(request.enter_all(), out.body.emplace<runtime::OrderBatch>());
    case v1::Request::kCancelOrder:
      return decode_command<core::CancelOrder>(request.cancel_order(), command());
    case v1::Request::kCancelOrders:
      return decode_command<core::CancelOrders>(request.cancel_orders(), command());
    case v1::Request::kReplaceOrder:
      return decode_command<core::ReplaceOrder>(request.replace_order(), command());
    case v1::Request::kGetOrder:
      return decode_query<runtime::GetOrder>(request.get_order(), out);
    case v1::Request::kListOpenOrders:
      return decode_query<runtime::ListOpenOrders>(request.list_open_orders(), out);
    case v1::Request::kGetAccount:
      return decode_query<runtime::GetAccount>(request.get_account(), out);
    case v1::Request::BODY_NOT_SET:
      break;
  }
  return "the request has no body that this version knows";
}

Malformed decode(const v1::AdminRequest& request, core::CommandBody& out) {
  switch (request.command_case()) {
    case v1::AdminRequest::kDefineInstrument:
      return decode_command<core::DefineInstrument>(request.define_instrument(), out);
    case v1::AdminRequest::kOpenAccount:
      return decode_command<core::OpenAccount>(request.open_account(), out);
    case v1::AdminRequest::kAdjustBalance:
      return decode_command<core::AdjustBalance>(request.adjust_balance(), out);
    case v1::AdminRequest::kAdjustPosition:
      return decode_command<core::AdjustPosition>(request.adjust_position(), out);
    case v1::AdminRequest::kEndTradingDay:
      out = core::EndTradingDay{};
      return std::nullopt;
    case v1::AdminRequest::kCancelOrders:
      return decode_command<core::CancelOrders>(request.cancel_orders(), out);
    case v1::AdminRequest::kSuspendTrading:
      out = core::SuspendTrading{request.suspend_trading().account_id(),
                                 request.suspend_trading().suspended()};
      return std::nullopt;
    case v1::AdminRequest::COMMAND_NOT_SET:
      break;
  }
  return "the request has no command that this version knows";
}

Malformed decode(const v1::GetBookRequest& request, runtime::GetBook& out) {
  if (request.depth() < 1 || request.depth() > runtime::kBookDepthMax) {
    return "depth is " + std::to_string(request.depth()) + "; give 1 to " +
           std::to_string(runtime::kBookDepthMax);
  }
  out = {request.instrument_id(), request.depth()};
  return std::nullopt;
}

}  // namespace openvenue::rpc

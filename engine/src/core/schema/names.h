// The names of commands, events and enumerators in `journal dump`. A value without a name is no
// enumerator: reading refuses it.
#pragma once

#include <array>
#include <string_view>
#include <variant>

#include "core/base/types.h"
#include "core/schema/command.h"
#include "core/schema/event.h"

namespace openvenue::core {

// In the order of the alternatives of CommandBody and Event.
constexpr std::array<std::string_view, std::variant_size_v<CommandBody>> kCommandNames = {
    "new_order",    "cancel_order",   "replace_order",   "define_instrument",
    "open_account", "adjust_balance", "adjust_position", "end_trading_day",
    "configure",    "cancel_orders",  "trigger_order",   "suspend_trading"};
constexpr std::array<std::string_view, std::variant_size_v<Event>> kEventNames = {
    "order_accepted",    "rejected",          "duplicate",       "trade",
    "order_canceled",    "order_replaced",    "applied",         "balance_adjusted",
    "position_adjusted", "trading_day_ended", "orders_canceled", "order_triggered",
    "order_trailed"};

// name_of() is empty if the value is not an enumerator. The switches have no default case, so that
// the compiler points here when an enumerator is appended.

[[nodiscard]] constexpr std::string_view name_of(Side side) {
  switch (side) {
    case Side::kBuy:
      return "buy";
    case Side::kSell:
      return "sell";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(OrderType type) {
  switch (type) {
    case OrderType::kMarket:
      return "market";
    case OrderType::kLimit:
      return "limit";
    case OrderType::kStop:
      return "stop";
    case OrderType::kStopLimit:
      return "stop_limit";
    case OrderType::kTrailingStop:
      return "trailing_stop";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(TimeInForce time_in_force) {
  switch (time_in_force) {
    case TimeInForce::kDay:
      return "day";
    case TimeInForce::kGtc:
      return "gtc";
    case TimeInForce::kIoc:
      return "ioc";
    case TimeInForce::kFok:
      return "fok";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(AssetClass asset_class) {
  switch (asset_class) {
    case AssetClass::kUsEquity:
      return "us_equity";
    case AssetClass::kCrypto:
      return "crypto";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(InstrumentState state) {
  switch (state) {
    case InstrumentState::kActive:
      return "active";
    case InstrumentState::kInactive:
      return "inactive";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(OrderStatus status) {
  switch (status) {
    case OrderStatus::kNew:
      return "new";
    case OrderStatus::kPartiallyFilled:
      return "partially_filled";
    case OrderStatus::kFilled:
      return "filled";
    case OrderStatus::kCanceled:
      return "canceled";
    case OrderStatus::kExpired:
      return "expired";
    case OrderStatus::kReplaced:
      return "replaced";
    case OrderStatus::kWaiting:
      return "waiting";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(PositionIntent intent) {
  switch (intent) {
    case PositionIntent::kUnspecified:
      return "unspecified";
    case PositionIntent::kBuyToOpen:
      return "buy_to_open";
    case PositionIntent::kBuyToClose:
      return "buy_to_close";
    case PositionIntent::kSellToOpen:
      return "sell_to_open";
    case PositionIntent::kSellToClose:
      return "sell_to_close";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(SelfTradePrevention prevention) {
  switch (prevention) {
    case SelfTradePrevention::kNone:
      return "none";
    case SelfTradePrevention::kCancelNewest:
      return "cancel_newest";
    case SelfTradePrevention::kCancelOldest:
      return "cancel_oldest";
    case SelfTradePrevention::kCancelBoth:
      return "cancel_both";
  }
  return {};
}

[[nodiscard]] constexpr std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kUnknownAccount:
      return "unknown_account";
    case Reason::kUnknownInstrument:
      return "unknown_instrument";
    case Reason::kInstrumentInactive:
      return "instrument_inactive";
    case Reason::kInvalidQuantity:
      return "invalid_quantity";
    case Reason::kInvalidPrice:
      return "invalid_price";
    case Reason::kInvalidOrder:
      return "invalid_order";
    case Reason::kInsufficientCash:
      return "insufficient_cash";
    case Reason::kInsufficientPosition:
      return "insufficient_position";
    case Reason::kDuplicateClientOrderId:
      return "duplicate_client_order_id";
    case Reason::kClientOrderIdMaybeUsed:
      return "client_order_id_maybe_used";
    case Reason::kUnknownOrder:
      return "unknown_order";
    case Reason::kOrderNotOpen:
      return "order_not_open";
    case Reason::kQuantityBelowFilled:
      return "quantity_below_filled";
    case Reason::kCapacity:
      return "capacity";
    case Reason::kAlreadyExists:
      return "already_exists";
    case Reason::kOverflow:
      return "overflow";
    case Reason::kInvalidDefinition:
      return "invalid_definition";
    case Reason::kOpenOrderLimit:
      return "open_order_limit";
    case Reason::kAccountOpenOrderLimit:
      return "account_open_order_limit";
    case Reason::kPositionIntentMismatch:
      return "position_intent_mismatch";
    case Reason::kAccountPositionLimit:
      return "account_position_limit";
    case Reason::kPostOnlyWouldTrade:
      return "post_only_would_trade";
    case Reason::kAccountSuspended:
      return "account_suspended";
    case Reason::kNoLastPrice:
      return "no_last_price";
    case Reason::kVenueSuspended:
      return "venue_suspended";
    case Reason::kUserCanceled:
      return "user_canceled";
    case Reason::kImmediateOrCancel:
      return "immediate_or_cancel";
    case Reason::kFillOrKill:
      return "fill_or_kill";
    case Reason::kNoLiquidity:
      return "no_liquidity";
    case Reason::kDayEnded:
      return "day_ended";
    case Reason::kFillLimit:
      return "fill_limit";
    case Reason::kSelfTrade:
      return "self_trade";
  }
  return {};
}

template <class Enum>
[[nodiscard]] constexpr bool is_enumerator(Enum value) {
  return !name_of(value).empty();
}

}  // namespace openvenue::core

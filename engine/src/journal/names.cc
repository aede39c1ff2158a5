#include "journal/names.h"

namespace openvenue::journal {

// Without a default case, so that the compiler points here when an enumerator is appended.

std::string_view name_of(core::Side side) {
  switch (side) {
    case core::Side::kBuy:
      return "buy";
    case core::Side::kSell:
      return "sell";
  }
  return {};
}

std::string_view name_of(core::OrderType type) {
  switch (type) {
    case core::OrderType::kMarket:
      return "market";
    case core::OrderType::kLimit:
      return "limit";
  }
  return {};
}

std::string_view name_of(core::TimeInForce time_in_force) {
  switch (time_in_force) {
    case core::TimeInForce::kDay:
      return "day";
    case core::TimeInForce::kGtc:
      return "gtc";
    case core::TimeInForce::kIoc:
      return "ioc";
    case core::TimeInForce::kFok:
      return "fok";
  }
  return {};
}

std::string_view name_of(core::AssetClass asset_class) {
  switch (asset_class) {
    case core::AssetClass::kUsEquity:
      return "us_equity";
    case core::AssetClass::kCrypto:
      return "crypto";
  }
  return {};
}

std::string_view name_of(core::InstrumentState state) {
  switch (state) {
    case core::InstrumentState::kActive:
      return "active";
    case core::InstrumentState::kInactive:
      return "inactive";
  }
  return {};
}

std::string_view name_of(core::Reason reason) {
  switch (reason) {
    case core::Reason::kNone:
      return "none";
    case core::Reason::kUnknownAccount:
      return "unknown_account";
    case core::Reason::kUnknownInstrument:
      return "unknown_instrument";
    case core::Reason::kInstrumentInactive:
      return "instrument_inactive";
    case core::Reason::kInvalidQuantity:
      return "invalid_quantity";
    case core::Reason::kInvalidPrice:
      return "invalid_price";
    case core::Reason::kInvalidOrder:
      return "invalid_order";
    case core::Reason::kInsufficientCash:
      return "insufficient_cash";
    case core::Reason::kInsufficientPosition:
      return "insufficient_position";
    case core::Reason::kDuplicateClientOrderId:
      return "duplicate_client_order_id";
    case core::Reason::kUnknownOrder:
      return "unknown_order";
    case core::Reason::kOrderNotOpen:
      return "order_not_open";
    case core::Reason::kQuantityBelowFilled:
      return "quantity_below_filled";
    case core::Reason::kCapacity:
      return "capacity";
    case core::Reason::kAlreadyExists:
      return "already_exists";
    case core::Reason::kOverflow:
      return "overflow";
    case core::Reason::kInvalidDefinition:
      return "invalid_definition";
    case core::Reason::kOpenOrderLimit:
      return "open_order_limit";
    case core::Reason::kAccountOpenOrderLimit:
      return "account_open_order_limit";
    case core::Reason::kUserCanceled:
      return "user_canceled";
    case core::Reason::kImmediateOrCancel:
      return "immediate_or_cancel";
    case core::Reason::kFillOrKill:
      return "fill_or_kill";
    case core::Reason::kNoLiquidity:
      return "no_liquidity";
    case core::Reason::kDayEnded:
      return "day_ended";
    case core::Reason::kFillLimit:
      return "fill_limit";
  }
  return {};
}

}  // namespace openvenue::journal

// Asserts that every enumerator has one number on the wire, in the journal and in memory. A
// mismatch must not compile.
#include "core/base/types.h"
#include "rpc/wire.h"
#include "runtime/reply.h"

namespace openvenue::rpc {
namespace {

template <class Wire, class Core>
constexpr bool same(Wire wire, Core core) {
  return static_cast<int>(wire) == static_cast<int>(core);
}

static_assert(same(v1::SIDE_BUY, core::Side::kBuy));
static_assert(same(v1::SIDE_SELL, core::Side::kSell));

static_assert(same(v1::ORDER_TYPE_MARKET, core::OrderType::kMarket));
static_assert(same(v1::ORDER_TYPE_LIMIT, core::OrderType::kLimit));
static_assert(same(v1::ORDER_TYPE_STOP, core::OrderType::kStop));
static_assert(same(v1::ORDER_TYPE_STOP_LIMIT, core::OrderType::kStopLimit));
static_assert(same(v1::ORDER_TYPE_TRAILING_STOP, core::OrderType::kTrailingStop));

static_assert(same(v1::TIME_IN_FORCE_DAY, core::TimeInForce::kDay));
static_assert(same(v1::TIME_IN_FORCE_GTC, core::TimeInForce::kGtc));
static_assert(same(v1::TIME_IN_FORCE_IOC, core::TimeInForce::kIoc));
static_assert(same(v1::TIME_IN_FORCE_FOK, core::TimeInForce::kFok));

static_assert(same(v1::ASSET_CLASS_US_EQUITY, core::AssetClass::kUsEquity));
static_assert(same(v1::ASSET_CLASS_CRYPTO, core::AssetClass::kCrypto));

static_assert(same(v1::INSTRUMENT_STATE_ACTIVE, core::InstrumentState::kActive));
static_assert(same(v1::INSTRUMENT_STATE_INACTIVE, core::InstrumentState::kInactive));

static_assert(same(v1::ORDER_STATUS_NEW, core::OrderStatus::kNew));
static_assert(same(v1::ORDER_STATUS_PARTIALLY_FILLED, core::OrderStatus::kPartiallyFilled));
static_assert(same(v1::ORDER_STATUS_FILLED, core::OrderStatus::kFilled));
static_assert(same(v1::ORDER_STATUS_CANCELED, core::OrderStatus::kCanceled));
static_assert(same(v1::ORDER_STATUS_EXPIRED, core::OrderStatus::kExpired));
static_assert(same(v1::ORDER_STATUS_REPLACED, core::OrderStatus::kReplaced));
static_assert(same(v1::ORDER_STATUS_WAITING, core::OrderStatus::kWaiting));

static_assert(same(v1::POSITION_INTENT_UNSPECIFIED, core::PositionIntent::kUnspecified));
static_assert(same(v1::POSITION_INTENT_BUY_TO_OPEN, core::PositionIntent::kBuyToOpen));
static_assert(same(v1::POSITION_INTENT_BUY_TO_CLOSE, core::PositionIntent::kBuyToClose));
static_assert(same(v1::POSITION_INTENT_SELL_TO_OPEN, core::PositionIntent::kSellToOpen));
static_assert(same(v1::POSITION_INTENT_SELL_TO_CLOSE, core::PositionIntent::kSellToClose));

static_assert(same(v1::SELF_TRADE_PREVENTION_UNSPECIFIED, core::SelfTradePrevention::kNone));
static_assert(same(v1::SELF_TRADE_PREVENTION_CANCEL_NEWEST,
                   core::SelfTradePrevention::kCancelNewest));
static_assert(same(v1::SELF_TRADE_PREVENTION_CANCEL_OLDEST,
                   core::SelfTradePrevention::kCancelOldest));
static_assert(same(v1::SELF_TRADE_PREVENTION_CANCEL_BOTH, core::SelfTradePrevention::kCancelBoth));

static_assert(same(v1::REASON_NONE, core::Reason::kNone));
static_assert(same(v1::REASON_UNKNOWN_ACCOUNT, core::Reason::kUnknownAccount));
static_assert(same(v1::REASON_UNKNOWN_INSTRUMENT, core::Reason::kUnknownInstrument));
static_assert(same(v1::REASON_INSTRUMENT_INACTIVE, core::Reason::kInstrumentInactive));
static_assert(same(v1::REASON_INVALID_QUANTITY, core::Reason::kInvalidQuantity));
static_assert(same(v1::REASON_INVALID_PRICE, core::Reason::kInvalidPrice));
static_assert(same(v1::REASON_INVALID_ORDER, core::Reason::kInvalidOrder));
static_assert(same(v1::REASON_INSUFFICIENT_CASH, core::Reason::kInsufficientCash));
static_assert(same(v1::REASON_INSUFFICIENT_POSITION, core::Reason::kInsufficientPosition));
static_assert(same(v1::REASON_DUPLICATE_CLIENT_ORDER_ID, core::Reason::kDuplicateClientOrderId));
static_assert(same(v1::REASON_UNKNOWN_ORDER, core::Reason::kUnknownOrder));
static_assert(same(v1::REASON_ORDER_NOT_OPEN, core::Reason::kOrderNotOpen));
static_assert(same(v1::REASON_QUANTITY_BELOW_FILLED, core::Reason::kQuantityBelowFilled));
static_assert(same(v1::REASON_CAPACITY, core::Reason::kCapacity));
static_assert(same(v1::REASON_ALREADY_EXISTS, core::Reason::kAlreadyExists));
static_assert(same(v1::REASON_OVERFLOW, core::Reason::kOverflow));
static_assert(same(v1::REASON_INVALID_DEFINITION, core::Reason::kInvalidDefinition));
static_assert(same(v1::REASON_OPEN_ORDER_LIMIT, core::Reason::kOpenOrderLimit));
static_assert(same(v1::REASON_ACCOUNT_OPEN_ORDER_LIMIT, core::Reason::kAccountOpenOrderLimit));
static_assert(same(v1::REASON_POSITION_INTENT_MISMATCH, core::Reason::kPositionIntentMismatch));
static_assert(same(v1::REASON_ACCOUNT_POSITION_LIMIT, core::Reason::kAccountPositionLimit));
static_assert(same(v1::REASON_CLIENT_ORDER_ID_MAYBE_USED, core::Reason::kClientOrderIdMaybeUsed));
static_assert(same(v1::REASON_POST_ONLY_WOULD_TRADE, core::Reason::kPostOnlyWouldTrade));
static_assert(same(v1::REASON_ACCOUNT_SUSPENDED, core::Reason::kAccountSuspended));
static_assert(same(v1::REASON_VENUE_SUSPENDED, core::Reason::kVenueSuspended));
static_assert(same(v1::REASON_NO_LAST_PRICE, core::Reason::kNoLastPrice));
static_assert(same(v1::REASON_USER_CANCELED, core::Reason::kUserCanceled));
static_assert(same(v1::REASON_IMMEDIATE_OR_CANCEL, core::Reason::kImmediateOrCancel));
static_assert(same(v1::REASON_FILL_OR_KILL, core::Reason::kFillOrKill));
static_assert(same(v1::REASON_NO_LIQUIDITY, core::Reason::kNoLiquidity));
static_assert(same(v1::REASON_DAY_ENDED, core::Reason::kDayEnded));
static_assert(same(v1::REASON_FILL_LIMIT, core::Reason::kFillLimit));
static_assert(same(v1::REASON_SELF_TRADE, core::Reason::kSelfTrade));

static_assert(same(v1::NotSequenced::CAUSE_RESOURCE_EXHAUSTED,
                   runtime::NotSequenced::Cause::kResourceExhausted));
static_assert(same(v1::NotSequenced::CAUSE_INVALID_ARGUMENT,
                   runtime::NotSequenced::Cause::kInvalidArgument));
static_assert(same(v1::NotSequenced::CAUSE_UNAVAILABLE,
                   runtime::NotSequenced::Cause::kUnavailable));
static_assert(same(v1::NotSequenced::CAUSE_NOT_FOUND, runtime::NotSequenced::Cause::kNotFound));

}  // namespace
}  // namespace openvenue::rpc

// The vocabulary of the state machine: identifiers, units and closed enumerations.
//
// Prices are integer ticks, quantities integer lots, cash integer micros (1e-6 of the account's
// currency). Nothing in the engine is a floating-point number. Enumerator values are part of the
// journal format: never renumber, only append.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/base/check.h"

namespace openvenue::core {

using Sequence = std::uint64_t;      // 1, 2, 3, … per shard; 0 means "none"
using OrderId = std::uint64_t;       // the sequence number of the command that created the order
using TradeId = std::uint64_t;       // 1, 2, 3, … per shard
using AccountId = std::uint32_t;     // chosen by whoever opens the account; 0 means "none"
using InstrumentId = std::uint32_t;  // chosen by whoever defines the instrument; 0 means "none"
using PriceTicks = std::int64_t;
using QtyLots = std::int64_t;
using CashMicros = std::int64_t;
using TimestampNs = std::int64_t;  // since the Unix epoch, stamped once when a command is sequenced

enum class Side : std::uint8_t { kBuy = 1, kSell = 2 };
enum class OrderType : std::uint8_t {
  kMarket = 1,
  kLimit = 2,
  kStop = 3,          // waits for its stop price, then is a market order
  kStopLimit = 4,     // waits for its stop price, then is a limit order
  kTrailingStop = 5,  // a stop order whose stop price follows the market, see Trail
};
enum class TimeInForce : std::uint8_t { kDay = 1, kGtc = 2, kIoc = 3, kFok = 4 };
enum class AssetClass : std::uint8_t { kUsEquity = 1, kCrypto = 2 };
enum class InstrumentState : std::uint8_t { kActive = 1, kInactive = 2 };

enum class OrderStatus : std::uint8_t {
  kNew = 1,              // resting, nothing filled
  kPartiallyFilled = 2,  // resting, something filled
  kFilled = 3,
  kCanceled = 4,
  kExpired = 5,   // a DAY order at the end of its trading day
  kReplaced = 6,  // superseded by the order named in replaced_by
  kWaiting = 7,   // open, in no book: no trade has reached its stop price
};

// A client's statement of what its order does to its position; an order that would do something
// else is refused.
enum class PositionIntent : std::uint8_t {
  kUnspecified = 0,
  kBuyToOpen = 1,
  kBuyToClose = 2,
  kSellToOpen = 3,
  kSellToClose = 4,
};

// What an incoming order cancels in place of a trade with an order of its own account. The incoming
// order decides, as in FIX (tag 2964, SelfMatchPreventionInstruction).
enum class SelfTradePrevention : std::uint8_t {
  kNone = 0,          // they trade
  kCancelNewest = 1,  // the rest of the order that comes is canceled
  kCancelOldest = 2,  // the order that rests is canceled, and the other goes on
  kCancelBoth = 3,
};

// Why a command was rejected or an order ended. There is one list, so that a number means the same
// everywhere (journal, wire, metrics).
//
// If several reasons to reject a new order or a replacement apply, the first one of these is
// given:
//
//   kUnknownAccount
//   kInvalidOrder            it has no client order id
//   kDuplicateClientOrderId, kClientOrderIdMaybeUsed
//   kUnknownInstrument       of a new order; kUnknownOrder, then kOrderNotOpen of a replacement
//   kAccountSuspended, kVenueSuspended
//   kInvalidOrder            a field outside its enumeration, a trail that its type does not have,
//                            a replacement that could not rest or of a stop price that nothing
//                            waits for
//   kInstrumentInactive
//   kInvalidQuantity
//   kNoLastPrice             of a trailing stop order
//   kInvalidPrice
//   kQuantityBelowFilled
//   kPositionIntentMismatch  of a new order
//   kOverflow
//   kInsufficientCash, kInsufficientPosition
//   kCapacity
//   kAccountPositionLimit    of a new order
//   kOpenOrderLimit          of a new order
//   kAccountOpenOrderLimit   of a new order
//   kPostOnlyWouldTrade
enum class Reason : std::uint8_t {
  kNone = 0,
  // Rejections: the command changed nothing.
  kUnknownAccount = 1,
  kUnknownInstrument = 2,
  kInstrumentInactive = 3,
  kInvalidQuantity = 4,  // not positive, or above the instrument's maximum
  kInvalidPrice = 5,     // outside the instrument's limits, or missing, or given for a market order
  kInvalidOrder = 6,     // a combination without meaning (a field out of its enumeration, …)
  kInsufficientCash = 7,        // buying power would be exceeded
  kInsufficientPosition = 8,    // more would be sold than held, and the account may not sell short
  kDuplicateClientOrderId = 9,  // same account and client_order_id, different body
  kUnknownOrder = 10,         // never existed, not this account's, or outside the retention window
  kOrderNotOpen = 11,         // it exists, but is filled, canceled, expired or replaced
  kQuantityBelowFilled = 12,  // a replace to a total that is not above what is filled already
  kCapacity = 13,             // a pool is full (accounts, instruments, positions)
  kAlreadyExists = 14,        // an account or instrument of that id exists with other terms
  kOverflow = 15,             // an amount would leave the 64-bit range
  kInvalidDefinition = 16,    // an impossible instrument, account or configuration
  kOpenOrderLimit = 17,       // all accounts together have as many open orders as they may
  kAccountOpenOrderLimit = 18,   // the account has as many open orders as one may
  kPositionIntentMismatch = 19,  // the order would do to the position what its intent excludes
  kAccountPositionLimit = 20,    // the account has as many positions as one may
  kClientOrderIdMaybeUsed = 21,  // the index may have forgotten it: only the history knows
  kPostOnlyWouldTrade = 22,      // a post-only order meets one that it would trade with
  kAccountSuspended = 23,        // an administrator allows the account cancels only
  kVenueSuspended = 24,          // an administrator allows all accounts cancels only
  kNoLastPrice = 25,             // a trailing stop order in an instrument that never traded
  // Ends of accepted orders.
  kUserCanceled = 32,
  kImmediateOrCancel = 33,  // the rest of an IOC order
  kFillOrKill = 34,         // a FOK order that could not be filled at once and whole
  kNoLiquidity = 35,        // the rest of a market order
  kDayEnded = 36,
  kFillLimit = 37,  // one command may meet at most Limits::max_fills_per_command orders
  kSelfTrade = 38,  // prevented: both orders are of one account
};

constexpr std::size_t kClientOrderIdBytesMax = 128;  // Alpaca's limit
constexpr std::size_t kSymbolBytesMax = 24;
constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kActorBytesMax = 32;

// A bounded string by value. Bytes after size() are always zero, so comparing and hashing may use
// the whole array.
template <std::size_t Capacity>
class FixedString {
 public:
  static_assert(Capacity <= 255);

  constexpr FixedString() = default;

  // Precondition: text.size() <= Capacity (callers validate at the edge; excess is a bug).
  explicit FixedString(std::string_view text) : size_(static_cast<std::uint8_t>(text.size())) {
    CHECK(text.size() <= Capacity, "a text is longer than its field");
    if (!text.empty()) std::memcpy(bytes_.data(), text.data(), text.size());
  }

  [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  static constexpr std::size_t capacity() { return Capacity; }
  friend bool operator==(const FixedString&, const FixedString&) = default;

 private:
  std::uint8_t size_ = 0;
  std::array<char, Capacity> bytes_{};
};

using ClientOrderId = FixedString<kClientOrderIdBytesMax>;
using Symbol = FixedString<kSymbolBytesMax>;
using Name = FixedString<kNameBytesMax>;
using Actor = FixedString<kActorBytesMax>;  // the name of the token that an administrator used

constexpr Side opposite(Side side) { return side == Side::kBuy ? Side::kSell : Side::kBuy; }

}  // namespace openvenue::core

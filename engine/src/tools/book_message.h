// One instrument's order flow and its book's reports, in the CSV format that benchmarks of matching
// engines exchange:
//
//   seq,type,side,ioc,quantity,order_id,price
//   report,seq,side,order_id,price,quantity,maker_order_id,taker_order_id
//
// Prices are ticks, quantities lots; ids and sequence numbers are arbitrary 64-bit numbers.
#pragma once

#include <cstdint>

#include "core/base/types.h"

namespace openvenue::tools {

enum class MessageKind : std::uint8_t { kNew, kCancel, kModify };

struct BookMessage {
  std::uint64_t sequence = 0;
  std::uint64_t order_id = 0;
  core::PriceTicks price_ticks = 0;  // of kNew and kModify
  core::QtyLots qty_lots = 0;        // of kNew and kModify
  MessageKind kind = MessageKind::kNew;
  core::Side side = core::Side::kBuy;  // of kNew; a modified order keeps its side
  bool immediate_or_cancel = false;    // of kNew
};

enum class ReportKind : std::uint8_t {
  kAck,             // a new order was accepted; its trades follow
  kTrade,           // at the maker's price
  kCanceled,        // on request, or the rest of an immediate-or-cancel order
  kReplaced,        // a modify; the trades that it caused come before
  kCancelRejected,  // the order is not resting
  kModifyRejected,  // the order is not resting
};

struct BookReport {
  std::uint64_t sequence = 0;        // of the message that caused it
  std::uint64_t order_id = 0;        // the taker's for kTrade
  std::uint64_t maker_order_id = 0;  // of kTrade
  core::PriceTicks price_ticks = 0;  // of all but rejections
  core::QtyLots qty_lots = 0;        // of kAck, kTrade and kReplaced
  ReportKind kind = ReportKind::kAck;
  core::Side side = core::Side::kBuy;  // of kAck, kCanceled and kReplaced
  friend bool operator==(const BookReport&, const BookReport&) = default;
};

}  // namespace openvenue::tools

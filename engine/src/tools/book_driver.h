// Drives one instrument's book with a flow of messages and reports the results.
//
// This is matching alone: no accounts, no risk, no venue rules. A modify is a cancel and a new
// order in one, so it always goes to the back of its queue. An id may be used again once its order
// has ended.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/base/hash.h"
#include "core/base/slot.h"
#include "core/base/slot_index.h"
#include "core/base/types.h"
#include "core/base/zeroed_array.h"
#include "core/book/book.h"
#include "tools/book_message.h"

namespace openvenue::tools {

// A flow that no book can follow.
class FlowError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <core::OrderBook Book>
class BookDriver {
 public:
  // Holds up to `max_orders` resting orders at prices from `min` to `max`.
  BookDriver(core::PriceTicks min, core::PriceTicks max, std::uint32_t max_orders)
      : pool_(max_orders),
        book_(pool_, min, max),
        orders_(max_orders),
        by_id_(max_orders),
        max_orders_(max_orders) {}
  BookDriver(const BookDriver&) = delete;
  BookDriver& operator=(const BookDriver&) = delete;

  // Appends the reports of `message`. Throws FlowError if a new order's id is still resting, or
  // more than `max_orders` would rest.
  void apply(const BookMessage& message, std::vector<BookReport>& reports) {
    switch (message.kind) {
      case MessageKind::kNew:
        return enter(message, reports);
      case MessageKind::kCancel:
        return cancel(message, reports);
      case MessageKind::kModify:
        return modify(message, reports);
    }
  }

  [[nodiscard]] const Book& book() const { return book_; }

 private:
  struct Resting {
    std::uint64_t order_id;
    core::PriceTicks price_ticks;
    core::Side side;
    core::Slot next_free;
  };

  void enter(const BookMessage& message, std::vector<BookReport>& reports) {
    if (find(message.order_id) != core::kNoSlot) {
      throw FlowError("message " + std::to_string(message.sequence) + ": order " +
                      std::to_string(message.order_id) +
                      " is still resting; a new order needs an id of its own");
    }
    reports.push_back({message.sequence, message.order_id, 0, message.price_ticks, message.qty_lots,
                       ReportKind::kAck, message.side});
    const core::QtyLots rest = match(message, message.side, reports);
    if (rest == 0) return;
    if (message.immediate_or_cancel) {
      reports.push_back({message.sequence, message.order_id, 0, message.price_ticks, 0,
                         ReportKind::kCanceled, message.side});
    } else {
      add(message, message.side, rest);
    }
  }

  void cancel(const BookMessage& message, std::vector<BookReport>& reports) {
    const core::Slot slot = find(message.order_id);
    if (slot == core::kNoSlot) return reject(message, ReportKind::kCancelRejected, reports);
    const Resting order = orders_[slot];
    book_.remove(slot);
    forget(slot);
    reports.push_back({message.sequence, message.order_id, 0, order.price_ticks, 0,
                       ReportKind::kCanceled, order.side});
  }

  void modify(const BookMessage& message, std::vector<BookReport>& reports) {
    const core::Slot slot = find(message.order_id);
    if (slot == core::kNoSlot) return reject(message, ReportKind::kModifyRejected, reports);
    const core::Side side = orders_[slot].side;
    book_.remove(slot);
    forget(slot);
    const core::QtyLots rest = match(message, side, reports);
    if (rest > 0) add(message, side, rest);
    reports.push_back({message.sequence, message.order_id, 0, message.price_ticks, message.qty_lots,
                       ReportKind::kReplaced, side});
  }

  static void reject(const BookMessage& message, ReportKind kind,
                     std::vector<BookReport>& reports) {
    reports.push_back({message.sequence, message.order_id, 0, 0, 0, kind, core::Side::kBuy});
  }

  // Trades against the other side up to the message's price; returns the rest.
  core::QtyLots match(const BookMessage& message, core::Side side,
                      std::vector<BookReport>& reports) {
    const core::Side resting_side = core::opposite(side);
    core::QtyLots leaves = message.qty_lots;
    while (leaves > 0) {
      const core::BookFront front = book_.front(resting_side);
      if (front.slot == core::kNoSlot ||
          !core::crosses(resting_side, front.price_ticks, message.price_ticks)) {
        break;
      }
      const core::QtyLots qty = std::min(leaves, front.leaves_lots);
      reports.push_back({message.sequence, message.order_id, orders_[front.slot].order_id,
                         front.price_ticks, qty, ReportKind::kTrade, side});
      book_.fill_front(resting_side, qty);
      if (qty == front.leaves_lots) forget(front.slot);
      leaves -= qty;
    }
    return leaves;
  }

  void add(const BookMessage& message, core::Side side, core::QtyLots qty_lots) {
    const core::Slot slot = acquire_slot();
    orders_[slot] = {message.order_id, message.price_ticks, side, core::kNoSlot};
    by_id_.insert(core::hash_number(message.order_id), slot);
    book_.add(slot, side, message.price_ticks, qty_lots);
  }

  core::Slot acquire_slot() {
    if (free_ == core::kNoSlot) {
      if (slots_used_ == max_orders_) throw FlowError("the book is full");
      return slots_used_++;
    }
    const core::Slot slot = free_;
    free_ = orders_[slot].next_free;
    return slot;
  }

  void forget(core::Slot slot) {
    by_id_.erase(core::hash_number(orders_[slot].order_id), slot);
    orders_[slot].next_free = free_;
    free_ = slot;
  }

  [[nodiscard]] core::Slot find(std::uint64_t order_id) const {
    return by_id_.find(core::hash_number(order_id),
                       [&](core::Slot slot) { return orders_[slot].order_id == order_id; });
  }

  typename Book::Pool pool_;
  Book book_;
  core::ZeroedArray<Resting> orders_;
  core::SlotIndex by_id_;
  std::uint32_t max_orders_;
  core::Slot slots_used_ = 0;
  core::Slot free_ = core::kNoSlot;
};

}  // namespace openvenue::tools

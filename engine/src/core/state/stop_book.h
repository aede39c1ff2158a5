// The stop orders of an instrument that wait for their stop prices.
#pragma once

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/book/fast_book.h"

namespace openvenue::core {

// Each side is a book of its own, by stop price and age. What the market reaches first is in front:
// a rising price the lowest stop price of the buys, a falling one the highest of the sells. So the
// buys are in FastBook's order of asks, and the sells in that of bids.
class StopBook {
 public:
  // `pool` must outlive it; an order has a place in one book only.
  StopBook(FastBook::Pool& pool, PriceTicks min_price_ticks, PriceTicks max_price_ticks)
      : buys_(pool, min_price_ticks, max_price_ticks),
        sells_(pool, min_price_ticks, max_price_ticks) {}

  void add(Slot slot, Side side, PriceTicks stop_price_ticks, QtyLots lots) {
    of(side).add(slot, opposite(side), stop_price_ticks, lots);
  }
  FastBook& of(Side side) { return side == Side::kBuy ? buys_ : sells_; }

  // The order that trades at prices between these reach first, or kNoSlot.
  [[nodiscard]] Slot first_reached(PriceTicks low_ticks, PriceTicks high_ticks) const {
    const BookFront buy = buys_.front(opposite(Side::kBuy));
    if (buy.slot != kNoSlot && buy.price_ticks <= high_ticks) return buy.slot;
    const BookFront sell = sells_.front(opposite(Side::kSell));
    return sell.slot != kNoSlot && sell.price_ticks >= low_ticks ? sell.slot : kNoSlot;
  }
  [[nodiscard]] QtyLots waiting_lots() const {
    return buys_.resting_lots() + sells_.resting_lots();
  }

  // One side's stop prices, what is reached first in front, and the orders of one, oldest first. A
  // change ends both.
  [[nodiscard]] FastBook::Levels levels(Side side) const {
    return (side == Side::kBuy ? buys_ : sells_).levels(opposite(side));
  }
  [[nodiscard]] FastBook::Queue queue(Side side, PriceTicks stop_price_ticks) const {
    return (side == Side::kBuy ? buys_ : sells_).queue(opposite(side), stop_price_ticks);
  }

 private:
  FastBook buys_;
  FastBook sells_;
};

}  // namespace openvenue::core

// The trailing stop orders of an instrument that no trade has reached yet.
//
//   pool: a node for each slot ──▶ {mark, stop price, trail} ⇄ … ⇄      (oldest first, one list a
//   side)
//
// A trade moves the marks of all orders that it is better than. That takes time for each order of
// the side, so each side remembers between which prices a trade changes nothing.
#pragma once

#include <limits>

#include "core/base/slot.h"
#include "core/base/slot_list.h"
#include "core/base/types.h"
#include "core/base/zeroed_array.h"
#include "core/schema/command.h"

namespace openvenue::core {

// The stop price of an order whose mark this is. Below 0 if the trail is longer than the mark.
[[nodiscard]] constexpr PriceTicks trailing_stop_price(Side side, PriceTicks high_water_ticks,
                                                       const Trail& trail) {
  constexpr PriceTicks kMillion = 1'000'000;
  const PriceTicks distance =
      trail.ppm == 0 ? trail.ticks : (high_water_ticks * trail.ppm + kMillion - 1) / kMillion;
  return side == Side::kSell ? high_water_ticks - distance : high_water_ticks + distance;
}

// The price above which an order that buys does not trade at that stop price; 0 if it sells.
[[nodiscard]] constexpr PriceTicks trailing_protection_price(Side side, PriceTicks stop_price_ticks,
                                                             const Trail& trail) {
  if (side == Side::kSell) return 0;
  constexpr PriceTicks kMillion = 1'000'000;
  return stop_price_ticks + (stop_price_ticks * trail.protection_ppm + kMillion - 1) / kMillion;
}

class TrailingStops {
 public:
  struct Trailing {
    PriceTicks high_water_ticks;
    PriceTicks stop_price_ticks;
    Trail trail;
    QtyLots lots;
  };

  class Pool {
   public:
    explicit Pool(std::uint32_t max_orders) : orders_(max_orders), links_(max_orders) {}
    [[nodiscard]] static std::uint64_t bytes(std::uint32_t max_orders) {
      return max_orders * std::uint64_t{sizeof(Trailing)} + SlotLinks::bytes(max_orders);
    }

   private:
    friend class TrailingStops;
    ZeroedArray<Trailing> orders_;
    SlotLinks links_;
  };

  // `pool` must outlive it; an order has a place in one list only.
  explicit TrailingStops(Pool& pool) : pool_(&pool) {}

  // Behind those that are there.
  void add(Slot slot, Side side, const Trail& trail, PriceTicks high_water_ticks, QtyLots lots) {
    const PriceTicks stop = trailing_stop_price(side, high_water_ticks, trail);
    pool_->orders_[slot] = {high_water_ticks, stop, trail, lots};
    lots_ += lots;
    OfSide& orders = of(side);
    pool_->links_.push_back(orders.list, slot);
    orders.widen(sign(side) * high_water_ticks, sign(side) * stop);
  }
  void remove(Slot slot, Side side) {
    pool_->links_.remove(of(side).list, slot);
    lots_ -= pool_->orders_[slot].lots;
  }
  // `to`, with so many lots, takes the place of `from`.
  void transfer(Slot from, Slot to, Side side, QtyLots lots) {
    pool_->orders_[to] = pool_->orders_[from];
    pool_->orders_[to].lots = lots;
    lots_ += lots - pool_->orders_[from].lots;
    pool_->links_.replace(of(side).list, from, to);
  }

  // A trade at this price moves the marks. Calls `reached(slot)` for each order whose stop price it
  // reaches, oldest first, buys before sells; the order is here no more.
  template <class Reached>
  void follow(PriceTicks price_ticks, Reached&& reached) {
    follow(Side::kBuy, price_ticks, reached);
    follow(Side::kSell, price_ticks, reached);
  }

  // Of an order that is or was here.
  [[nodiscard]] const Trailing& operator[](Slot slot) const { return pool_->orders_[slot]; }
  // One side's orders, oldest first.
  [[nodiscard]] const SlotList& list(Side side) const {
    return side == Side::kBuy ? buys_.list : sells_.list;
  }
  [[nodiscard]] QtyLots waiting_lots() const { return lots_; }
  [[nodiscard]] Slot next(Slot slot) const { return pool_->links_.next(slot); }

 private:
  // Prices times sign(): so the market moves up for the marks of both sides, and down to the stops.
  struct OfSide {
    SlotList list;
    PriceTicks lowest_mark = std::numeric_limits<PriceTicks>::max();
    PriceTicks highest_stop = std::numeric_limits<PriceTicks>::min();

    void widen(PriceTicks mark, PriceTicks stop) {
      if (mark < lowest_mark) lowest_mark = mark;
      if (stop > highest_stop) highest_stop = stop;
    }
  };

  static constexpr PriceTicks sign(Side side) { return side == Side::kSell ? 1 : -1; }
  OfSide& of(Side side) { return side == Side::kBuy ? buys_ : sells_; }

  template <class Reached>
  void follow(Side side, PriceTicks price_ticks, Reached& reached) {
    OfSide& orders = of(side);
    const PriceTicks price = sign(side) * price_ticks;
    if (price <= orders.lowest_mark && price > orders.highest_stop) return;
    OfSide left{orders.list};
    for (Slot slot = orders.list.head; slot != kNoSlot;) {
      const Slot next = pool_->links_.next(slot);
      Trailing& order = pool_->orders_[slot];
      if (price > sign(side) * order.high_water_ticks) {
        order.high_water_ticks = price_ticks;
        order.stop_price_ticks = trailing_stop_price(side, price_ticks, order.trail);
      }
      if (price <= sign(side) * order.stop_price_ticks) {
        pool_->links_.remove(left.list, slot);
        lots_ -= order.lots;
        reached(slot);
      } else {
        left.widen(sign(side) * order.high_water_ticks, sign(side) * order.stop_price_ticks);
      }
      slot = next;
    }
    orders = left;
  }

  Pool* pool_;
  OfSide buys_;
  OfSide sells_;
  QtyLots lots_ = 0;
};

}  // namespace openvenue::core

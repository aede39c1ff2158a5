// FastBook's oracle: standard containers, easy to check by reading.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/book/book.h"

namespace openvenue::core {

class NaiveBook {
 public:
  struct Pool {
    explicit Pool(std::uint32_t /*max_orders*/) {}
  };

  NaiveBook(Pool& /*pool*/, PriceTicks /*min*/, PriceTicks /*max*/) {}

  void add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots);
  void remove(Slot slot);
  void reduce(Slot slot, QtyLots by_lots);
  void transfer(Slot from, Slot to);
  void fill_front(Side side, QtyLots qty_lots);
  [[nodiscard]] BookFront front(Side side) const;
  [[nodiscard]] QtyLots resting_lots() const { return resting_lots_; }
  [[nodiscard]] SweepResult sweep(const SweepRequest& request) const;
  [[nodiscard]] std::vector<BookLevel> levels(Side side) const;
  [[nodiscard]] std::vector<Slot> queue(Side side, PriceTicks price_ticks) const;

 private:
  struct Resting {
    Slot slot;
    QtyLots leaves_lots;
  };
  using Queue = std::list<Resting>;
  // Keyed so that the best price comes first on both sides: bids by the negated price.
  using Levels = std::map<PriceTicks, Queue>;
  struct Place {
    Side side;
    PriceTicks price_ticks;
    Queue::iterator resting;
  };

  static PriceTicks key(Side side, PriceTicks price_ticks) {
    return side == Side::kBuy ? -price_ticks : price_ticks;
  }
  [[nodiscard]] const Levels& of(Side side) const { return side == Side::kBuy ? bids_ : asks_; }
  Levels& of(Side side) { return side == Side::kBuy ? bids_ : asks_; }

  Levels bids_;
  Levels asks_;
  std::map<Slot, Place> places_;
  QtyLots resting_lots_ = 0;
};

}  // namespace openvenue::core

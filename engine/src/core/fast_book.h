// The product's book: constant-time add, remove and fill, and no heap use after construction.
//
//   price - min ──▶ level_at ──▶ Level {quantity, orders, head, tail}
//                                        │
//                                        ▼
//                                Node ⇄ Node ⇄ Node      (time priority, one node a slot)
//
// Bids and asks never share a price, so one array and one bitmap serve both sides; the bitmap finds
// the next best level when the best one empties. Nodes and levels come from a pool that all books
// of a shard share: an order rests in one book only, and a level holds at least one order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/book.h"
#include "core/price_bitmap.h"
#include "core/slot.h"
#include "core/types.h"
#include "core/zeroed_array.h"

namespace openvenue::core {

class FastBook {
 private:
  using LevelIndex = std::uint32_t;  // 0: none
  struct Node {
    QtyLots leaves_lots;
    Slot previous;
    Slot next;
    LevelIndex level;
  };
  struct Level {
    PriceTicks price_ticks;
    QtyLots qty_lots;
    Slot head;
    Slot tail;
    std::uint32_t orders;
    LevelIndex next_free;
  };

 public:
  class Pool {
   public:
    explicit Pool(std::uint32_t max_orders)
        : nodes_(max_orders), levels_(std::size_t{max_orders} + 1) {}

   private:
    friend class FastBook;
    LevelIndex acquire_level();
    void release_level(LevelIndex level);

    ZeroedArray<Node> nodes_;
    ZeroedArray<Level> levels_;
    LevelIndex levels_used_ = 0;  // levels above were never used
    LevelIndex free_ = 0;
  };

  // `pool` must outlive the book. Memory is proportional to the range, mapped where prices are
  // used.
  FastBook(Pool& pool, PriceTicks min_price_ticks, PriceTicks max_price_ticks);

  void add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots);
  void remove(Slot slot);
  void reduce(Slot slot, QtyLots by_lots);
  void transfer(Slot from, Slot to);
  void fill_front(Side side, QtyLots qty_lots);
  [[nodiscard]] BookFront front(Side side) const;
  [[nodiscard]] QtyLots resting_lots() const { return resting_lots_; }
  [[nodiscard]] SweepResult sweep(const SweepRequest& request) const;
  void list_levels(Side side, std::size_t depth, std::vector<BookLevel>& out) const;
  void list_queue(Side side, PriceTicks price_ticks, std::vector<Slot>& out) const;

 private:
  static std::size_t index(Side side) { return side == Side::kBuy ? 0 : 1; }
  [[nodiscard]] std::uint32_t offset(PriceTicks price_ticks) const {
    return static_cast<std::uint32_t>(price_ticks - min_price_ticks_);
  }
  LevelIndex open_level(Side side, PriceTicks price_ticks);
  void close_level(LevelIndex level);
  void unlink(Slot slot);
  [[nodiscard]] LevelIndex next_worse(Side side, LevelIndex level) const;
  [[nodiscard]] bool better(Side side, PriceTicks price, PriceTicks than) const {
    return side == Side::kBuy ? price > than : price < than;
  }

  Pool* pool_;
  PriceTicks min_price_ticks_;
  PriceTicks max_price_ticks_;
  ZeroedArray<LevelIndex> level_at_;
  PriceBitmap occupied_;
  std::array<LevelIndex, 2> best_{};
  QtyLots resting_lots_ = 0;
};

}  // namespace openvenue::core

// The product's book: constant-time add, remove and fill, and no heap use after construction.
//
//   price - min ──▶ page of 64 prices ──▶ Level {quantity, orders, head, tail}
//                                                 │
//                                                 ▼
//                                         Node ⇄ Node ⇄ Node      (time priority, one node a slot)
//
// Bids and asks never share a price, so one directory of pages and one bitmap serve both sides; the
// bitmap finds the next best level when the best one empties. All books of a shard share a pool of
// nodes, levels and pages: an order rests in one book only, and a level and a page hold at least
// one order. So the books' memory follows the number of resting orders, not the prices that were
// ever used, which cost two bits per tick.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/base/zeroed_array.h"
#include "core/book/book.h"
#include "core/book/price_bitmap.h"

namespace openvenue::core {

class FastBook {
 private:
  using LevelIndex = std::uint32_t;  // 0: none
  using PageIndex = std::uint32_t;   // index of the page's first entry; 0: one without levels
  static constexpr std::uint32_t kPageTicks = PriceBitmap::kBlock;
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
        : nodes_(max_orders),
          levels_(std::size_t{max_orders} + 1),
          pages_((std::size_t{max_orders} + 1) * kPageTicks) {}

    // The worst case: each order has a price, and each price a page, of its own.
    [[nodiscard]] static std::uint64_t bytes(std::uint32_t max_orders) {
      return std::uint64_t{max_orders} *
             (sizeof(Node) + sizeof(Level) + kPageTicks * sizeof(LevelIndex));
    }

   private:
    friend class FastBook;
    LevelIndex acquire_level();
    void release_level(LevelIndex level);
    PageIndex acquire_page();
    void release_page(PageIndex page);

    ZeroedArray<Node> nodes_;
    ZeroedArray<Level> levels_;
    ZeroedArray<LevelIndex> pages_;  // the first page stays empty
    LevelIndex levels_used_ = 0;     // levels above were never used
    LevelIndex free_level_ = 0;
    PageIndex pages_used_ = 0;  // pages above were never used
    PageIndex free_page_ = 0;
  };

  // `pool` must outlive the book.
  FastBook(Pool& pool, PriceTicks min_price_ticks, PriceTicks max_price_ticks);

  void add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots);
  void remove(Slot slot);
  void reduce(Slot slot, QtyLots by_lots);
  void transfer(Slot from, Slot to);
  void fill_front(Side side, QtyLots qty_lots);
  // In the header, so that it can be inlined: matching calls it once per fill, and once more.
  [[nodiscard]] BookFront front(Side side) const {
    const LevelIndex best = best_[index(side)];
    if (best == 0) return {};
    const Level& level = pool_->levels_[best];
    return {level.head, level.price_ticks, pool_->nodes_[level.head].leaves_lots};
  }
  [[nodiscard]] QtyLots resting_lots() const { return resting_lots_; }
  [[nodiscard]] SweepResult sweep(const SweepRequest& request) const;

  class Levels;
  class Queue;
  // A change of the book ends both.
  [[nodiscard]] Levels levels(Side side) const;
  [[nodiscard]] Queue queue(Side side, PriceTicks price_ticks) const;

 private:
  static std::size_t index(Side side) { return side == Side::kBuy ? 0 : 1; }
  [[nodiscard]] std::uint32_t offset(PriceTicks price_ticks) const {
    return static_cast<std::uint32_t>(price_ticks - min_price_ticks_);
  }
  [[nodiscard]] LevelIndex& level_at(std::uint32_t offset) {
    return pool_->pages_[page_at_[offset / kPageTicks] + offset % kPageTicks];
  }
  [[nodiscard]] LevelIndex level_at(std::uint32_t offset) const {
    return pool_->pages_[page_at_[offset / kPageTicks] + offset % kPageTicks];
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
  ZeroedArray<PageIndex> page_at_;
  PriceBitmap occupied_;
  std::array<LevelIndex, 2> best_{};
  QtyLots resting_lots_ = 0;
};

// One side's levels, best first.
class FastBook::Levels {
 public:
  class Iterator {
   public:
    Iterator(const FastBook& book, Side side)
        : book_(&book), side_(side), at_(book.best_[index(side)]) {}
    BookLevel operator*() const {
      const Level& level = book_->pool_->levels_[at_];
      return {level.price_ticks, level.qty_lots, level.orders};
    }
    Iterator& operator++() {
      at_ = book_->next_worse(side_, at_);
      return *this;
    }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.at_ == 0; }

   private:
    const FastBook* book_;
    Side side_;
    LevelIndex at_;
  };

  Levels(const FastBook& book, Side side) : book_(&book), side_(side) {}
  [[nodiscard]] Iterator begin() const { return {*book_, side_}; }
  [[nodiscard]] static std::default_sentinel_t end() { return {}; }

 private:
  const FastBook* book_;
  Side side_;
};

// One level's slots in time priority.
class FastBook::Queue {
 public:
  class Iterator {
   public:
    Iterator(const FastBook& book, Slot slot) : book_(&book), slot_(slot) {}
    Slot operator*() const { return slot_; }
    Iterator& operator++() {
      slot_ = book_->pool_->nodes_[slot_].next;
      return *this;
    }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) {
      return it.slot_ == kNoSlot;
    }

   private:
    const FastBook* book_;
    Slot slot_;
  };

  Queue(const FastBook& book, Slot head) : book_(&book), head_(head) {}
  [[nodiscard]] Iterator begin() const { return {*book_, head_}; }
  [[nodiscard]] static std::default_sentinel_t end() { return {}; }

 private:
  const FastBook* book_;
  Slot head_;
};

inline FastBook::Levels FastBook::levels(Side side) const { return {*this, side}; }

}  // namespace openvenue::core

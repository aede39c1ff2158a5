#include "core/book/fast_book.h"

#include <algorithm>
#include <utility>

namespace openvenue::core {

static_assert(OrderBook<FastBook>);

FastBook::LevelIndex FastBook::Pool::acquire_level() {
  if (free_level_ == 0) return ++levels_used_;
  const LevelIndex level = free_level_;
  free_level_ = levels_[level].next_free;
  return level;
}

void FastBook::Pool::release_level(LevelIndex level) {
  levels_[level].next_free = free_level_;
  free_level_ = level;
}

// A free page is all zeros, except that its first entry is the index of the next free one.
FastBook::PageIndex FastBook::Pool::acquire_page() {
  if (free_page_ == 0) return pages_used_ += kPageTicks;
  const PageIndex page = free_page_;
  free_page_ = std::exchange(pages_[page], 0);
  return page;
}

void FastBook::Pool::release_page(PageIndex page) {
  pages_[page] = free_page_;
  free_page_ = page;
}

FastBook::FastBook(Pool& pool, PriceTicks min_price_ticks, PriceTicks max_price_ticks)
    : pool_(&pool),
      min_price_ticks_(min_price_ticks),
      max_price_ticks_(max_price_ticks),
      page_at_(offset(max_price_ticks) / kPageTicks + 1),
      occupied_(offset(max_price_ticks) + 1) {}

void FastBook::add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots) {
  LevelIndex index_of_level = level_at(offset(price_ticks));
  if (index_of_level == 0) index_of_level = open_level(side, price_ticks);
  Level& level = pool_->levels_[index_of_level];
  pool_->nodes_[slot] = {qty_lots, level.tail, kNoSlot, index_of_level};
  (level.tail == kNoSlot ? level.head : pool_->nodes_[level.tail].next) = slot;
  level.tail = slot;
  level.qty_lots += qty_lots;
  resting_lots_ += qty_lots;
  ++level.orders;
}

void FastBook::remove(Slot slot) {
  const Node& node = pool_->nodes_[slot];
  pool_->levels_[node.level].qty_lots -= node.leaves_lots;
  resting_lots_ -= node.leaves_lots;
  unlink(slot);
}

void FastBook::reduce(Slot slot, QtyLots by_lots) {
  Node& node = pool_->nodes_[slot];
  node.leaves_lots -= by_lots;
  pool_->levels_[node.level].qty_lots -= by_lots;
  resting_lots_ -= by_lots;
}

void FastBook::transfer(Slot from, Slot to) {
  const Node node = pool_->nodes_[from];
  Level& level = pool_->levels_[node.level];
  pool_->nodes_[to] = node;
  (node.previous == kNoSlot ? level.head : pool_->nodes_[node.previous].next) = to;
  (node.next == kNoSlot ? level.tail : pool_->nodes_[node.next].previous) = to;
}

void FastBook::fill_front(Side side, QtyLots qty_lots) {
  const Slot slot = pool_->levels_[best_[index(side)]].head;
  reduce(slot, qty_lots);
  if (pool_->nodes_[slot].leaves_lots == 0) unlink(slot);
}

SweepResult FastBook::sweep(const SweepRequest& request) const {
  SweepResult result;
  std::uint32_t fills_left = request.fills_max;
  for (LevelIndex at = best_[index(request.side)]; at != 0; at = next_worse(request.side, at)) {
    const Level& level = pool_->levels_[at];
    const QtyLots wanted = request.qty_lots - result.qty_lots;
    if (wanted == 0 || fills_left == 0) break;
    if (!crosses(request.side, level.price_ticks, request.limit_price_ticks)) break;
    QtyLots taken = 0;
    if (level.qty_lots <= wanted && level.orders <= fills_left) {
      taken = level.qty_lots;
      fills_left -= level.orders;
    } else {
      for (Slot slot = level.head; slot != kNoSlot && taken < wanted && fills_left > 0;
           slot = pool_->nodes_[slot].next, --fills_left) {
        taken += std::min(pool_->nodes_[slot].leaves_lots, wanted - taken);
      }
    }
    result.qty_lots += taken;
    result.lot_ticks += WideInteger{taken} * level.price_ticks;
  }
  result.fills = request.fills_max - fills_left;
  return result;
}

FastBook::Queue FastBook::queue(Side side, PriceTicks price_ticks) const {
  const Queue none(*this, kNoSlot);
  if (price_ticks < min_price_ticks_ || price_ticks > max_price_ticks_) return none;
  const LevelIndex at = level_at(offset(price_ticks));
  const LevelIndex best = best_[index(side)];
  // One array serves both sides: the level belongs to this side if it is not better than its best.
  if (at == 0 || best == 0) return none;
  if (better(side, price_ticks, pool_->levels_[best].price_ticks)) return none;
  return {*this, pool_->levels_[at].head};
}

FastBook::LevelIndex FastBook::open_level(Side side, PriceTicks price_ticks) {
  const LevelIndex opened = pool_->acquire_level();
  pool_->levels_[opened] = {price_ticks, 0, kNoSlot, kNoSlot, 0, 0};
  const std::uint32_t at = offset(price_ticks);
  if (occupied_.insert(at)) page_at_[at / kPageTicks] = pool_->acquire_page();
  level_at(at) = opened;
  LevelIndex& best = best_[index(side)];
  if (best == 0 || better(side, price_ticks, pool_->levels_[best].price_ticks)) best = opened;
  return opened;
}

void FastBook::close_level(LevelIndex level) {
  if (level == best_[0]) best_[0] = next_worse(Side::kBuy, level);
  if (level == best_[1]) best_[1] = next_worse(Side::kSell, level);
  const std::uint32_t at = offset(pool_->levels_[level].price_ticks);
  level_at(at) = 0;
  if (occupied_.erase(at)) pool_->release_page(std::exchange(page_at_[at / kPageTicks], 0));
  pool_->release_level(level);
}

void FastBook::unlink(Slot slot) {
  const Node node = pool_->nodes_[slot];
  Level& level = pool_->levels_[node.level];
  if (--level.orders == 0) return close_level(node.level);
  (node.previous == kNoSlot ? level.head : pool_->nodes_[node.previous].next) = node.next;
  (node.next == kNoSlot ? level.tail : pool_->nodes_[node.next].previous) = node.previous;
}

FastBook::LevelIndex FastBook::next_worse(Side side, LevelIndex level) const {
  const std::uint32_t at = offset(pool_->levels_[level].price_ticks);
  const std::uint32_t next =
      side == Side::kBuy ? occupied_.next_below(at) : occupied_.next_above(at);
  return next == PriceBitmap::kNone ? 0 : level_at(next);
}

}  // namespace openvenue::core

#include "core/testing/naive_book.h"

#include <algorithm>

namespace openvenue::core {

static_assert(OrderBook<NaiveBook>);

void NaiveBook::add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots) {
  Queue& queue = levels(side)[key(side, price_ticks)];
  queue.push_back({slot, qty_lots});
  places_[slot] = {side, price_ticks, std::prev(queue.end())};
  resting_lots_ += qty_lots;
}

void NaiveBook::remove(Slot slot) {
  const Place place = places_.at(slot);
  const auto level = levels(place.side).find(key(place.side, place.price_ticks));
  resting_lots_ -= place.resting->leaves_lots;
  level->second.erase(place.resting);
  if (level->second.empty()) levels(place.side).erase(level);
  places_.erase(slot);
}

void NaiveBook::reduce(Slot slot, QtyLots by_lots) {
  places_.at(slot).resting->leaves_lots -= by_lots;
  resting_lots_ -= by_lots;
}

void NaiveBook::transfer(Slot from, Slot to) {
  const Place place = places_.at(from);
  places_.erase(from);
  place.resting->slot = to;
  places_[to] = place;
}

void NaiveBook::fill_front(Side side, QtyLots qty_lots) {
  Resting& resting = levels(side).begin()->second.front();
  resting.leaves_lots -= qty_lots;
  resting_lots_ -= qty_lots;
  if (resting.leaves_lots == 0) remove(resting.slot);
}

BookFront NaiveBook::front(Side side) const {
  if (levels(side).empty()) return {};
  const auto& [price_key, queue] = *levels(side).begin();
  return {queue.front().slot, key(side, price_key), queue.front().leaves_lots};
}

SweepResult NaiveBook::sweep(const SweepRequest& request) const {
  SweepResult result;
  std::uint32_t fills = 0;
  for (const auto& [price_key, queue] : levels(request.side)) {
    const PriceTicks price = key(request.side, price_key);
    if (!crosses(request.side, price, request.limit_price_ticks)) break;
    for (const Resting& resting : queue) {
      if (result.qty_lots == request.qty_lots || fills == request.fills_max) return result;
      const QtyLots taken = std::min(resting.leaves_lots, request.qty_lots - result.qty_lots);
      result.qty_lots += taken;
      result.lot_ticks += WideInteger{taken} * price;
      ++fills;
    }
  }
  return result;
}

void NaiveBook::list_levels(Side side, std::size_t depth, std::vector<BookLevel>& out) const {
  for (const auto& [price_key, queue] : levels(side)) {
    if (depth-- == 0) return;
    BookLevel level{key(side, price_key), 0, static_cast<std::uint32_t>(queue.size())};
    for (const Resting& resting : queue) level.qty_lots += resting.leaves_lots;
    out.push_back(level);
  }
}

void NaiveBook::list_queue(Side side, PriceTicks price_ticks, std::vector<Slot>& out) const {
  const auto level = levels(side).find(key(side, price_ticks));
  if (level == levels(side).end()) return;
  for (const Resting& resting : level->second) out.push_back(resting.slot);
}

}  // namespace openvenue::core

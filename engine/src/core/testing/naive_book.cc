#include "core/testing/naive_book.h"

#include <algorithm>

namespace openvenue::core {

static_assert(OrderBook<NaiveBook>);

void NaiveBook::add(Slot slot, Side side, PriceTicks price_ticks, QtyLots qty_lots) {
  Queue& queue = of(side)[key(side, price_ticks)];
  queue.push_back({slot, qty_lots});
  places_[slot] = {side, price_ticks, std::prev(queue.end())};
  resting_lots_ += qty_lots;
}

void NaiveBook::remove(Slot slot) {
  const Place place = places_.at(slot);
  const auto level = of(place.side).find(key(place.side, place.price_ticks));
  resting_lots_ -= place.resting->leaves_lots;
  level->second.erase(place.resting);
  if (level->second.empty()) of(place.side).erase(level);
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
  Resting& resting = of(side).begin()->second.front();
  resting.leaves_lots -= qty_lots;
  resting_lots_ -= qty_lots;
  if (resting.leaves_lots == 0) remove(resting.slot);
}

BookFront NaiveBook::front(Side side) const {
  if (of(side).empty()) return {};
  const auto& [price_key, queue] = *of(side).begin();
  return {queue.front().slot, key(side, price_key), queue.front().leaves_lots};
}

SweepResult NaiveBook::sweep(const SweepRequest& request) const {
  SweepResult result;
  for (const auto& [price_key, queue] : of(request.side)) {
    const PriceTicks price = key(request.side, price_key);
    if (!crosses(request.side, price, request.limit_price_ticks)) break;
    for (const Resting& resting : queue) {
      if (result.qty_lots == request.qty_lots || result.fills == request.fills_max) return result;
      const QtyLots taken = std::min(resting.leaves_lots, request.qty_lots - result.qty_lots);
      result.qty_lots += taken;
      result.lot_ticks += WideInteger{taken} * price;
      ++result.fills;
    }
  }
  return result;
}

std::vector<BookLevel> NaiveBook::levels(Side side) const {
  std::vector<BookLevel> all;
  for (const auto& [price_key, queue] : of(side)) {
    BookLevel level{key(side, price_key), 0, static_cast<std::uint32_t>(queue.size())};
    for (const Resting& resting : queue) level.qty_lots += resting.leaves_lots;
    all.push_back(level);
  }
  return all;
}

std::vector<Slot> NaiveBook::queue(Side side, PriceTicks price_ticks) const {
  std::vector<Slot> slots;
  const auto level = of(side).find(key(side, price_ticks));
  if (level == of(side).end()) return slots;
  for (const Resting& resting : level->second) slots.push_back(resting.slot);
  return slots;
}

}  // namespace openvenue::core

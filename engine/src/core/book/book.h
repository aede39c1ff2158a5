// The concept of an instrument's book, for all implementations.
//
// A book knows slots, prices, quantities and their order; it knows nothing of accounts, order ids
// or money. It trusts its caller: prices are within its range, quantities are positive, a slot
// rests at most once, and bids stay below asks (the caller matches before adding).
#pragma once

#include <concepts>
#include <cstdint>
#include <utility>

#include "core/base/slot.h"
#include "core/base/types.h"
#include "core/base/wide_integer.h"

namespace openvenue::core {

struct BookLevel {
  PriceTicks price_ticks = 0;
  QtyLots qty_lots = 0;
  std::uint32_t orders = 0;
  friend bool operator==(const BookLevel&, const BookLevel&) = default;
};

// The order that an incoming order meets first.
struct BookFront {
  Slot slot = kNoSlot;  // kNoSlot: that side is empty
  PriceTicks price_ticks = 0;
  QtyLots leaves_lots = 0;
};

// An order that takes up to `qty_lots` from `side`, at `limit_price_ticks` or better, in at most
// `fills_max` fills.
struct SweepRequest {
  Side side = Side::kSell;  // the side to take from
  PriceTicks limit_price_ticks = 0;
  QtyLots qty_lots = 0;
  std::uint32_t fills_max = 0;
};

struct SweepResult {
  QtyLots qty_lots = 0;       // what the order would get
  WideInteger lot_ticks = 0;  // sum of price x quantity
  std::uint32_t fills = 0;    // orders met
};

// True if an order of the side opposite to `resting` with this limit trades at `price`.
constexpr bool crosses(Side resting, PriceTicks price, PriceTicks limit) {
  return resting == Side::kSell ? price <= limit : price >= limit;
}

// What a range-for goes through, by value or by reference.
template <class R, class Value>
concept ListOf = requires(const R& list) {
  { *list.begin() } -> std::convertible_to<const Value&>;
  ++std::declval<decltype(list.begin())&>();
  { list.begin() != list.end() } -> std::convertible_to<bool>;
};

// `Pool` holds the memory that all books of a shard share, sized for all their resting orders.
template <class B>
concept OrderBook = requires(B book, const B& view, typename B::Pool& pool, Slot slot, Side side,
                             PriceTicks price, QtyLots qty, const SweepRequest& request) {
  typename B::Pool;
  requires std::constructible_from<typename B::Pool, std::uint32_t>;
  requires std::constructible_from<B, typename B::Pool&, PriceTicks, PriceTicks>;

  book.add(slot, side, price, qty);  // to the back of its level
  book.remove(slot);
  book.reduce(slot, qty);      // by less than its leaves; keeps its place
  book.transfer(slot, slot);   // the first's order continues as the second, at the same place
  book.fill_front(side, qty);  // by at most the front's leaves; removes it when nothing is left
  { view.front(side) } -> std::same_as<BookFront>;
  { view.resting_lots() } -> std::same_as<QtyLots>;  // on both sides, in constant time
  { view.sweep(request) } -> std::same_as<SweepResult>;
  // To go through a book in price-time order. A change of the book ends both.
  { view.levels(side) } -> ListOf<BookLevel>;   // best first
  { view.queue(side, price) } -> ListOf<Slot>;  // one level's slots in time priority
};

}  // namespace openvenue::core

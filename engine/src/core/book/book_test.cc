// FastBook must behave exactly like NaiveBook.
#include "core/book/book.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "core/book/fast_book.h"
#include "core/testing/naive_book.h"
#include "core/testing/seeds.h"

namespace openvenue::core {
namespace {

constexpr int kStepsPerSeed = 500;
constexpr std::uint32_t kOrders = 48;
constexpr PriceTicks kMinPrice = 10;

template <class Element>
std::vector<Element> listed(const ListOf<Element> auto& list) {
  std::vector<Element> all;
  for (const Element& element : list) all.push_back(element);
  return all;
}

// Performs the same random operations on both books, within a book's preconditions, and compares
// everything visible after each.
class BookTwins {
 public:
  BookTwins(std::uint64_t seed, PriceTicks max_price)
      : random_(seed),
        max_price_(max_price),
        fast_(fast_pool_, kMinPrice, max_price),
        naive_(naive_pool_, kMinPrice, max_price) {
    for (Slot slot = kOrders; slot-- > 0;) free_.push_back(slot);
  }

  void step() {
    const std::int64_t dice = between(0, 99);
    if (resting_.empty() || (dice < 45 && !free_.empty())) {
      add();
    } else if (dice < 65) {
      remove(take(resting_));
    } else if (dice < 75) {
      reduce(resting_[index(resting_.size())]);
    } else if (dice < 85 && !free_.empty()) {
      transfer();
    } else {
      fill_front(one_in(2) ? Side::kBuy : Side::kSell);
    }
    expect_equal();
  }

 private:
  struct Resting {
    Slot slot = kNoSlot;
    QtyLots leaves_lots = 0;
  };

  std::int64_t between(std::int64_t first, std::int64_t last) {
    return first +
           static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(last - first + 1));
  }
  std::size_t index(std::size_t size) { return random_() % size; }
  bool one_in(std::int64_t count) { return between(1, count) == 1; }

  template <class T>
  T take(std::vector<T>& from) {
    std::swap(from[index(from.size())], from.back());
    const T taken = from.back();
    from.pop_back();
    return taken;
  }

  // Bids stay below asks; half of the orders come close to the other side.
  void add() {
    const Side side = one_in(2) ? Side::kBuy : Side::kSell;
    const BookFront other = naive_.front(opposite(side));
    PriceTicks first = kMinPrice;
    PriceTicks last = max_price_;
    if (other.slot != kNoSlot) {
      (side == Side::kBuy ? last : first) = other.price_ticks + (side == Side::kBuy ? -1 : 1);
    }
    if (first > last) return;
    if (one_in(2)) (side == Side::kBuy ? first : last) = middle(side, first, last);
    const PriceTicks price = between(first, last);
    const Resting order{take(free_), between(1, 20)};
    resting_.push_back(order);
    fast_.add(order.slot, side, price, order.leaves_lots);
    naive_.add(order.slot, side, price, order.leaves_lots);
  }

  static PriceTicks middle(Side side, PriceTicks first, PriceTicks last) {
    constexpr PriceTicks kClose = 3;
    return side == Side::kBuy ? std::max(first, last - kClose) : std::min(last, first + kClose);
  }

  void remove(const Resting& order) {
    fast_.remove(order.slot);
    naive_.remove(order.slot);
    free_.push_back(order.slot);
  }

  void reduce(Resting& order) {
    if (order.leaves_lots == 1) return;
    const QtyLots by = between(1, order.leaves_lots - 1);
    order.leaves_lots -= by;
    fast_.reduce(order.slot, by);
    naive_.reduce(order.slot, by);
  }

  void transfer() {
    Resting& order = resting_[index(resting_.size())];
    const Slot to = take(free_);
    fast_.transfer(order.slot, to);
    naive_.transfer(order.slot, to);
    free_.push_back(order.slot);
    order.slot = to;
  }

  void fill_front(Side side) {
    const BookFront front = naive_.front(side);
    if (front.slot == kNoSlot) return;
    const QtyLots qty = one_in(2) ? front.leaves_lots : between(1, front.leaves_lots);
    fast_.fill_front(side, qty);
    naive_.fill_front(side, qty);
    for (std::size_t i = 0; i < resting_.size(); ++i) {
      if (resting_[i].slot != front.slot) continue;
      resting_[i].leaves_lots -= qty;
      if (resting_[i].leaves_lots > 0) continue;
      free_.push_back(front.slot);
      resting_.erase(resting_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void expect_equal() {
    ASSERT_EQ(fast_.resting_lots(), naive_.resting_lots());
    for (const Side side : {Side::kBuy, Side::kSell}) {
      ASSERT_EQ(fast_.front(side).slot, naive_.front(side).slot);
      ASSERT_EQ(fast_.front(side).leaves_lots, naive_.front(side).leaves_lots);
      expect_equal_levels(side);
      expect_equal_sweeps(side);
    }
  }

  void expect_equal_levels(Side side) {
    std::vector<BookLevel> levels = naive_.levels(side);
    ASSERT_EQ(listed<BookLevel>(fast_.levels(side)), levels);
    levels.push_back({between(kMinPrice - 1, max_price_ + 1), 0, 0});
    for (const BookLevel& level : levels) {
      const PriceTicks price = level.price_ticks;
      ASSERT_EQ(listed<Slot>(fast_.queue(side, price)), naive_.queue(side, price));
    }
  }

  void expect_equal_sweeps(Side side) {
    const BookFront front = naive_.front(side);
    const PriceTicks near = front.price_ticks + between(-4, 4);
    const SweepRequest request{side, one_in(2) ? near : between(0, max_price_), between(1, 100),
                               static_cast<std::uint32_t>(between(1, 12))};
    const SweepResult fast = fast_.sweep(request);
    const SweepResult naive = naive_.sweep(request);
    ASSERT_EQ(fast.qty_lots, naive.qty_lots);
    ASSERT_TRUE(fast.lot_ticks == naive.lot_ticks);
  }

  std::mt19937_64 random_;
  PriceTicks max_price_;
  FastBook::Pool fast_pool_{kOrders};
  NaiveBook::Pool naive_pool_{kOrders};
  FastBook fast_;
  NaiveBook naive_;
  std::vector<Resting> resting_;
  std::vector<Slot> free_;
};

TEST(Book, FastAndNaiveBooksAgreeOnWhateverIsAskedOfThem) {
  constexpr PriceTicks kMaxPrices[] = {kMinPrice + 20, kMinPrice + 500, PriceTicks{1} << 20};
  for (std::uint64_t seed = 1; seed <= seeds(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    BookTwins twins(seed, kMaxPrices[seed % std::size(kMaxPrices)]);
    for (int i = 0; i < kStepsPerSeed && !HasFatalFailure(); ++i) twins.step();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace openvenue::core

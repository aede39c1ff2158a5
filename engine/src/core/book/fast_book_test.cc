// FastBook's promises beyond those of every book: its memory follows the number of resting orders,
// not the prices that were ever used. differential_test.cc compares its behaviour with the naive
// book's.
#include "core/book/fast_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/schema/command.h"

namespace openvenue::core {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

// Resident memory of this process.
std::uint64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  std::uint64_t kibibytes = 0;
  for (std::string word; status >> word && word != "VmRSS:";) continue;
  status >> kibibytes;
  return kibibytes << 10;
}

TEST(FastBook, KeepsNothingLargeOfPricesThatWereUsedOnce) {
  FastBook::Pool pool(4);
  FastBook book(pool, 1, kPriceRangeTicksMax);
  const std::uint64_t before = resident_bytes();
  for (PriceTicks price = 1; price <= kPriceRangeTicksMax; price += 64) {
    book.add(0, Side::kBuy, price, 1);
    book.remove(0);
  }
  // Two bits a tick are 16 MiB; an entry of four bytes a tick would be 256.
  EXPECT_LT(resident_bytes() - std::min(before, resident_bytes()), 32 * kMebibyte);
}

TEST(FastBook, ManyBooksOfTheWidestRangeShareOneSmallPool) {
  constexpr Slot kOrders = 64;
  FastBook::Pool pool(kOrders);
  std::vector<std::unique_ptr<FastBook>> books;
  books.reserve(16);
  for (int i = 0; i < 16; ++i) {
    books.push_back(std::make_unique<FastBook>(pool, 1, kPriceRangeTicksMax));
  }
  // All orders of the pool move together, each alone in its page, to new prices and other books.
  for (PriceTicks step = 0; step < 2'000; ++step) {
    FastBook& book = *books[static_cast<std::size_t>(step) % books.size()];
    const auto price = [&](Slot slot) { return 1 + (step * 101 + PriceTicks{slot}) * 64; };
    for (Slot slot = 0; slot < kOrders; ++slot) book.add(slot, Side::kSell, price(slot), 5);
    ASSERT_EQ(book.front(Side::kSell).price_ticks, price(0));
    ASSERT_EQ(book.resting_lots(), 5 * kOrders);
    for (Slot slot = 0; slot < kOrders; ++slot) book.remove(slot);
    ASSERT_EQ(book.front(Side::kSell).slot, kNoSlot);
  }
}

TEST(FastBook, APageThatComesBackHoldsNothingOfItsFormerLevels) {
  FastBook::Pool pool(4);
  FastBook book(pool, 1, 1'000);
  for (const PriceTicks price : {65, 66, 67})
    book.add(static_cast<Slot>(price - 65), Side::kBuy, price, 1);
  for (const Slot slot : {0U, 1U, 2U}) book.remove(slot);
  book.add(3, Side::kBuy, 500, 7);

  for (PriceTicks price = 1; price <= 499; ++price) {
    for (const Slot slot : book.queue(Side::kBuy, price)) ADD_FAILURE() << slot << " at " << price;
  }
  std::vector<BookLevel> levels;
  for (const BookLevel& level : book.levels(Side::kBuy)) levels.push_back(level);
  EXPECT_THAT(levels, ElementsAre(BookLevel{500, 7, 1}));
}

TEST(FastBook, FindsTheNextLevelAcrossEmptyPages) {
  FastBook::Pool pool(4);
  FastBook book(pool, 10, 9 + kPriceRangeTicksMax);
  const PriceTicks far = 9 + kPriceRangeTicksMax;
  book.add(0, Side::kBuy, 10, 1);
  book.add(1, Side::kBuy, 5'000'000, 2);
  book.add(2, Side::kSell, far, 3);
  book.add(3, Side::kSell, far - 70, 4);
  EXPECT_EQ(book.front(Side::kBuy).price_ticks, 5'000'000);
  EXPECT_EQ(book.front(Side::kSell).price_ticks, far - 70);
  book.fill_front(Side::kBuy, 2);
  book.fill_front(Side::kSell, 4);
  EXPECT_EQ(book.front(Side::kBuy).price_ticks, 10);
  EXPECT_EQ(book.front(Side::kSell).price_ticks, far);
}

}  // namespace
}  // namespace openvenue::core

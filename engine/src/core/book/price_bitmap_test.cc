#include "core/book/price_bitmap.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace openvenue::core {
namespace {

TEST(PriceBitmap, FindsTheNextMembersThatASetFinds) {
  for (const std::uint32_t size : {1U, 64U, 65U, 4'097U, 300'000U}) {
    PriceBitmap bitmap(size);
    std::set<std::uint32_t> expected;
    std::mt19937 random(size);
    for (int step = 0; step < 5'000; ++step) {
      const auto member = static_cast<std::uint32_t>(random() % size);
      if (expected.insert(member).second) {
        bitmap.insert(member);
      } else {
        expected.erase(member);
        bitmap.erase(member);
      }
      const auto from = static_cast<std::uint32_t>(random() % size);
      const auto above = expected.upper_bound(from);
      const auto below = expected.lower_bound(from);
      ASSERT_EQ(bitmap.next_above(from), above == expected.end() ? PriceBitmap::kNone : *above);
      ASSERT_EQ(bitmap.next_below(from),
                below == expected.begin() ? PriceBitmap::kNone : *std::prev(below));
    }
  }
}

TEST(PriceBitmap, SaysWhenABlockGetsItsFirstMemberAndLosesItsLast) {
  PriceBitmap bitmap(1'000);
  EXPECT_TRUE(bitmap.insert(64));
  EXPECT_FALSE(bitmap.insert(127));
  EXPECT_TRUE(bitmap.insert(128));
  EXPECT_FALSE(bitmap.erase(64));
  EXPECT_TRUE(bitmap.erase(127));
  EXPECT_TRUE(bitmap.erase(128));
}

TEST(PriceBitmap, CoversTheWidestPriceRange) {
  constexpr std::uint32_t kLast = (1U << 26) - 1;
  PriceBitmap bitmap(kLast + 1);
  bitmap.insert(0);
  bitmap.insert(kLast);
  EXPECT_EQ(bitmap.next_above(0), kLast);
  EXPECT_EQ(bitmap.next_below(kLast), 0U);
}

}  // namespace
}  // namespace openvenue::core

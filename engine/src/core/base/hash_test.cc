#include "core/base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace openvenue::core {
namespace {

std::string bytes_of(std::uint64_t word) {
  return {reinterpret_cast<const char*>(&word), sizeof word};
}

// mix() is 0 if one of its arguments is one of these.
class HashOfATextWith : public testing::TestWithParam<std::uint64_t> {};

TEST_P(HashOfATextWith, DependsOnWhatComesBeforeThatWord) {
  const std::string rest = bytes_of(GetParam()) + "and more";
  int collisions = 0;
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    const auto first = static_cast<std::uint32_t>(hash_text(seed, "12345678" + rest));
    const auto second = static_cast<std::uint32_t>(hash_text(seed, "abcdefgh" + rest));
    collisions += first == second ? 1 : 0;
  }
  EXPECT_LE(collisions, 1);
}

INSTANTIATE_TEST_SUITE_P(Words, HashOfATextWith,
                         testing::Values(0x9E37'79B9'7F4A'7C15, 0xD1B5'4A32'D192'ED03, 0));

TEST(HashOfAText, DependsOnTheSeedAndOnEachByte) {
  EXPECT_NE(hash_text(1, "order"), hash_text(2, "order"));
  EXPECT_NE(hash_text(1, "order"), hash_text(1, "Order"));
  EXPECT_NE(hash_text(1, "order"), hash_text(1, std::string("order\0", 6)));
  EXPECT_NE(hash_text(1, "an order of two words"), hash_text(1, "an order of two w0rds"));
}

}  // namespace
}  // namespace openvenue::core

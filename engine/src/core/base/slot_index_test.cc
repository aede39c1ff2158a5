#include "core/base/slot_index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "core/base/hash.h"

namespace openvenue::core {
namespace {

TEST(SlotIndex, FindsWhatAMapFindsThroughAnyChurn) {
  constexpr std::uint32_t kRecords = 64;
  // Few distinct hashes, so that clusters, wrap-around and shifting all happen.
  for (const std::uint32_t hashes : {1U, 7U, 1'000U}) {
    SlotIndex index(kRecords);
    std::map<std::uint32_t, Slot> expected;  // key -> slot
    std::vector<std::uint32_t> key_of(kRecords);
    std::mt19937 random(hashes);
    for (int step = 0; step < 20'000; ++step) {
      const auto key = static_cast<std::uint32_t>(random() % kRecords);
      const std::uint32_t hash = 0U - (key % hashes);
      const Slot found = index.find(hash, [&](Slot slot) { return key_of[slot] == key; });
      const auto known = expected.find(key);
      ASSERT_EQ(found, known == expected.end() ? kNoSlot : known->second);
      if (known == expected.end()) {
        key_of[key] = key;
        index.insert(hash, key);
        expected[key] = key;
      } else {
        index.erase(hash, known->second);
        expected.erase(known);
      }
    }
  }
}

TEST(SlotIndex, NeighbouringNumbersShareACacheLine) {
  for (std::uint64_t number = 0; number < 8'000; number += 8) {
    EXPECT_EQ(hash_number(number) >> 3, hash_number(number + 7) >> 3);
    EXPECT_NE(hash_number(number), hash_number(number + 1));
  }
}

}  // namespace
}  // namespace openvenue::core

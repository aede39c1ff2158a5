// That no id which was added passes as new, whatever becomes of the filter's size, and that few new
// ids pass as old.
#include "core/state/forgotten_ids.h"

#include <gtest/gtest.h>

#include "core/state/client_ids.h"

namespace openvenue::core {
namespace {

UsedClientId id_of(std::uint64_t number) {
  Order order;
  order.account = static_cast<AccountId>(1 + number % 3);
  order.client_order_id = ClientOrderId("bot-" + std::to_string(number));
  return client_id_of(order);
}

void add(ForgottenIds& forgotten, std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t i = first; i < end; ++i) forgotten.add(id_of(i));
}

std::uint64_t found(const ForgottenIds& forgotten, std::uint64_t first, std::uint64_t end) {
  std::uint64_t count = 0;
  for (std::uint64_t i = first; i < end; ++i) count += forgotten.maybe(id_of(i)) ? 1 : 0;
  return count;
}

TEST(ForgottenIds, FindsEachThatWasAddedAndFewOthers) {
  ForgottenIds forgotten(1U << 14);
  forgotten.fit(1U << 14);
  EXPECT_EQ(found(forgotten, 0, 100), 0U);
  const std::uint64_t full = forgotten.ids_max();
  add(forgotten, 0, full);
  EXPECT_EQ(forgotten.ids(), full);
  EXPECT_EQ(found(forgotten, 0, full), full);
  EXPECT_LT(found(forgotten, full, 2 * full), full / 500);
  add(forgotten, full, 2 * full);
  EXPECT_LT(found(forgotten, 2 * full, 3 * full), full / 25);
}

TEST(ForgottenIds, KeepsWhatItHasWhenItGrowsAndWhenItShrinks) {
  ForgottenIds forgotten(1U << 17);
  forgotten.fit(1U << 14);
  const std::uint32_t small = forgotten.block_count();
  add(forgotten, 0, 20'000);
  forgotten.fit(1U << 17);
  EXPECT_EQ(forgotten.block_count(), 8 * small);
  EXPECT_EQ(found(forgotten, 0, 20'000), 20'000U);
  add(forgotten, 20'000, 40'000);
  forgotten.fit(1U << 14);
  EXPECT_EQ(forgotten.block_count(), small);
  EXPECT_EQ(found(forgotten, 0, 40'000), 40'000U);
  // A filter that grows again repeats the smaller one; it keeps none of its former blocks.
  forgotten.fit(1U << 15);
  for (std::uint32_t i = 0; i < small; ++i) {
    ASSERT_EQ(forgotten.block(small + i), forgotten.block(i));
  }
}

}  // namespace
}  // namespace openvenue::core

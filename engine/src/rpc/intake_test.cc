#include "rpc/intake.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace openvenue::rpc {
namespace {

std::vector<runtime::Operation> orders_looked_up(std::uint64_t count) {
  std::vector<runtime::Operation> operations;
  for (std::uint64_t id = 0; id < count; ++id) {
    operations.push_back({id, runtime::Query(runtime::GetOrder{})});
  }
  return operations;
}

std::vector<std::size_t> sizes(const std::vector<std::vector<runtime::Operation>>& parts) {
  std::vector<std::size_t> sizes;
  sizes.reserve(parts.size());
  for (const auto& part : parts) sizes.push_back(part.size());
  return sizes;
}

TEST(Split, LeavesWhatIsLightEnoughTogether) {
  EXPECT_THAT(sizes(split(orders_looked_up(5), 5)), testing::ElementsAre(5));
  EXPECT_THAT(sizes(split({}, 5)), testing::IsEmpty());
}

TEST(Split, KeepsTheOrderOfOperations) {
  const auto parts = split(orders_looked_up(5), 2);
  EXPECT_THAT(sizes(parts), testing::ElementsAre(2, 2, 1));
  std::uint64_t id = 0;
  for (const auto& part : parts) {
    for (const auto& operation : part) EXPECT_EQ(operation.request_id, id++);
  }
}

TEST(Split, GivesAnOperationThatIsTooHeavyAPartOfItsOwn) {
  auto operations = orders_looked_up(1);
  operations.push_back({1, runtime::Query(runtime::ListOpenOrders{1, 0, 0, 500})});
  operations.push_back({2, runtime::Query(runtime::GetOrder{})});
  EXPECT_THAT(sizes(split(std::move(operations), 3)), testing::ElementsAre(1, 1, 1));
}

}  // namespace
}  // namespace openvenue::rpc

// Order flow must not use the heap in any way. This file counts the allocations of the whole test
// binary by replacing the C library's functions, which operator new also uses.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <new>

#include "core/base/zeroed_array.h"
#include "core/exchange/exchange.h"
#include "core/testing/random_flow.h"

namespace {

// Constant-initialized: the first allocations come before any constructor.
std::size_t allocations = 0;

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are the C
// library's and the sanitizers'.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// A sanitizer has its own functions, and reports each allocation.
extern "C" void __sanitizer_malloc_hook(const volatile void* /*memory*/, std::size_t /*size*/) {
  ++allocations;
}
#else
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  ++allocations;
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? 12 : 0;  // ENOMEM
}
}
#endif
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

namespace openvenue::core {
namespace {

// Hidden from the compiler, which would optimize unused memory away.
void* volatile seen = nullptr;

template <class Use>
std::size_t allocations_of(Use use) {
  const std::size_t before = allocations;
  use();
  return allocations - before;
}

struct alignas(128) Aligned {
  char bytes[128];
};

TEST(HeapUse, CountsAllocationsOfEveryKind) {
  const auto use = [](void* memory) {
    seen = memory;
    std::free(seen);
  };
  EXPECT_EQ(allocations_of([&] { use(std::malloc(8)); }), 1U);
  EXPECT_EQ(allocations_of([&] { use(std::calloc(1, 8)); }), 1U);
  EXPECT_EQ(allocations_of([&] { use(std::realloc(nullptr, 8)); }), 1U);
  EXPECT_EQ(allocations_of([&] { use(std::aligned_alloc(64, 64)); }), 1U);
  EXPECT_EQ(allocations_of([] { seen = std::make_unique<int>(1).get(); }), 1U);
  EXPECT_EQ(allocations_of([] { seen = std::make_unique<Aligned>().get(); }), 1U);
  EXPECT_EQ(allocations_of([] { seen = &ZeroedArray<int>(1'000)[0]; }), 1U);
}

class HeapUseOfOrderFlow : public testing::TestWithParam<std::uint64_t> {};

TEST_P(HeapUseOfOrderFlow, IsNone) {
  RandomFlow flow(GetParam(), 256);
  Exchange exchange(flow.limits());
  EventBuffer events;
  events.reserve(Exchange::max_events_per_command(flow.limits()));
  for (const Command& command : flow.opening()) exchange.apply(command, events);
  std::vector<Command> commands(20'000);
  for (Command& command : commands) command = flow.next_order_command();

  const std::size_t before = allocations;
  std::size_t trades = 0;
  for (const Command& command : commands) {
    exchange.apply(command, events);
    for (const Event& event : events) trades += std::holds_alternative<Trade>(event) ? 1 : 0;
  }
  EXPECT_EQ(allocations, before);
  EXPECT_GT(trades, 1'000U);
}

// Few prices, clusters of prices, all prices.
INSTANTIATE_TEST_SUITE_P(Seeds, HeapUseOfOrderFlow, testing::Values(3, 4, 5));

}  // namespace
}  // namespace openvenue::core

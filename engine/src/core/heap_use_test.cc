// Order flow must not touch the heap. This file replaces the global allocation functions of the
// whole test binary by ones that count.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "core/exchange.h"
#include "core/fast_book.h"
#include "core/random_flow.h"

namespace {

std::size_t allocations = 0;

void* allocate(std::size_t size, std::size_t alignment) {
  ++allocations;
  const std::size_t rounded = (size + alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

// Not inlined: the compiler would take the pair of operator new and free() for a mistake.
[[gnu::noinline]] void release(void* memory) noexcept { std::free(memory); }

}  // namespace

void* operator new(std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new[](std::size_t size) { return allocate(size, alignof(std::max_align_t)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

namespace openvenue::core {
namespace {

TEST(HeapUse, CountsAllocations) {
  const std::size_t before = allocations;
  delete new int(1);
  EXPECT_EQ(allocations, before + 1);
}

TEST(HeapUse, OrderFlowAllocatesNothing) {
  RandomFlow flow(1, 256);
  Exchange<FastBook> exchange(flow.limits());
  EventBuffer events;
  events.reserve(Exchange<FastBook>::max_events_per_command(flow.limits()));
  for (const Command& command : flow.opening()) exchange.apply(command, events);
  std::vector<Command> commands(50'000);
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

}  // namespace
}  // namespace openvenue::core

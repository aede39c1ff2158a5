// Memory for pools: zeroed, mapped by the operating system when it is first written, and on huge
// pages where the system has them, so that a lookup in a large pool misses the TLB less often.
#pragma once

#include <cstddef>

namespace openvenue::core {

// Never nullptr: without memory, does what operator new does, which is to call the new-handler or
// to throw std::bad_alloc.
[[nodiscard]] void* allocate_zeroed(std::size_t bytes);
// `bytes` as they were asked for.
void free_zeroed(void* memory, std::size_t bytes);

}  // namespace openvenue::core

// Memory for pools: zeroed, mapped by the operating system at its first write, and on huge pages if
// the system has them, so that a lookup in a large pool misses the TLB less often.
#pragma once

#include <cstddef>

namespace openvenue::core {

// Never nullptr: without memory it calls the new-handler or throws std::bad_alloc, as operator new.
[[nodiscard]] void* allocate_zeroed(std::size_t bytes);
// `bytes` is the requested size.
void free_zeroed(void* memory, std::size_t bytes);

}  // namespace openvenue::core

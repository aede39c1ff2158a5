#include "core/base/zeroed_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace openvenue::core {
namespace {

constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

bool is_large(std::size_t bytes) { return bytes >= kHugePageBytes; }

std::size_t whole_pages(std::size_t bytes) {
  return (bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
}

void unmap(std::byte* from, const std::byte* to) {
  if (from != to) ::munmap(from, static_cast<std::size_t>(to - from));
}

// Huge pages need an address that is a multiple of their size: maps one page more than requested
// and unmaps the surplus.
void* map(std::size_t bytes) {
  const std::size_t size = whole_pages(bytes);
  if (size < bytes || size + kHugePageBytes < size) return nullptr;
  void* mapped = ::mmap(nullptr, size + kHugePageBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(mapped);
  const std::size_t past = reinterpret_cast<std::uintptr_t>(begin) % kHugePageBytes;
  std::byte* aligned = past == 0 ? begin : begin + (kHugePageBytes - past);
  unmap(begin, aligned);
  unmap(aligned + size, begin + size + kHugePageBytes);
  ::madvise(aligned, size, MADV_HUGEPAGE);  // a system without huge pages uses small ones
  return aligned;
}

}  // namespace

void* allocate_zeroed(std::size_t bytes) {
  for (;;) {
    void* zeros = is_large(bytes) ? map(bytes) : std::calloc(1, std::max<std::size_t>(bytes, 1));
    if (zeros != nullptr) return zeros;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

void free_zeroed(void* memory, std::size_t bytes) {
  if (is_large(bytes)) {
    ::munmap(memory, whole_pages(bytes));
  } else {
    std::free(memory);
  }
}

}  // namespace openvenue::core

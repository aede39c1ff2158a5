// A fixed array of zeroed records whose untouched pages cost no memory.
//
// Pools are sized for the worst case when the process starts. Never allocates after construction.
#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>

#include "core/base/zeroed_memory.h"

namespace openvenue::core {

template <class T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                "elements come into being as zero bytes and are never destroyed");

  explicit ZeroedArray(std::size_t size)
      : elements_(allocate(size), Free{size * sizeof(T)}), size_(size) {}

  T& operator[](std::size_t index) { return elements_[index]; }
  const T& operator[](std::size_t index) const { return elements_[index]; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static T* allocate(std::size_t size) {
    if (size > std::numeric_limits<std::size_t>::max() / sizeof(T)) {
      throw std::bad_array_new_length();
    }
    return static_cast<T*>(allocate_zeroed(size * sizeof(T)));
  }

  struct Free {
    std::size_t bytes;
    void operator()(T* elements) const { free_zeroed(elements, bytes); }
  };
  std::unique_ptr<T[], Free> elements_;
  std::size_t size_;
};

}  // namespace openvenue::core

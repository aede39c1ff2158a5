// A fixed array of zeroed records whose untouched pages cost no memory.
//
// Pools are sized for the worst case when the process starts; the operating system maps a page of
// them when it is first written. Throws std::bad_alloc at construction and never allocates again.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <type_traits>

namespace openvenue::core {

template <class T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>,
                "elements come into being as zero bytes and are never destroyed");

  explicit ZeroedArray(std::size_t size)
      : elements_(static_cast<T*>(std::calloc(size == 0 ? 1 : size, sizeof(T)))), size_(size) {
    if (elements_ == nullptr) throw std::bad_alloc();
  }

  T& operator[](std::size_t index) { return elements_[index]; }
  const T& operator[](std::size_t index) const { return elements_[index]; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(T* elements) const { std::free(elements); }
  };
  std::unique_ptr<T[], Free> elements_;
  std::size_t size_;
};

}  // namespace openvenue::core

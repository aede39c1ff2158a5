// A fixed array of zeroed records whose untouched pages cost no memory.
//
// Pools are sized for the worst case when the process starts; the operating system maps a page of
// them at its first write. If there is no memory at construction, the new-handler is called or
// std::bad_alloc thrown, as by operator new. Never allocates again.
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

  explicit ZeroedArray(std::size_t size) : elements_(allocate(size == 0 ? 1 : size)), size_(size) {}

  T& operator[](std::size_t index) { return elements_[index]; }
  const T& operator[](std::size_t index) const { return elements_[index]; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static T* allocate(std::size_t size) {
    for (;;) {
      void* zeros = std::calloc(size, sizeof(T));
      if (zeros != nullptr) return static_cast<T*>(zeros);
      const std::new_handler handler = std::get_new_handler();
      if (handler == nullptr) throw std::bad_alloc();
      handler();
    }
  }

  struct Free {
    void operator()(T* elements) const { std::free(elements); }
  };
  std::unique_ptr<T[], Free> elements_;
  std::size_t size_;
};

}  // namespace openvenue::core

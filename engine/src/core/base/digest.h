// A 64-bit digest of a byte stream. It distinguishes states; it does not resist forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "core/base/hash.h"

namespace openvenue::core {

// A ByteWriter that keeps no bytes. The digest depends on the bytes only, not on how they were
// split.
class Digest {
 public:
  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(T value) {
    add(&value, sizeof value);
  }

  void put_short_string(std::string_view text) {
    put(static_cast<std::uint8_t>(text.size()));
    add(text.data(), text.size());
  }

  // Bytes taken so far.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t value() const { return mix(mix(hash_, word_), size_); }

 private:
  void add(const void* bytes, std::size_t size) {
    const auto* at = static_cast<const unsigned char*>(bytes);
    for (; size > 0; ++at, --size) {
      word_ |= std::uint64_t{*at} << (size_ % 8 * 8);
      if (++size_ % 8 != 0) continue;
      hash_ = mix(hash_, word_);
      word_ = 0;
    }
  }

  std::uint64_t hash_ = 0;
  std::uint64_t word_ = 0;  // bytes not mixed in yet, lowest first
  std::uint64_t size_ = 0;
};

}  // namespace openvenue::core

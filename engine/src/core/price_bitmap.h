// A set of price offsets that finds the next member above or below one in a handful of steps.
//
// A tree of 64-bit words: bit i of a word says whether word i one layer down has any bit set. Five
// layers cover the widest price range.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "core/zeroed_array.h"

namespace openvenue::core {

class PriceBitmap {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;

  explicit PriceBitmap(std::uint32_t size) {
    std::uint32_t words = size;
    do {
      words = (words + kWordBits - 1) / kWordBits;
      layers_.emplace_back(words);
    } while (words > 1);
  }

  void insert(std::uint32_t offset) {
    for (auto& layer : layers_) {
      std::uint64_t& word = layer[offset / kWordBits];
      const bool was_empty = word == 0;
      word |= bit(offset);
      if (!was_empty) return;
      offset /= kWordBits;
    }
  }

  void erase(std::uint32_t offset) {
    for (auto& layer : layers_) {
      std::uint64_t& word = layer[offset / kWordBits];
      word &= ~bit(offset);
      if (word != 0) return;
      offset /= kWordBits;
    }
  }

  // The smallest member above `offset`, or kNone.
  [[nodiscard]] std::uint32_t next_above(std::uint32_t offset) const {
    for (std::size_t depth = 0; depth < layers_.size(); ++depth) {
      const std::uint64_t above =
          layers_[depth][offset / kWordBits] & ~(bit(offset) | (bit(offset) - 1));
      offset /= kWordBits;
      if (above != 0) return descend_lowest(depth, offset * kWordBits + lowest(above));
    }
    return kNone;
  }

  // The largest member below `offset`, or kNone.
  [[nodiscard]] std::uint32_t next_below(std::uint32_t offset) const {
    for (std::size_t depth = 0; depth < layers_.size(); ++depth) {
      const std::uint64_t below = layers_[depth][offset / kWordBits] & (bit(offset) - 1);
      offset /= kWordBits;
      if (below != 0) return descend_highest(depth, offset * kWordBits + highest(below));
    }
    return kNone;
  }

 private:
  static constexpr std::uint32_t kWordBits = 64;

  static std::uint64_t bit(std::uint32_t offset) {
    return std::uint64_t{1} << (offset % kWordBits);
  }
  static std::uint32_t lowest(std::uint64_t word) {
    return static_cast<std::uint32_t>(std::countr_zero(word));
  }
  static std::uint32_t highest(std::uint64_t word) {
    return kWordBits - 1 - static_cast<std::uint32_t>(std::countl_zero(word));
  }

  [[nodiscard]] std::uint32_t descend_lowest(std::size_t depth, std::uint32_t offset) const {
    while (depth-- > 0) offset = offset * kWordBits + lowest(layers_[depth][offset]);
    return offset;
  }
  [[nodiscard]] std::uint32_t descend_highest(std::size_t depth, std::uint32_t offset) const {
    while (depth-- > 0) offset = offset * kWordBits + highest(layers_[depth][offset]);
    return offset;
  }

  std::vector<ZeroedArray<std::uint64_t>> layers_;  // leaves first
};

}  // namespace openvenue::core

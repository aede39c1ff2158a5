// A set of price offsets that finds the next member above or below one in a handful of steps.
//
// A tree of 64-bit words: bit i of a word is set if word i one layer down has any bit set. Five
// layers cover the widest price range.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "core/base/zeroed_array.h"

namespace openvenue::core {

class PriceBitmap {
 public:
  static constexpr std::uint32_t kNone = 0xFFFF'FFFF;
  static constexpr std::uint32_t kBlock = 64;

  explicit PriceBitmap(std::uint32_t size) : leaves_(words_for(size)) {
    for (std::uint32_t words = words_for(size); words > 1;) {
      words = words_for(words);
      summaries_.emplace_back(words);
    }
  }

  // True if the offset's block, which begins at a multiple of kBlock, had no other member.
  bool insert(std::uint32_t offset) {
    std::uint64_t& leaf = leaves_[offset / kWordBits];
    const bool alone = leaf == 0;
    leaf |= bit(offset);
    if (alone) summarize_insert(offset / kWordBits);
    return alone;
  }

  // True if the offset's block has no member left.
  bool erase(std::uint32_t offset) {
    std::uint64_t& leaf = leaves_[offset / kWordBits];
    leaf &= ~bit(offset);
    if (leaf != 0) return false;
    summarize_erase(offset / kWordBits);
    return true;
  }

  // The smallest member above `offset`, or kNone.
  [[nodiscard]] std::uint32_t next_above(std::uint32_t offset) const {
    const std::uint64_t above = leaves_[offset / kWordBits] & higher(offset);
    if (above != 0) return offset / kWordBits * kWordBits + lowest(above);
    return next_block_above(offset / kWordBits);
  }

  // The largest member below `offset`, or kNone.
  [[nodiscard]] std::uint32_t next_below(std::uint32_t offset) const {
    const std::uint64_t below = leaves_[offset / kWordBits] & lower(offset);
    if (below != 0) return offset / kWordBits * kWordBits + highest(below);
    return next_block_below(offset / kWordBits);
  }

 private:
  static constexpr std::uint32_t kWordBits = kBlock;

  static std::uint64_t bit(std::uint32_t offset) {
    return std::uint64_t{1} << (offset % kWordBits);
  }
  static std::uint32_t lowest(std::uint64_t word) {
    return static_cast<std::uint32_t>(std::countr_zero(word));
  }
  static std::uint32_t highest(std::uint64_t word) {
    return kWordBits - 1 - static_cast<std::uint32_t>(std::countl_zero(word));
  }

  static std::uint64_t lower(std::uint32_t offset) { return bit(offset) - 1; }
  static std::uint64_t higher(std::uint32_t offset) { return ~(bit(offset) | lower(offset)); }
  static std::uint32_t words_for(std::uint32_t members) {
    return (members + kWordBits - 1) / kWordBits;
  }

  void summarize_insert(std::uint32_t at) {
    for (auto& layer : summaries_) {
      std::uint64_t& word = layer[at / kWordBits];
      const bool was_empty = word == 0;
      word |= bit(at);
      if (!was_empty) return;
      at /= kWordBits;
    }
  }

  void summarize_erase(std::uint32_t at) {
    for (auto& layer : summaries_) {
      std::uint64_t& word = layer[at / kWordBits];
      word &= ~bit(at);
      if (word != 0) return;
      at /= kWordBits;
    }
  }

  [[nodiscard]] std::uint32_t next_block_above(std::uint32_t at) const {
    for (std::size_t depth = 0; depth < summaries_.size(); ++depth) {
      const std::uint64_t above = summaries_[depth][at / kWordBits] & higher(at);
      at /= kWordBits;
      if (above != 0) return descend_lowest(depth, at * kWordBits + lowest(above));
    }
    return kNone;
  }

  [[nodiscard]] std::uint32_t next_block_below(std::uint32_t at) const {
    for (std::size_t depth = 0; depth < summaries_.size(); ++depth) {
      const std::uint64_t below = summaries_[depth][at / kWordBits] & lower(at);
      at /= kWordBits;
      if (below != 0) return descend_highest(depth, at * kWordBits + highest(below));
    }
    return kNone;
  }

  // From word `at` of the layer below summaries_[depth] to its lowest, or highest, member.
  [[nodiscard]] std::uint32_t descend_lowest(std::size_t depth, std::uint32_t at) const {
    while (depth-- > 0) at = at * kWordBits + lowest(summaries_[depth][at]);
    return at * kWordBits + lowest(leaves_[at]);
  }
  [[nodiscard]] std::uint32_t descend_highest(std::size_t depth, std::uint32_t at) const {
    while (depth-- > 0) at = at * kWordBits + highest(summaries_[depth][at]);
    return at * kWordBits + highest(leaves_[at]);
  }

  ZeroedArray<std::uint64_t> leaves_;                  // bit i: offset i
  std::vector<ZeroedArray<std::uint64_t>> summaries_;  // bit i: word i of the layer below
};

}  // namespace openvenue::core

// Hashing of numbers. Only the state's digest leaves the process; replays compare it, so changing
// mix() changes every recorded digest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace openvenue::core {

// Multiplies to 128 bits and folds: every input bit reaches every output bit. The result is 0 if
// `a` or `b` equals its constant.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9E37'79B9'7F4A'7C15) * (b ^ 0xD1B5'4A32'D192'ED03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Hashes a text under a seed that the text's author cannot know. Every product includes the seed,
// so no part of the text can make one zero and cancel what came before it.
inline std::uint64_t hash_text(std::uint64_t seed, std::string_view text) {
  std::uint64_t hash = mix(text.size(), seed);
  while (!text.empty()) {
    std::uint64_t word = 0;
    const std::size_t size = std::min(text.size(), sizeof word);
    std::memcpy(&word, text.data(), size);
    hash = mix(hash ^ word, seed);
    text.remove_prefix(size);
  }
  return hash;
}

// Spreads blocks of eight neighbouring numbers, so that consecutive ids share a cache line.
constexpr std::uint32_t hash_number(std::uint64_t number) {
  const auto scattered = static_cast<std::uint32_t>(mix(number >> 3, 0));
  return (scattered & ~7U) | static_cast<std::uint32_t>(number & 7U);
}

}  // namespace openvenue::core

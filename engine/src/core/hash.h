// Hashing of numbers. Nothing outside a process sees a hash except the state's digest, which is
// part of what replays compare: changing mix() changes every recorded digest.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace openvenue::core {

// Multiplies to 128 bits and folds: every input bit reaches every output bit. It is 0 wherever `a`
// or `b` equals its constant.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9E37'79B9'7F4A'7C15) * (b ^ 0xD1B5'4A32'D192'ED03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Hashes a text under a seed that whoever wrote the text cannot know. The seed is in every product,
// so that no part of the text can make one zero and cancel what came before it.
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

// Scatters blocks of eight neighbouring numbers, so that ids in sequence share a cache line.
constexpr std::uint32_t hash_number(std::uint64_t number) {
  const auto scattered = static_cast<std::uint32_t>(mix(number >> 3, 0));
  return (scattered & ~7U) | static_cast<std::uint32_t>(number & 7U);
}

}  // namespace openvenue::core

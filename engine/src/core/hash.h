// Hashing of numbers. Nothing outside a process sees a hash except the state's digest, which is
// part of what replays compare: changing mix() changes every recorded digest.
#pragma once

#include <cstdint>

namespace openvenue::core {

// Multiplies to 128 bits and folds: every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a ^ 0x9E37'79B9'7F4A'7C15) * (b ^ 0xD1B5'4A32'D192'ED03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Scatters blocks of eight neighbouring numbers, so that ids in sequence share a cache line.
constexpr std::uint32_t hash_number(std::uint64_t number) {
  const auto scattered = static_cast<std::uint32_t>(mix(number >> 3, 0));
  return (scattered & ~7U) | static_cast<std::uint32_t>(number & 7U);
}

}  // namespace openvenue::core

#include "journal/format.h"

#include <xxhash.h>

namespace openvenue::journal {

std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t salt) {
  const auto header = bytes.first(offsetof(FrameHeader, checksum));
  const auto rest = bytes.subspan(sizeof(FrameHeader));
  const std::uint64_t seed = XXH3_64bits_withSeed(header.data(), header.size(), salt);
  return XXH3_64bits_withSeed(rest.data(), rest.size(), seed);
}

}  // namespace openvenue::journal

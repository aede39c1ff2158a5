#include "journal/format.h"

#include <xxhash.h>

#include <new>

namespace openvenue::journal {

namespace {

// Checksum of a header's fields before its own checksum; it seeds the checksum of the rest.
std::uint64_t seed_of(std::span<const std::byte> header, std::uint64_t salt) {
  return XXH3_64bits_withSeed(header.data(), offsetof(FrameHeader, checksum), salt);
}

}  // namespace

std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t salt) {
  const auto rest = bytes.subspan(sizeof(FrameHeader));
  return XXH3_64bits_withSeed(rest.data(), rest.size(), seed_of(bytes, salt));
}

PiecewiseChecksum::PiecewiseChecksum(std::span<const std::byte> header, std::uint64_t salt)
    : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset_withSeed(state_.get(), seed_of(header, salt));
}

void PiecewiseChecksum::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

void PiecewiseChecksum::add(std::span<const std::byte> piece) {
  XXH3_64bits_update(state_.get(), piece.data(), piece.size());
}

std::uint64_t PiecewiseChecksum::value() const { return XXH3_64bits_digest(state_.get()); }

}  // namespace openvenue::journal

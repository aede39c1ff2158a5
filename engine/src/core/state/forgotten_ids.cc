#include "core/state/forgotten_ids.h"

#include <algorithm>
#include <bit>

#include "core/base/hash.h"

namespace openvenue::core {
namespace {

// Part of what a state means: other numbers would make every stored mark meaningless.
constexpr std::uint64_t kBlockSeed = 0x8EBC'6AF0'9C88'C6E3;
constexpr std::uint64_t kMarksSeed = 0x5899'65CC'7537'4CC3;

constexpr std::uint32_t kBlockBits = 512;
constexpr std::uint32_t kBitsPerId = 16;
constexpr std::uint32_t kMarksPerId = 6;
constexpr std::uint32_t kMarkBits = 9;  // a mark's place within its block
static_assert((1U << kMarkBits) == kBlockBits && kMarksPerId * kMarkBits <= 64);

// A block for four entries of the index, so that the filter is made for eight times as many ids.
// The floor makes a test's tiny index tell ids apart as well as a large one.
constexpr std::uint32_t kBlockCountMin = 1U << 10;
std::uint32_t block_count_for(std::uint32_t max_client_ids) {
  return std::max(kBlockCountMin, std::bit_ceil(max_client_ids / 4));
}

std::uint64_t block_hash(const UsedClientId& id) {
  return mix(id.id_low ^ id.account, kBlockSeed ^ id.id_high);
}

ForgottenIds::Block marks_of(const UsedClientId& id) {
  std::uint64_t places = mix(id.id_high ^ id.account, kMarksSeed ^ id.id_low);
  ForgottenIds::Block marks{};
  for (std::uint32_t mark = 0; mark < kMarksPerId; ++mark) {
    const std::uint64_t place = places % kBlockBits;
    marks[place / 64] |= std::uint64_t{1} << place % 64;
    places >>= kMarkBits;
  }
  return marks;
}

}  // namespace

ForgottenIds::ForgottenIds(std::uint32_t capacity)
    : blocks_(block_count_for(capacity)), block_count_(block_count_for(capacity)) {}

std::uint64_t ForgottenIds::bytes(std::uint32_t capacity) {
  return block_count_for(capacity) * std::uint64_t{sizeof(Block)};
}

// A block's index is the low bits of a hash. So the filter grows by repeating itself and shrinks by
// laying its halves over each other, and no id is lost.
void ForgottenIds::fit(std::uint32_t max_client_ids) {
  const std::uint32_t wanted = block_count_for(max_client_ids);
  for (; block_count_ < wanted; block_count_ *= 2) {
    for (std::uint32_t i = 0; ids_ > 0 && i < block_count_; ++i) {
      blocks_[block_count_ + i] = blocks_[i];
    }
  }
  for (; block_count_ > wanted; block_count_ /= 2) {
    const std::uint32_t half = block_count_ / 2;
    for (std::uint32_t i = 0; ids_ > 0 && i < half; ++i) {
      for (std::size_t word = 0; word < blocks_[i].size(); ++word) {
        blocks_[i][word] |= blocks_[half + i][word];
      }
      blocks_[half + i] = {};
    }
  }
}

void ForgottenIds::add(const UsedClientId& used) {
  const Block marks = marks_of(used);
  Block& block = blocks_[block_hash(used) % block_count_];
  for (std::size_t word = 0; word < marks.size(); ++word) block[word] |= marks[word];
  ++ids_;
}

bool ForgottenIds::maybe(const UsedClientId& sent) const {
  if (ids_ == 0) return false;
  const Block marks = marks_of(sent);
  const Block& block = blocks_[block_hash(sent) % block_count_];
  std::uint64_t missing = 0;
  for (std::size_t word = 0; word < marks.size(); ++word) missing |= marks[word] & ~block[word];
  return missing == 0;
}

std::uint64_t ForgottenIds::ids_max() const {
  return block_count_ * std::uint64_t{kBlockBits / kBitsPerId};
}

}  // namespace openvenue::core

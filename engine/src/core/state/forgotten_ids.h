// Which client order ids were perhaps forgotten: a Bloom filter, so that no used id passes as new.
//
// A block of one cache line holds the marks of an id, so a look costs one wait for memory. At
// `ids_max()` ids about one new id in a thousand is taken for a forgotten one, at twice as many one
// in forty: more ids cost looks into the history and never a second execution.
//
// The filter is part of the state: what it answers decides outcomes, and a replay must decide as
// the engine did.
#pragma once

#include <array>
#include <cstdint>

#include "core/base/zeroed_array.h"
#include "core/schema/records.h"

namespace openvenue::core {

class ForgottenIds {
 public:
  using Block = std::array<std::uint64_t, 8>;

  // Memory for an index of up to `capacity` ids.
  explicit ForgottenIds(std::uint32_t capacity);
  [[nodiscard]] static std::uint64_t bytes(std::uint32_t capacity);

  // Fits the filter to an index of `max_client_ids`, at most the capacity. Ids that were added stay
  // in it; in a smaller filter they are told less well from new ones.
  void fit(std::uint32_t max_client_ids);

  void add(const UsedClientId& used);
  // False only for an id that was never added.
  [[nodiscard]] bool maybe(const UsedClientId& sent) const;

  // How many were added, and for how many the filter is made.
  [[nodiscard]] std::uint64_t ids() const { return ids_; }
  [[nodiscard]] std::uint64_t ids_max() const;

  // The stored form: `block_count()` blocks, which are all zero if ids() is.
  [[nodiscard]] std::uint32_t block_count() const { return block_count_; }
  [[nodiscard]] const Block& block(std::uint32_t index) const { return blocks_[index]; }
  // As they were in a snapshot; the filter was fitted to the limits in it.
  void restore_ids(std::uint64_t ids) { ids_ = ids; }
  void restore_block(std::uint32_t index, const Block& block) { blocks_[index] = block; }

 private:
  ZeroedArray<Block> blocks_;
  std::uint32_t block_count_ = 0;  // in use; a power of two
  std::uint64_t ids_ = 0;
};

}  // namespace openvenue::core

// Finds a record's slot by a key that the record itself holds.
//
// Open addressing with linear probing and backward-shift deletion, at most half full. The index
// stores only hashes and slots (8 bytes an entry), so large keys cost nothing here; the caller
// compares the key of a candidate. Never allocates after construction.
#pragma once

#include <bit>
#include <cstdint>

#include "core/base/slot.h"
#include "core/base/zeroed_array.h"

namespace openvenue::core {

class SlotIndex {
 public:
  explicit SlotIndex(std::uint32_t max_records)
      : entries_(entries_for(max_records)),
        mask_(static_cast<std::uint32_t>(entries_.size() - 1)) {}

  [[nodiscard]] static std::uint64_t bytes(std::uint32_t max_records) {
    return entries_for(max_records) * sizeof(Entry);
  }

  // The slot under `hash` for which `is_it(slot)` holds, or kNoSlot.
  template <class Predicate>
  [[nodiscard]] Slot find(std::uint32_t hash, Predicate&& is_it) const {
    for (std::uint32_t at = hash & mask_;; at = (at + 1) & mask_) {
      const Entry& entry = entries_[at];
      if (entry.slot_plus_one == 0) return kNoSlot;
      if (entry.hash == hash && is_it(entry.slot_plus_one - 1)) return entry.slot_plus_one - 1;
    }
  }

  // Begins to load what find(), insert() and erase() of that hash read first.
  void prefetch(std::uint32_t hash) const { __builtin_prefetch(&entries_[hash & mask_]); }

  // Precondition: no record of that key is in the index, and it holds fewer than max_records.
  void insert(std::uint32_t hash, Slot slot) {
    std::uint32_t at = hash & mask_;
    while (entries_[at].slot_plus_one != 0) at = (at + 1) & mask_;
    entries_[at] = {hash, slot + 1};
  }

  // Precondition: `slot` was inserted under `hash`.
  void erase(std::uint32_t hash, Slot slot) {
    std::uint32_t hole = hash & mask_;
    while (entries_[hole].slot_plus_one != slot + 1) hole = (hole + 1) & mask_;
    for (std::uint32_t at = (hole + 1) & mask_; entries_[at].slot_plus_one != 0;
         at = (at + 1) & mask_) {
      const std::uint32_t home = entries_[at].hash & mask_;
      // An entry may move back to the hole unless its home lies behind the hole.
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole] = {};
  }

 private:
  static std::size_t entries_for(std::uint32_t max_records) {
    return std::bit_ceil(std::size_t{max_records} * 2);
  }
  struct Entry {
    std::uint32_t hash;
    std::uint32_t slot_plus_one;  // 0: free, so that fresh memory is an empty index
  };
  ZeroedArray<Entry> entries_;
  std::uint32_t mask_;
};

}  // namespace openvenue::core

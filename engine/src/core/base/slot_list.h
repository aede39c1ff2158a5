// Doubly linked lists of slots. One array holds the links of all slots, and a slot can be in one
// list of an array at a time; a record in two lists at once needs two arrays.
#pragma once

#include <cstdint>

#include "core/base/slot.h"
#include "core/base/zeroed_array.h"

namespace openvenue::core {

struct SlotList {
  Slot head = kNoSlot;
  Slot tail = kNoSlot;
  std::uint32_t size = 0;
  [[nodiscard]] bool empty() const { return head == kNoSlot; }
};

class SlotLinks {
 public:
  explicit SlotLinks(std::size_t slots) : links_(slots) {}
  [[nodiscard]] static std::uint64_t bytes(std::size_t slots) { return slots * sizeof(Links); }

  void push_back(SlotList& list, Slot slot) {
    links_[slot] = {list.tail, kNoSlot};
    (list.tail == kNoSlot ? list.head : links_[list.tail].next) = slot;
    list.tail = slot;
    ++list.size;
  }

  // Precondition: `slot` is in `list`. Its links stay unchanged.
  void remove(SlotList& list, Slot slot) {
    const Links links = links_[slot];
    (links.previous == kNoSlot ? list.head : links_[links.previous].next) = links.next;
    (links.next == kNoSlot ? list.tail : links_[links.next].previous) = links.previous;
    --list.size;
  }

  // `to`, which is in no list, takes the place of `from`.
  void replace(SlotList& list, Slot from, Slot to) {
    const Links links = links_[to] = links_[from];
    (links.previous == kNoSlot ? list.head : links_[links.previous].next) = to;
    (links.next == kNoSlot ? list.tail : links_[links.next].previous) = to;
  }

  // Links a slot that is in no list to itself.
  void tie(Slot slot) { links_[slot] = {slot, slot}; }

  void prefetch(Slot slot) const { __builtin_prefetch(&links_[slot]); }
  [[nodiscard]] Slot next(Slot slot) const { return links_[slot].next; }
  [[nodiscard]] Slot previous(Slot slot) const { return links_[slot].previous; }

 private:
  struct Links {
    Slot previous;
    Slot next;
  };
  ZeroedArray<Links> links_;
};

}  // namespace openvenue::core

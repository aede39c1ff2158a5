// Which client order ids were used, and for which orders: what makes a repeated command
// recognizable.
//
// An entry holds hashes of the id and of the command's body in place of both, so that it is small
// enough to be kept for longer than its order's record. The id of an open order is always kept.
// When the order has ended, its entry is the newest of its account's. Each account is promised a
// share of entries; the older ones beyond it are surplus, and stand in one queue with those of all
// accounts in the order in which they became so. A full index forgets the head of that queue: what
// one account sends never costs another one its share.
//
// A filter keeps a mark of each forgotten id, so that the index never takes one that may have been
// used for a new one.
//
// Rules before version 3 keep an id for as long as its order's record, and nothing is queued.
//
// The hashes are part of the state, so they have no secret seed: a client can make two of its own
// ids collide, and then gets its own earlier order as the answer to the second.
#pragma once

#include <cstdint>

#include "core/base/slot.h"
#include "core/base/slot_index.h"
#include "core/base/slot_list.h"
#include "core/base/types.h"
#include "core/base/zeroed_array.h"
#include "core/schema/command.h"
#include "core/schema/records.h"
#include "core/state/forgotten_ids.h"

namespace openvenue::core {

// The id of a command that would open an order, and the command's body. `order_id` is 0.
[[nodiscard]] UsedClientId client_id_of(const Order& order);  // a new order
[[nodiscard]] UsedClientId client_id_of(const Order& order, const ReplaceTerms& terms);
// That of the command that made the order.
[[nodiscard]] UsedClientId sent_by(const Order& order, const ReplaceTerms& terms);
// The body hash of a new order by `client_id_of`, as if it had no position intent.
[[nodiscard]] std::uint64_t body_without_intent(const Order& order);

class ClientIds {
 public:
  ClientIds(std::uint32_t capacity, std::uint32_t max_accounts);
  // Memory of a full index.
  [[nodiscard]] static std::uint64_t bytes(std::uint32_t capacity, std::uint32_t max_accounts);

  // Puts limits and rules in force for what comes; trim() and shrink() fit in what is there.
  void set_bounds(const Limits& limits, RulesVersion rules);
  // False under rules that keep an id only as long as its order's record.
  [[nodiscard]] bool outlive_records() const { return outlive_records_; }
  // The entries that each account is promised.
  [[nodiscard]] std::uint32_t share() const { return share_; }

  // The entry of that account and id, or kNoSlot; its body may be another.
  [[nodiscard]] Slot find(const UsedClientId& sent) const;
  [[nodiscard]] const UsedClientId& operator[](Slot slot) const { return entries_[slot].used; }
  [[nodiscard]] std::uint32_t size() const { return size_; }
  // The ids that are no longer here.
  ForgottenIds& forgotten() { return forgotten_; }
  [[nodiscard]] const ForgottenIds& forgotten() const { return forgotten_; }
  // Begins to load what a new id of that account and its retirement will touch: in a large index
  // each is far from the others, and their waits overlap.
  void prefetch(const UsedClientId& sent, Slot account) const;

  // Adds the id of an order that opens, if need be by forgetting another. Precondition: it is not
  // in the index, and there are no more open orders than Limits allow.
  Slot add(const UsedClientId& used);
  // Its order has ended: from now on it may be forgotten. `account` is the account's slot.
  void retire(Slot slot, Slot account);
  // Removes an entry that was not retired.
  void erase(Slot slot);
  // Makes surplus what one account has beyond its share.
  void trim(Slot account);
  // Forgets surplus entries until no more are left than Limits allow.
  void shrink();

  // Retired entries, oldest first: those within an account's share, and the surplus of all.
  [[nodiscard]] const SlotList& retired(Slot account) const { return retired_[account]; }
  [[nodiscard]] const SlotList& surplus() const { return surplus_; }
  [[nodiscard]] Slot next(Slot slot) const { return entries_[slot].next; }
  // As they were in a snapshot. Preconditions as of add(), but nothing is forgotten.
  void restore_retired(const UsedClientId& used, Slot account);
  void restore_surplus(const UsedClientId& used);

  // No id of an order that opened after this sequence has been forgotten.
  [[nodiscard]] Sequence floor() const { return floor_; }
  void set_floor(Sequence sequence) { floor_ = sequence; }

 private:
  struct Entry {
    UsedClientId used;
    Slot next;  // in its list, or of free slots
  };

  [[nodiscard]] std::uint32_t table_hash(const UsedClientId& used) const;
  Slot store(const UsedClientId& used);
  void push_back(SlotList& list, Slot slot);
  Slot pop_front(SlotList& list);
  void forget_oldest_surplus();

  ZeroedArray<Entry> entries_;
  ZeroedArray<SlotList> retired_;  // by account
  SlotIndex by_id_;
  ForgottenIds forgotten_;
  SlotList surplus_;
  SlotList free_;
  Slot slots_used_ = 0;  // slots from here on were never used
  std::uint32_t size_ = 0;
  std::uint32_t max_entries_ = 0;
  std::uint32_t share_ = 0;
  bool outlive_records_ = true;
  Sequence floor_ = 0;
  std::uint64_t seed_;
};

}  // namespace openvenue::core

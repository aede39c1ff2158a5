// Order records: the open ones, and the ended ones that are still remembered.
//
// One pool holds both. When it is full, the order that ended longest ago makes room; open orders
// never do, and are too few to fill it. Their client order ids are in an index of their own, which
// remembers them for longer.
#pragma once

#include <cstdint>

#include "core/base/hash.h"
#include "core/base/slot.h"
#include "core/base/slot_index.h"
#include "core/base/slot_list.h"
#include "core/base/types.h"
#include "core/base/zeroed_array.h"
#include "core/schema/command.h"
#include "core/schema/records.h"
#include "core/state/client_ids.h"

namespace openvenue::core {

// Where an order's account, position and instrument are, so that a fill needs no lookup. An ended
// order's position may have been given back since.
struct OrderOwner {
  Slot account = kNoSlot;
  Slot position = kNoSlot;
  Slot instrument = kNoSlot;
  Slot client_id = kNoSlot;  // its entry in the index, which may forget it once the order ended
};

class OrderStore {
 public:
  explicit OrderStore(const Limits& capacity);
  // Memory of a full store.
  [[nodiscard]] static std::uint64_t bytes(const Limits& capacity);

  [[nodiscard]] Slot find(OrderId order_id) const;
  // The remembered order that the client order id opened, or kNoSlot.
  [[nodiscard]] Slot find(AccountId account, const ClientOrderId& id) const;
  ClientIds& client_ids() { return client_ids_; }
  [[nodiscard]] const ClientIds& client_ids() const { return client_ids_; }

  OrderCore& operator[](Slot slot) { return cores_[slot]; }
  const OrderCore& operator[](Slot slot) const { return cores_[slot]; }
  OrderDetails& details(Slot slot) { return details_[slot]; }
  [[nodiscard]] const OrderDetails& details(Slot slot) const { return details_[slot]; }
  [[nodiscard]] Order record(Slot slot) const { return {cores_[slot], details_[slot]}; }
  [[nodiscard]] const OrderOwner& owner(Slot slot) const { return owners_[slot]; }
  [[nodiscard]] const ReplaceTerms& replace_terms(Slot slot) const { return replace_terms_[slot]; }

  // Begins to load what open() will touch of the order that it may forget.
  void prefetch_oldest_ended() const;
  // Adds an open order to the store and to `open_of_account`, if need be by forgetting an ended
  // one, and its id to the index; `sent` is client_id_of() its command. Preconditions: there are
  // fewer open orders than `max_records`, its ids are not known, and its order id is above those of
  // all open orders.
  Slot open(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms,
            UsedClientId sent, SlotList& open_of_account, std::uint32_t max_records);
  // Adds an ended order as the newest one, and its id where that goes with the record.
  // Precondition: records() is below the capacity.
  void add_ended(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms);
  // Moves an open order to the ended ones; the caller sets its status.
  void end(Slot slot, SlotList& open_of_account);
  // Forgets ended orders, longest ended first, until `max_records` are left or none is ended.
  void shrink(std::uint32_t max_records);
  // Retires the ids of all ended orders, longest ended first: they begin to outlive the records.
  void retire_ids_of_ended();

  [[nodiscard]] std::uint32_t records() const { return records_; }
  [[nodiscard]] std::uint32_t open_orders() const { return open_orders_; }
  // The oldest open DAY order, or kNoSlot.
  [[nodiscard]] Slot oldest_day_order() const { return day_orders_.head; }
  // The account's next newer open order, or kNoSlot. Precondition: the order is open.
  [[nodiscard]] Slot next_newer_open(Slot slot) const { return account_links_.next(slot); }
  // The account's next older open order, or kNoSlot. An ended order keeps the one that it had at
  // its end. That one may have ended since, and leads on in the same way: it ended later, so it is
  // remembered for longer.
  [[nodiscard]] Slot next_older_open(Slot slot) const { return account_links_.previous(slot); }
  // False for an order that ended before a restart: its next older order is unknown.
  [[nodiscard]] bool leads_on(Slot slot) const { return account_links_.previous(slot) != slot; }
  // Ended orders, longest ended first.
  [[nodiscard]] Slot first_ended() const { return ended_.head; }
  [[nodiscard]] Slot next_ended(Slot slot) const { return state_links_.next(slot); }

 private:
  Slot store(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms);
  void forget_oldest_ended();

  ZeroedArray<OrderCore> cores_;
  ZeroedArray<OrderDetails> details_;
  ZeroedArray<OrderOwner> owners_;
  ZeroedArray<ReplaceTerms> replace_terms_;
  SlotLinks account_links_;  // the account's open orders, oldest first
  SlotLinks state_links_;    // of open DAY orders, of ended orders, or of free slots
  SlotIndex by_order_id_;
  ClientIds client_ids_;
  SlotList day_orders_;
  SlotList ended_;
  SlotList free_;
  Slot slots_used_ = 0;  // slots from here on were never used
  std::uint32_t records_ = 0;
  std::uint32_t open_orders_ = 0;
};

}  // namespace openvenue::core

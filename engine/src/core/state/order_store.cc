#include "core/state/order_store.h"

#include <algorithm>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace openvenue::core {
namespace {

// Under older rules each record has its id in the index.
std::uint32_t client_ids_for(const Limits& capacity) {
  return std::max(capacity.max_client_ids, capacity.max_orders);
}

}  // namespace

OrderStore::OrderStore(const Limits& capacity)
    : cores_(capacity.max_orders),
      details_(capacity.max_orders),
      owners_(capacity.max_orders),
      replace_terms_(capacity.max_orders),
      account_links_(capacity.max_orders),
      state_links_(capacity.max_orders),
      by_order_id_(capacity.max_orders),
      client_ids_(client_ids_for(capacity), capacity.max_accounts) {
  client_ids_.set_bounds(capacity, kRulesVersion);
}

std::uint64_t OrderStore::bytes(const Limits& capacity) {
  return capacity.max_orders * std::uint64_t{sizeof(OrderCore) + sizeof(OrderDetails) +
                                             sizeof(OrderOwner) + sizeof(ReplaceTerms)} +
         2 * SlotLinks::bytes(capacity.max_orders) + SlotIndex::bytes(capacity.max_orders) +
         ClientIds::bytes(client_ids_for(capacity), capacity.max_accounts);
}

Slot OrderStore::find(OrderId order_id) const {
  return by_order_id_.find(hash_number(order_id),
                           [&](Slot slot) { return cores_[slot].order_id == order_id; });
}

Slot OrderStore::find(AccountId account, const ClientOrderId& id) const {
  Order order;
  order.account = account;
  order.client_order_id = id;
  const Slot used = client_ids_.find(client_id_of(order));
  return used == kNoSlot ? kNoSlot : find(client_ids_[used].order_id);
}

Slot OrderStore::open(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms,
                      UsedClientId sent, SlotList& open_of_account, std::uint32_t max_records) {
  if (records_ >= max_records) forget_oldest_ended();
  const Slot slot = store(order, owner, terms);
  sent.order_id = order.order_id;
  owners_[slot].client_id = client_ids_.add(sent);
  ++open_orders_;
  account_links_.push_back(open_of_account, slot);
  if (order.time_in_force == TimeInForce::kDay) state_links_.push_back(day_orders_, slot);
  return slot;
}

void OrderStore::add_ended(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms) {
  const Slot slot = store(order, owner, terms);
  if (!client_ids_.outlive_records()) {
    UsedClientId used = sent_by(order, terms);
    used.order_id = order.order_id;
    owners_[slot].client_id = client_ids_.add(used);
  }
  account_links_.tie(slot);
  state_links_.push_back(ended_, slot);
}

void OrderStore::end(Slot slot, SlotList& open_of_account) {
  --open_orders_;
  account_links_.remove(open_of_account, slot);
  if (cores_[slot].time_in_force == TimeInForce::kDay) state_links_.remove(day_orders_, slot);
  state_links_.push_back(ended_, slot);
  const OrderOwner& owner = owners_[slot];
  if (client_ids_.outlive_records()) client_ids_.retire(owner.client_id, owner.account);
}

void OrderStore::shrink(std::uint32_t max_records) {
  while (records_ > max_records && !ended_.empty()) forget_oldest_ended();
}

void OrderStore::retire_ids_of_ended() {
  for (Slot slot = ended_.head; slot != kNoSlot; slot = state_links_.next(slot)) {
    client_ids_.retire(owners_[slot].client_id, owners_[slot].account);
  }
}

Slot OrderStore::store(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms) {
  const Slot slot = free_.empty() ? slots_used_++ : free_.head;
  if (!free_.empty()) state_links_.remove(free_, slot);
  cores_[slot] = order;
  details_[slot] = order;
  owners_[slot] = owner;
  replace_terms_[slot] = terms;
  by_order_id_.insert(hash_number(order.order_id), slot);
  ++records_;
  return slot;
}

// Its record was prefetched when the one before it was forgotten, so its id is at hand.
void OrderStore::prefetch_oldest_ended() const {
  if (!ended_.empty()) by_order_id_.prefetch(hash_number(cores_[ended_.head].order_id));
}

void OrderStore::forget_oldest_ended() {
  CHECK(!ended_.empty(), "the pool of orders is full of open ones");
  const Slot slot = ended_.head;
  state_links_.remove(ended_, slot);
  by_order_id_.erase(hash_number(cores_[slot].order_id), slot);
  if (!client_ids_.outlive_records()) client_ids_.erase(owners_[slot].client_id);
  state_links_.push_back(free_, slot);
  --records_;
  if (ended_.empty()) return;
  __builtin_prefetch(&cores_[ended_.head]);
  state_links_.prefetch(ended_.head);
}

}  // namespace openvenue::core

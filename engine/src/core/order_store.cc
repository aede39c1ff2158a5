#include "core/order_store.h"

#include <random>

#include "core/check.h"

namespace openvenue::core {

// Clients choose client order ids. They cannot know the seed, so they cannot choose ids that
// collide; no outcome depends on it.
OrderStore::OrderStore(std::uint32_t capacity)
    : orders_(capacity),
      owners_(capacity),
      replace_terms_(capacity),
      account_links_(capacity),
      state_links_(capacity),
      by_order_id_(capacity),
      by_client_order_id_(capacity),
      hash_seed_((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()) {}

std::uint64_t OrderStore::bytes(std::uint32_t capacity) {
  return capacity * std::uint64_t{sizeof(Order) + sizeof(OrderOwner) + sizeof(ReplaceTerms)} +
         2 * SlotLinks::bytes(capacity) + 2 * SlotIndex::bytes(capacity);
}

Slot OrderStore::find(OrderId order_id) const {
  return by_order_id_.find(hash_number(order_id),
                           [&](Slot slot) { return orders_[slot].order_id == order_id; });
}

Slot OrderStore::find(AccountId account, const ClientOrderId& id) const {
  return by_client_order_id_.find(client_hash(account, id), [&](Slot slot) {
    return orders_[slot].account == account && orders_[slot].client_order_id == id;
  });
}

Slot OrderStore::open(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms,
                      SlotList& open_of_account, std::uint32_t max_records) {
  if (records_ >= max_records) forget_oldest_ended();
  const Slot slot = store(order, owner, terms);
  ++open_orders_;
  account_links_.push_back(open_of_account, slot);
  if (order.time_in_force == TimeInForce::kDay) state_links_.push_back(day_orders_, slot);
  return slot;
}

void OrderStore::add_ended(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms) {
  const Slot slot = store(order, owner, terms);
  account_links_.tie(slot);
  state_links_.push_back(ended_, slot);
}

void OrderStore::end(Slot slot, SlotList& open_of_account) {
  --open_orders_;
  account_links_.remove(open_of_account, slot);
  if (orders_[slot].time_in_force == TimeInForce::kDay) state_links_.remove(day_orders_, slot);
  state_links_.push_back(ended_, slot);
}

void OrderStore::shrink(std::uint32_t max_records) {
  while (records_ > max_records && !ended_.empty()) forget_oldest_ended();
}

Slot OrderStore::store(const Order& order, const OrderOwner& owner, const ReplaceTerms& terms) {
  const Slot slot = free_.empty() ? slots_used_++ : free_.head;
  if (!free_.empty()) state_links_.remove(free_, slot);
  orders_[slot] = order;
  owners_[slot] = owner;
  replace_terms_[slot] = terms;
  by_order_id_.insert(hash_number(order.order_id), slot);
  by_client_order_id_.insert(client_hash(order.account, order.client_order_id), slot);
  ++records_;
  return slot;
}

void OrderStore::forget_oldest_ended() {
  CHECK(!ended_.empty(), "the pool of orders is full of open ones");
  const Slot slot = ended_.head;
  const Order& order = orders_[slot];
  state_links_.remove(ended_, slot);
  by_order_id_.erase(hash_number(order.order_id), slot);
  by_client_order_id_.erase(client_hash(order.account, order.client_order_id), slot);
  state_links_.push_back(free_, slot);
  --records_;
}

}  // namespace openvenue::core

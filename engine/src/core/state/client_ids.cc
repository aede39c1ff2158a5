#include "core/state/client_ids.h"

#include <algorithm>
#include <random>
#include <string_view>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace openvenue::core {
namespace {

// Part of what a state means, as mix() is: other numbers would make every stored id unknown.
constexpr std::uint64_t kIdSeedLow = 0x2545'F491'4F6C'DD1D;
constexpr std::uint64_t kIdSeedHigh = 0x9FB2'1C65'1E98'DF25;
constexpr std::uint64_t kNewOrderSeed = 0xA076'1D64'78BD'642F;
constexpr std::uint64_t kReplaceOrderSeed = 0xE703'7ED1'A0B4'28DB;
constexpr std::uint64_t kStopPriceSeed = 0x8EBC'6AF0'9C88'C6E3;
constexpr std::uint64_t kTrailSeed = 0x5899'65CC'7537'4CC3;

template <class Enum>
constexpr std::uint64_t number(Enum value) {
  return static_cast<std::uint8_t>(value);
}

// Terms that came later: without them the number is as it was, so stored ids stay known. Each has
// a seed of its own, except for the first: one term's value must not pass for another's.
std::uint64_t with_flags(std::uint64_t body, std::uint64_t flags) {
  return flags == 0 ? body : mix(body, flags);
}

std::uint64_t with_stop_price(std::uint64_t body, PriceTicks stop_price_ticks) {
  if (stop_price_ticks == 0) return body;
  return mix(mix(body, kStopPriceSeed), static_cast<std::uint64_t>(stop_price_ticks));
}

std::uint64_t with_trail(std::uint64_t body, const Trail& trail) {
  if (trail.empty()) return body;
  return mix(mix(mix(body, kTrailSeed), trail.ticks | std::uint64_t{trail.ppm} << 32),
             trail.protection_ppm);
}

// Prices of an order with a trail are not the client's: they come from the market.
std::uint64_t body_of(const Order& order, PositionIntent intent) {
  const bool trails = !order.trail.empty();
  const std::uint64_t words = number(order.side) | number(order.type) << 8 |
                              number(order.time_in_force) << 16 | number(intent) << 24 |
                              std::uint64_t{order.instrument} << 32;
  const auto qty = static_cast<std::uint64_t>(order.qty_lots);
  const auto price = static_cast<std::uint64_t>(trails ? 0 : order.limit_price_ticks);
  const std::uint64_t body = mix(mix(mix(kNewOrderSeed, words), qty), price);
  const std::uint64_t flags = number(order.self_trade_prevention) | std::uint64_t{order.post_only}
                                                                        << 8;
  const std::uint64_t flagged = with_flags(body, flags);
  return trails ? with_trail(flagged, order.trail)
                : with_stop_price(flagged, order.stop_price_ticks);
}

std::uint64_t body_of(OrderId replaces, const ReplaceTerms& terms) {
  const std::uint64_t words = number(terms.time_in_force) | std::uint64_t{terms.keep_time_in_force}
                                                                << 8;
  const auto qty = static_cast<std::uint64_t>(terms.qty_lots);
  const auto price = static_cast<std::uint64_t>(terms.limit_price_ticks);
  const std::uint64_t body = mix(mix(mix(mix(kReplaceOrderSeed, words), replaces), qty), price);
  return with_trail(with_stop_price(body, terms.stop_price_ticks), terms.trail);
}

UsedClientId used_id(const Order& order, std::uint64_t body) {
  const std::string_view id = order.client_order_id.view();
  return {order.account, hash_text(kIdSeedLow, id), hash_text(kIdSeedHigh, id), body, 0};
}

}  // namespace

UsedClientId client_id_of(const Order& order) {
  return used_id(order, body_of(order, order.position_intent));
}

UsedClientId client_id_of(const Order& order, const ReplaceTerms& terms) {
  return used_id(order, body_of(order.replaces, terms));
}

UsedClientId sent_by(const Order& order, const ReplaceTerms& terms) {
  return order.replaces == 0 ? client_id_of(order) : client_id_of(order, terms);
}

std::uint64_t body_without_intent(const Order& order) {
  return body_of(order, PositionIntent::kUnspecified);
}

// Clients choose ids, and know their hashes. With a seed that they cannot know, they cannot choose
// ids that meet in the table; no outcome depends on it.
ClientIds::ClientIds(std::uint32_t capacity, std::uint32_t max_accounts)
    : entries_(capacity),
      retired_(max_accounts),
      by_id_(capacity),
      forgotten_(capacity),
      seed_((std::uint64_t{std::random_device{}()} << 32) | std::random_device{}()) {
  for (std::uint32_t account = 0; account < max_accounts; ++account) retired_[account] = {};
}

std::uint64_t ClientIds::bytes(std::uint32_t capacity, std::uint32_t max_accounts) {
  return capacity * std::uint64_t{sizeof(Entry)} + max_accounts * std::uint64_t{sizeof(SlotList)} +
         SlotIndex::bytes(capacity) + ForgottenIds::bytes(capacity);
}

// At least one entry is neither open nor promised to an account, so that a full index has a
// surplus.
void ClientIds::set_bounds(const Limits& limits, RulesVersion rules) {
  outlive_records_ = rules >= 3;
  max_entries_ = limits.max_client_ids;
  forgotten_.fit(limits.max_client_ids);
  share_ = (limits.max_client_ids - limits.max_open_orders - 1) / limits.max_accounts;
}

Slot ClientIds::find(const UsedClientId& sent) const {
  return by_id_.find(table_hash(sent), [&](Slot slot) {
    const UsedClientId& used = entries_[slot].used;
    return used.id_low == sent.id_low && used.id_high == sent.id_high &&
           used.account == sent.account;
  });
}

void ClientIds::prefetch(const UsedClientId& sent, Slot account) const {
  by_id_.prefetch(table_hash(sent));
  const SlotList& retired = retired_[account];
  if (!retired.empty()) {
    __builtin_prefetch(&entries_[retired.head], 1);
    __builtin_prefetch(&entries_[retired.tail], 1);
  }
  if (size_ < max_entries_ || surplus_.empty()) return;
  by_id_.prefetch(table_hash(entries_[surplus_.head].used));
}

Slot ClientIds::add(const UsedClientId& used) {
  if (outlive_records_ && size_ >= max_entries_) forget_oldest_surplus();
  return store(used);
}

void ClientIds::retire(Slot slot, Slot account) {
  push_back(retired_[account], slot);
  trim(account);
}

void ClientIds::erase(Slot slot) {
  by_id_.erase(table_hash(entries_[slot].used), slot);
  push_back(free_, slot);
  --size_;
}

void ClientIds::trim(Slot account) {
  SlotList& retired = retired_[account];
  while (retired.size > share_) push_back(surplus_, pop_front(retired));
}

void ClientIds::shrink() {
  while (size_ > max_entries_) forget_oldest_surplus();
}

void ClientIds::restore_retired(const UsedClientId& used, Slot account) {
  push_back(retired_[account], store(used));
}

void ClientIds::restore_surplus(const UsedClientId& used) { push_back(surplus_, store(used)); }

std::uint32_t ClientIds::table_hash(const UsedClientId& used) const {
  return static_cast<std::uint32_t>(
      mix(mix(used.id_low ^ used.account, seed_) ^ used.id_high, seed_));
}

Slot ClientIds::store(const UsedClientId& used) {
  const Slot slot = free_.empty() ? slots_used_++ : pop_front(free_);
  entries_[slot].used = used;
  by_id_.insert(table_hash(used), slot);
  ++size_;
  return slot;
}

void ClientIds::push_back(SlotList& list, Slot slot) {
  entries_[slot].next = kNoSlot;
  (list.tail == kNoSlot ? list.head : entries_[list.tail].next) = slot;
  list.tail = slot;
  ++list.size;
}

// Precondition: it is not empty.
Slot ClientIds::pop_front(SlotList& list) {
  const Slot slot = list.head;
  list.head = entries_[slot].next;
  if (list.head == kNoSlot) list.tail = kNoSlot;
  --list.size;
  return slot;
}

void ClientIds::forget_oldest_surplus() {
  CHECK(!surplus_.empty(), "the index of client order ids is full of open and promised ones");
  const Slot slot = pop_front(surplus_);
  floor_ = std::max(floor_, entries_[slot].used.order_id);
  forgotten_.add(entries_[slot].used);
  erase(slot);
}

}  // namespace openvenue::core

// NaiveExchange's client order ids: which are known, and which are forgotten.
#include <algorithm>

#include "core/testing/naive_exchange.h"

namespace openvenue::core {

bool NaiveExchange::sent_before(const CommandBody& body, AccountId account, const ClientOrderId& id,
                                OrderId order_named, bool history_checked) {
  const auto earlier = find_used(account, id);
  if (!earlier) {
    const bool maybe = forgotten_.contains({account, std::string(id.view())});
    if (!maybe || history_checked) return false;
    reject(Reason::kClientOrderIdMaybeUsed, order_named);
    return true;
  }
  CommandBody known = earlier->body;
  // The flag is not part of the order: a repetition may have another.
  const auto checked_as_now = [&](auto& order) { order.history_checked = history_checked; };
  if (auto* order = std::get_if<NewOrder>(&known)) checked_as_now(*order);
  if (auto* order = std::get_if<ReplaceOrder>(&known)) checked_as_now(*order);
  // The version before did not pass intents on, so the repetition of an order without one may have
  // one.
  if (auto* first = std::get_if<NewOrder>(&known)) {
    const auto* again = std::get_if<NewOrder>(&body);
    const bool open_to_any = first->position_intent == PositionIntent::kUnspecified;
    if (again != nullptr && open_to_any) first->position_intent = again->position_intent;
  }
  // Prices of a trailing stop order are not the client's.
  auto* order = std::get_if<NewOrder>(&known);
  const auto* order_now = std::get_if<NewOrder>(&body);
  if (order != nullptr && order_now != nullptr && !order->trail.empty()) {
    order->limit_price_ticks = order_now->limit_price_ticks;
    order->stop_price_ticks = order_now->stop_price_ticks;
  }
  if (known == body) {
    events_.push_back(Duplicate{earlier->order_id});
  } else {
    reject(Reason::kDuplicateClientOrderId, order_named);
  }
  return true;
}

std::optional<NaiveExchange::UsedId> NaiveExchange::find_used(AccountId account,
                                                              const ClientOrderId& id) const {
  if (rules_version_ >= 3) {
    const auto found = ids_.find({account, std::string(id.view())});
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  for (const auto& [order_id, order] : orders_) {
    if (order.account == account && order.client_order_id == id) {
      return UsedId{order_id, made_by_.at(order_id)};
    }
  }
  return std::nullopt;
}

// The entries that remain if all allowed orders are open and one more comes, shared evenly.
std::size_t NaiveExchange::share_of_ids() const {
  return (limits_.max_client_ids - limits_.max_open_orders - 1) / limits_.max_accounts;
}

void NaiveExchange::retire_id(const Order& order) {
  promised_[order.account].emplace_back(order.account, order.client_order_id.view());
  keep_to_share(order.account);
}

void NaiveExchange::keep_to_share(AccountId account) {
  std::deque<IdKey>& promised = promised_[account];
  while (promised.size() > share_of_ids()) {
    surplus_.push_back(promised.front());
    promised.pop_front();
  }
}

void NaiveExchange::forget_ids(std::size_t ids_max) {
  while (ids_.size() > ids_max) {
    const auto forgotten = ids_.find(surplus_.front());
    client_ids_floor_ = std::max(client_ids_floor_, forgotten->second.order_id);
    forgotten_.insert(forgotten->first);
    ids_.erase(forgotten);
    surplus_.pop_front();
  }
}

void NaiveExchange::remember_ids_of_records() {
  for (const auto& [id, order] : orders_) {
    ids_[{order.account, std::string(order.client_order_id.view())}] = {id, made_by_.at(id)};
  }
  for (const OrderId id : ended_) retire_id(orders_.at(id));
  if (!ids_.empty()) client_ids_floor_ = now_.sequence;
}

}  // namespace openvenue::core

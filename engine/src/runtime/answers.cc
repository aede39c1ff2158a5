#include "runtime/answers.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace openvenue::runtime {
namespace {

using Body = decltype(Reply::body);

// The account of a command on one order; nothing for all others.
std::optional<core::AccountId> trading_account(const core::CommandBody& body) {
  return std::visit(
      [](const auto& command) -> std::optional<core::AccountId> {
        using T = std::decay_t<decltype(command)>;
        if constexpr (std::is_same_v<T, core::NewOrder> || std::is_same_v<T, core::CancelOrder> ||
                      std::is_same_v<T, core::ReplaceOrder>) {
          return command.account;
        } else {
          return std::nullopt;
        }
      },
      body);
}

// What a command did first. Before that an event may tell how far its order had trailed.
const core::Event& first_of(const core::EventBuffer& events) {
  return *std::find_if(events.begin(), events.end(), [](const core::Event& event) {
    return !std::holds_alternative<core::OrderTrailed>(event);
  });
}

core::OrderId order_named_by(const core::Event& event) {
  return std::visit(
      [](const auto& body) -> core::OrderId {
        if constexpr (requires { body.order_id; }) {
          return body.order_id;
        } else {
          return 0;
        }
      },
      event);
}

// An order's client order id is remembered for longer than the order.
Body repeats_forgotten(const core::CommandBody& body, core::OrderId order_id) {
  core::Order order;
  order.order_id = order_id;
  std::visit(
      [&](const auto& command) {
        if constexpr (requires { command.client_order_id; }) {
          order.account = command.account;
          order.client_order_id = command.client_order_id;
        }
      },
      body);
  return Refusal{core::Reason::kDuplicateClientOrderId, order, true};
}

Body order_outcome(const core::Exchange& exchange, const core::CommandBody& body,
                   const core::Event& first) {
  const core::OrderId order_id = order_named_by(first);
  const auto order = exchange.find_order(order_id);
  const bool duplicate = std::holds_alternative<core::Duplicate>(first);
  if (!order && duplicate) return repeats_forgotten(body, order_id);
  if (!order) {
    std::fprintf(stderr, "broken invariant: order %llu is named by an event but is not kept\n",
                 static_cast<unsigned long long>(order_id));
    std::abort();
  }
  return OrderOutcome{*order, duplicate};
}

Body refusal(const core::Exchange& exchange, const core::Rejected& rejected,
             core::AccountId account) {
  Refusal refusal{rejected.reason, std::nullopt, false};
  if (rejected.order_id == 0) return refusal;
  const auto order = exchange.find_order(rejected.order_id);
  if (order && order->account == account) refusal.order = order;
  return refusal;
}

NotSequenced not_found(std::string message) {
  return {NotSequenced::Cause::kNotFound, std::move(message)};
}

NotSequenced unknown_account(core::AccountId account) {
  return not_found("account " + std::to_string(account) + " does not exist");
}

AccountState account_state(const core::Exchange& exchange, const core::Account& account) {
  AccountState state{account, {}, exchange.suspended()};
  std::vector<const core::Position*> positions;
  exchange.list_positions(account.account, positions);
  state.positions.reserve(positions.size());
  for (const core::Position* position : positions) {
    const core::Instrument* instrument = exchange.find_instrument(position->instrument);
    state.positions.push_back(
        {*position, instrument == nullptr ? 0 : instrument->last_price_ticks});
  }
  return state;
}

Body answer_to(const core::Exchange& exchange, const GetOrder& query) {
  const auto order = query.order_id != 0
                         ? exchange.find_order(query.order_id)
                         : exchange.find_order(query.account, query.client_order_id);
  if (!order || order->account != query.account) {
    return not_found("account " + std::to_string(query.account) +
                     " has no such order, or it is outside the retention window");
  }
  return OrderOutcome{*order, false};
}

Body answer_to(const core::Exchange& exchange, const ListOpenOrders& query) {
  const core::Account* account = exchange.find_account(query.account);
  if (account == nullptr) return unknown_account(query.account);
  OrderList list;
  list.stopped_at = exchange.list_open_orders(query.account, query.instrument, query.before,
                                              query.limit, list.orders, query.from);
  list.account_updated_sequence = account->updated_sequence;
  return list;
}

Body answer_to(const core::Exchange& exchange, const GetAccount& query) {
  const core::Account* account = exchange.find_account(query.account);
  if (account == nullptr) return unknown_account(query.account);
  return account_state(exchange, *account);
}

Body answer_to(const core::Exchange& exchange, const GetBook& query) {
  const core::Instrument* instrument = exchange.find_instrument(query.instrument);
  if (instrument == nullptr) {
    return not_found("instrument " + std::to_string(query.instrument) + " does not exist");
  }
  BookState book;
  book.instrument = query.instrument;
  book.last_price_ticks = instrument->last_price_ticks;
  exchange.list_levels(query.instrument, core::Side::kBuy, query.depth, book.bids);
  exchange.list_levels(query.instrument, core::Side::kSell, query.depth, book.asks);
  return book;
}

// Keeps the page of `listed` that begins above the id `after`, in order of id; a `limit` of 0 means
// none. True if there are more.
template <class Record, class Id>
bool turn_to_page(std::vector<const Record*>& listed, Id id_of, std::uint32_t after,
                  std::uint32_t limit) {
  std::erase_if(listed, [&](const Record* record) { return id_of(*record) <= after; });
  const bool more = limit != 0 && listed.size() > limit;
  const auto end = more ? listed.begin() + limit : listed.end();
  std::partial_sort(
      listed.begin(), end, listed.end(),
      [&](const Record* left, const Record* right) { return id_of(*left) < id_of(*right); });
  listed.erase(end, listed.end());
  return more;
}

Body answer_to(const core::Exchange& exchange, const ListInstruments& query) {
  std::vector<const core::Instrument*> instruments;
  exchange.list_instruments(instruments);
  InstrumentList list;
  const auto instrument_id = [](const core::Instrument& each) { return each.terms.instrument; };
  list.more = turn_to_page(instruments, instrument_id, query.after, query.limit);
  list.instruments.reserve(instruments.size());
  for (const core::Instrument* instrument : instruments) list.instruments.push_back(*instrument);
  return list;
}

Body answer_to(const core::Exchange& exchange, const ListAccounts& query) {
  std::vector<const core::Account*> accounts;
  exchange.list_accounts(accounts);
  AccountList list;
  const auto account_id = [](const core::Account& each) { return each.account; };
  list.more = turn_to_page(accounts, account_id, query.after, query.limit);
  list.accounts.reserve(accounts.size());
  for (const core::Account* account : accounts) {
    list.accounts.push_back(account_state(exchange, *account));
  }
  return list;
}

Body answer_to(const core::Exchange& exchange, const GetStatus& query) {
  return StateSummary{query.with_state_hash ? exchange.state_hash() : 0,
                      exchange.open_order_count(), exchange.suspended()};
}

}  // namespace

Reply answer(const core::Exchange& exchange, const core::Command& command,
             const core::EventBuffer& events, std::uint64_t request_id) {
  Reply reply{request_id, command.sequence, weight(command.body), {}};
  const auto account = trading_account(command.body);
  if (!account) {
    reply.body = CommandEvents{events};
  } else if (const auto* rejected = std::get_if<core::Rejected>(&events.front())) {
    reply.body = refusal(exchange, *rejected, *account);
  } else {
    reply.body = order_outcome(exchange, command.body, first_of(events));
  }
  return reply;
}

void add_entered(const core::Exchange& exchange, const core::Command& command,
                 const core::EventBuffer& events, EnteredOrders& entered) {
  Body body = order_outcome(exchange, command.body, first_of(events));
  if (auto* outcome = std::get_if<OrderOutcome>(&body)) {
    entered.orders.push_back(outcome->order);
    entered.duplicate = outcome->duplicate;
    return;
  }
  entered.orders.push_back(*std::get<Refusal>(body).order);
  entered.duplicate = true;
}

Reply answer(const core::Exchange& exchange, const Query& query, std::uint64_t request_id) {
  return {request_id, exchange.last_sequence(), weight(query),
          std::visit([&](const auto& body) { return answer_to(exchange, body); }, query)};
}

}  // namespace openvenue::runtime

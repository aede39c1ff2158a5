// A client's request to the shard: a command, which gets a sequence number; a batch of them that is
// executed as a whole or not at all; or a query, which is answered from the state right after the
// operations queued before it.
#pragma once

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "core/schema/command.h"

namespace openvenue::runtime {

struct GetOrder {
  core::AccountId account = 0;
  core::OrderId order_id = 0;           // this one, or, if 0,
  core::ClientOrderId client_order_id;  // this one
};

struct ListOpenOrders {
  core::AccountId account = 0;
  core::InstrumentId instrument = 0;  // 0: all
  core::OrderId before = 0;           // 0: from the newest
  std::uint32_t limit = 0;            // 1 to kListLimitMax
  core::OrderId from = 0;             // where the last answer stopped; 0: at the beginning
};

struct GetAccount {
  core::AccountId account = 0;
};

struct GetBook {
  core::InstrumentId instrument = 0;
  std::uint32_t depth = 0;  // 1 to kBookDepthMax levels a side
};

struct ListInstruments {
  core::InstrumentId after = 0;  // by id, the first above this one
  std::uint32_t limit = 0;       // 0: all
};

struct ListAccounts {
  core::AccountId after = 0;  // by id, the first above this one
  std::uint32_t limit = 0;    // 0: all
};

struct GetStatus {
  bool with_state_hash = false;  // walks the whole state, while orders wait
};

using Query = std::variant<GetOrder, ListOpenOrders, GetAccount, GetBook, ListInstruments,
                           ListAccounts, GetStatus>;

// New orders of one account, 1 to kOrdersPerBatchMax: all of them are entered, in this order, or
// none. See core/rules/order_batch.h.
struct OrderBatch {
  std::vector<core::NewOrder> orders;
};

constexpr std::size_t kOrdersPerBatchMax = 1000;

struct Operation {
  using Body = std::variant<core::CommandBody, Query, OrderBatch>;

  Operation() = default;
  Operation(std::uint64_t id, Body what, const core::Actor& who = {})
      : request_id(id), body(std::move(what)), actor(who) {}

  std::uint64_t request_id = 0;  // the client's own, echoed in the reply
  Body body;
  core::Actor actor;  // who gave an administrative command; empty for all others
};

constexpr std::uint32_t kListLimitMax = 500;
constexpr std::uint32_t kBookDepthMax = 1000;

// Share of the bounded queues, where a new order and its reply take 1: the shard's time or the
// reply's size, whichever is more. A query that walks the whole state has a fixed large number,
// because only the shard knows the state's size.
[[nodiscard]] std::uint32_t weight(const Query& query);
[[nodiscard]] std::uint32_t weight(const core::CommandBody& command);
[[nodiscard]] std::uint32_t weight(const Operation& operation);

}  // namespace openvenue::runtime

#include "runtime/operation.h"

#include "core/exchange/exchange.h"

namespace openvenue::runtime {
namespace {

// An account's reply has its positions, at most one an instrument; most accounts hold few.
constexpr std::uint32_t kAccountWeight = 16;

// Looking up and encoding a level takes a fraction of an order's time; there are two sides.
constexpr std::uint32_t kLevelsPerWeight = 8;

constexpr std::uint32_t kOrdersVisitedMax = core::Exchange::kOrdersVisitedMax;

// An order that a search skips costs a fraction of one that it finds.
constexpr std::uint32_t kVisitsPerWeight = 16;

constexpr std::uint32_t kWholeStateWeight = 4096;

// Most cancel some orders; its reply names each by an event.
constexpr std::uint32_t kCancelOrdersWeight = 512;

struct WeightOf {
  std::uint32_t operator()(const GetOrder&) const { return 1; }
  std::uint32_t operator()(const ListOpenOrders& query) const {
    return query.limit + kOrdersVisitedMax / kVisitsPerWeight;
  }
  std::uint32_t operator()(const GetAccount&) const { return kAccountWeight; }
  std::uint32_t operator()(const GetBook& query) const {
    return 1 + 2 * query.depth / kLevelsPerWeight;
  }
  std::uint32_t operator()(const ListInstruments&) const { return kWholeStateWeight; }
  std::uint32_t operator()(const ListAccounts&) const { return kWholeStateWeight; }
  std::uint32_t operator()(const GetStatus& query) const {
    return query.with_state_hash ? kWholeStateWeight : 1;
  }
};

}  // namespace

std::uint32_t weight(const Query& query) { return std::visit(WeightOf{}, query); }

std::uint32_t weight(const core::CommandBody& command) {
  return std::holds_alternative<core::CancelOrders>(command) ? kCancelOrdersWeight : 1;
}

std::uint32_t weight(const Operation& operation) {
  if (const auto* query = std::get_if<Query>(&operation.body)) return weight(*query);
  if (const auto* batch = std::get_if<OrderBatch>(&operation.body)) {
    return static_cast<std::uint32_t>(batch->orders.size());
  }
  return weight(std::get<core::CommandBody>(operation.body));
}

}  // namespace openvenue::runtime

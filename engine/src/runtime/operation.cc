#include "runtime/operation.h"

namespace openvenue::runtime {
namespace {

// An account's reply has its positions, at most one an instrument; most accounts hold few.
constexpr std::uint32_t kAccountWeight = 16;

}  // namespace

std::uint32_t weight(const Query& query) {
  if (const auto* list = std::get_if<ListOpenOrders>(&query)) return list->limit;
  if (std::holds_alternative<GetAccount>(query)) return kAccountWeight;
  return 1;
}

std::uint32_t weight(const Operation& operation) {
  const auto* query = std::get_if<Query>(&operation.body);
  return query == nullptr ? 1 : weight(*query);
}

}  // namespace openvenue::runtime

#include "tools/order_flow.h"

#include <utility>

namespace openvenue::tools {

namespace v1 = ::openvenue::engine::v1;

namespace {

constexpr std::int64_t kMidTicks = 10'000;
constexpr std::int64_t kQuoteWidthTicks = 50;
constexpr std::size_t kRestingMax = 4096;  // remembered for cancelling

// Of 100 requests. Cancels keep pace with quotes, so that the book's depth stays.
constexpr std::uint64_t kCancels = 45;
constexpr std::uint64_t kCrosses = 8;

}  // namespace

OrderFlow::OrderFlow(std::uint32_t session, const std::string& run)
    : first_account_(2 * session + 1),
      id_prefix_(run + "-" + std::to_string(session) + "-"),
      random_(session) {
  resting_.reserve(kRestingMax);
}

void OrderFlow::next(v1::Request& request) {
  const std::uint64_t kind = random_() % 100;
  if (kind < kCancels && cancel_one(request)) return;
  if (kind < kCancels + kCrosses) {
    cross(*request.mutable_new_order());
  } else {
    quote(*request.mutable_new_order());
  }
}

bool OrderFlow::cancel_one(v1::Request& request) {
  const std::lock_guard lock(mutex_);
  if (resting_.empty()) return false;
  std::swap(resting_[random_() % resting_.size()], resting_.back());
  request.mutable_cancel_order()->set_account_id(resting_.back().account_id);
  request.mutable_cancel_order()->set_order_id(resting_.back().order_id);
  resting_.pop_back();
  return true;
}

void OrderFlow::quote(v1::NewOrder& order) {
  const bool buy = random_() % 2 == 0;
  const auto away = static_cast<std::int64_t>(random_() % kQuoteWidthTicks) + 1;
  begin(order, buy);
  order.set_time_in_force(v1::TIME_IN_FORCE_GTC);
  order.set_qty_lots(static_cast<std::int64_t>(random_() % 100) + 1);
  order.set_limit_price_ticks(buy ? kMidTicks - away : kMidTicks + away);
}

void OrderFlow::cross(v1::NewOrder& order) {
  const bool buy = random_() % 2 == 0;
  begin(order, buy);
  order.set_time_in_force(v1::TIME_IN_FORCE_IOC);
  order.set_qty_lots(static_cast<std::int64_t>(random_() % 100) + 1);
  order.set_limit_price_ticks(buy ? kMidTicks + kQuoteWidthTicks : kMidTicks - kQuoteWidthTicks);
}

void OrderFlow::begin(v1::NewOrder& order, bool buy) {
  order.set_account_id(first_account_ + static_cast<std::uint32_t>(random_() % 2));
  order.set_instrument_id(kInstrumentId);
  order.set_side(buy ? v1::SIDE_BUY : v1::SIDE_SELL);
  order.set_type(v1::ORDER_TYPE_LIMIT);
  order.set_client_order_id(id_prefix_ + std::to_string(orders_++));
}

void OrderFlow::rests(std::uint32_t account_id, std::uint64_t order_id) {
  const std::lock_guard lock(mutex_);
  if (resting_.size() < kRestingMax) resting_.push_back({account_id, order_id});
}

}  // namespace openvenue::tools

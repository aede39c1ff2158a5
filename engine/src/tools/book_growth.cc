#include "tools/book_growth.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "core/fast_book.h"
#include "core/naive_book.h"
#include "tools/book_driver.h"

namespace openvenue::tools {
namespace {

constexpr std::size_t kTimedMessages = 300'000;
constexpr std::uint32_t kOrdersPerLevel = 4;
constexpr core::PriceTicks kMinPrice = 1;

struct Flow {
  core::PriceTicks max_price = 0;
  std::vector<BookMessage> filling;
  std::vector<BookMessage> steady;
};

// Bids in the lower half of the price range, asks in the upper one.
class FlowGenerator {
 public:
  explicit FlowGenerator(std::uint32_t resting_orders)
      : half_(std::max<core::PriceTicks>(resting_orders / kOrdersPerLevel / 2, 8)) {}

  Flow generate(std::uint32_t resting_orders) {
    Flow flow;
    flow.max_price = 2 * half_;
    for (std::uint32_t i = 0; i < resting_orders; ++i) flow.filling.push_back(resting());
    while (flow.steady.size() < kTimedMessages) {
      flow.steady.push_back(cancel());
      flow.steady.push_back(resting());
      flow.steady.push_back(taker());
      flow.steady.push_back(resting());
    }
    return flow;
  }

 private:
  core::Side random_side() { return random_() % 2 == 0 ? core::Side::kBuy : core::Side::kSell; }

  BookMessage resting() {
    BookMessage message = next(random_side());
    const auto away = static_cast<core::PriceTicks>(random_() % static_cast<std::uint64_t>(half_));
    message.price_ticks = message.side == core::Side::kBuy ? half_ - away : half_ + 1 + away;
    message.qty_lots = 10;
    live_.push_back(message.order_id);
    return message;
  }

  BookMessage taker() {
    BookMessage message = next(random_side());
    message.price_ticks = message.side == core::Side::kBuy ? 2 * half_ : kMinPrice;
    message.qty_lots = 10;
    message.immediate_or_cancel = true;
    return message;
  }

  // Of some order that was resting once; few of them have been taken since.
  BookMessage cancel() {
    BookMessage message = next(core::Side::kBuy);
    std::swap(live_[random_() % live_.size()], live_.back());
    message.kind = MessageKind::kCancel;
    message.order_id = live_.back();
    live_.pop_back();
    return message;
  }

  BookMessage next(core::Side side) {
    BookMessage message;
    message.sequence = message.order_id = ++last_id_;
    message.side = side;
    return message;
  }

  core::PriceTicks half_;
  std::mt19937_64 random_{1};
  std::uint64_t last_id_ = 0;
  std::vector<std::uint64_t> live_;
};

template <class Book>
GrowthPoint measure(const char* name, std::uint32_t resting_orders, const Flow& flow) {
  const auto max_orders = static_cast<std::uint32_t>(flow.filling.size() + flow.steady.size());
  BookDriver<Book> driver(kMinPrice, flow.max_price, max_orders);
  std::vector<BookReport> reports;
  reports.reserve(flow.filling.size() + 2 * flow.steady.size());
  for (const BookMessage& message : flow.filling) driver.apply(message, reports);
  reports.clear();
  const auto start = std::chrono::steady_clock::now();
  for (const BookMessage& message : flow.steady) driver.apply(message, reports);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return {name, resting_orders, flow.steady.size(),
          took.count() / static_cast<double>(flow.steady.size())};
}

}  // namespace

std::vector<GrowthPoint> measure_growth(std::uint32_t max_resting_orders) {
  std::vector<GrowthPoint> points;
  for (std::uint32_t resting = 1'000; resting <= max_resting_orders; resting *= 10) {
    const Flow flow = FlowGenerator(resting).generate(resting);
    points.push_back(measure<core::FastBook>("fast", resting, flow));
    points.push_back(measure<core::NaiveBook>("naive", resting, flow));
  }
  return points;
}

}  // namespace openvenue::tools

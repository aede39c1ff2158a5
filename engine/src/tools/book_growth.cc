#include "tools/book_growth.h"

#include <algorithm>
#include <chrono>
#include <random>
#include <unordered_map>

#include "core/book/fast_book.h"
#include "core/testing/naive_book.h"
#include "tools/book_driver.h"

namespace openvenue::tools {
namespace {

constexpr std::size_t kTimedMessages = 300'000;
constexpr std::uint32_t kOrdersPerLevel = 4;
constexpr core::PriceTicks kMinPrice = 1;
constexpr core::QtyLots kQtyLots = 10;
constexpr std::uint32_t kSpareOrders = 8;

struct Flow {
  core::PriceTicks max_price = 0;
  std::vector<BookMessage> filling;
  std::vector<BookMessage> steady;
};

// Bids in the lower half of the price range, asks in the upper one, all of one size, so that a
// taker takes exactly one of them. The generator follows the book, so that cancels name resting
// orders.
class FlowGenerator {
 public:
  explicit FlowGenerator(std::uint32_t resting_orders)
      : resting_orders_(resting_orders),
        half_(std::max<core::PriceTicks>(resting_orders / kOrdersPerLevel / 2, 8)),
        book_(kMinPrice, 2 * half_, resting_orders + kSpareOrders) {}

  Flow generate() {
    Flow flow;
    flow.max_price = 2 * half_;
    for (std::uint32_t i = 0; i < resting_orders_; ++i) flow.filling.push_back(follow(resting()));
    while (flow.steady.size() < kTimedMessages) {
      for (const BookMessage& message :
           {follow(cancel()), follow(resting()), follow(taker()), follow(resting())}) {
        flow.steady.push_back(message);
      }
    }
    return flow;
  }

 private:
  BookMessage resting() {
    BookMessage message = next();
    const auto away = static_cast<core::PriceTicks>(random_() % static_cast<std::uint64_t>(half_));
    message.price_ticks = message.side == core::Side::kBuy ? half_ - away : half_ + 1 + away;
    return message;
  }

  BookMessage taker() {
    BookMessage message = next();
    message.price_ticks = message.side == core::Side::kBuy ? 2 * half_ : kMinPrice;
    message.immediate_or_cancel = true;
    return message;
  }

  BookMessage cancel() {
    BookMessage message = next();
    message.kind = MessageKind::kCancel;
    message.order_id = live_[random_() % live_.size()];
    return message;
  }

  BookMessage next() {
    BookMessage message;
    message.sequence = message.order_id = ++last_id_;
    message.side = random_() % 2 == 0 ? core::Side::kBuy : core::Side::kSell;
    message.qty_lots = kQtyLots;
    return message;
  }

  const BookMessage& follow(const BookMessage& message) {
    reports_.clear();
    book_.apply(message, reports_);
    for (const BookReport& report : reports_) {
      if (report.kind == ReportKind::kTrade) forget(report.maker_order_id);
    }
    if (message.kind == MessageKind::kCancel) forget(message.order_id);
    if (message.kind == MessageKind::kNew && !message.immediate_or_cancel) {
      place_of_[message.order_id] = live_.size();
      live_.push_back(message.order_id);
    }
    return message;
  }

  void forget(std::uint64_t order_id) {
    const auto place = place_of_.find(order_id);
    live_[place->second] = live_.back();
    place_of_[live_.back()] = place->second;
    live_.pop_back();
    place_of_.erase(order_id);
  }

  std::uint32_t resting_orders_;
  core::PriceTicks half_;
  BookDriver<core::FastBook> book_;
  std::vector<BookReport> reports_;
  std::mt19937_64 random_{1};
  std::uint64_t last_id_ = 0;
  std::vector<std::uint64_t> live_;                          // ids of resting orders
  std::unordered_map<std::uint64_t, std::size_t> place_of_;  // in live_
};

template <class Book>
GrowthPoint measure(const char* name, std::uint32_t resting_orders, const Flow& flow) {
  BookDriver<Book> driver(kMinPrice, flow.max_price, resting_orders + kSpareOrders);
  std::vector<BookReport> reports;
  const auto apply = [&](const BookMessage& message) {
    reports.clear();
    driver.apply(message, reports);
  };
  std::for_each(flow.filling.begin(), flow.filling.end(), apply);
  const auto start = std::chrono::steady_clock::now();
  std::for_each(flow.steady.begin(), flow.steady.end(), apply);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  return {name, resting_orders, flow.steady.size(),
          took.count() / static_cast<double>(flow.steady.size())};
}

}  // namespace

std::vector<GrowthPoint> measure_growth(std::uint32_t max_resting_orders) {
  std::vector<GrowthPoint> points;
  for (std::uint32_t resting = 1'000; resting <= max_resting_orders; resting *= 10) {
    const Flow flow = FlowGenerator(resting).generate();
    points.push_back(measure<core::FastBook>("fast", resting, flow));
    points.push_back(measure<core::NaiveBook>("naive", resting, flow));
  }
  return points;
}

}  // namespace openvenue::tools

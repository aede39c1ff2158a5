#include "tools/exchange_flow.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "core/exchange/exchange.h"

namespace openvenue::tools {
namespace {

using core::AccountId;
using core::InstrumentId;
using core::PriceTicks;
using core::Side;

constexpr PriceTicks kMidTicks = 10'000;
constexpr PriceTicks kQuoteWidthTicks = 100;
constexpr core::QtyLots kQtyLotsMax = 100;
constexpr core::CashMicros kCashMicros = 1'000'000'000'000'000;  // one billion of the currency
constexpr std::uint64_t kStepNs = 1'000;

// Of 100 commands while the books are as deep as they should be; the rest are quotes.
constexpr std::uint64_t kCancels = 40;
constexpr std::uint64_t kReplaces = 5;
constexpr std::uint64_t kCrosses = 10;

class Generator {
 public:
  explicit Generator(const ExchangeFlowOptions& options)
      : options_(options), limits_(limits_for(options)), exchange_(limits_) {
    events_.reserve(core::Exchange::max_events_per_command(limits_));
  }

  ExchangeFlow generate() {
    ExchangeFlow flow;
    flow.limits = limits_;
    add_to_ = &flow.preparation;
    open_market();
    while (resting_.size() < options_.resting_orders) quote();
    flow.measured.reserve(options_.commands);
    add_to_ = &flow.measured;
    while (flow.measured.size() < options_.commands) next();
    return flow;
  }

 private:
  struct Resting {
    AccountId account;
    core::OrderId order_id;
  };

  // Order records for the resting orders and as many ended ones: the store forgets all the time,
  // as it does in a venue that has run for a while.
  static core::Limits limits_for(const ExchangeFlowOptions& options) {
    core::Limits limits;
    limits.max_accounts = options.accounts;
    limits.max_instruments = options.instruments;
    limits.max_positions = options.accounts * options.instruments;
    limits.max_open_orders = 2 * options.resting_orders + 1'024;
    limits.max_open_orders_per_account = limits.max_open_orders;
    limits.max_orders = 2 * limits.max_open_orders;
    return limits;
  }

  void open_market() {
    for (InstrumentId id = 1; id <= options_.instruments; ++id) {
      core::DefineInstrument instrument;
      instrument.instrument = id;
      instrument.symbol = core::Symbol(fmt::format("BENCH{}", id));
      instrument.tick_size_nanos = 10'000'000;
      instrument.lot_size_nanos = 1'000'000'000;
      instrument.max_price_ticks = 2 * kMidTicks;
      instrument.max_order_qty_lots = kQtyLotsMax;
      apply(instrument);
    }
    for (AccountId id = 1; id <= options_.accounts; ++id) {
      apply(core::OpenAccount{id, core::Name("bench"), true, 0});
      apply(core::AdjustBalance{id, kCashMicros});
    }
  }

  void next() {
    const std::uint64_t kind = random_() % 100;
    const bool deep = resting_.size() >= options_.resting_orders;
    if (kind < kCancels && deep && !resting_.empty()) return cancel();
    if (kind < kCancels + kReplaces && !resting_.empty()) return replace();
    if (kind < kCancels + kReplaces + kCrosses) return cross();
    quote();
  }

  void quote() {
    core::NewOrder order = begin();
    order.time_in_force = core::TimeInForce::kGtc;
    order.limit_price_ticks = quote_price(order.side);
    apply(order);
    if (rests(exchange_.last_sequence())) {
      resting_.push_back({order.account, exchange_.last_sequence()});
    }
  }

  void cross() {
    core::NewOrder order = begin();
    order.time_in_force = core::TimeInForce::kIoc;
    order.limit_price_ticks =
        order.side == Side::kBuy ? kMidTicks + kQuoteWidthTicks : kMidTicks - kQuoteWidthTicks;
    apply(order);
  }

  void cancel() {
    const Resting order = take_resting();
    apply(core::CancelOrder{order.account, order.order_id});
  }

  void replace() {
    const Resting old = take_resting();
    const auto known = exchange_.find_order(old.order_id);
    if (!known || !known->open()) return cross();
    core::ReplaceOrder order;
    order.account = old.account;
    order.order_id = old.order_id;
    order.limit_price_ticks = quote_price(known->side);
    order.client_order_id = next_id();
    apply(order);
    if (rests(exchange_.last_sequence())) {
      resting_.push_back({order.account, exchange_.last_sequence()});
    }
  }

  core::NewOrder begin() {
    core::NewOrder order;
    order.account = 1 + static_cast<AccountId>(random_() % options_.accounts);
    order.instrument = 1 + static_cast<InstrumentId>(random_() % options_.instruments);
    order.side = random_() % 2 == 0 ? Side::kBuy : Side::kSell;
    order.qty_lots = 1 + static_cast<core::QtyLots>(random_() % kQtyLotsMax);
    order.client_order_id = next_id();
    return order;
  }

  PriceTicks quote_price(Side side) {
    const auto away = 1 + static_cast<PriceTicks>(random_() % kQuoteWidthTicks);
    return side == Side::kBuy ? kMidTicks - away : kMidTicks + away;
  }

  // As long as the UUIDs that clients send.
  core::ClientOrderId next_id() {
    return core::ClientOrderId(
        fmt::format("{:08x}-0000-4000-8000-{:012x}", random_() >> 32, ++ids_));
  }

  // An order that rests, or that has been filled since: cancelling one of these is part of a flow.
  Resting take_resting() {
    std::swap(resting_[random_() % resting_.size()], resting_.back());
    const Resting order = resting_.back();
    resting_.pop_back();
    return order;
  }

  [[nodiscard]] bool rests(core::OrderId order_id) const {
    const auto order = exchange_.find_order(order_id);
    return order && order->open();
  }

  void apply(const core::CommandBody& body) {
    const core::Sequence sequence = exchange_.last_sequence() + 1;
    add_to_->emplace_back(sequence, static_cast<core::TimestampNs>(sequence * kStepNs), body);
    exchange_.apply(add_to_->back(), events_);
  }

  const ExchangeFlowOptions options_;
  const core::Limits limits_;
  core::Exchange exchange_;
  core::EventBuffer events_;
  std::mt19937_64 random_{options_.seed};
  std::uint64_t ids_ = 0;
  std::vector<Resting> resting_;
  std::vector<core::Command>* add_to_ = nullptr;
};

}  // namespace

ExchangeFlow make_exchange_flow(const ExchangeFlowOptions& options) {
  return Generator(options).generate();
}

}  // namespace openvenue::tools

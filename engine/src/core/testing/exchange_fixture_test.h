// A small venue for tests: one instrument, three funded accounts, and one line per command.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "core/exchange/exchange.h"

namespace openvenue::core {

constexpr Limits kSmallLimits{.max_orders = 64,
                              .max_accounts = 8,
                              .max_instruments = 4,
                              .max_positions = 16,
                              .max_fills_per_command = 16,
                              .max_open_orders = 48,
                              .max_open_orders_per_account = 40,
                              .max_client_ids = 128};

// Accounts 1 and 2 hold 1,000,000 micros and 1,000 lots each; account 3 holds nothing but may sell
// short. One lot at one tick is worth 10 micros, prices go from 1 to 1,000.
class ExchangeFixture : public testing::Test {
 protected:
  static constexpr AccountId kAnna = 1;
  static constexpr AccountId kBob = 2;
  static constexpr AccountId kShorty = 3;
  static constexpr InstrumentId kGold = 1;
  static constexpr CashMicros kTickValue = 10;
  static constexpr CashMicros kStartCash = 1'000'000;
  static constexpr QtyLots kStartLots = 1'000;

  explicit ExchangeFixture(const Limits& limits = kSmallLimits) : exchange_(limits) {
    events_.reserve(Exchange::max_events_per_command(limits));
    apply(gold());
    for (const AccountId account : {kAnna, kBob}) {
      apply(OpenAccount{account, Name("cash account"), false, 0});
      apply(AdjustBalance{account, kStartCash});
      apply(AdjustPosition{account, kGold, kStartLots, 0});
    }
    apply(OpenAccount{kShorty, Name("short seller"), true, 0});
  }

  static DefineInstrument gold() {
    DefineInstrument terms;
    terms.instrument = kGold;
    terms.symbol = Symbol("GOLD");
    terms.tick_size_nanos = 10'000'000;  // 0.01
    terms.lot_size_nanos = 1'000'000;    // 0.001
    terms.max_price_ticks = 1'000;
    terms.max_order_qty_lots = 1'000'000;
    return terms;
  }

  static constexpr CashMicros value(QtyLots qty, PriceTicks price) {
    return qty * price * kTickValue;
  }

  // The events of one more command.
  const EventBuffer& apply(const CommandBody& body) {
    const Sequence sequence = exchange_.last_sequence() + 1;
    exchange_.apply({sequence, static_cast<TimestampNs>(sequence) * 1'000, body}, events_);
    return events_;
  }

  NewOrder limit(AccountId account, Side side, QtyLots qty, PriceTicks price,
                 TimeInForce time_in_force = TimeInForce::kGtc) {
    const OrderTerms terms{qty, price, side, OrderType::kLimit, time_in_force};
    return {terms, account, kGold, next_id()};
  }
  NewOrder market(AccountId account, Side side, QtyLots qty) {
    const OrderTerms terms{qty, 0, side, OrderType::kMarket, TimeInForce::kIoc};
    return {terms, account, kGold, next_id()};
  }
  ReplaceOrder replacement(AccountId account, OrderId order, QtyLots qty, PriceTicks price) {
    ReplaceOrder command;
    command.account = account;
    command.order_id = order;
    command.qty_lots = qty;
    command.limit_price_ticks = price;
    command.client_order_id = next_id();
    return command;
  }

  // Goes on from what the exchange wrote down.
  void restart() {
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    exchange_.serialize(out);
    ByteReader in(bytes);
    ASSERT_TRUE(exchange_.restore(in));
  }

  // Applies an order that must be accepted; its id.
  OrderId enter(const NewOrder& order) {
    apply(order);
    EXPECT_TRUE(std::holds_alternative<OrderAccepted>(events_.front()));
    return exchange_.last_sequence();
  }
  OrderId rest(AccountId account, Side side, QtyLots qty, PriceTicks price) {
    return enter(limit(account, side, qty, price));
  }

  // Applies a command that must be rejected and must change nothing but the sequence; its reason.
  Reason rejection(const CommandBody& body) {
    const std::string before = bytes_without_counters();
    apply(body);
    EXPECT_EQ(bytes_without_counters(), before);
    if (events_.size() != 1 || !std::holds_alternative<Rejected>(events_[0])) return Reason::kNone;
    return std::get<Rejected>(events_[0]).reason;
  }

  template <class Kind>
  std::vector<Kind> all() const {
    std::vector<Kind> found;
    for (const Event& event : events_) {
      if (const auto* kind = std::get_if<Kind>(&event)) found.push_back(*kind);
    }
    return found;
  }

  Order order(OrderId id) const { return exchange_.find_order(id).value(); }
  const Account& account(AccountId id) const { return *exchange_.find_account(id); }
  Position position(AccountId id) const {
    std::vector<const Position*> positions;
    exchange_.list_positions(id, positions);
    return positions.empty() ? Position{} : *positions.front();
  }
  std::vector<OrderId> queue(Side side, PriceTicks price) const {
    std::vector<OrderId> orders;
    exchange_.list_queue(kGold, side, price, orders);
    return orders;
  }

  Exchange exchange_;
  EventBuffer events_;

 private:
  ClientOrderId next_id() { return ClientOrderId("order-" + std::to_string(++ids_)); }

  // The state's bytes after version and limits and without the last sequence and time.
  std::string bytes_without_counters() const {
    constexpr std::size_t kVersionAndLimits = 40;
    constexpr std::size_t kCounters = 16;
    std::vector<std::byte> bytes;
    ByteWriter out(bytes);
    exchange_.serialize(out);
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.erase(kVersionAndLimits, kCounters);
  }

  int ids_ = 0;
};

}  // namespace openvenue::core

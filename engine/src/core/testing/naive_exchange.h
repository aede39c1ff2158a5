// An independent model of the whole exchange, with which tests compare the real one.
//
// It is written from the documents, from engine.proto and from the comments in command.h, event.h,
// types.h and exchange.h. It shares their vocabulary, and no code with the real one. It prefers the
// obvious to the fast: containers of the standard library, and no stored value that can be counted
// again (reservations, levels, numbers of open orders).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/types.h"
#include "core/base/wide_integer.h"
#include "core/book/book.h"
#include "core/exchange/exchange.h"
#include "core/schema/command.h"
#include "core/schema/event.h"

namespace openvenue::core {

class NaiveExchange {
 public:
  explicit NaiveExchange(const Limits& capacity) : capacity_(capacity), limits_(capacity) {}

  // The events of the command.
  const std::vector<Event>& apply(const Command& command);

  // Queries answer as Exchange's do, but by value and without a bound on their work.
  [[nodiscard]] const Limits& limits() const { return limits_; }
  [[nodiscard]] std::optional<Order> find_order(OrderId order_id) const;
  [[nodiscard]] std::optional<Order> find_order(AccountId account, const ClientOrderId& id) const;
  [[nodiscard]] std::vector<Order> open_orders(AccountId account, InstrumentId instrument,
                                               OrderId before, std::size_t limit) const;
  [[nodiscard]] std::size_t open_order_count() const;
  [[nodiscard]] std::size_t client_id_count() const;
  [[nodiscard]] Sequence client_ids_floor() const { return client_ids_floor_; }
  [[nodiscard]] std::vector<Account> accounts() const;
  [[nodiscard]] std::vector<Instrument> instruments() const;
  [[nodiscard]] std::vector<Position> positions(AccountId account) const;
  [[nodiscard]] std::vector<BookLevel> levels(InstrumentId instrument, Side side) const;
  [[nodiscard]] std::vector<OrderId> queue(InstrumentId instrument, Side side,
                                           PriceTicks price) const;

 private:
  using IdKey = std::pair<AccountId, std::string>;
  struct UsedId {
    OrderId order_id = 0;
    CommandBody body;
  };
  using Queue = std::deque<OrderId>;           // time priority
  using Levels = std::map<PriceTicks, Queue>;  // no empty queues
  struct Book {
    Levels bids;
    Levels asks;
  };
  struct Holding {
    QtyLots qty_lots = 0;
    CashMicros cost_micros = 0;
  };
  struct Sweep {
    QtyLots qty_lots = 0;
    WideInteger cost_micros = 0;
  };

  void carry_out(const NewOrder& command);
  void carry_out(const CancelOrder& command);
  void carry_out(const CancelOrders& command);
  void carry_out(const ReplaceOrder& command);
  void carry_out(const DefineInstrument& command);
  void carry_out(const OpenAccount& command);
  void carry_out(const AdjustBalance& command);
  void carry_out(const AdjustPosition& command);
  void carry_out(const EndTradingDay& command);
  void carry_out(const TriggerOrder& command);
  void carry_out(const SuspendTrading& command);
  void carry_out(const Configure& command);

  void reject(Reason reason, OrderId order_id = 0) {
    events_.push_back(Rejected{reason, order_id});
  }
  // The remembered use of the client order id.
  [[nodiscard]] std::optional<UsedId> find_used(AccountId account, const ClientOrderId& id) const;
  // The entries that each account is promised, since rules 3.
  [[nodiscard]] std::size_t share_of_ids() const;
  // The order has ended, so that its id may be forgotten.
  void retire_id(const Order& order);
  void keep_to_share(AccountId account);
  void forget_ids(std::size_t ids_max);
  void remember_ids_of_records();
  // True if the account used the client order id before; then the command has been answered.
  bool sent_before(const CommandBody& body, AccountId account, const ClientOrderId& id,
                   OrderId order_named, bool history_checked);
  [[nodiscard]] Reason check_suspension(AccountId account) const;
  [[nodiscard]] Reason check_terms(const Order& order) const;
  [[nodiscard]] Reason check_intent(const Order& order) const;
  [[nodiscard]] Reason check_amounts(const Order& order) const;
  // `replaced` frees its reservation; null if the order replaces none.
  [[nodiscard]] Reason check_means(const Order& order, const Order* replaced) const;
  [[nodiscard]] WideInteger reserved_micros(AccountId account, const Order* besides) const;
  // The lots of all open orders of one side.
  [[nodiscard]] QtyLots open_lots(AccountId account, InstrumentId instrument, Side side,
                                  const Order* besides) const;
  [[nodiscard]] std::size_t open_orders_of(AccountId account) const;
  [[nodiscard]] Holding holding(AccountId account, InstrumentId instrument) const;
  [[nodiscard]] Reason check_post_only(const Order& order);
  // Why the account cannot have a position in that instrument, or kNone.
  [[nodiscard]] Reason check_place(AccountId account, InstrumentId instrument) const;
  // The pairs of account and instrument that hold lots or have an open order.
  [[nodiscard]] std::set<std::pair<AccountId, InstrumentId>> pairs_in_use() const;

  Order& open(Order order, const CommandBody& made_by);
  void forget_ended_orders(std::size_t records_max);
  void match(Order& taker);
  void fill_or_rest(Order& taker);
  [[nodiscard]] Order* best_against(const Order& taker);
  [[nodiscard]] Sweep sweep(const Order& taker) const;
  [[nodiscard]] bool crosses(const Order& taker, PriceTicks price) const;
  void trade(Order& maker, Order& taker);
  void fill(Order& order, QtyLots qty_lots, CashMicros value_micros);
  void hold(Holding& holding, QtyLots change, CashMicros lot_value_micros);
  void end(Order& order, OrderStatus status);
  void cancel(Order& order, Reason reason);
  void queue_up(const Order& order);
  void leave_queue(const Order& order);
  // Notes a trade at this price (0: there was none) for the orders that wait.
  void reach(InstrumentId instrument, PriceTicks price);
  // Adds a price to those by which waiting orders were reached.
  void widen(InstrumentId instrument, PriceTicks price);
  // Sets the stop price of a trailing stop order by its mark.
  void trail(Order& order) const;
  // Sets its protection price by its stop price.
  void protect(Order& order) const;
  // Moves the marks of the trailing stop orders, and sets those apart that the price reaches.
  void follow(InstrumentId instrument, PriceTicks price);
  // What was set apart is due: by the command's first price, or by its last one if a price between
  // them reached it.
  void make_due(InstrumentId instrument);
  // How far the market has moved the order.
  void tell_trail(const Order& order);
  // The waiting order of one side that comes first among those that these prices reach, or null.
  [[nodiscard]] const Order* first_reached(const Instrument& reached, Side side) const;
  // An order waits no more.
  void settle(InstrumentId instrument);
  void touch(Order& order);
  [[nodiscard]] TradeSide side_of(const Order& order) const;
  [[nodiscard]] const Levels& levels_of(InstrumentId instrument, Side side) const;

  Limits capacity_;
  Limits limits_;
  RulesVersion rules_version_ = kRulesVersion;
  Command now_;
  std::vector<Event> events_;
  TradeId trades_ = 0;
  WideInteger cash_brought_micros_ = 0;
  bool suspended_ = false;
  std::map<AccountId, Account> accounts_;           // reserved_micros stays 0
  std::map<InstrumentId, Instrument> instruments_;  // adjusted_lots stays 0
  std::map<InstrumentId, QtyLots> lots_brought_;
  std::map<InstrumentId, Book> books_;
  std::vector<OrderId> waiting_;                 // whoever waits for longer comes first
  PriceTicks first_price_ = 0;                   // of the command's trades
  std::vector<OrderId> reached_by_first_price_;  // trailing stop orders
  std::vector<OrderId> reached_later_;
  std::map<std::pair<AccountId, InstrumentId>, Holding> holdings_;  // each takes a place
  std::map<OrderId, Order> orders_;                                 // open, or ended and remembered
  std::map<OrderId, CommandBody> made_by_;                          // of each of them
  std::deque<OrderId> ended_;                                       // longest ended first
  // Since rules 3. Before, the ids of the orders above are what is remembered.
  std::map<IdKey, UsedId> ids_;
  std::map<AccountId, std::deque<IdKey>> promised_;  // of ended orders, longest ended first
  std::deque<IdKey> surplus_;                        // forgotten from the front
  std::set<IdKey> forgotten_;                        // every id that ever was
  Sequence client_ids_floor_ = 0;
};

}  // namespace openvenue::core

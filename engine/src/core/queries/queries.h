// Lists of what a state holds. Pointers stay valid until the state changes.
#pragma once

#include <cstddef>
#include <vector>

#include "core/base/types.h"
#include "core/book/book.h"
#include "core/schema/records.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// An account's open orders, newest first, a page at a time.
struct OpenOrdersPage {
  AccountId account = 0;
  InstrumentId instrument = 0;  // 0: all
  OrderId before = 0;           // only orders with a smaller id; 0: no bound
  OrderId from = 0;             // where the last call stopped for `visits_max`; 0: it did not
  std::size_t orders_max = 0;
  std::size_t visits_max = 0;  // bounds the work: orders that are looked at
};

// Each appends to `out`. Nothing is appended for an account or instrument that does not exist.
class Queries {
 public:
  explicit Queries(const ExchangeState& state) : state_(state) {}

  // See Exchange::list_open_orders().
  OrderId list_open_orders(OpenOrdersPage page, std::vector<Order>& out) const;
  // The account's positions that are not flat, by instrument.
  void list_positions(AccountId account, std::vector<const Position*>& out) const;
  // By id.
  void list_instruments(std::vector<const Instrument*>& out) const;
  void list_accounts(std::vector<const Account*>& out) const;
  // Up to `depth` best levels of one side, best first.
  void list_levels(InstrumentId instrument, Side side, std::size_t depth,
                   std::vector<BookLevel>& out) const;
  // The open orders of one level in time priority.
  void list_queue(InstrumentId instrument, Side side, PriceTicks price,
                  std::vector<OrderId>& out) const;

 private:
  // The slot of a remembered order of that account whose next older order is known, or kNoSlot.
  [[nodiscard]] Slot find_place(Slot account, OrderId order_id) const;

  const ExchangeState& state_;
};

}  // namespace openvenue::core

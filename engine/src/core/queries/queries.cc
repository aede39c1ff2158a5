#include "core/queries/queries.h"

#include <algorithm>

namespace openvenue::core {
namespace {

// Sorts the records from `first` on by id, because slots have another order after a restart.
template <class Record, class IdOf>
void sort_appended(std::vector<const Record*>& records, std::size_t first, IdOf id_of) {
  std::sort(records.begin() + static_cast<std::ptrdiff_t>(first), records.end(),
            [&](const Record* a, const Record* b) { return id_of(*a) < id_of(*b); });
}

}  // namespace

OrderId Queries::list_open_orders(OpenOrdersPage page, std::vector<Order>& out) const {
  const OrderStore& orders = state_.orders;
  const Slot account = state_.ledger.find_account(page.account);
  const Slot instrument = state_.instruments.find(page.instrument);
  if (account == kNoSlot || (page.instrument != 0 && instrument == kNoSlot)) return 0;
  // A page continues behind an order that is remembered, whether it is still open or not.
  Slot slot = find_place(account, page.from);
  if (slot == kNoSlot) slot = find_place(account, page.before);
  if (slot == kNoSlot) slot = state_.ledger.account(account).open_orders.tail;
  if (page.from != 0) page.before = page.before == 0 ? page.from : std::min(page.before, page.from);
  OrderId visited = 0;
  std::size_t visits = 0;
  for (; slot != kNoSlot && page.orders_max > 0; slot = orders.next_older_open(slot)) {
    const OrderCore& order = orders[slot];
    if (visits++ == page.visits_max) {
      return page.from == 0 ? visited : std::min(visited, page.from);
    }
    visited = order.order_id;
    if (!order.open()) continue;
    if (page.before != 0 && order.order_id >= page.before) continue;
    if (page.instrument != 0 && orders.owner(slot).instrument != instrument) continue;
    out.push_back(state_.order(slot));
    --page.orders_max;
  }
  return 0;
}

void Queries::list_positions(AccountId account, std::vector<const Position*>& out) const {
  const Ledger& ledger = state_.ledger;
  const Slot owner = ledger.find_account(account);
  if (owner == kNoSlot) return;
  const std::size_t first = out.size();
  for (Slot slot = ledger.account(owner).positions.head; slot != kNoSlot;
       slot = ledger.next_position_of_account(slot)) {
    if (ledger.position(slot).qty_lots != 0) out.push_back(&ledger.position(slot));
  }
  sort_appended(out, first, [](const Position& it) { return it.instrument; });
}

void Queries::list_instruments(std::vector<const Instrument*>& out) const {
  const std::size_t first = out.size();
  for (Slot slot = 0; slot < state_.instruments.size(); ++slot) {
    out.push_back(&state_.instruments[slot].instrument);
  }
  sort_appended(out, first, [](const Instrument& it) { return it.terms.instrument; });
}

void Queries::list_accounts(std::vector<const Account*>& out) const {
  const std::size_t first = out.size();
  for (Slot slot = 0; slot < state_.ledger.accounts(); ++slot) {
    out.push_back(&state_.ledger.account(slot).account);
  }
  sort_appended(out, first, [](const Account& it) { return it.account; });
}

void Queries::list_levels(InstrumentId instrument, Side side, std::size_t depth,
                          std::vector<BookLevel>& out) const {
  const Slot slot = state_.instruments.find(instrument);
  if (slot == kNoSlot) return;
  for (const BookLevel& level : state_.instruments[slot].book.levels(side)) {
    if (depth-- == 0) return;
    out.push_back(level);
  }
}

void Queries::list_queue(InstrumentId instrument, Side side, PriceTicks price,
                         std::vector<OrderId>& out) const {
  const Slot slot = state_.instruments.find(instrument);
  if (slot == kNoSlot) return;
  for (const Slot order : state_.instruments[slot].book.queue(side, price)) {
    out.push_back(state_.orders[order].order_id);
  }
}

Slot Queries::find_place(Slot account, OrderId order_id) const {
  const OrderStore& orders = state_.orders;
  const Slot slot = order_id == 0 ? kNoSlot : orders.find(order_id);
  const bool usable =
      slot != kNoSlot && orders.owner(slot).account == account && orders.leads_on(slot);
  return usable ? slot : kNoSlot;
}

}  // namespace openvenue::core

#include "core/exchange.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "core/administration.h"
#include "core/auditor.h"
#include "core/conservation.h"
#include "core/digest.h"
#include "core/exchange_state.h"
#include "core/fast_book.h"
#include "core/naive_book.h"
#include "core/order_entry.h"
#include "core/snapshot.h"

namespace openvenue::core {
namespace {

[[noreturn]] void abort_with(const char* what, Sequence sequence) {
  std::fprintf(stderr,
               "engine state is broken after command %llu: %s. This is a bug: keep the journal, it "
               "reproduces it.\n",
               static_cast<unsigned long long>(sequence), what);
  std::abort();
}

bool in_range(std::uint32_t limit, std::uint32_t bound) { return limit >= 1 && limit <= bound; }

const Limits& checked(const Limits& capacity) {
  if (capacity.max_orders < 2 || capacity.max_orders > kOrdersMax) {
    throw std::invalid_argument("max_orders must be between 2 and 16777216");
  }
  if (!in_range(capacity.max_accounts, kAccountsMax) ||
      !in_range(capacity.max_instruments, kInstrumentsMax) ||
      !in_range(capacity.max_positions, kPositionsMax)) {
    throw std::invalid_argument(
        "max_accounts must be between 1 and 16777216, max_instruments between 1 and 1048576, and "
        "max_positions between 1 and 67108864");
  }
  if (capacity.max_open_orders == 0 || capacity.max_open_orders >= capacity.max_orders) {
    throw std::invalid_argument("max_open_orders must be at least 1 and below max_orders");
  }
  if (capacity.max_open_orders_per_account == 0) {
    throw std::invalid_argument("max_open_orders_per_account must be at least 1");
  }
  if (capacity.max_fills_per_command == 0) {
    throw std::invalid_argument("max_fills_per_command must be at least 1");
  }
  return capacity;
}

}  // namespace

template <class Book>
struct Exchange<Book>::State : ExchangeState<Book> {
  explicit State(const Limits& pool_sizes) : ExchangeState<Book>(checked(pool_sizes)) {}

#ifdef OPENVENUE_CHECKED
  // Conservation is asserted after every command. The whole state is audited every so many commands
  // that a command pays for a bounded number of records: small states after every one.
  void audit(const Command& command, const EventBuffer& events) {
    must_be_none(conservation.find_violation(*this, command, events));
    if (!audit_due()) return;
    must_be_none(conservation.find_drift(*this));
    must_be_none(auditor.find_violation(*this));
  }

  void must_be_none(const char* violation) const {
    if (violation != nullptr) abort_with(violation, this->last_sequence);
  }

  bool audit_due() {
    const std::size_t records = std::size_t{this->orders.records()} + this->ledger.accounts() +
                                this->ledger.positions() + this->instruments.size();
    if (++commands_since_audit * kRecordsAuditedPerCommand < records) return false;
    commands_since_audit = 0;
    return true;
  }

  static constexpr std::size_t kRecordsAuditedPerCommand = 64;
  Conservation<Book> conservation{this->capacity};
  Auditor<Book> auditor{this->capacity};
  std::size_t commands_since_audit = 0;
#endif
};

namespace {

// Hands a command's body to whoever carries it out.
template <class Book>
struct Dispatch {
  ExchangeState<Book>& state;
  EventBuffer& events;

  void operator()(const NewOrder& body) { OrderEntry<Book>(state, events).enter(body); }
  void operator()(const CancelOrder& body) { OrderEntry<Book>(state, events).cancel(body); }
  void operator()(const ReplaceOrder& body) { OrderEntry<Book>(state, events).replace(body); }
  void operator()(const EndTradingDay&) { OrderEntry<Book>(state, events).end_trading_day(); }
  void operator()(const DefineInstrument& body) {
    Administration<Book>(state, events).define_instrument(body);
  }
  void operator()(const OpenAccount& body) {
    Administration<Book>(state, events).open_account(body);
  }
  void operator()(const AdjustBalance& body) {
    Administration<Book>(state, events).adjust_balance(body);
  }
  void operator()(const AdjustPosition& body) {
    Administration<Book>(state, events).adjust_position(body);
  }
  void operator()(const Configure& body) { Administration<Book>(state, events).configure(body); }
};

}  // namespace

template <class Book>
Exchange<Book>::Exchange(const Limits& capacity) : state_(std::make_unique<State>(capacity)) {}
template <class Book>
Exchange<Book>::~Exchange() = default;
template <class Book>
Exchange<Book>::Exchange(Exchange&&) noexcept = default;
template <class Book>
Exchange<Book>& Exchange<Book>::operator=(Exchange&&) noexcept = default;

template <class Book>
void Exchange<Book>::apply(const Command& command, EventBuffer& events) {
  if (command.sequence != state_->last_sequence + 1) {
    abort_with("the next command is out of sequence", state_->last_sequence);
  }
  state_->last_sequence = command.sequence;
  state_->last_timestamp_ns = command.timestamp_ns;
  events.clear();
  std::visit(Dispatch<Book>{*state_, events}, command.body);
#ifdef OPENVENUE_CHECKED
  state_->audit(command, events);
#endif
}

template <class Book>
std::uint64_t Exchange<Book>::pool_bytes(const Limits& limits) {
  return OrderStore::bytes(limits.max_orders) +
         Ledger::bytes(limits.max_accounts, limits.max_positions) +
         std::uint64_t{limits.max_instruments} * sizeof(InstrumentRecord<Book>);
}

template <class Book>
Sequence Exchange<Book>::last_sequence() const {
  return state_->last_sequence;
}

template <class Book>
TimestampNs Exchange<Book>::last_timestamp_ns() const {
  return state_->last_timestamp_ns;
}

template <class Book>
const Limits& Exchange<Book>::limits() const {
  return state_->limits;
}

template <class Book>
const Order* Exchange<Book>::find_order(OrderId order_id) const {
  const Slot slot = state_->orders.find(order_id);
  return slot == kNoSlot ? nullptr : &state_->orders[slot];
}

template <class Book>
const Order* Exchange<Book>::find_order(AccountId account, const ClientOrderId& id) const {
  const Slot slot = state_->orders.find(account, id);
  return slot == kNoSlot ? nullptr : &state_->orders[slot];
}

template <class Book>
const Account* Exchange<Book>::find_account(AccountId account) const {
  const Slot slot = state_->ledger.find_account(account);
  return slot == kNoSlot ? nullptr : &state_->ledger.account(slot).account;
}

template <class Book>
const Instrument* Exchange<Book>::find_instrument(InstrumentId instrument) const {
  const Slot slot = state_->instruments.find(instrument);
  return slot == kNoSlot ? nullptr : &state_->instruments[slot].instrument;
}

template <class Book>
std::size_t Exchange<Book>::open_order_count() const {
  return state_->orders.open_orders();
}

template <class Book>
OrderId Exchange<Book>::list_open_orders(AccountId account, InstrumentId instrument, OrderId before,
                                         std::size_t limit, std::vector<const Order*>& out,
                                         OrderId from) const {
  const OrderStore& orders = state_->orders;
  const Slot owner = state_->ledger.find_account(account);
  if (owner == kNoSlot) return 0;
  const auto open_slot = [&](OrderId order_id) {
    const Slot slot = order_id == 0 ? kNoSlot : orders.find(order_id);
    const bool usable = slot != kNoSlot && orders[slot].open() && orders[slot].account == account;
    return usable ? slot : kNoSlot;
  };
  // A page usually continues after an order that is still open: start there.
  Slot slot = open_slot(from);
  if (slot == kNoSlot) slot = open_slot(before);
  if (slot == kNoSlot) slot = state_->ledger.account(owner).open_orders.tail;
  if (from != 0) before = before == 0 ? from : std::min(before, from);
  OrderId visited = 0;
  std::size_t visits = 0;
  for (; slot != kNoSlot && limit > 0; slot = orders.next_older_open(slot)) {
    const Order& order = orders[slot];
    if (visits++ == kOrdersVisitedMax) return visited;
    visited = order.order_id;
    if (before != 0 && order.order_id >= before) continue;
    if (instrument != 0 && order.instrument != instrument) continue;
    out.push_back(&order);
    --limit;
  }
  return 0;
}

template <class Book>
void Exchange<Book>::list_positions(AccountId account, std::vector<const Position*>& out) const {
  const Ledger& ledger = state_->ledger;
  const Slot owner = ledger.find_account(account);
  if (owner == kNoSlot) return;
  const std::size_t first = out.size();
  for (Slot slot = ledger.account(owner).positions.head; slot != kNoSlot;
       slot = ledger.next_position_of_account(slot)) {
    if (ledger.position(slot).qty_lots != 0) out.push_back(&ledger.position(slot));
  }
  std::sort(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
            [](const Position* a, const Position* b) { return a->instrument < b->instrument; });
}

template <class Book>
void Exchange<Book>::list_instruments(std::vector<const Instrument*>& out) const {
  for (Slot slot = 0; slot < state_->instruments.size(); ++slot) {
    out.push_back(&state_->instruments[slot].instrument);
  }
}

template <class Book>
void Exchange<Book>::list_accounts(std::vector<const Account*>& out) const {
  for (Slot slot = 0; slot < state_->ledger.accounts(); ++slot) {
    out.push_back(&state_->ledger.account(slot).account);
  }
}

template <class Book>
void Exchange<Book>::list_levels(InstrumentId instrument, Side side, std::size_t depth,
                                 std::vector<BookLevel>& out) const {
  const Slot slot = state_->instruments.find(instrument);
  if (slot != kNoSlot) state_->instruments[slot].book.list_levels(side, depth, out);
}

template <class Book>
void Exchange<Book>::list_queue(InstrumentId instrument, Side side, PriceTicks price,
                                std::vector<OrderId>& out) const {
  const Slot slot = state_->instruments.find(instrument);
  if (slot == kNoSlot) return;
  std::vector<Slot> queue;
  state_->instruments[slot].book.list_queue(side, price, queue);
  for (const Slot order : queue) out.push_back(state_->orders[order].order_id);
}

template <class Book>
void Exchange<Book>::serialize(ByteWriter& out) const {
  write_state<Book>(*state_, out);
}

template <class Book>
void Exchange<Book>::serialize(PieceWriter& out) const {
  write_state<Book>(*state_, out);
}

template <class Book>
bool Exchange<Book>::restore(ByteReader& in) {
  auto restored = std::make_unique<State>(state_->capacity);
  if (!read_state<Book>(in, *restored)) return false;
#ifdef OPENVENUE_CHECKED
  restored->conservation.begin(*restored);
#endif
  state_ = std::move(restored);
  return true;
}

template <class Book>
Digest Exchange<Book>::digest() const {
  Digest digest;
  write_state<Book>(*state_, digest);
  return digest;
}

template <class Book>
std::uint64_t Exchange<Book>::state_hash() const {
  return digest().value();
}

template <class Book>
void Exchange<Book>::check_invariants() const {
  const char* violation = Auditor<Book>(state_->capacity).find_violation(*state_);
  if (violation != nullptr) abort_with(violation, state_->last_sequence);
}

#ifdef OPENVENUE_CHECKED
template <class Book>
ExchangeState<Book>& Exchange<Book>::state() {
  return *state_;
}
#endif

template class Exchange<FastBook>;
template class Exchange<NaiveBook>;

}  // namespace openvenue::core

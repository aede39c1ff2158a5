#include "core/exchange/snapshot.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "core/exchange/auditor.h"
#include "core/rules/validate.h"
#include "core/schema/field_codec.h"

namespace openvenue::core {
namespace {

// The state once had its own version number: schema version 2 wrote 1.
constexpr std::uint32_t kStateVersionOfVersion2 = 1;

constexpr std::uint32_t stored_version(std::uint32_t version) {
  return version == 2 ? kStateVersionOfVersion2 : version;
}

// 0 if no readable state begins with it.
constexpr std::uint32_t schema_version(std::uint32_t stored) {
  for (std::uint32_t version = kSchemaVersionOldest; version <= kSchemaVersion; ++version) {
    if (stored_version(version) == stored) return version;
  }
  return 0;
}

// --- writing

// 0, 1, … count-1, sorted by `key(slot)`.
template <class Key>
std::vector<Slot> slots_by(std::uint32_t count, Key&& key) {
  std::vector<Slot> slots(count);
  for (Slot slot = 0; slot < count; ++slot) slots[slot] = slot;
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return key(a) < key(b); });
  return slots;
}

template <class Sink>
void write_order(const ExchangeState& state, Slot slot, Sink& out, std::uint32_t version) {
  write_fields(state.order(slot), out, version);
  write_fields(state.orders.replace_terms(slot), out, version);
}

// `book` is a FastBook or a StopBook.
void append_orders(const auto& book, std::vector<Slot>& slots) {
  for (const Side side : {Side::kBuy, Side::kSell}) {
    for (const BookLevel& level : book.levels(side)) {
      for (const Slot slot : book.queue(side, level.price_ticks)) slots.push_back(slot);
    }
  }
}

// Those in the book, then those that wait at their stop prices, then those whose stop prices move.
template <class Sink>
void write_open_orders(const ExchangeState& state, const InstrumentRecord& record, Sink& out,
                       std::uint32_t version) {
  std::vector<Slot> slots;
  append_orders(record.book, slots);
  append_orders(record.stops, slots);
  for (const Side side : {Side::kBuy, Side::kSell}) {
    for (Slot slot = record.trailing.list(side).head; slot != kNoSlot;
         slot = record.trailing.next(slot)) {
      slots.push_back(slot);
    }
  }
  out.put(static_cast<std::uint32_t>(slots.size()));
  for (const Slot slot : slots) write_order(state, slot, out, version);
}

// One account's positions, by instrument.
template <class Sink>
void write_positions(const Ledger& ledger, Slot owner, Sink& out, std::uint32_t version) {
  std::vector<Slot> slots;
  for (Slot slot = ledger.account(owner).positions.head; slot != kNoSlot;
       slot = ledger.next_position_of_account(slot)) {
    slots.push_back(slot);
  }
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) {
    return ledger.position(a).instrument < ledger.position(b).instrument;
  });
  for (const Slot slot : slots) write_fields(ledger.position(slot), out, version);
}

void write_used_ids(const ClientIds& ids, const SlotList& list, auto& out, std::uint32_t version) {
  out.put(list.size);
  for (Slot slot = list.head; slot != kNoSlot; slot = ids.next(slot)) {
    write_fields(ids[slot], out, version);
  }
}

// The counters say whether the filter is empty; an empty one is not written.
void write_forgotten_ids(const ForgottenIds& forgotten, auto& out) {
  for (std::uint32_t i = 0; forgotten.ids() > 0 && i < forgotten.block_count(); ++i) {
    for (const std::uint64_t word : forgotten.block(i)) out.put(word);
  }
}

// --- reading

bool within(std::int64_t value, std::int64_t bound) { return value <= bound && value >= -bound; }

// True if the amounts are so bounded that sums of a few of them fit 64 bits.
bool amounts_fit(const Account& account) {
  return within(account.credit_limit_micros, kCashTotalMax) &&
         within(account.cash_micros, kAccountCashMax) &&
         within(account.reserved_micros, kAccountCashMax);
}
bool amounts_fit(const Position& position) {
  return within(position.qty_lots, 3 * kPositionLotsMax) &&
         within(position.reserved_lots, 2 * kPositionLotsMax);
}
bool amounts_fit(const Order& order) {
  return order.filled_lots >= 0 && order.filled_lots <= order.qty_lots &&
         order.qty_lots <= kOrderQtyLotsMax && order.filled_value_micros >= 0 &&
         within(order.limit_price_ticks, kPriceTicksMax) &&
         within(order.stop_price_ticks, kPriceTicksMax) && order.high_water_ticks >= 0 &&
         order.high_water_ticks <= kPriceTicksMax;
}

// The state's version; 0 if the bytes do not begin with a readable state.
std::uint32_t read_counters(ByteReader& in, Counters& counters) {
  const std::uint32_t version = schema_version(in.get<std::uint32_t>());
  if (version == 0) return 0;
  read_fields(counters, in, version);
  return in.ok() ? version : 0;
}

// Reads the parts in their stored order and checks each against those before it.
class StateReader {
 public:
  StateReader(ByteReader& in, ExchangeState& state) : in_(in), state_(state) {}

  bool read() {
    return read_counters() && read_accounts() && read_instruments() && read_positions() &&
           read_all_open_orders() && read_ended_orders() && read_client_ids() &&
           read_forgotten_ids() && in_.ok() &&
           Auditor(state_.capacity).find_violation(state_) == nullptr;
  }

 private:
  struct OpenOrder {
    Order order;
    OrderOwner owner;
    ReplaceTerms terms;
    std::size_t place;  // in the stored order of the books
  };

  bool read_counters() {
    Counters counters;
    version_ = core::read_counters(in_, counters);
    const Limits& limits = counters.limits;
    const Limits& capacity = state_.capacity;
    state_.limits = limits;
    state_.rules_version = counters.rules_version;
    state_.last_sequence = counters.last_sequence;
    state_.last_timestamp_ns = counters.last_timestamp_ns;
    state_.last_trade_id = counters.last_trade_id;
    state_.suspended = counters.suspended;
    state_.ledger.restore_cash_adjusted(counters.cash_adjusted_micros);
    const bool bounded = limits.max_accounts > 0 && limits.max_open_orders < limits.max_client_ids;
    if (!bounded) return false;
    state_.orders.client_ids().set_bounds(limits, counters.rules_version);
    state_.orders.client_ids().set_floor(counters.client_ids_floor);
    state_.orders.client_ids().forgotten().restore_ids(counters.client_ids_forgotten);
    return version_ != 0 && within(counters.cash_adjusted_micros, kCashTotalMax) &&
           counters.rules_version >= 1 && counters.rules_version <= kRulesVersion &&
           limits.max_orders <= capacity.max_orders &&
           limits.max_accounts <= capacity.max_accounts &&
           limits.max_instruments <= capacity.max_instruments &&
           limits.max_positions <= capacity.max_positions &&
           limits.max_client_ids <= capacity.max_client_ids &&
           limits.max_fills_per_command <= capacity.max_fills_per_command &&
           limits.max_open_orders < limits.max_orders;
  }

  template <class Record>
  Record read_record() {
    Record record;
    read_fields(record, in_, version_);
    return record;
  }

  bool read_accounts() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_accounts) return false;
    WideInteger credit = 0;
    WideInteger cash = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto account = read_record<Account>();
      if (!in_.ok() || !amounts_fit(account)) return false;
      credit += account.credit_limit_micros;
      cash += account.cash_micros;
      const bool usable = account.account != 0 && account.credit_limit_micros >= 0 &&
                          account.reserved_micros >= 0 && credit <= kCashTotalMax &&
                          cash <= kAccountCashMax && cash >= -kAccountCashMax;
      if (!usable || state_.ledger.find_account(account.account) != kNoSlot) return false;
      state_.ledger.add_account(account);
    }
    return true;
  }

  bool read_instruments() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_instruments) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto instrument = read_record<Instrument>();
      const auto tick_value = tick_value_micros(instrument.terms);
      if (!in_.ok() || !tick_value || !within(instrument.adjusted_lots, kPositionLotsMax)) {
        return false;
      }
      if (state_.instruments.find(instrument.terms.instrument) != kNoSlot) return false;
      Instrument& added = state_.instruments.add(instrument.terms, *tick_value).instrument;
      added.last_price_ticks = instrument.last_price_ticks;
      added.adjusted_lots = instrument.adjusted_lots;
      const PriceTicks low = instrument.reached_low_ticks;
      const PriceTicks high = instrument.reached_high_ticks;
      if (low < 0 || low > high || (low == 0) != (high == 0)) return false;
      if (low != 0) state_.instruments.make_due(i, low, high);
    }
    return true;
  }

  bool read_positions() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_positions) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto position = read_record<Position>();
      const Slot account = state_.ledger.find_account(position.account);
      if (!in_.ok() || !amounts_fit(position) || account == kNoSlot) return false;
      if (state_.instruments.find(position.instrument) == kNoSlot) return false;
      if (state_.ledger.find_position(position.account, position.instrument) != kNoSlot) {
        return false;
      }
      state_.ledger.add_position(account, position);
    }
    return true;
  }

  bool read_all_open_orders() {
    std::vector<OpenOrder> opened;
    for (std::uint32_t i = 0; i < state_.instruments.size(); ++i) {
      const auto count = in_.get<std::uint32_t>();
      if (count > state_.limits.max_open_orders - opened.size()) return false;
      for (std::uint32_t n = 0; n < count; ++n) {
        const auto order = read_record<Order>();
        const auto terms = read_record<ReplaceTerms>();
        if (!in_.ok() || !amounts_fit(order) || !stays_open(order, i)) return false;
        opened.push_back({order, owner_of(order), terms, opened.size()});
      }
    }
    return open_in_order_of_age(opened);
  }

  // Sorts by age for the accounts' lists; the books' are by price and queue.
  bool open_in_order_of_age(std::vector<OpenOrder>& opened) {
    std::sort(opened.begin(), opened.end(), [](const OpenOrder& a, const OpenOrder& b) {
      return a.order.order_id < b.order.order_id;
    });
    std::vector<Slot> slots(opened.size());
    for (const OpenOrder& open : opened) {
      if (known(open.order) || open.owner.position == kNoSlot) return false;
      if (open.order.side == Side::kBuy) {
        state_.ledger.position(open.owner.position).wanted_lots += open.order.leaves_lots();
      }
      slots[open.place] = state_.orders.open(
          open.order, open.owner, open.terms, sent_by(open.order, open.terms),
          state_.ledger.account(open.owner.account).open_orders, state_.limits.max_orders);
    }
    return std::all_of(slots.begin(), slots.end(), [&](Slot slot) { return queue(slot); });
  }

  bool queue(Slot slot) {
    const OrderCore& order = state_.orders[slot];
    InstrumentRecord& record = state_.instruments[state_.orders.owner(slot).instrument];
    const OrderDetails& details = std::as_const(state_.orders).details(slot);
    if (state_.trails(slot)) {
      record.trailing.add(slot, order.side, details.trail, details.high_water_ticks,
                          order.leaves_lots());
      return true;
    }
    if (order.status == OrderStatus::kWaiting) {
      record.stops.add(slot, order.side, details.stop_price_ticks, order.leaves_lots());
      return true;
    }
    FastBook& book = record.book;
    const BookFront front = book.front(opposite(order.side));
    if (front.slot != kNoSlot &&
        crosses(opposite(order.side), front.price_ticks, order.limit_price_ticks)) {
      return false;
    }
    book.add(slot, order.side, order.limit_price_ticks, order.leaves_lots());
    return true;
  }

  bool read_ended_orders() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_orders - state_.orders.records()) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto order = read_record<Order>();
      const auto terms = read_record<ReplaceTerms>();
      if (!in_.ok() || !amounts_fit(order) || order.open() || known(order)) return false;
      const OrderOwner owner = owner_of(order);
      if (owner.account == kNoSlot || owner.instrument == kNoSlot) return false;
      state_.orders.add_ended(order, owner, terms);
    }
    return true;
  }

  bool read_client_ids() {
    if (version_ < 3) return true;
    if (!read_used_ids(state_.limits.max_client_ids, kNoSlot)) return false;
    const auto accounts = slots_by(state_.ledger.accounts(), [&](Slot at) {
      return state_.ledger.account(at).account.account;
    });
    return std::all_of(accounts.begin(), accounts.end(), [&](Slot account) {
      return read_used_ids(state_.orders.client_ids().share(), account);
    });
  }

  bool read_forgotten_ids() {
    ForgottenIds& forgotten = state_.orders.client_ids().forgotten();
    for (std::uint32_t i = 0; forgotten.ids() > 0 && i < forgotten.block_count(); ++i) {
      ForgottenIds::Block block;
      for (std::uint64_t& word : block) word = in_.get<std::uint64_t>();
      if (!in_.ok()) return false;
      forgotten.restore_block(i, block);
    }
    return true;
  }

  // Those of one account's share, or the surplus of all where `account` is kNoSlot.
  bool read_used_ids(std::uint32_t count_max, Slot account) {
    ClientIds& ids = state_.orders.client_ids();
    const auto count = in_.get<std::uint32_t>();
    if (!in_.ok() || count > count_max || count > state_.limits.max_client_ids - ids.size()) {
      return false;
    }
    if (count > 0 && !ids.outlive_records()) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto used = read_record<UsedClientId>();
      const Slot owner = state_.ledger.find_account(used.account);
      const bool usable = in_.ok() && owner != kNoSlot && used.order_id != 0 &&
                          used.order_id <= state_.last_sequence && ids.find(used) == kNoSlot;
      if (!usable || (account != kNoSlot && owner != account)) return false;
      if (account == kNoSlot) {
        ids.restore_surplus(used);
      } else {
        ids.restore_retired(used, account);
      }
    }
    return true;
  }

  [[nodiscard]] bool stays_open(const Order& order, Slot instrument) const {
    const DefineInstrument& terms = state_.instruments[instrument].instrument.terms;
    const bool waits = order.status == OrderStatus::kWaiting;
    const bool of_its_type =
        waits ? is_stop(order.type)
              : order.type == OrderType::kLimit || order.type == OrderType::kStopLimit;
    const bool trails = order.type == OrderType::kTrailingStop;
    if (trails ? !is_trail(order.trail, order.side) || order.high_water_ticks == 0
               : !order.trail.empty()) {
      return false;
    }
    return order.open() && order.instrument == terms.instrument && of_its_type &&
           may_stay_open(order.type, order.time_in_force) && order.leaves_lots() > 0 &&
           prices_valid(order, terms);
  }

  // The id of an ended order may have been forgotten and used again.
  [[nodiscard]] bool must_be_alone(const Order& order) const {
    return order.open() || !state_.orders.client_ids().outlive_records();
  }

  [[nodiscard]] bool known(const Order& order) const {
    return order.order_id == 0 || order.order_id > state_.last_sequence ||
           state_.orders.find(order.order_id) != kNoSlot ||
           (must_be_alone(order) &&
            state_.orders.find(order.account, order.client_order_id) != kNoSlot);
  }

  // An open order has all three.
  [[nodiscard]] OrderOwner owner_of(const Order& order) const {
    return {state_.ledger.find_account(order.account),
            state_.ledger.find_position(order.account, order.instrument),
            state_.instruments.find(order.instrument), kNoSlot};
  }

  ByteReader& in_;
  ExchangeState& state_;
  std::uint32_t version_ = 0;
};

}  // namespace

template <class Sink>
void write_state(const ExchangeState& state, Sink& out, std::uint32_t version) {
  const Ledger& ledger = state.ledger;
  out.put(stored_version(version));
  const Counters counters{state.limits,
                          state.last_sequence,
                          state.last_timestamp_ns,
                          state.last_trade_id,
                          ledger.cash_adjusted_micros(),
                          state.rules_version,
                          state.orders.client_ids().floor(),
                          state.orders.client_ids().forgotten().ids(),
                          state.suspended};
  write_fields(counters, out, version);

  const auto accounts =
      slots_by(ledger.accounts(), [&](Slot at) { return ledger.account(at).account.account; });
  out.put(ledger.accounts());
  for (const Slot slot : accounts) write_fields(ledger.account(slot).account, out, version);
  const auto instruments = slots_by(state.instruments.size(), [&](Slot at) {
    return state.instruments[at].instrument.terms.instrument;
  });
  out.put(state.instruments.size());
  for (const Slot slot : instruments) {
    write_fields(state.instruments[slot].instrument, out, version);
  }
  out.put(ledger.positions());
  for (const Slot owner : accounts) write_positions(ledger, owner, out, version);
  for (const Slot slot : instruments) {
    write_open_orders(state, state.instruments[slot], out, version);
  }
  out.put(state.orders.records() - state.orders.open_orders());
  for (Slot slot = state.orders.first_ended(); slot != kNoSlot;
       slot = state.orders.next_ended(slot)) {
    write_order(state, slot, out, version);
  }
  if (version < 3) return;
  const ClientIds& ids = state.orders.client_ids();
  write_used_ids(ids, ids.surplus(), out, version);
  for (const Slot owner : accounts) write_used_ids(ids, ids.retired(owner), out, version);
  write_forgotten_ids(ids.forgotten(), out);
}

std::optional<Limits> read_limits(ByteReader& in) {
  Counters counters;
  if (read_counters(in, counters) == 0) return std::nullopt;
  return counters.limits;
}

bool read_state(ByteReader& in, ExchangeState& state) { return StateReader(in, state).read(); }

template void write_state(const ExchangeState&, ByteWriter&, std::uint32_t);
template void write_state(const ExchangeState&, PieceWriter&, std::uint32_t);
template void write_state(const ExchangeState&, Digest&, std::uint32_t);

}  // namespace openvenue::core

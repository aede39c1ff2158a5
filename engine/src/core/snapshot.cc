#include "core/snapshot.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "core/auditor.h"

namespace openvenue::core {
namespace {

constexpr std::uint32_t kVersion = 1;

// --- writing

template <class Sink>
void write(const Limits& limits, Sink& out) {
  out.put(limits.max_orders);
  out.put(limits.max_accounts);
  out.put(limits.max_instruments);
  out.put(limits.max_positions);
  out.put(limits.max_fills_per_command);
  out.put(limits.max_open_orders);
  out.put(limits.max_open_orders_per_account);
}

template <class Sink>
void write(const Account& account, Sink& out) {
  out.put(account.account);
  out.put_short_string(account.name.view());
  out.put(static_cast<std::uint8_t>(account.may_sell_short));
  out.put(account.credit_limit_micros);
  out.put(account.cash_micros);
  out.put(account.reserved_micros);
  out.put(account.created_ns);
  out.put(account.updated_sequence);
}

template <class Sink>
void write(const DefineInstrument& terms, Sink& out) {
  out.put(terms.instrument);
  out.put_short_string(terms.symbol.view());
  out.put_short_string(terms.name.view());
  out.put(terms.asset_class);
  out.put(terms.state);
  out.put(terms.tick_size_nanos);
  out.put(terms.lot_size_nanos);
  out.put(terms.min_price_ticks);
  out.put(terms.max_price_ticks);
  out.put(terms.max_order_qty_lots);
}

template <class Sink>
void write(const Position& position, Sink& out) {
  out.put(position.account);
  out.put(position.instrument);
  out.put(position.qty_lots);
  out.put(position.reserved_lots);
  out.put(position.cost_micros);
}

template <class Sink>
void write(const Order& order, const ReplaceTerms& terms, Sink& out) {
  out.put(order.order_id);
  out.put(order.account);
  out.put(order.instrument);
  out.put(order.side);
  out.put(order.type);
  out.put(order.time_in_force);
  out.put(order.status);
  out.put(order.end_reason);
  out.put(order.qty_lots);
  out.put(order.filled_lots);
  out.put(order.filled_value_micros);
  out.put(order.limit_price_ticks);
  out.put(order.replaces);
  out.put(order.replaced_by);
  out.put(order.created_ns);
  out.put(order.updated_ns);
  out.put(order.updated_sequence);
  out.put_short_string(order.client_order_id.view());
  out.put(terms.qty_lots);
  out.put(terms.limit_price_ticks);
  out.put(terms.time_in_force);
  out.put(static_cast<std::uint8_t>(terms.keep_time_in_force));
}

// 0, 1, … count-1, sorted by `key(slot)`.
template <class Key>
std::vector<Slot> slots_by(std::uint32_t count, Key&& key) {
  std::vector<Slot> slots(count);
  for (Slot slot = 0; slot < count; ++slot) slots[slot] = slot;
  std::sort(slots.begin(), slots.end(), [&](Slot a, Slot b) { return key(a) < key(b); });
  return slots;
}

template <class Sink>
void write_open_orders(const ExchangeState& state, const FastBook& book, Sink& out) {
  std::vector<BookLevel> levels;
  std::vector<Slot> slots;
  for (const Side side : {Side::kBuy, Side::kSell}) {
    levels.clear();
    book.list_levels(side, std::numeric_limits<std::size_t>::max(), levels);
    for (const BookLevel& level : levels) book.list_queue(side, level.price_ticks, slots);
  }
  out.put(static_cast<std::uint32_t>(slots.size()));
  for (const Slot slot : slots) {
    write(state.orders[slot], state.orders.replace_terms(slot), out);
  }
}

// --- reading

template <class Enum>
Enum read_enum(ByteReader& in, Enum first, Enum last) {
  const Enum value = in.get<Enum>();
  if (value < first || value > last) in.fail();
  return value;
}

bool read_bool(ByteReader& in) {
  const auto value = in.get<std::uint8_t>();
  if (value > 1) in.fail();
  return value == 1;
}

// A number whose size is at most `bound`, so that sums of a few of them fit 64 bits.
std::int64_t read_bounded(ByteReader& in, std::int64_t bound) {
  const auto value = in.get<std::int64_t>();
  if (value > bound || value < -bound) in.fail();
  return value;
}

template <class Text>
Text read_text(ByteReader& in) {
  const std::string_view text = in.get_short_string();
  if (text.size() <= Text::capacity()) return Text(text);
  in.fail();
  return {};
}

Limits read_limits(ByteReader& in) {
  Limits limits;
  limits.max_orders = in.get<std::uint32_t>();
  limits.max_accounts = in.get<std::uint32_t>();
  limits.max_instruments = in.get<std::uint32_t>();
  limits.max_positions = in.get<std::uint32_t>();
  limits.max_fills_per_command = in.get<std::uint32_t>();
  limits.max_open_orders = in.get<std::uint32_t>();
  limits.max_open_orders_per_account = in.get<std::uint32_t>();
  return limits;
}

Account read_account(ByteReader& in) {
  Account account;
  account.account = in.get<AccountId>();
  account.name = read_text<Name>(in);
  account.may_sell_short = read_bool(in);
  account.credit_limit_micros = read_bounded(in, kCashTotalMax);
  account.cash_micros = read_bounded(in, kAccountCashMax);
  account.reserved_micros = read_bounded(in, kAccountCashMax);
  account.created_ns = in.get<TimestampNs>();
  account.updated_sequence = in.get<Sequence>();
  return account;
}

DefineInstrument read_instrument_terms(ByteReader& in) {
  DefineInstrument terms;
  terms.instrument = in.get<InstrumentId>();
  terms.symbol = read_text<Symbol>(in);
  terms.name = read_text<Name>(in);
  terms.asset_class = in.get<AssetClass>();
  terms.state = in.get<InstrumentState>();
  terms.tick_size_nanos = in.get<std::int64_t>();
  terms.lot_size_nanos = in.get<std::int64_t>();
  terms.min_price_ticks = in.get<PriceTicks>();
  terms.max_price_ticks = in.get<PriceTicks>();
  terms.max_order_qty_lots = in.get<QtyLots>();
  return terms;
}

Position read_position(ByteReader& in) {
  Position position;
  position.account = in.get<AccountId>();
  position.instrument = in.get<InstrumentId>();
  position.qty_lots = read_bounded(in, 3 * kPositionLotsMax);
  position.reserved_lots = read_bounded(in, 2 * kPositionLotsMax);
  position.cost_micros = in.get<CashMicros>();
  return position;
}

Order read_order(ByteReader& in) {
  Order order;
  order.order_id = in.get<OrderId>();
  order.account = in.get<AccountId>();
  order.instrument = in.get<InstrumentId>();
  order.side = read_enum(in, Side::kBuy, Side::kSell);
  order.type = read_enum(in, OrderType::kMarket, OrderType::kLimit);
  order.time_in_force = read_enum(in, TimeInForce::kDay, TimeInForce::kFok);
  order.status = read_enum(in, OrderStatus::kNew, OrderStatus::kReplaced);
  order.end_reason = read_enum(in, Reason::kNone, Reason::kFillLimit);
  order.qty_lots = read_bounded(in, kOrderQtyLotsMax);
  order.filled_lots = read_bounded(in, kOrderQtyLotsMax);
  order.filled_value_micros = in.get<CashMicros>();
  order.limit_price_ticks = read_bounded(in, kPriceTicksMax);
  order.replaces = in.get<OrderId>();
  order.replaced_by = in.get<OrderId>();
  order.created_ns = in.get<TimestampNs>();
  order.updated_ns = in.get<TimestampNs>();
  order.updated_sequence = in.get<Sequence>();
  order.client_order_id = read_text<ClientOrderId>(in);
  if (order.filled_lots < 0 || order.filled_lots > order.qty_lots) in.fail();
  if (order.filled_value_micros < 0) in.fail();
  return order;
}

ReplaceTerms read_replace_terms(ByteReader& in) {
  ReplaceTerms terms;
  terms.qty_lots = in.get<QtyLots>();
  terms.limit_price_ticks = in.get<PriceTicks>();
  terms.time_in_force = in.get<TimeInForce>();
  terms.keep_time_in_force = read_bool(in);
  return terms;
}

// Reads the parts in the order in which they were written, each checked against those before it.
class StateReader {
 public:
  StateReader(ByteReader& in, ExchangeState& state) : in_(in), state_(state) {}

  bool read() {
    return read_counters() && read_accounts() && read_instruments() && read_positions() &&
           read_all_open_orders() && read_ended_orders() && in_.ok() &&
           Auditor(state_.capacity).find_violation(state_) == nullptr;
  }

 private:
  struct OpenOrder {
    Order order;
    OrderOwner owner;
    ReplaceTerms terms;
    std::size_t place;  // in the order in which the books were written
  };

  bool read_counters() {
    if (in_.get<std::uint32_t>() != kVersion) return false;
    const Limits limits = read_limits(in_);
    const Limits& capacity = state_.capacity;
    state_.limits = limits;
    state_.last_sequence = in_.get<Sequence>();
    state_.last_timestamp_ns = in_.get<TimestampNs>();
    state_.last_trade_id = in_.get<TradeId>();
    state_.ledger.restore_cash_adjusted(read_bounded(in_, kCashTotalMax));
    return in_.ok() && limits.max_orders <= capacity.max_orders &&
           limits.max_accounts <= capacity.max_accounts &&
           limits.max_instruments <= capacity.max_instruments &&
           limits.max_positions <= capacity.max_positions &&
           limits.max_fills_per_command <= capacity.max_fills_per_command &&
           limits.max_open_orders < limits.max_orders;
  }

  bool read_accounts() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_accounts) return false;
    WideInteger credit = 0;
    WideInteger cash = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Account account = read_account(in_);
      credit += account.credit_limit_micros;
      cash += account.cash_micros;
      const bool usable = in_.ok() && account.account != 0 && account.credit_limit_micros >= 0 &&
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
      const DefineInstrument terms = read_instrument_terms(in_);
      const auto last_price = in_.get<PriceTicks>();
      const QtyLots adjusted = read_bounded(in_, kPositionLotsMax);
      const auto tick_value = tick_value_micros(terms);
      if (!in_.ok() || !tick_value) return false;
      if (state_.instruments.find(terms.instrument) != kNoSlot) return false;
      InstrumentRecord& record = state_.instruments.add(terms, *tick_value);
      record.instrument.last_price_ticks = last_price;
      record.adjusted_lots = adjusted;
    }
    return true;
  }

  bool read_positions() {
    const auto count = in_.get<std::uint32_t>();
    if (count > state_.limits.max_positions) return false;
    for (std::uint32_t i = 0; i < count; ++i) {
      const Position position = read_position(in_);
      const Slot account = state_.ledger.find_account(position.account);
      if (!in_.ok() || account == kNoSlot) return false;
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
        const Order order = read_order(in_);
        const ReplaceTerms terms = read_replace_terms(in_);
        if (!in_.ok() || !rests(order, i)) return false;
        opened.push_back({order, owner_of(order), terms, opened.size()});
      }
    }
    return open_in_order_of_age(opened);
  }

  // Accounts list their orders by age, books by price and queue.
  bool open_in_order_of_age(std::vector<OpenOrder>& opened) {
    std::sort(opened.begin(), opened.end(), [](const OpenOrder& a, const OpenOrder& b) {
      return a.order.order_id < b.order.order_id;
    });
    std::vector<Slot> slots(opened.size());
    for (const OpenOrder& open : opened) {
      if (known(open.order) || open.owner.position == kNoSlot) return false;
      slots[open.place] = state_.orders.open(open.order, open.owner, open.terms,
                                             state_.ledger.account(open.owner.account).open_orders,
                                             state_.limits.max_orders);
    }
    return std::all_of(slots.begin(), slots.end(), [&](Slot slot) { return queue(slot); });
  }

  bool queue(Slot slot) {
    const Order& order = state_.orders[slot];
    FastBook& book = state_.instruments[state_.orders.owner(slot).instrument].book;
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
      const Order order = read_order(in_);
      const ReplaceTerms terms = read_replace_terms(in_);
      if (!in_.ok() || order.open() || known(order)) return false;
      const OrderOwner owner = owner_of(order);
      if (owner.position == kNoSlot) return false;
      state_.orders.add_ended(order, owner, terms);
    }
    return true;
  }

  [[nodiscard]] bool rests(const Order& order, Slot instrument) const {
    const DefineInstrument& terms = state_.instruments[instrument].instrument.terms;
    return order.open() && order.instrument == terms.instrument &&
           order.type == OrderType::kLimit && order.time_in_force <= TimeInForce::kGtc &&
           order.leaves_lots() > 0 && order.limit_price_ticks >= terms.min_price_ticks &&
           order.limit_price_ticks <= terms.max_price_ticks;
  }

  [[nodiscard]] bool known(const Order& order) const {
    return order.order_id == 0 || order.order_id > state_.last_sequence ||
           state_.orders.find(order.order_id) != kNoSlot ||
           state_.orders.find(order.account, order.client_order_id) != kNoSlot;
  }

  // All orders have an account, an instrument and a position; where not, position is kNoSlot.
  [[nodiscard]] OrderOwner owner_of(const Order& order) const {
    return {state_.ledger.find_account(order.account),
            state_.ledger.find_position(order.account, order.instrument),
            state_.instruments.find(order.instrument)};
  }

  ByteReader& in_;
  ExchangeState& state_;
};

}  // namespace

template <class Sink>
void write_state(const ExchangeState& state, Sink& out) {
  out.put(kVersion);
  write(state.limits, out);
  out.put(state.last_sequence);
  out.put(state.last_timestamp_ns);
  out.put(state.last_trade_id);
  out.put(state.ledger.cash_adjusted_micros());

  const Ledger& ledger = state.ledger;
  out.put(ledger.accounts());
  for (const Slot slot :
       slots_by(ledger.accounts(), [&](Slot at) { return ledger.account(at).account.account; })) {
    write(ledger.account(slot).account, out);
  }
  const auto instruments = slots_by(state.instruments.size(), [&](Slot at) {
    return state.instruments[at].instrument.terms.instrument;
  });
  out.put(state.instruments.size());
  for (const Slot slot : instruments) {
    write(state.instruments[slot].instrument.terms, out);
    out.put(state.instruments[slot].instrument.last_price_ticks);
    out.put(state.instruments[slot].adjusted_lots);
  }
  out.put(ledger.positions());
  for (const Slot slot : slots_by(ledger.positions(), [&](Slot at) {
         return std::pair(ledger.position(at).account, ledger.position(at).instrument);
       })) {
    write(ledger.position(slot), out);
  }
  for (const Slot slot : instruments) write_open_orders(state, state.instruments[slot].book, out);
  out.put(state.orders.records() - state.orders.open_orders());
  for (Slot slot = state.orders.first_ended(); slot != kNoSlot;
       slot = state.orders.next_ended(slot)) {
    write(state.orders[slot], state.orders.replace_terms(slot), out);
  }
}

bool read_state(ByteReader& in, ExchangeState& state) { return StateReader(in, state).read(); }

template void write_state(const ExchangeState&, ByteWriter&);
template void write_state(const ExchangeState&, PieceWriter&);
template void write_state(const ExchangeState&, Digest&);

}  // namespace openvenue::core

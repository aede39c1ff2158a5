// NaiveExchange's commands on instruments, accounts and limits, and its queries.
#include <algorithm>

#include "core/testing/naive_exchange.h"

namespace openvenue::core {
namespace {

bool beyond(WideInteger value, WideInteger bound) { return value > bound || value < -bound; }

// The value of one lot at one tick; nothing if no instrument can have these terms.
std::optional<CashMicros> value_of_tick(const DefineInstrument& terms) {
  const bool sound =
      terms.instrument != 0 && !terms.symbol.empty() &&
      (terms.asset_class == AssetClass::kUsEquity || terms.asset_class == AssetClass::kCrypto) &&
      (terms.state == InstrumentState::kActive || terms.state == InstrumentState::kInactive) &&
      terms.tick_size_nanos > 0 && terms.lot_size_nanos > 0 && terms.min_price_ticks >= 1 &&
      terms.max_price_ticks >= terms.min_price_ticks && terms.max_price_ticks <= kPriceTicksMax &&
      terms.max_price_ticks - terms.min_price_ticks < kPriceRangeTicksMax &&
      terms.max_order_qty_lots >= 1 && terms.max_order_qty_lots <= kOrderQtyLotsMax;
  const WideInteger product = WideInteger{terms.tick_size_nanos} * terms.lot_size_nanos;
  constexpr WideInteger kPerMicro = WideInteger{1'000'000} * 1'000'000;
  if (!sound || product % kPerMicro != 0 || product / kPerMicro > kTickValueMicrosMax) return {};
  return static_cast<CashMicros>(product / kPerMicro);
}

}  // namespace

void NaiveExchange::carry_out(const DefineInstrument& command) {
  const auto tick_value = value_of_tick(command);
  if (!tick_value) return reject(Reason::kInvalidDefinition);
  for (const auto& [id, instrument] : instruments_) {
    DefineInstrument changeable = command;  // may differ in these
    changeable.name = instrument.terms.name;
    changeable.state = instrument.terms.state;
    changeable.max_order_qty_lots = instrument.terms.max_order_qty_lots;
    const bool same_symbol = instrument.terms.symbol == command.symbol;
    const bool clashes = id == command.instrument ? changeable != instrument.terms : same_symbol;
    if (clashes) return reject(Reason::kAlreadyExists);
  }
  const bool known = instruments_.contains(command.instrument);
  if (!known && instruments_.size() >= limits_.max_instruments) return reject(Reason::kCapacity);
  Instrument& instrument = instruments_[command.instrument];
  instrument.terms = command;
  instrument.tick_value_micros = *tick_value;
  events_.push_back(Applied{});
}

void NaiveExchange::carry_out(const SuspendTrading& command) {
  if (command.account != 0) {
    const auto found = accounts_.find(command.account);
    if (found == accounts_.end()) return reject(Reason::kUnknownAccount);
    found->second.suspended = command.suspended;
    found->second.updated_sequence = now_.sequence;
  } else {
    suspended_ = command.suspended;
  }
  events_.push_back(Applied{});
}

void NaiveExchange::carry_out(const OpenAccount& command) {
  if (command.account == 0 || command.credit_limit_micros < 0) {
    return reject(Reason::kInvalidDefinition);
  }
  WideInteger credit = command.credit_limit_micros;
  for (const auto& [id, account] : accounts_) {
    if (id != command.account) credit += account.credit_limit_micros;
  }
  if (credit > kCashTotalMax) return reject(Reason::kOverflow);
  const auto found = accounts_.find(command.account);
  if (found == accounts_.end()) {
    if (accounts_.size() >= limits_.max_accounts) return reject(Reason::kCapacity);
  } else {
    const WideInteger power = WideInteger{found->second.cash_micros} + command.credit_limit_micros -
                              reserved_micros(command.account, nullptr);
    if (power < 0) return reject(Reason::kInsufficientCash);
    for (const auto& [key, held] : holdings_) {
      const bool uncovered = key.first == command.account &&
                             held.qty_lots < open_lots(key.first, key.second, Side::kSell, nullptr);
      if (uncovered && !command.may_sell_short) return reject(Reason::kInsufficientPosition);
    }
  }
  Account& account = accounts_[command.account];
  if (account.account == 0) account.created_ns = now_.timestamp_ns;
  account.account = command.account;
  account.name = command.name;
  account.may_sell_short = command.may_sell_short;
  account.credit_limit_micros = command.credit_limit_micros;
  account.updated_sequence = now_.sequence;
  events_.push_back(Applied{});
}

void NaiveExchange::carry_out(const AdjustBalance& command) {
  const auto found = accounts_.find(command.account);
  if (found == accounts_.end()) return reject(Reason::kUnknownAccount);
  Account& account = found->second;
  const WideInteger brought = cash_brought_micros_ + command.amount_micros;
  if (beyond(brought, kCashTotalMax)) return reject(Reason::kOverflow);
  const WideInteger power = WideInteger{account.cash_micros} + account.credit_limit_micros -
                            reserved_micros(command.account, nullptr) + command.amount_micros;
  if (power < 0) return reject(Reason::kInsufficientCash);
  cash_brought_micros_ = brought;
  account.cash_micros += command.amount_micros;
  account.updated_sequence = now_.sequence;
  events_.push_back(BalanceAdjusted{account.cash_micros});
}

void NaiveExchange::carry_out(const AdjustPosition& command) {
  const auto found = accounts_.find(command.account);
  if (found == accounts_.end()) return reject(Reason::kUnknownAccount);
  if (!instruments_.contains(command.instrument)) return reject(Reason::kUnknownInstrument);
  const std::pair key(command.account, command.instrument);
  const Reason reason = check_place(command.account, command.instrument);
  if (reason != Reason::kNone) return reject(reason);
  Holding held = holding(command.account, command.instrument);
  const WideInteger qty = WideInteger{held.qty_lots} + command.qty_lots;
  const WideInteger cost = WideInteger{held.cost_micros} + command.cost_micros;
  QtyLots& brought = lots_brought_[command.instrument];
  if (beyond(qty, kPositionLotsMax) ||
      beyond(WideInteger{brought} + command.qty_lots, kPositionLotsMax) || !fits_int64(cost)) {
    return reject(Reason::kOverflow);
  }
  const bool uncovered = qty < open_lots(command.account, command.instrument, Side::kSell, nullptr);
  if (uncovered && !found->second.may_sell_short) return reject(Reason::kInsufficientPosition);
  brought += command.qty_lots;
  held.qty_lots = static_cast<QtyLots>(qty);
  held.cost_micros = qty == 0 ? 0 : static_cast<CashMicros>(cost);  // a flat position has no cost
  holdings_[key] = held;
  found->second.updated_sequence = now_.sequence;
  events_.push_back(PositionAdjusted{held.qty_lots, held.cost_micros});
}

void NaiveExchange::carry_out(const Configure& command) {
  const Limits& wanted = command.limits;
  const std::uint32_t smallest = std::min(
      {wanted.max_orders, wanted.max_accounts, wanted.max_instruments, wanted.max_positions,
       wanted.max_fills_per_command, wanted.max_open_orders, wanted.max_open_orders_per_account,
       wanted.max_positions_per_account, wanted.max_client_ids});
  const bool rules_known = command.rules_version >= 1 && command.rules_version <= kRulesVersion;
  // Ids that outlive their orders have no place under older rules.
  const bool loses_ids = rules_version_ >= 3 && command.rules_version < 3 && !ids_.empty();
  if (!rules_known || loses_ids || smallest == 0 || wanted.max_open_orders >= wanted.max_orders ||
      wanted.max_open_orders >= wanted.max_client_ids) {
    return reject(Reason::kInvalidDefinition);
  }
  const bool has_room = wanted.max_orders <= capacity_.max_orders &&
                        wanted.max_accounts <= capacity_.max_accounts &&
                        wanted.max_instruments <= capacity_.max_instruments &&
                        wanted.max_positions <= capacity_.max_positions &&
                        wanted.max_client_ids <= capacity_.max_client_ids &&
                        wanted.max_fills_per_command <= capacity_.max_fills_per_command;
  const std::size_t positions =
      command.rules_version >= 3 ? pairs_in_use().size() : holdings_.size();
  const bool holds_all =
      open_order_count() <= wanted.max_open_orders && accounts_.size() <= wanted.max_accounts &&
      instruments_.size() <= wanted.max_instruments && positions <= wanted.max_positions;
  if (!has_room || !holds_all) return reject(Reason::kCapacity);
  limits_ = wanted;
  const bool ids_begin_to_outlive = rules_version_ < 3 && command.rules_version >= 3;
  rules_version_ = command.rules_version;
  if (ids_begin_to_outlive) remember_ids_of_records();
  if (rules_version_ >= 3) {
    for (const auto& [id, account] : accounts_) keep_to_share(id);
    forget_ids(limits_.max_client_ids);
  }
  forget_ended_orders(limits_.max_orders);
  events_.push_back(Applied{});
}

// --- queries

std::optional<Order> NaiveExchange::find_order(OrderId order_id) const {
  const auto found = orders_.find(order_id);
  return found == orders_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Order> NaiveExchange::find_order(AccountId account, const ClientOrderId& id) const {
  const auto used = find_used(account, id);
  return used ? find_order(used->order_id) : std::nullopt;
}

std::vector<Order> NaiveExchange::open_orders(AccountId account, InstrumentId instrument,
                                              OrderId before, std::size_t limit) const {
  std::vector<Order> found;
  for (auto at = orders_.rbegin(); at != orders_.rend() && found.size() < limit; ++at) {
    const Order& order = at->second;
    const bool wanted = order.open() && order.account == account &&
                        (instrument == 0 || order.instrument == instrument) &&
                        (before == 0 || order.order_id < before);
    if (wanted) found.push_back(order);
  }
  return found;
}

std::size_t NaiveExchange::open_order_count() const {
  return static_cast<std::size_t>(std::count_if(
      orders_.begin(), orders_.end(), [](const auto& entry) { return entry.second.open(); }));
}

std::size_t NaiveExchange::client_id_count() const {
  return rules_version_ >= 3 ? ids_.size() : orders_.size();
}

std::vector<Account> NaiveExchange::accounts() const {
  std::vector<Account> all;
  for (const auto& [id, account] : accounts_) {
    all.push_back(account);
    all.back().reserved_micros = static_cast<CashMicros>(reserved_micros(id, nullptr));
  }
  return all;
}

std::vector<Instrument> NaiveExchange::instruments() const {
  std::vector<Instrument> all;
  for (const auto& [id, instrument] : instruments_) {
    all.push_back(instrument);
    const auto brought = lots_brought_.find(id);
    if (brought != lots_brought_.end()) all.back().adjusted_lots = brought->second;
  }
  return all;
}

std::vector<Position> NaiveExchange::positions(AccountId account) const {
  std::vector<Position> all;
  for (const auto& [key, held] : holdings_) {
    if (key.first != account || held.qty_lots == 0) continue;
    all.push_back({.account = account,
                   .instrument = key.second,
                   .qty_lots = held.qty_lots,
                   .reserved_lots = open_lots(account, key.second, Side::kSell, nullptr),
                   .cost_micros = held.cost_micros,
                   .wanted_lots = open_lots(account, key.second, Side::kBuy, nullptr)});
  }
  return all;
}

std::vector<BookLevel> NaiveExchange::levels(InstrumentId instrument, Side side) const {
  std::vector<BookLevel> all;
  for (const auto& [price, ids] : levels_of(instrument, side)) {
    BookLevel level{price, 0, static_cast<std::uint32_t>(ids.size())};
    for (const OrderId id : ids) level.qty_lots += orders_.at(id).leaves_lots();
    all.push_back(level);
  }
  if (side == Side::kBuy) std::reverse(all.begin(), all.end());
  return all;
}

std::vector<OrderId> NaiveExchange::queue(InstrumentId instrument, Side side,
                                          PriceTicks price) const {
  const Levels& levels = levels_of(instrument, side);
  const auto found = levels.find(price);
  if (found == levels.end()) return {};
  return {found->second.begin(), found->second.end()};
}

const NaiveExchange::Levels& NaiveExchange::levels_of(InstrumentId instrument, Side side) const {
  static const Book empty;
  const auto found = books_.find(instrument);
  const Book& book = found == books_.end() ? empty : found->second;
  return side == Side::kBuy ? book.bids : book.asks;
}

}  // namespace openvenue::core

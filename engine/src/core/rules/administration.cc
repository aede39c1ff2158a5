#include "core/rules/administration.h"

#include <algorithm>
#include <vector>

namespace openvenue::core {
namespace {

bool same_immutable_terms(const DefineInstrument& a, const DefineInstrument& b) {
  return a.symbol == b.symbol && a.asset_class == b.asset_class &&
         a.tick_size_nanos == b.tick_size_nanos && a.lot_size_nanos == b.lot_size_nanos &&
         a.min_price_ticks == b.min_price_ticks && a.max_price_ticks == b.max_price_ticks;
}

bool any_zero(const Limits& limits) {
  return limits.max_open_orders == 0 || limits.max_open_orders_per_account == 0 ||
         limits.max_accounts == 0 || limits.max_instruments == 0 || limits.max_positions == 0 ||
         limits.max_positions_per_account == 0 || limits.max_fills_per_command == 0;
}

// Compares the pools' sizes; open orders have no pool of their own.
bool within(const Limits& limits, const Limits& bound) {
  return limits.max_orders <= bound.max_orders && limits.max_accounts <= bound.max_accounts &&
         limits.max_instruments <= bound.max_instruments &&
         limits.max_positions <= bound.max_positions &&
         limits.max_client_ids <= bound.max_client_ids &&
         limits.max_fills_per_command <= bound.max_fills_per_command;
}

bool within_total(QtyLots total, QtyLots change) {
  const WideInteger sum = WideInteger{total} + change;
  return sum <= kPositionLotsMax && sum >= -kPositionLotsMax;
}

}  // namespace

void Administration::define_instrument(const DefineInstrument& command) {
  const auto tick_value = tick_value_micros(command);
  if (!tick_value) return reject(Reason::kInvalidDefinition);
  const Slot same_id = state_.instruments.find(command.instrument);
  const Slot same_symbol = state_.instruments.find(command.symbol);
  if (same_symbol != same_id) return reject(Reason::kAlreadyExists);
  if (same_id != kNoSlot) {
    DefineInstrument& known = state_.instruments[same_id].instrument.terms;
    if (!same_immutable_terms(known, command)) return reject(Reason::kAlreadyExists);
    known = command;
    return answer(Reason::kNone);
  }
  if (state_.instruments.size() >= state_.limits.max_instruments) {
    return reject(Reason::kCapacity);
  }
  state_.instruments.add(command, *tick_value);
  answer(Reason::kNone);
}

void Administration::open_account(const OpenAccount& command) {
  if (command.account == 0 || command.credit_limit_micros < 0) {
    return reject(Reason::kInvalidDefinition);
  }
  Slot slot = state_.ledger.find_account(command.account);
  const Reason reason = state_.ledger.check_terms(slot, command);
  if (reason != Reason::kNone) return reject(reason);
  if (slot == kNoSlot) {
    if (state_.ledger.accounts() >= state_.limits.max_accounts) return reject(Reason::kCapacity);
    Account account;
    account.account = command.account;
    account.created_ns = state_.last_timestamp_ns;
    slot = state_.ledger.add_account(account);
  }
  state_.ledger.set_terms(slot, command);
  state_.ledger.account(slot).account.updated_sequence = state_.last_sequence;
  answer(Reason::kNone);
}

void Administration::suspend_trading(const SuspendTrading& command) {
  if (command.account == 0) {
    state_.suspended = command.suspended;
    return answer(Reason::kNone);
  }
  const Slot slot = state_.ledger.find_account(command.account);
  if (slot == kNoSlot) return reject(Reason::kUnknownAccount);
  Account& account = state_.ledger.account(slot).account;
  account.suspended = command.suspended;
  account.updated_sequence = state_.last_sequence;
  answer(Reason::kNone);
}

void Administration::adjust_balance(const AdjustBalance& command) {
  const Slot slot = state_.ledger.find_account(command.account);
  if (slot == kNoSlot) return reject(Reason::kUnknownAccount);
  const Reason reason = state_.ledger.adjust_cash(slot, command.amount_micros);
  if (reason != Reason::kNone) return reject(reason);
  Account& account = state_.ledger.account(slot).account;
  account.updated_sequence = state_.last_sequence;
  events_.emplace_back(BalanceAdjusted{account.cash_micros});
}

void Administration::adjust_position(const AdjustPosition& command) {
  const Slot account_slot = state_.ledger.find_account(command.account);
  if (account_slot == kNoSlot) return reject(Reason::kUnknownAccount);
  const Slot instrument = state_.instruments.find(command.instrument);
  if (instrument == kNoSlot) return reject(Reason::kUnknownInstrument);
  Slot slot = state_.ledger.find_position(command.account, command.instrument);
  if (slot == kNoSlot) {
    const Reason reason = state_.check_room_for_position(account_slot);
    if (reason != Reason::kNone) return reject(reason);
  }
  Account& account = state_.ledger.account(account_slot).account;
  const Position before =
      slot == kNoSlot ? Position{.account = command.account, .instrument = command.instrument}
                      : state_.ledger.position(slot);
  QtyLots& instrument_lots = state_.instruments[instrument].instrument.adjusted_lots;
  const Reason reason = check_position(account, before, instrument_lots, command);
  if (reason != Reason::kNone) return reject(reason);

  if (slot == kNoSlot) slot = state_.ledger.add_position(account_slot, before);
  Position& position = state_.ledger.position(slot);
  position.qty_lots += command.qty_lots;
  // A flat position has no cost, whatever the adjustment asks for.
  position.cost_micros = position.qty_lots == 0 ? 0 : position.cost_micros + command.cost_micros;
  instrument_lots += command.qty_lots;
  account.updated_sequence = state_.last_sequence;
  events_.emplace_back(PositionAdjusted{position.qty_lots, position.cost_micros});
  state_.release_if_vacant(account_slot, slot);
}

Reason Administration::check_position(const Account& account, const Position& position,
                                      QtyLots instrument_lots, const AdjustPosition& change) const {
  if (!within_total(position.qty_lots, change.qty_lots) ||
      !within_total(instrument_lots, change.qty_lots) ||
      !fits_int64(WideInteger{position.cost_micros} + change.cost_micros)) {
    return Reason::kOverflow;
  }
  const bool uncovered = position.qty_lots + change.qty_lots < position.reserved_lots;
  return uncovered && !account.may_sell_short ? Reason::kInsufficientPosition : Reason::kNone;
}

void Administration::configure(const Configure& command) {
  const Limits& wanted = command.limits;
  const bool rules_known = command.rules_version >= 1 && command.rules_version <= kRulesVersion;
  // Older rules have no place for ids that outlive their orders' records.
  const bool ids_outlive = command.rules_version >= 3;
  const bool would_lose_ids = state_.orders.client_ids().outlive_records() && !ids_outlive &&
                              state_.orders.client_ids().size() > 0;
  if (!rules_known || would_lose_ids || any_zero(wanted) ||
      wanted.max_open_orders >= wanted.max_orders ||
      wanted.max_open_orders >= wanted.max_client_ids) {
    return reject(Reason::kInvalidDefinition);
  }
  const bool drops_vacant = command.rules_version >= 3;
  const std::uint32_t positions =
      state_.ledger.positions() - (drops_vacant ? state_.ledger.vacant_positions() : 0);
  const bool holds_what_is_there = state_.orders.open_orders() <= wanted.max_open_orders &&
                                   state_.ledger.accounts() <= wanted.max_accounts &&
                                   positions <= wanted.max_positions &&
                                   state_.instruments.size() <= wanted.max_instruments;
  if (!within(wanted, state_.capacity) || !holds_what_is_there) return reject(Reason::kCapacity);
  state_.limits = wanted;
  state_.rules_version = command.rules_version;
  if (drops_vacant) state_.ledger.release_vacant_positions();
  put_client_id_bounds_in_force();
  state_.orders.shrink(wanted.max_orders);
  answer(Reason::kNone);
}

// In the order of the accounts' ids: slots are in another one after a restart.
void Administration::put_client_id_bounds_in_force() {
  ClientIds& ids = state_.orders.client_ids();
  const bool begin_to_outlive = !ids.outlive_records() && state_.rules_version >= 3;
  ids.set_bounds(state_.limits, state_.rules_version);
  if (!ids.outlive_records()) return;
  if (begin_to_outlive) {
    // The state does not show which ids the older rules had forgotten.
    if (ids.size() > 0) ids.set_floor(state_.last_sequence);
    state_.orders.retire_ids_of_ended();
  }
  std::vector<Slot> accounts(state_.ledger.accounts());
  for (Slot slot = 0; slot < accounts.size(); ++slot) accounts[slot] = slot;
  std::sort(accounts.begin(), accounts.end(), [&](Slot a, Slot b) {
    return state_.ledger.account(a).account.account < state_.ledger.account(b).account.account;
  });
  for (const Slot slot : accounts) ids.trim(slot);
  ids.shrink();
}

}  // namespace openvenue::core

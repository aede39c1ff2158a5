#include "core/state/ledger.h"

#include <algorithm>
#include <limits>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace openvenue::core {
namespace {

std::uint64_t position_key(AccountId account, InstrumentId instrument) {
  return (std::uint64_t{account} << 32) | instrument;
}

CashMicros saturate(WideInteger micros) {
  constexpr WideInteger kMax = std::numeric_limits<CashMicros>::max();
  return static_cast<CashMicros>(std::clamp(micros, -kMax, kMax));
}

}  // namespace

Ledger::Ledger(std::uint32_t max_accounts, std::uint32_t max_positions)
    : accounts_(max_accounts),
      position_records_(max_positions),
      position_links_(max_positions),
      by_account_(max_accounts),
      by_position_(max_positions) {}

std::uint64_t Ledger::bytes(std::uint32_t max_accounts, std::uint32_t max_positions) {
  return max_accounts * std::uint64_t{sizeof(AccountRecord)} +
         max_positions * std::uint64_t{sizeof(Position)} + SlotLinks::bytes(max_positions) +
         SlotIndex::bytes(max_accounts) + SlotIndex::bytes(max_positions);
}

Slot Ledger::find_account(AccountId account) const {
  return by_account_.find(hash_number(account),
                          [&](Slot slot) { return accounts_[slot].account.account == account; });
}

Slot Ledger::add_account(const Account& account) {
  const Slot slot = accounts_used_++;
  accounts_[slot] = {account, {}, {}};
  by_account_.insert(hash_number(account.account), slot);
  credit_total_micros_ += account.credit_limit_micros;
  return slot;
}

Reason Ledger::check_terms(Slot account, const OpenAccount& terms) const {
  const CashMicros old_credit =
      account == kNoSlot ? 0 : accounts_[account].account.credit_limit_micros;
  const WideInteger credit_total =
      WideInteger{credit_total_micros_} - old_credit + terms.credit_limit_micros;
  if (credit_total > kCashTotalMax) return Reason::kOverflow;
  if (account == kNoSlot) return Reason::kNone;
  const AccountRecord& record = accounts_[account];
  if (record.account.buying_power_micros() - old_credit + terms.credit_limit_micros < 0) {
    return Reason::kInsufficientCash;
  }
  for (Slot at = record.positions.head; at != kNoSlot && !terms.may_sell_short;
       at = position_links_.next(at)) {
    if (position_records_[at].qty_lots < position_records_[at].reserved_lots) {
      return Reason::kInsufficientPosition;
    }
  }
  return Reason::kNone;
}

void Ledger::set_terms(Slot account, const OpenAccount& terms) {
  Account& changed = accounts_[account].account;
  credit_total_micros_ += terms.credit_limit_micros - changed.credit_limit_micros;
  changed.name = terms.name;
  changed.may_sell_short = terms.may_sell_short;
  changed.credit_limit_micros = terms.credit_limit_micros;
}

Slot Ledger::find_position(AccountId account, InstrumentId instrument) const {
  return by_position_.find(hash_number(position_key(account, instrument)), [&](Slot slot) {
    return position_records_[slot].account == account &&
           position_records_[slot].instrument == instrument;
  });
}

Slot Ledger::add_position(Slot owner, const Position& position) {
  const Slot slot = free_positions_.empty() ? position_slots_used_++ : free_positions_.head;
  if (!free_positions_.empty()) position_links_.remove(free_positions_, slot);
  position_records_[slot] = position;
  by_position_.insert(hash_number(position_key(position.account, position.instrument)), slot);
  position_links_.push_back(accounts_[owner].positions, slot);
  ++positions_;
  return slot;
}

void Ledger::release_position(Slot owner, Slot slot) {
  const Position& position = position_records_[slot];
  CHECK(position.vacant(), "a position that holds something would be dropped");
  by_position_.erase(hash_number(position_key(position.account, position.instrument)), slot);
  position_links_.remove(accounts_[owner].positions, slot);
  position_links_.push_back(free_positions_, slot);
  --positions_;
}

std::uint32_t Ledger::vacant_positions() const {
  std::uint32_t vacant = 0;
  for (Slot owner = 0; owner < accounts_used_; ++owner) {
    for (Slot slot = accounts_[owner].positions.head; slot != kNoSlot;
         slot = position_links_.next(slot)) {
      if (position_records_[slot].vacant()) ++vacant;
    }
  }
  return vacant;
}

void Ledger::release_vacant_positions() {
  for (Slot owner = 0; owner < accounts_used_; ++owner) {
    Slot slot = accounts_[owner].positions.head;
    while (slot != kNoSlot) {
      const Slot next = position_links_.next(slot);
      if (position_records_[slot].vacant()) release_position(owner, slot);
      slot = next;
    }
  }
}

Reason Ledger::adjust_cash(Slot account, CashMicros amount_micros) {
  const WideInteger adjusted = WideInteger{cash_adjusted_micros_} + amount_micros;
  if (adjusted > kCashTotalMax || adjusted < -kCashTotalMax) return Reason::kOverflow;
  const WideInteger power =
      WideInteger{accounts_[account].account.buying_power_micros()} + amount_micros;
  if (power < 0) return Reason::kInsufficientCash;
  cash_adjusted_micros_ += amount_micros;
  accounts_[account].account.cash_micros += amount_micros;
  return Reason::kNone;
}

void Ledger::settle(Slot buyer, Slot buyer_position, Slot seller, Slot seller_position,
                    QtyLots qty_lots, CashMicros lot_value_micros) {
  const CashMicros value_micros = qty_lots * lot_value_micros;
  accounts_[buyer].account.cash_micros -= value_micros;
  accounts_[seller].account.cash_micros += value_micros;
  trade_position(position_records_[buyer_position], Side::kBuy, qty_lots, lot_value_micros);
  trade_position(position_records_[seller_position], Side::kSell, qty_lots, lot_value_micros);
}

void trade_position(Position& position, Side side, QtyLots qty_lots, CashMicros lot_value_micros) {
  const QtyLots held = position.qty_lots;
  const QtyLots change = side == Side::kBuy ? qty_lots : -qty_lots;
  const QtyLots held_size = held < 0 ? -held : held;
  position.qty_lots = held + change;
  if (held == 0 || (held > 0) == (change > 0)) {
    position.cost_micros =
        saturate(WideInteger{position.cost_micros} + WideInteger{change} * lot_value_micros);
  } else if (qty_lots <= held_size) {
    const WideInteger share = WideInteger{position.cost_micros} * qty_lots / held_size;
    position.cost_micros -= static_cast<CashMicros>(share);
  } else {
    position.cost_micros = saturate(WideInteger{position.qty_lots} * lot_value_micros);
  }
}

}  // namespace openvenue::core

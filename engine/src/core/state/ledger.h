// Accounts and positions: what they hold and reserve, and how a trade settles.
//
// Amounts cannot leave the 64-bit range: deposits and credit are bounded in total, so no account
// can hold more than kAccountCashMax.
#pragma once

#include <cstdint>

#include "core/base/slot.h"
#include "core/base/slot_index.h"
#include "core/base/slot_list.h"
#include "core/base/types.h"
#include "core/base/wide_integer.h"
#include "core/base/zeroed_array.h"
#include "core/schema/command.h"
#include "core/schema/records.h"

namespace openvenue::core {

constexpr CashMicros kAccountCashMax = CashMicros{1} << 62;  // follows: all cash plus all credit

struct AccountRecord {
  Account account;
  SlotList open_orders;  // linked by the OrderStore, oldest first
  SlotList positions;
};

class Ledger {
 public:
  Ledger(std::uint32_t max_accounts, std::uint32_t max_positions);
  // Memory of a full ledger.
  [[nodiscard]] static std::uint64_t bytes(std::uint32_t max_accounts, std::uint32_t max_positions);

  // --- accounts
  [[nodiscard]] Slot find_account(AccountId account) const;
  [[nodiscard]] std::uint32_t accounts() const { return accounts_used_; }
  AccountRecord& account(Slot slot) { return accounts_[slot]; }
  [[nodiscard]] const AccountRecord& account(Slot slot) const { return accounts_[slot]; }
  // Precondition: the id is not in use and there is room.
  Slot add_account(const Account& account);
  // kOverflow, kInsufficientCash or kInsufficientPosition if the new terms are impossible, or
  // kNone.
  [[nodiscard]] Reason check_terms(Slot account, const OpenAccount& terms) const;
  void set_terms(Slot account, const OpenAccount& terms);

  // --- positions
  [[nodiscard]] Slot find_position(AccountId account, InstrumentId instrument) const;
  [[nodiscard]] std::uint32_t positions() const { return positions_; }
  // All slots ever used are below it. Those that were given back hold a vacant position.
  [[nodiscard]] Slot position_slots_end() const { return position_slots_used_; }
  Position& position(Slot slot) { return position_records_[slot]; }
  [[nodiscard]] const Position& position(Slot slot) const { return position_records_[slot]; }
  [[nodiscard]] Slot next_position_of_account(Slot slot) const {
    return position_links_.next(slot);
  }
  // Precondition: account `owner` has no position in that instrument and there is room.
  Slot add_position(Slot owner, const Position& position);
  // Precondition: the position is vacant and account `owner`'s.
  void release_position(Slot owner, Slot position);
  // The slot that was given back last, or kNoSlot.
  [[nodiscard]] Slot last_released_position() const { return free_positions_.tail; }
  [[nodiscard]] std::uint32_t vacant_positions() const;
  void release_vacant_positions();

  // --- movements
  // Moves cash in or out of the venue. kOverflow or kInsufficientCash, changing nothing, or kNone.
  [[nodiscard]] Reason adjust_cash(Slot account, CashMicros amount_micros);
  // The buyer pays and the seller delivers `qty_lots` at `lot_value_micros` each. The product fits.
  void settle(Slot buyer, Slot buyer_position, Slot seller, Slot seller_position, QtyLots qty_lots,
              CashMicros lot_value_micros);

  [[nodiscard]] CashMicros cash_adjusted_micros() const { return cash_adjusted_micros_; }
  // Restores the sum of all adjustments from a snapshot.
  void restore_cash_adjusted(CashMicros amount_micros) { cash_adjusted_micros_ = amount_micros; }

 private:
  ZeroedArray<AccountRecord> accounts_;
  ZeroedArray<Position> position_records_;
  SlotLinks position_links_;  // of an account's positions, or of free slots
  SlotIndex by_account_;
  SlotIndex by_position_;
  std::uint32_t accounts_used_ = 0;
  std::uint32_t positions_ = 0;
  Slot position_slots_used_ = 0;
  SlotList free_positions_;
  CashMicros cash_adjusted_micros_ = 0;  // deposits less withdrawals
  CashMicros credit_total_micros_ = 0;
};

// Changes a position by a trade, and its cost basis by average cost: growing adds the price paid,
// shrinking takes the leaving lots' share (rounded toward zero, the remainder stays), and crossing
// zero starts again at the trade's price. A cost beyond 64 bits stops at the largest value.
void trade_position(Position& position, Side side, QtyLots qty_lots, CashMicros lot_value_micros);

}  // namespace openvenue::core

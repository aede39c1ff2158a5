#include "core/exchange/conservation.h"

namespace openvenue::core {

Conservation::Conservation(const Limits& capacity)
    : cash_micros_(capacity.max_accounts),
      held_(capacity.max_positions),
      leaves_lots_(capacity.max_orders),
      totals_(capacity.max_instruments) {
  touched_.reserve(capacity.max_instruments);
}

void Conservation::begin(const ExchangeState& state) {
  cash_brought_micros_ = state.ledger.cash_adjusted_micros();
  for (Slot slot = 0; slot < state.instruments.size(); ++slot) {
    totals_[slot].brought_lots = state.instruments[slot].instrument.adjusted_lots;
  }
  for (Slot slot = 0; slot < state.ledger.position_slots_end(); ++slot) {
    absorb_position(state, slot);
  }
  for (Slot account = 0; account < state.ledger.accounts(); ++account) {
    absorb_account(state, account);
    for (Slot order = state.ledger.account(account).open_orders.tail; order != kNoSlot;
         order = state.orders.next_older_open(order)) {
      absorb_order(state, order);
    }
  }
}

const char* Conservation::find_violation(const ExchangeState& state, const Command& command,
                                         const EventBuffer& events) {
  for (const Slot instrument : touched_) totals_[instrument].touched = false;
  touched_.clear();
  absorb_named(state, command.body);
  for (const Event& event : events) {
    count_adjustment(state, command.body, event);
    absorb_named(state, event);
  }
  if (cash_total_micros_ != cash_brought_micros_ ||
      cash_total_micros_ != state.ledger.cash_adjusted_micros()) {
    return "cash was made or lost";
  }
  for (const Slot instrument : touched_) {
    const char* violation = check(state, instrument);
    if (violation != nullptr) return violation;
  }
  return nullptr;
}

const char* Conservation::find_drift(const ExchangeState& state) const {
  for (Slot slot = 0; slot < state.ledger.position_slots_end(); ++slot) {
    const Position& position = state.ledger.position(slot);
    if (position.qty_lots != held_[slot].qty_lots ||
        position.reserved_lots != held_[slot].reserved_lots) {
      return "a position changed and no command or event names it";
    }
  }
  for (Slot account = 0; account < state.ledger.accounts(); ++account) {
    const AccountRecord& record = state.ledger.account(account);
    if (record.account.cash_micros != cash_micros_[account]) {
      return "an account's cash changed and no command or event names it";
    }
    for (Slot order = record.open_orders.tail; order != kNoSlot;
         order = state.orders.next_older_open(order)) {
      if (state.orders[order].leaves_lots() != leaves_lots_[order]) {
        return "an order changed and no command or event names it";
      }
    }
  }
  return nullptr;
}

void Conservation::count_adjustment(const ExchangeState& state, const CommandBody& body,
                                    const Event& event) {
  if (std::holds_alternative<BalanceAdjusted>(event)) {
    cash_brought_micros_ += std::get<AdjustBalance>(body).amount_micros;
  } else if (std::holds_alternative<PositionAdjusted>(event)) {
    const auto& adjustment = std::get<AdjustPosition>(body);
    touch(state.instruments.find(adjustment.instrument)).brought_lots += adjustment.qty_lots;
  }
}

void Conservation::absorb_named(const ExchangeState& state, const CommandBody& body) {
  std::visit(
      [&](const auto& named) {
        if constexpr (requires { named.account; }) {
          absorb_account(state, state.ledger.find_account(named.account));
        }
        if constexpr (requires { named.account, named.instrument; }) {
          const Slot found = state.ledger.find_position(named.account, named.instrument);
          // An adjustment to nothing has given it back.
          absorb_position(state, found != kNoSlot ? found : state.ledger.last_released_position());
        }
        if constexpr (requires { named.order_id; }) {
          absorb_order(state, state.orders.find(named.order_id));
        }
      },
      body);
}

void Conservation::absorb_named(const ExchangeState& state, const Event& event) {
  std::visit(
      [&](const auto& named) {
        if constexpr (requires { named.order_id; }) {
          absorb_order(state, state.orders.find(named.order_id));
        }
        if constexpr (requires { named.old_order_id; }) {
          absorb_order(state, state.orders.find(named.old_order_id));
        }
        if constexpr (requires { named.maker, named.taker; }) {
          absorb_order(state, state.orders.find(named.maker.order_id));
          absorb_order(state, state.orders.find(named.taker.order_id));
        }
      },
      event);
}

void Conservation::absorb_account(const ExchangeState& state, Slot slot) {
  if (slot == kNoSlot) return;
  const CashMicros now = state.ledger.account(slot).account.cash_micros;
  cash_total_micros_ += WideInteger{now} - cash_micros_[slot];
  cash_micros_[slot] = now;
}

void Conservation::absorb_position(const ExchangeState& state, Slot slot) {
  if (slot == kNoSlot) return;
  const Position& now = state.ledger.position(slot);
  Totals& totals = touch(state.instruments.find(now.instrument));
  totals.held_lots += WideInteger{now.qty_lots} - held_[slot].qty_lots;
  totals.reserved_lots += WideInteger{now.reserved_lots} - held_[slot].reserved_lots;
  held_[slot] = {now.qty_lots, now.reserved_lots};
}

// A forgotten order had ended before, so its slot starts again with nothing left.
void Conservation::absorb_order(const ExchangeState& state, Slot slot) {
  if (slot == kNoSlot) return;
  const OrderCore& now = state.orders[slot];
  const OrderOwner& owner = state.orders.owner(slot);
  Totals& totals = touch(owner.instrument);
  (now.side == Side::kBuy ? totals.buy_lots : totals.sell_lots) +=
      WideInteger{now.leaves_lots()} - leaves_lots_[slot];
  leaves_lots_[slot] = now.leaves_lots();
  absorb_account(state, owner.account);
  absorb_position(state, owner.position);
}

Conservation::Totals& Conservation::touch(Slot instrument) {
  Totals& totals = totals_[instrument];
  if (!totals.touched) touched_.push_back(instrument);
  totals.touched = true;
  return totals;
}

const char* Conservation::check(const ExchangeState& state, Slot instrument) const {
  const Totals& totals = totals_[instrument];
  const InstrumentRecord& record = state.instruments[instrument];
  if (totals.held_lots != totals.brought_lots ||
      totals.held_lots != record.instrument.adjusted_lots) {
    return "lots were made or lost";
  }
  if (totals.reserved_lots != totals.sell_lots) {
    return "reserved lots are not what open sell orders need";
  }
  if (record.book.resting_lots() + record.stops.waiting_lots() + record.trailing.waiting_lots() !=
      totals.buy_lots + totals.sell_lots) {
    return "an instrument's books hold more or less than its open orders have left";
  }
  return nullptr;
}

}  // namespace openvenue::core

#include "core/rules/order_batch.h"

#include <algorithm>
#include <limits>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/rules/orders.h"
#include "core/rules/risk.h"
#include "core/rules/validate.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {
namespace {

// Adds up what the orders of a batch take, one after the other.
class Batch {
 public:
  explicit Batch(const ExchangeState& state) : state_(state) {}

  [[nodiscard]] Reason add(const NewOrder& command, Slot account);
  // Not less than the orders that the orders meet together: each such meeting ends an order that
  // rested before, or one of the batch, as the taker or as the maker.
  [[nodiscard]] std::uint64_t fills_max() const;

 private:
  struct OfSide {
    QtyLots lots = 0;
    PriceTicks worst_price = 0;
  };
  struct OfInstrument {
    OfSide bought;
    OfSide sold{.worst_price = std::numeric_limits<PriceTicks>::max()};
    bool has_market_order = false;
    bool may_trade = false;
  };

  [[nodiscard]] static bool may_meet(const OfInstrument& before, const Order& order);
  [[nodiscard]] std::uint64_t makers_met(Slot instrument, Side taker, const OfSide& taken) const;

  const ExchangeState& state_;
  std::unordered_map<Slot, OfInstrument> instruments_;
  WideInteger cash_micros_ = 0;
  std::uint32_t orders_ = 0;
  std::uint32_t open_orders_ = 0;
  std::uint32_t positions_ = 0;
  // Orders that rested before and may be canceled without taking from the quantity that goes on.
  std::uint32_t own_orders_met_ = 0;
};

Reason Batch::add(const NewOrder& command, Slot account) {
  if (command.client_order_id.empty()) return Reason::kInvalidOrder;
  const Slot instrument = state_.instruments.find(command.instrument);
  if (instrument == kNoSlot) return Reason::kUnknownInstrument;
  Reason reason = state_.check_suspension(account);
  if (reason != Reason::kNone) return reason;
  if (!has_meaning(command)) return Reason::kInvalidOrder;
  Order order = order_of(command);
  begin_trailing(order, state_.instruments[instrument].instrument);
  reason = validate(order, state_.instruments[instrument].instrument.terms);
  if (reason != Reason::kNone) return reason;

  const auto [found, is_first] = instruments_.try_emplace(instrument);
  OfInstrument& before = found->second;
  const bool is_market = order.type == OrderType::kMarket;
  if (!is_first && (is_market || before.has_market_order)) return Reason::kInvalidOrder;
  // Trades would move its stop price.
  const bool trails = order.type == OrderType::kTrailingStop;
  if (trails && before.may_trade) return Reason::kInvalidOrder;
  const OrderOwner owner{account, state_.ledger.find_position(command.account, command.instrument),
                         instrument, kNoSlot};
  const bool opens_position = owner.position == kNoSlot;
  // The first order in an instrument opens its position for those that follow.
  const std::uint32_t positions = !is_first && opens_position ? positions_ - 1 : positions_;
  const Ahead ahead{cash_micros_, open_orders_, positions, before.bought.lots, before.sold.lots};
  reason = check_position_intent(state_, order, owner, ahead);
  if (reason != Reason::kNone) return reason;
  reason = check_risk(state_, order, owner, {}, ahead);
  if (reason != Reason::kNone) return reason;
  reason = check_open_orders(state_, order, owner, ahead);
  if (reason != Reason::kNone) return reason;
  reason = check_post_only(state_, order, instrument);
  if (reason != Reason::kNone) return reason;
  if (order.post_only && may_meet(before, order)) return Reason::kPostOnlyWouldTrade;

  ++orders_;
  if (order.self_trade_prevention == SelfTradePrevention::kCancelOldest) {
    own_orders_met_ = state_.ledger.account(account).open_orders.size;
  }
  before.has_market_order = is_market;
  if (may_stay_open(order.type, order.time_in_force)) ++open_orders_;
  if (is_first && opens_position) ++positions_;
  const bool buys = order.side == Side::kBuy;
  if (buys) cash_micros_ += cash_needed_micros(state_, order, owner);
  OfSide& side = buys ? before.bought : before.sold;
  side.lots += order.qty_lots;
  // A stop order waits until after the batch: it meets none of these.
  if (is_stop(order.type)) return Reason::kNone;
  before.may_trade = true;
  const PriceTicks limit = effective_limit(order);
  side.worst_price = buys ? std::max(side.worst_price, limit) : std::min(side.worst_price, limit);
  return Reason::kNone;
}

// True if the order would trade with one of those before it that rests at its limit.
bool Batch::may_meet(const OfInstrument& before, const Order& order) {
  const PriceTicks price =
      order.side == Side::kBuy ? before.sold.worst_price : before.bought.worst_price;
  return crosses(opposite(order.side), price, effective_limit(order));
}

std::uint64_t Batch::fills_max() const {
  std::uint64_t fills = 2 * std::uint64_t{orders_} + own_orders_met_;
  for (const auto& [instrument, each] : instruments_) {
    fills += makers_met(instrument, Side::kBuy, each.bought);
    fills += makers_met(instrument, Side::kSell, each.sold);
  }
  return fills;
}

std::uint64_t Batch::makers_met(Slot instrument, Side taker, const OfSide& taken) const {
  if (taken.lots == 0) return 0;
  return state_.instruments[instrument]
      .book
      .sweep({opposite(taker), taken.worst_price, taken.lots, state_.limits.max_fills_per_command})
      .fills;
}

// Which orders the engine knows, or may know, already. Nothing: it knows none of them.
struct Repetition {
  bool of_all = false;
  std::optional<BatchRefusal> refusal;
};

Repetition find_repetition(const ExchangeState& state, std::span<const NewOrder> orders) {
  const ClientIds& ids = state.orders.client_ids();
  std::set<std::pair<std::uint64_t, std::uint64_t>> in_batch;
  std::optional<BatchRefusal> known;
  std::uint32_t repeated = 0;
  for (std::uint32_t item = 0; item < orders.size(); ++item) {
    const Order order = order_of(orders[item]);
    const UsedClientId sent = client_id_of(order);
    if (!in_batch.emplace(sent.id_low, sent.id_high).second) {
      return {false, BatchRefusal{item, Reason::kDuplicateClientOrderId}};
    }
    const Slot earlier = ids.find(sent);
    if (earlier == kNoSlot) {
      if (!orders[item].history_checked && ids.forgotten().maybe(sent)) {
        return {false, BatchRefusal{item, Reason::kClientOrderIdMaybeUsed}};
      }
      continue;
    }
    if (!known) known = {item, Reason::kDuplicateClientOrderId};
    const std::uint64_t body = ids[earlier].body;
    if (body == sent.body || body == body_without_intent(order)) ++repeated;
  }
  if (repeated == orders.size()) return {true, std::nullopt};
  return {false, known};
}

}  // namespace

std::optional<BatchRefusal> find_refusal(const ExchangeState& state,
                                         std::span<const NewOrder> orders) {
  const Slot account = state.ledger.find_account(orders.front().account);
  if (account == kNoSlot) return BatchRefusal{0, Reason::kUnknownAccount};
  const Repetition repetition = find_repetition(state, orders);
  if (repetition.of_all || repetition.refusal) return repetition.refusal;

  Batch batch(state);
  for (std::uint32_t item = 0; item < orders.size(); ++item) {
    const Reason reason = batch.add(orders[item], account);
    if (reason != Reason::kNone) return BatchRefusal{item, reason};
  }
  if (batch.fills_max() > state.limits.max_fills_per_command) {
    return BatchRefusal{0, Reason::kFillLimit};
  }
  return std::nullopt;
}

}  // namespace openvenue::core

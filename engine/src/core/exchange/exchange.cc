#include "core/exchange/exchange.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "core/base/check.h"
#include "core/base/digest.h"
#include "core/exchange/auditor.h"
#include "core/exchange/conservation.h"
#include "core/exchange/snapshot.h"
#include "core/queries/queries.h"
#include "core/rules/administration.h"
#include "core/rules/orders.h"
#include "core/state/exchange_state.h"

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

// The reason why pools cannot have these sizes, or nullptr.
const char* find_fault(const Limits& capacity) {
  if (capacity.max_orders < 2 || capacity.max_orders > kOrdersMax) {
    return "max_orders must be between 2 and 16777216";
  }
  if (!in_range(capacity.max_accounts, kAccountsMax) ||
      !in_range(capacity.max_instruments, kInstrumentsMax) ||
      !in_range(capacity.max_positions, kPositionsMax)) {
    return "max_accounts must be between 1 and 16777216, max_instruments between 1 and 1048576, "
           "and "
           "max_positions between 1 and 67108864";
  }
  if (capacity.max_open_orders == 0 || capacity.max_open_orders >= capacity.max_orders) {
    return "max_open_orders must be at least 1 and below max_orders";
  }
  if (capacity.max_client_ids <= capacity.max_open_orders ||
      capacity.max_client_ids > kClientIdsMax) {
    return "max_client_ids must be above max_open_orders and at most 67108864";
  }
  if (capacity.max_open_orders_per_account == 0) {
    return "max_open_orders_per_account must be at least 1";
  }
  if (capacity.max_positions_per_account == 0) {
    return "max_positions_per_account must be at least 1";
  }
  if (capacity.max_fills_per_command == 0) return "max_fills_per_command must be at least 1";
  return nullptr;
}

const Limits& checked(const Limits& capacity) {
  if (const char* fault = find_fault(capacity)) throw std::invalid_argument(fault);
  return capacity;
}

}  // namespace

struct Exchange::State : ExchangeState {
  explicit State(const Limits& pool_sizes) : ExchangeState(checked(pool_sizes)) {}

  [[nodiscard]] std::optional<Order> order_at(Slot slot) const {
    return slot == kNoSlot ? std::nullopt : std::optional(order(slot));
  }

#ifdef OPENVENUE_CHECKED
  // Asserts conservation after every command. Audits the whole state so often that a command pays
  // for a bounded number of records: small states after every command.
  void audit(const Command& command, const EventBuffer& events) {
    must_be_none(conservation.find_violation(*this, command, events));
    if (!audit_due()) return;
    must_be_none(conservation.find_drift(*this));
    must_be_none(auditor.find_violation(*this));
  }

  void must_be_none(const char* violation) const {
    if (violation != nullptr) abort_with(violation, last_sequence);
  }

  bool audit_due() {
    const std::size_t records =
        std::size_t{orders.records()} + ledger.accounts() + ledger.positions() + instruments.size();
    if (++commands_since_audit * kRecordsAuditedPerCommand < records) return false;
    commands_since_audit = 0;
    return true;
  }

  static constexpr std::size_t kRecordsAuditedPerCommand = 64;
  Conservation conservation{capacity};
  Auditor auditor{capacity};
  std::size_t commands_since_audit = 0;
#endif
};

namespace {

// Passes a command's body to the code that executes it.
struct Dispatch {
  ExchangeState& state;
  EventBuffer& events;

  void operator()(const NewOrder& body) { Orders(state, events).enter(body); }
  void operator()(const CancelOrder& body) { Orders(state, events).cancel(body); }
  void operator()(const CancelOrders& body) { Orders(state, events).cancel_many(body); }
  void operator()(const ReplaceOrder& body) { Orders(state, events).replace(body); }
  void operator()(const EndTradingDay&) { Orders(state, events).end_trading_day(); }
  void operator()(const TriggerOrder&) { Orders(state, events).trigger(); }
  void operator()(const DefineInstrument& body) {
    Administration(state, events).define_instrument(body);
  }
  void operator()(const OpenAccount& body) { Administration(state, events).open_account(body); }
  void operator()(const AdjustBalance& body) { Administration(state, events).adjust_balance(body); }
  void operator()(const AdjustPosition& body) {
    Administration(state, events).adjust_position(body);
  }
  void operator()(const SuspendTrading& body) {
    Administration(state, events).suspend_trading(body);
  }
  void operator()(const Configure& body) { Administration(state, events).configure(body); }
};

}  // namespace

Exchange::Exchange(const Limits& capacity) : state_(std::make_unique<State>(capacity)) {}
Exchange::~Exchange() = default;
Exchange::Exchange(Exchange&&) noexcept = default;
Exchange& Exchange::operator=(Exchange&&) noexcept = default;

void Exchange::apply(const Command& command, EventBuffer& events) {
  if (command.sequence != state_->last_sequence + 1) {
    abort_with("the next command is out of sequence", state_->last_sequence);
  }
  state_->last_sequence = command.sequence;
  state_->last_timestamp_ns = command.timestamp_ns;
  events.clear();
  std::visit(Dispatch{*state_, events}, command.body);
#ifdef OPENVENUE_CHECKED
  state_->audit(command, events);
#endif
}

std::optional<BatchRefusal> Exchange::find_refusal(std::span<const NewOrder> orders) const {
  return core::find_refusal(*state_, orders);
}

bool Exchange::has_due_order() const { return state_->instruments.next_due() != kNoSlot; }

std::uint64_t Exchange::pool_bytes(const Limits& limits) {
  return OrderStore::bytes(limits) + Ledger::bytes(limits.max_accounts, limits.max_positions) +
         std::uint64_t{limits.max_instruments} * sizeof(InstrumentRecord);
}

Sequence Exchange::last_sequence() const { return state_->last_sequence; }

bool Exchange::suspended() const { return state_->suspended; }

TimestampNs Exchange::last_timestamp_ns() const { return state_->last_timestamp_ns; }

const Limits& Exchange::limits() const { return state_->limits; }

RulesVersion Exchange::rules_version() const { return state_->rules_version; }

const Limits& Exchange::capacity() const { return state_->capacity; }

std::size_t Exchange::account_count() const { return state_->ledger.accounts(); }

std::size_t Exchange::instrument_count() const { return state_->instruments.size(); }

std::size_t Exchange::client_id_count() const { return state_->orders.client_ids().size(); }

Sequence Exchange::client_ids_floor() const { return state_->orders.client_ids().floor(); }

std::uint64_t Exchange::client_ids_forgotten() const {
  return state_->orders.client_ids().forgotten().ids();
}

double Exchange::client_ids_filter_load() const {
  const ForgottenIds& forgotten = state_->orders.client_ids().forgotten();
  return static_cast<double>(forgotten.ids()) / static_cast<double>(forgotten.ids_max());
}

std::size_t Exchange::position_count() const { return state_->ledger.positions(); }

std::optional<Order> Exchange::find_order(OrderId order_id) const {
  return state_->order_at(state_->orders.find(order_id));
}

std::optional<Order> Exchange::find_order(AccountId account, const ClientOrderId& id) const {
  return state_->order_at(state_->orders.find(account, id));
}

const Account* Exchange::find_account(AccountId account) const {
  const Slot slot = state_->ledger.find_account(account);
  return slot == kNoSlot ? nullptr : &state_->ledger.account(slot).account;
}

const Instrument* Exchange::find_instrument(InstrumentId instrument) const {
  const Slot slot = state_->instruments.find(instrument);
  return slot == kNoSlot ? nullptr : &state_->instruments[slot].instrument;
}

std::size_t Exchange::open_order_count() const { return state_->orders.open_orders(); }

OrderId Exchange::list_open_orders(AccountId account, InstrumentId instrument, OrderId before,
                                   std::size_t limit, std::vector<Order>& out, OrderId from) const {
  return Queries(*state_).list_open_orders(
      {account, instrument, before, from, limit, kOrdersVisitedMax}, out);
}

void Exchange::list_positions(AccountId account, std::vector<const Position*>& out) const {
  Queries(*state_).list_positions(account, out);
}

void Exchange::list_instruments(std::vector<const Instrument*>& out) const {
  Queries(*state_).list_instruments(out);
}

void Exchange::list_accounts(std::vector<const Account*>& out) const {
  Queries(*state_).list_accounts(out);
}

void Exchange::list_levels(InstrumentId instrument, Side side, std::size_t depth,
                           std::vector<BookLevel>& out) const {
  Queries(*state_).list_levels(instrument, side, depth, out);
}

void Exchange::list_queue(InstrumentId instrument, Side side, PriceTicks price,
                          std::vector<OrderId>& out) const {
  Queries(*state_).list_queue(instrument, side, price, out);
}

std::unique_ptr<Exchange> Exchange::resized(std::unique_ptr<Exchange> exchange,
                                            const Limits& capacity) {
  std::vector<std::byte> bytes;
  bytes.reserve(exchange->digest().size());
  ByteWriter out(bytes);
  exchange->serialize(out);
  exchange.reset();
  exchange = std::make_unique<Exchange>(capacity);
  ByteReader in(bytes);
  CHECK(exchange->restore(in), "a state does not fit into pools of the size that it asked for");
  return exchange;
}

void Exchange::serialize(ByteWriter& out, std::uint32_t version) const {
  write_state(*state_, out, version);
}

void Exchange::serialize(PieceWriter& out) const { write_state(*state_, out); }

bool Exchange::restore(ByteReader& in) {
  auto restored = std::make_unique<State>(state_->capacity);
  if (!read_state(in, *restored)) return false;
#ifdef OPENVENUE_CHECKED
  restored->conservation.begin(*restored);
#endif
  state_ = std::move(restored);
  return true;
}

std::optional<Limits> Exchange::limits_in(ByteReader in) {
  const std::optional<Limits> limits = read_limits(in);
  return limits && find_fault(*limits) == nullptr ? limits : std::nullopt;
}

Digest Exchange::digest(std::uint32_t version) const {
  Digest digest;
  write_state(*state_, digest, version);
  return digest;
}

std::uint64_t Exchange::state_hash(std::uint32_t version) const { return digest(version).value(); }

void Exchange::check_invariants() const {
  const char* violation = Auditor(state_->capacity).find_violation(*state_);
  if (violation != nullptr) abort_with(violation, state_->last_sequence);
}

#ifdef OPENVENUE_CHECKED
ExchangeState& Exchange::state() { return *state_; }
#endif

}  // namespace openvenue::core

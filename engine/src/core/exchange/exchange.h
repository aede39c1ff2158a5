// The state machine of one shard: instruments, accounts, orders and their books.
//
// Exchange is a pure function of (state, command): no clock, no files, no threads, and no heap use
// by order flow after construction. Risk and matching are one step. A rejected command changes
// nothing. Cash and quantity are conserved; builds with OPENVENUE_CHECKED assert it after every
// command.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/base/byte_io.h"
#include "core/base/digest.h"
#include "core/base/types.h"
#include "core/book/book.h"
#include "core/rules/order_batch.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "core/schema/records.h"
#include "core/schema/version.h"

namespace openvenue::core {

struct ExchangeState;

class Exchange {
 public:
  // Allocates all pools for `capacity`. The last Configure command's limits are in force (before
  // the first: `capacity`), and they never exceed `capacity`.
  explicit Exchange(const Limits& capacity);
  ~Exchange();
  Exchange(Exchange&&) noexcept;
  Exchange& operator=(Exchange&&) noexcept;

  // Applies one command and replaces the contents of `events` by its events. The caller has
  // reserved max_events_per_command(). command.sequence must be last_sequence() + 1.
  void apply(const Command& command, EventBuffer& events);

  [[nodiscard]] static std::size_t max_events_per_command(const Limits& limits) {
    return std::size_t{limits.max_fills_per_command} + 4;
  }

  // Decides about new orders of one account as a whole, see core/rules/order_batch.h.
  [[nodiscard]] std::optional<BatchRefusal> find_refusal(std::span<const NewOrder> orders) const;

  // True if a trade has reached the stop price of an order that waits: TriggerOrder comes next.
  [[nodiscard]] bool has_due_order() const;

  // Least memory of full pools; orders at prices far apart need more.
  [[nodiscard]] static std::uint64_t pool_bytes(const Limits& limits);

  // Bounds a query's work, because others wait behind it.
  static constexpr std::size_t kOrdersVisitedMax = 2048;

  [[nodiscard]] Sequence last_sequence() const;
  [[nodiscard]] TimestampNs last_timestamp_ns() const;
  [[nodiscard]] bool suspended() const;  // all accounts, see SuspendTrading
  [[nodiscard]] const Limits& limits() const;
  [[nodiscard]] RulesVersion rules_version() const;
  // The pools' sizes, to which the limits can be raised.
  [[nodiscard]] const Limits& capacity() const;
  [[nodiscard]] std::size_t account_count() const;
  [[nodiscard]] std::size_t instrument_count() const;
  [[nodiscard]] std::size_t position_count() const;
  [[nodiscard]] std::size_t client_id_count() const;
  // The client order ids of orders that opened after it are all remembered.
  [[nodiscard]] Sequence client_ids_floor() const;
  // How many client order ids were forgotten, and the part of the filter's room that they take: 1
  // is what it is made for, more makes new ids wait for the history.
  [[nodiscard]] std::uint64_t client_ids_forgotten() const;
  [[nodiscard]] double client_ids_filter_load() const;

  [[nodiscard]] std::optional<Order> find_order(OrderId order_id) const;
  [[nodiscard]] std::optional<Order> find_order(AccountId account, const ClientOrderId& id) const;
  // Pointers stay valid until the next apply().
  [[nodiscard]] const Account* find_account(AccountId account) const;
  [[nodiscard]] const Instrument* find_instrument(InstrumentId instrument) const;
  [[nodiscard]] std::size_t open_order_count() const;

  // Appends to `out` up to `limit` open orders of `account` with order_id < `before` (0: no bound),
  // newest first. `instrument` 0 means all. Looks at no more than kOrdersVisitedMax orders: if it
  // stops for that, it returns the last order that it looked at; otherwise 0. The same call with
  // that as `from` continues behind it, whether it is still open or not, and never returns a newer
  // one, so no order comes twice.
  OrderId list_open_orders(AccountId account, InstrumentId instrument, OrderId before,
                           std::size_t limit, std::vector<Order>& out, OrderId from = 0) const;
  // The account's positions that are not flat, by instrument.
  void list_positions(AccountId account, std::vector<const Position*>& out) const;
  // By id.
  void list_instruments(std::vector<const Instrument*>& out) const;
  void list_accounts(std::vector<const Account*>& out) const;

  // Up to `depth` best levels of one side, best first.
  void list_levels(InstrumentId instrument, Side side, std::size_t depth,
                   std::vector<BookLevel>& out) const;
  // The open orders of one level in time priority.
  void list_queue(InstrumentId instrument, Side side, PriceTicks price,
                  std::vector<OrderId>& out) const;

  // The same state in pools for `capacity`, which must be at least its limits. Needs the memory of
  // the serialized state meanwhile, but not of two states.
  [[nodiscard]] static std::unique_ptr<Exchange> resized(std::unique_ptr<Exchange> exchange,
                                                         const Limits& capacity);

  // Appends the canonical form of the whole state: equal states give equal bytes.
  void serialize(ByteWriter& out, std::uint32_t version = kSchemaVersion) const;
  // The same in pieces; the caller finishes `out`.
  void serialize(PieceWriter& out) const;
  // Replaces the state. Returns false, with nothing changed, if the bytes do not begin with a state
  // of a readable version, exceed the capacity or contradict themselves.
  [[nodiscard]] bool restore(ByteReader& in);
  // The limits of the state at the beginning of the bytes, or nothing.
  [[nodiscard]] static std::optional<Limits> limits_in(ByteReader in);
  // Number and 64-bit hash of serialize()'s bytes. For an older `version` it is what a build of
  // that version would compute, for a state that it could have.
  [[nodiscard]] Digest digest(std::uint32_t version = kSchemaVersion) const;
  // digest().value()
  [[nodiscard]] std::uint64_t state_hash(std::uint32_t version = kSchemaVersion) const;

  // Aborts with a message if an invariant does not hold: cash and positions are conserved,
  // reservations equal the needs of open orders, books are uncrossed and equal the open orders.
  void check_invariants() const;

#ifdef OPENVENUE_CHECKED
  // For tests, which break it on purpose.
  [[nodiscard]] ExchangeState& state();
#endif

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace openvenue::core

// Answers to operations. They copy the state right after the operation, so that they can wait for
// the disk while the state changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/exchange/exchange.h"
#include "core/schema/event.h"

namespace openvenue::runtime {

struct OrderOutcome {
  core::Order order;
  bool duplicate = false;  // the order that the same request created before
};

// All orders of a batch, each right after its own command.
struct EnteredOrders {
  std::vector<core::Order> orders;
  // They are what the same batch created before. Of an order that the engine no longer holds there
  // are only the ids.
  bool duplicate = false;
};

// A batch of which nothing was executed: it has no sequence number.
struct BatchRefused {
  core::BatchRefusal refusal;
};

// Sequenced and refused. `order` is the one of a cancel or replace, if it is the account's.
struct Refusal {
  core::Reason reason = core::Reason::kNone;
  std::optional<core::Order> order;
  // The same request created `order` before, of which only the ids are still known.
  bool duplicate = false;
};

// Not executed; has no sequence number.
struct NotSequenced {
  enum class Cause : std::uint8_t {
    kResourceExhausted = 1,
    kInvalidArgument = 2,
    kUnavailable = 3,
    kNotFound = 4,
    kReadOnly = 5,
  };
  Cause cause = Cause::kUnavailable;
  std::string message;
};

struct OrderList {
  std::vector<core::Order> orders;  // newest first
  core::Sequence account_updated_sequence = 0;
  core::OrderId stopped_at = 0;  // continue the search from here; 0: it is complete
};

struct PositionState {
  core::Position position;
  core::PriceTicks last_price_ticks = 0;
};

struct AccountState {
  core::Account account;
  std::vector<PositionState> positions;
  bool venue_suspended = false;  // all accounts, see core::SuspendTrading
};

// The events of a command that names no single order.
struct CommandEvents {
  std::vector<core::Event> events;
};

struct BookState {
  core::InstrumentId instrument = 0;
  core::PriceTicks last_price_ticks = 0;
  std::vector<core::BookLevel> bids;  // best first
  std::vector<core::BookLevel> asks;  // best first
};

struct InstrumentList {
  std::vector<core::Instrument> instruments;  // by id
  bool more = false;                          // there are more above the last one
};

struct AccountList {
  std::vector<AccountState> accounts;  // by id
  bool more = false;                   // there are more above the last one
};

struct StateSummary {
  std::uint64_t state_hash = 0;  // 0 if not asked for
  std::uint64_t open_orders = 0;
  bool suspended = false;  // all accounts
};

struct Reply {
  std::uint64_t request_id = 0;
  core::Sequence sequence = 0;  // of the command; for queries the last one applied before it
  std::uint32_t weight = 1;     // of the operation: sending the reply frees this much room
  std::variant<NotSequenced, OrderOutcome, EnteredOrders, BatchRefused, Refusal, OrderList,
               AccountState, CommandEvents, BookState, InstrumentList, AccountList, StateSummary>
      body;
};

// Receives the replies of a batch. The publisher's thread calls `deliver`, possibly several times
// per batch; it must neither block nor throw.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  virtual void deliver(std::vector<Reply> replies) noexcept = 0;
  // False once no client waits for replies: queries are then neither executed nor answered.
  [[nodiscard]] virtual bool wanted() const noexcept { return true; }

 private:
  friend class IngressRing;
  // Operation weight that the ring holds for this sink, counted in turn `queued_in_turn_` (see
  // IngressRing). The ring's lock guards it.
  std::uint64_t queued_ = 0;
  std::uint64_t queued_in_turn_ = 0;
};

}  // namespace openvenue::runtime

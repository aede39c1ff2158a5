// Makes replies from the exchange's state. Never changes the exchange.
#pragma once

#include "core/exchange/exchange.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "runtime/operation.h"
#include "runtime/reply.h"

namespace openvenue::runtime {

// The reply to a command that was just applied and caused `events` (never empty).
[[nodiscard]] Reply answer(const core::Exchange& exchange, const core::Command& command,
                           const core::EventBuffer& events, std::uint64_t request_id);

// Adds the outcome of a batch's order that was just applied, and was not rejected.
void add_entered(const core::Exchange& exchange, const core::Command& command,
                 const core::EventBuffer& events, EnteredOrders& entered);

// The reply to a query, as of exchange.last_sequence().
[[nodiscard]] Reply answer(const core::Exchange& exchange, const Query& query,
                           std::uint64_t request_id);

}  // namespace openvenue::runtime

// Makes replies from the exchange's state. Never changes the exchange.
#pragma once

#include "core/schema/command.h"
#include "core/schema/event.h"
#include "journal/recovery.h"
#include "runtime/operation.h"
#include "runtime/reply.h"

namespace openvenue::runtime {

using journal::VenueExchange;

// The reply to a command that was just applied and caused `events` (never empty).
[[nodiscard]] Reply answer(const VenueExchange& exchange, const core::Command& command,
                           const core::EventBuffer& events, std::uint64_t request_id);

// The reply to a query, as of exchange.last_sequence().
[[nodiscard]] Reply answer(const VenueExchange& exchange, const Query& query,
                           std::uint64_t request_id);

}  // namespace openvenue::runtime

// Converts replies and journal entries to the wire. Enumerators keep their numbers (asserted in
// wire_enums.cc), so encoding one is a cast.
#pragma once

#include "core/schema/command.h"
#include "core/schema/event.h"
#include "rpc/wire.h"
#include "runtime/reply.h"

namespace openvenue::rpc {

// Replies of a session. Precondition: the body is one that a session's request can have.
void encode(const runtime::Reply& reply, v1::Reply& out);

void encode(const core::Event& event, v1::Event& out);
void encode(const core::Command& command, const core::EventBuffer& events, v1::JournalEntry& out);
void encode(const runtime::BookState& book, core::Sequence sequence, v1::BookSnapshot& out);
void encode(const runtime::AccountState& state, v1::Account& out);
void encode(const core::Instrument& instrument, v1::InstrumentInfo& out);

}  // namespace openvenue::rpc

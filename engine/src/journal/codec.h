// One journal entry — a command and the events it caused — to bytes and back.
#pragma once

#include "core/byte_io.h"
#include "core/command.h"
#include "core/event.h"

namespace openvenue::journal {

void encode_entry(const core::Command& command, const core::EventBuffer& events,
                  core::ByteWriter& out);

// False if the bytes are not exactly one entry's encoding (unknown kind, enumerator or length out
// of range, bytes missing); the outputs are then undefined. `events` is replaced.
[[nodiscard]] bool decode_entry(core::ByteReader& in, core::Command& command,
                                core::EventBuffer& events);

}  // namespace openvenue::journal

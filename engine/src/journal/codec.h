// Converts a journal entry, a command and its events, to bytes and back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/byte_io.h"
#include "core/schema/command.h"
#include "core/schema/event.h"
#include "journal/format.h"

namespace openvenue::journal {

// The largest size of an entry with that many events.
[[nodiscard]] constexpr std::size_t entry_bytes_max(std::size_t events) {
  return kCommandBytesMax + events * kEventBytesMax;
}

// Writes the entry in the newest version and returns its size. Precondition: `out` has room for
// entry_bytes_max(events.size()).
std::size_t encode_entry(const core::Command& command, const core::EventBuffer& events,
                         std::byte* out);

// Reads an entry of `version` and replaces `events`. Returns false if the bytes are not exactly one
// entry's encoding (unknown kind, enumerator or length out of range, missing or surplus bytes); the
// outputs are then undefined.
[[nodiscard]] bool decode_entry(core::ByteReader& in, std::uint32_t version, core::Command& command,
                                core::EventBuffer& events);

}  // namespace openvenue::journal

// The canonical form of a state, written to bytes or a digest and read back. The records' fields
// are those of schema/fields.h.
//
//   version, counters
//   accounts      by id
//   instruments   by id
//   positions     by account, then instrument
//   open orders   per instrument: bids best first in time priority, then asks
//   ended orders  longest ended first
//   used client order ids of ended orders, from version 3 on: the surplus, then those of each
//                 account's share, by account; longest ended first
//
// Neither slots nor anything else of how the state is held appears in it.
#pragma once

#include <cstdint>
#include <optional>

#include "core/byte_io.h"
#include "core/digest.h"
#include "core/exchange_state.h"
#include "core/schema/version.h"

namespace openvenue::core {

// In any version that can be read, without what came later. `Sink` is ByteWriter, PieceWriter or
// Digest.
template <class Sink>
void write_state(const ExchangeState& state, Sink& out, std::uint32_t version = kSchemaVersion);

// Fills a freshly constructed state. False, with the state unusable, if the bytes are not a state
// of a version that can be read, exceed its capacity or contradict themselves.
[[nodiscard]] bool read_state(ByteReader& in, ExchangeState& state);

// The limits of the state that the bytes begin with; nothing if they begin with none.
[[nodiscard]] std::optional<Limits> read_limits(ByteReader& in);

}  // namespace openvenue::core

// The canonical form of a state, written to bytes or a digest and read back. schema/fields.h lists
// the records' fields.
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
// It does not depend on slots, or on any other detail of the state in memory.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/byte_io.h"
#include "core/base/digest.h"
#include "core/schema/version.h"
#include "core/state/exchange_state.h"

namespace openvenue::core {

// Writes any readable version, without later fields. `Sink` is ByteWriter, PieceWriter or Digest.
template <class Sink>
void write_state(const ExchangeState& state, Sink& out, std::uint32_t version = kSchemaVersion);

// Fills a freshly constructed state. Returns false, with the state unusable, if the bytes are not a
// state of a readable version, exceed its capacity or contradict themselves.
[[nodiscard]] bool read_state(ByteReader& in, ExchangeState& state);

// The limits of the state at the beginning of the bytes; nothing if there is none.
[[nodiscard]] std::optional<Limits> read_limits(ByteReader& in);

}  // namespace openvenue::core

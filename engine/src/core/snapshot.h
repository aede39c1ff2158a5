// The canonical form of a state, written to bytes or a digest and read back.
//
//   version, limits, counters
//   accounts      by id
//   instruments   by id
//   positions     by account, then instrument
//   open orders   per instrument: bids best first in time priority, then asks
//   ended orders  longest ended first
//
// Neither slots nor anything else of how the state is held appears in it.
#pragma once

#include "core/byte_io.h"
#include "core/digest.h"
#include "core/exchange_state.h"

namespace openvenue::core {

// `Sink` is ByteWriter, PieceWriter or Digest.
template <class Sink>
void write_state(const ExchangeState& state, Sink& out);

// Fills a freshly constructed state. False, with the state unusable, if the bytes are not a state,
// exceed its capacity or contradict themselves.
[[nodiscard]] bool read_state(ByteReader& in, ExchangeState& state);

}  // namespace openvenue::core

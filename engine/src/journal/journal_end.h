// What it means that no valid frame begins where the next one should: a pure decision over what was
// read. docs/journal.md, "Recovery", says it in words.
#pragma once

#include <cstdint>

namespace openvenue::journal {

struct EndEvidence {
  bool next_segment = false;         // a later segment exists
  std::uint64_t bytes = 0;           // from there to the last one in the file that is not zero
  bool later_frame_vouches = false;  // a valid frame behind says that the missing one was durable
  bool caller_vouches = false;       // the caller knows the missing entry to be durable
};

enum class EndVerdict {
  kNextSegment,  // which must continue the chain here
  kDamage,       // something durable is missing
  kTorn,         // a write that was never completed, and so never acknowledged
  kEnd,
};

[[nodiscard]] constexpr EndVerdict judge(const EndEvidence& found) {
  if (found.next_segment) return EndVerdict::kNextSegment;
  if (found.later_frame_vouches || found.caller_vouches) return EndVerdict::kDamage;
  return found.bytes > 0 ? EndVerdict::kTorn : EndVerdict::kEnd;
}

}  // namespace openvenue::journal

// The version of everything that is stored: the journal's entries, the state in snapshots, and the
// files' layout around them.
#pragma once

#include <cstdint>

namespace openvenue::core {

constexpr std::uint32_t kSchemaVersion = 3;        // what is written
constexpr std::uint32_t kSchemaVersionOldest = 2;  // what is still read

[[nodiscard]] constexpr bool can_read(std::uint32_t version) {
  return version >= kSchemaVersionOldest && version <= kSchemaVersion;
}

}  // namespace openvenue::core

// The version of all stored data: the journal's entries, the state in snapshots, and the layout of
// their files.
#pragma once

#include <cstdint>

namespace openvenue::core {

constexpr std::uint32_t kSchemaVersion = 6;        // written
constexpr std::uint32_t kSchemaVersionOldest = 2;  // still read

[[nodiscard]] constexpr bool can_read(std::uint32_t version) {
  return version >= kSchemaVersionOldest && version <= kSchemaVersion;
}

}  // namespace openvenue::core

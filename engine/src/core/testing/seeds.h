// The number of random flows that a differential test tries.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace openvenue::core {

// OPENVENUE_SEEDS, or 1,000. A flow depends on its seed alone, so a failure that names its seed can
// be repeated.
inline std::uint64_t seeds() {
  const char* configured = std::getenv("OPENVENUE_SEEDS");
  return configured == nullptr ? 1'000 : std::strtoull(configured, nullptr, 10);
}

}  // namespace openvenue::core

// Records live in preallocated pools; a slot is a record's index in its pool.
#pragma once

#include <cstdint>

namespace openvenue::core {

using Slot = std::uint32_t;
constexpr Slot kNoSlot = 0xFFFF'FFFF;

}  // namespace openvenue::core

// Records live in preallocated pools and are named by their index in it, the slot.
#pragma once

#include <cstdint>

namespace openvenue::core {

using Slot = std::uint32_t;
constexpr Slot kNoSlot = 0xFFFF'FFFF;

}  // namespace openvenue::core

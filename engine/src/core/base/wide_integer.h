// 128-bit intermediates, so that products of prices, quantities and money never wrap.
#pragma once

#include <cstdint>
#include <limits>

namespace openvenue::core {

__extension__ using WideInteger = __int128;

constexpr bool fits_int64(WideInteger value) {
  return value >= std::numeric_limits<std::int64_t>::min() &&
         value <= std::numeric_limits<std::int64_t>::max();
}

}  // namespace openvenue::core

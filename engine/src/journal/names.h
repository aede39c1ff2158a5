// The names of the enumerators that a journal holds, as `journal dump` prints them. A value without
// a name is not an enumerator: the codec refuses it.
#pragma once

#include <string_view>

#include "core/types.h"

namespace openvenue::journal {

// Empty if the value is not an enumerator.
[[nodiscard]] std::string_view name_of(core::Side side);
[[nodiscard]] std::string_view name_of(core::OrderType type);
[[nodiscard]] std::string_view name_of(core::TimeInForce time_in_force);
[[nodiscard]] std::string_view name_of(core::AssetClass asset_class);
[[nodiscard]] std::string_view name_of(core::InstrumentState state);
[[nodiscard]] std::string_view name_of(core::Reason reason);

}  // namespace openvenue::journal

#include "core/schema/command.h"

#include <algorithm>

namespace openvenue::core {

Limits larger_of(const Limits& a, const Limits& b) {
  return {std::max(a.max_orders, b.max_orders),
          std::max(a.max_accounts, b.max_accounts),
          std::max(a.max_instruments, b.max_instruments),
          std::max(a.max_positions, b.max_positions),
          std::max(a.max_fills_per_command, b.max_fills_per_command),
          std::max(a.max_open_orders, b.max_open_orders),
          std::max(a.max_open_orders_per_account, b.max_open_orders_per_account),
          std::max(a.max_positions_per_account, b.max_positions_per_account),
          std::max(a.max_client_ids, b.max_client_ids)};
}

}  // namespace openvenue::core

// Made-up commands for measuring the state machine: many accounts quote around a mid price in one
// or many instruments, cancel and replace their quotes, and cross the spread now and then. The same
// options give the same commands.
#pragma once

#include <cstdint>
#include <vector>

#include "core/schema/command.h"

namespace openvenue::tools {

struct ExchangeFlowOptions {
  std::uint32_t accounts = 1'000;
  std::uint32_t instruments = 1;
  std::uint32_t resting_orders = 10'000;  // in all books together, about
  std::size_t commands = 1'000'000;
  std::uint64_t seed = 1;
};

struct ExchangeFlow {
  core::Limits limits;                     // of an exchange that takes all of it
  std::vector<core::Command> preparation;  // instruments, funded accounts, resting orders
  std::vector<core::Command> measured;     // what comes then
};

// Applies the commands to an exchange of its own while it makes them, so that cancels name orders
// that rest and the book stays as deep as it is.
[[nodiscard]] ExchangeFlow make_exchange_flow(const ExchangeFlowOptions& options);

}  // namespace openvenue::tools

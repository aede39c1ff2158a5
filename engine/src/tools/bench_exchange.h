// `openvenue-engine bench-exchange`: the whole state machine, risk and accounts included, without
// journal and network.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue::tools {

// Sets `exit_code` to kExitFailed after an error, which it has printed to standard error.
void add_bench_exchange_command(CLI::App& app, int& exit_code);

}  // namespace openvenue::tools

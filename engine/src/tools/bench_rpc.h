// `openvenue-engine bench-rpc`: loads the engine through gRPC, and gRPC alone for comparison.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue::tools {

// Runs when the command is parsed and sets `exit_code`: 0 if every request was answered.
void add_bench_rpc_command(CLI::App& app, int& exit_code);

}  // namespace openvenue::tools

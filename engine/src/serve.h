// `openvenue-engine serve`: runs one shard behind gRPC until SIGINT or SIGTERM.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue {

// Runs when the command is parsed and sets `exit_code` (see exit_codes.h).
void add_serve_command(CLI::App& app, int& exit_code);

}  // namespace openvenue

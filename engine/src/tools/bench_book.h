// `openvenue-engine bench-book`: drives one instrument's book by a file and measures time, or its
// cost as it grows.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue::tools {

// Sets `exit_code` to kExitFailed after an error, which it has printed to standard error.
void add_bench_book_command(CLI::App& app, int& exit_code);

}  // namespace openvenue::tools

// `openvenue-engine bench-book`: one instrument's book, driven by a file and timed, or measured as
// it grows.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue::tools {

// `exit_code` becomes kExitFailed after an error, which has then been printed to standard error.
void add_bench_book_command(CLI::App& app, int& exit_code);

}  // namespace openvenue::tools

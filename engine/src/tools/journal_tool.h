// `openvenue-engine journal verify|dump|stats`: reads a journal without the engine, or beside a
// running one.
#pragma once

#include <CLI/CLI.hpp>

namespace openvenue::tools {

// Sets `exit_code` to 0, or to 1 after damage or another error, which it has printed with file and
// offset to standard error.
void add_journal_command(CLI::App& app, int& exit_code);

}  // namespace openvenue::tools

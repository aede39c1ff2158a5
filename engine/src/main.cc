// The engine's one binary: the server, its benchmarks and the journal's tools.
#include <CLI/CLI.hpp>

#include "exit_codes.h"
#include "serve.h"
#include "tools/bench_book.h"
#include "tools/bench_exchange.h"
#include "tools/bench_rpc.h"
#include "tools/journal_tool.h"

int main(int argc, char** argv) {
  int exit_code = openvenue::kExitOk;
  CLI::App app("OpenVenue matching engine");
  app.set_version_flag("--version", OPENVENUE_VERSION);
  app.require_subcommand(1);
  openvenue::add_serve_command(app, exit_code);
  openvenue::tools::add_bench_book_command(app, exit_code);
  openvenue::tools::add_bench_exchange_command(app, exit_code);
  openvenue::tools::add_bench_rpc_command(app, exit_code);
  openvenue::tools::add_journal_command(app, exit_code);
  CLI11_PARSE(app, argc, argv);
  return exit_code;
}

// A Trading service without an engine: it answers each request at once with an order made of the
// request. It measures gRPC itself.
#pragma once

#include <string>

namespace openvenue::tools {

// Serves on any free loopback port until SIGTERM. Writes the port to `port_file`.
void run_echo_server(const std::string& port_file, bool callback);

}  // namespace openvenue::tools

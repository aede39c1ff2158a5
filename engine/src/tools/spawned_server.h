// A server process for a measurement, with its own directory and, if it is an engine, an
// administrator's token. The destructor removes all of them.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace openvenue::tools {

class SpawnedServer {
 public:
  // Runs this binary with `arguments`, "--port-file FILE" and, if `is_engine`, the options of its
  // data and its administration; waits for the port. Makes the directory below `parent`. Throws
  // std::runtime_error if the server does not start.
  SpawnedServer(const std::filesystem::path& parent, std::vector<std::string> arguments,
                bool is_engine);
  ~SpawnedServer();
  SpawnedServer(const SpawnedServer&) = delete;
  SpawnedServer& operator=(const SpawnedServer&) = delete;

  [[nodiscard]] std::string target() const { return "127.0.0.1:" + std::to_string(port_); }
  // Precondition: it is an engine.
  [[nodiscard]] std::string admin_target() const;
  [[nodiscard]] std::filesystem::path admin_token_file() const;

 private:
  [[nodiscard]] int wait_for_port();
  void end();

  std::filesystem::path directory_;
  pid_t process_ = 0;
  int port_ = 0;
};

}  // namespace openvenue::tools

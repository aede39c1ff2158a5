#include "tools/spawned_server.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

namespace openvenue::tools {
namespace {

constexpr std::chrono::seconds kStartMax{30};

std::filesystem::path make_directory(const std::filesystem::path& parent) {
  std::filesystem::create_directories(parent);
  std::string pattern = (parent / "openvenue-bench-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) {
    throw std::runtime_error("cannot make a directory below " + parent.string());
  }
  return pattern;
}

// mkdtemp() has made the directory above it private.
void write_token(const std::filesystem::path& path) {
  std::random_device dice;
  std::ofstream file(path);
  for (int word = 0; word < 8; ++word)
    file << std::hex << std::setw(8) << std::setfill('0') << dice();
}

pid_t spawn(std::vector<std::string> arguments) {
  std::string program = "/proc/self/exe";
  std::vector<char*> argv = {program.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t process = 0;
  if (posix_spawn(&process, program.c_str(), nullptr, nullptr, argv.data(), environ) != 0) {
    throw std::runtime_error("cannot start a server process");
  }
  return process;
}

}  // namespace

SpawnedServer::SpawnedServer(const std::filesystem::path& parent,
                             std::vector<std::string> arguments, bool is_engine)
    : directory_(make_directory(parent)) {
  arguments.insert(arguments.end(), {"--port-file", (directory_ / "port").string()});
  if (is_engine) {
    std::filesystem::create_directory(directory_ / "tokens");
    write_token(admin_token_file());
    arguments.insert(arguments.end(),
                     {"--data-dir", (directory_ / "data").string(), "--admin-listen", "127.0.0.1:0",
                      "--admin-tokens", (directory_ / "tokens").string(), "--admin-port-file",
                      (directory_ / "admin-port").string()});
  }
  process_ = spawn(std::move(arguments));
  try {
    port_ = wait_for_port();
  } catch (...) {
    end();
    throw;
  }
}

SpawnedServer::~SpawnedServer() { end(); }

int SpawnedServer::wait_for_port() {
  const auto deadline = std::chrono::steady_clock::now() + kStartMax;
  while (std::chrono::steady_clock::now() < deadline) {
    int port = 0;
    if (std::ifstream(directory_ / "port") >> port) return port;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  throw std::runtime_error("the spawned server did not come up; its log says why");
}

std::string SpawnedServer::admin_target() const {
  int port = 0;
  std::ifstream(directory_ / "admin-port") >> port;  // written before the other
  return "127.0.0.1:" + std::to_string(port);
}

std::filesystem::path SpawnedServer::admin_token_file() const {
  return directory_ / "tokens" / "bench";
}

void SpawnedServer::end() {
  kill(process_, SIGTERM);
  waitpid(process_, nullptr, 0);
  std::filesystem::remove_all(directory_);
}

}  // namespace openvenue::tools

// `openvenue-engine serve` as a process: its start, its stop and its refusals to start.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "exit_codes.h"
#include "runtime/test_engine.h"

namespace openvenue {
namespace {

using runtime::testing::kPatience;
using runtime::testing::TemporaryDirectory;

// Arguments in posix_spawn's form; `strings` must outlive the result.
std::vector<char*> null_terminated(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& string : strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

class EngineProcess {
 public:
  // `command` starts the engine, whose path and arguments follow it.
  explicit EngineProcess(std::vector<std::string> arguments,
                         std::vector<std::string> environment = {},
                         const std::vector<std::string>& command = {}) {
    arguments.insert(arguments.begin(), OPENVENUE_ENGINE_BINARY);
    arguments.insert(arguments.begin(), command.begin(), command.end());
    std::vector<char*> argv = null_terminated(arguments);
    std::vector<char*> envp = null_terminated(environment);
    EXPECT_EQ(posix_spawn(&pid_, argv[0], nullptr, nullptr, argv.data(), envp.data()), 0);
  }
  ~EngineProcess() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    (void)wait();
  }
  EngineProcess(const EngineProcess&) = delete;
  EngineProcess& operator=(const EngineProcess&) = delete;

  void signal(int number) const { kill(pid_, number); }

  // The exit code, or -1 if a signal ended it.
  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
};

class Serve : public ::testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> arguments(const std::string& data = "data",
                                                   const std::string& address = "127.0.0.1:0") {
    return {"serve",
            "--data-dir",
            (directory_.path() / data).string(),
            "--listen",
            address,
            "--metrics-listen",
            "",
            "--port-file",
            port_file().string(),
            "--max-orders",
            "4096",
            "--log-level",
            "error"};
  }

  // An option may be given once only.
  [[nodiscard]] std::vector<std::string> arguments_with(const std::string& option,
                                                        const std::string& value) {
    std::vector<std::string> changed = arguments();
    const auto given = std::find(changed.begin(), changed.end(), option);
    if (given == changed.end()) {
      changed.insert(changed.end(), {option, value});
    } else {
      *std::next(given) = value;
    }
    return changed;
  }

  [[nodiscard]] std::filesystem::path port_file() const { return directory_.path() / "port"; }

  [[nodiscard]] int wait_for_port() const {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    int port = 0;
    while (!(std::ifstream(port_file()) >> port)) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "the engine does not come up";
        break;
      }
      std::this_thread::yield();
    }
    return port;
  }

  const TemporaryDirectory directory_;
};

TEST_F(Serve, EndsCleanlyOnSigtermAndOnSigint) {
  for (const int number : {SIGTERM, SIGINT}) {
    EngineProcess engine(arguments());
    (void)wait_for_port();
    engine.signal(number);
    EXPECT_EQ(engine.wait(), kExitOk);
    std::filesystem::remove(port_file());
  }
}

TEST_F(Serve, GoesOnWhenItsTerminalCloses) {
  EngineProcess engine(arguments());
  (void)wait_for_port();
  engine.signal(SIGHUP);
  engine.signal(SIGTERM);
  EXPECT_EQ(engine.wait(), kExitOk) << "and not -1, of SIGHUP";
}

TEST_F(Serve, AsksForARestartAndNotForAPersonWhereItsDiskCannotBeWritten) {
  const std::filesystem::path data = directory_.path() / "data";
  std::filesystem::create_directories(data / "lock");  // a file is to be written there
  EngineProcess engine(arguments());
  EXPECT_EQ(engine.wait(), kExitJournalFailed);
}

TEST_F(Serve, StartsAgainOnItsDataAfterBeingKilled) {
  {
    EngineProcess killed(arguments());
    (void)wait_for_port();
    killed.signal(SIGKILL);
    EXPECT_EQ(killed.wait(), -1);
  }
  std::filesystem::remove(port_file());
  EngineProcess engine(arguments());
  EXPECT_GT(wait_for_port(), 0);
}

TEST_F(Serve, RefusesTheDataOfAnEngineThatRuns) {
  EngineProcess first(arguments());
  (void)wait_for_port();
  EngineProcess second(arguments());
  EXPECT_EQ(second.wait(), kExitJournalRefused);
}

TEST_F(Serve, RefusesAPortThatIsInUse) {
  EngineProcess first(arguments("first"));
  const int port = wait_for_port();
  EngineProcess second(arguments("second", "127.0.0.1:" + std::to_string(port)));
  EXPECT_EQ(second.wait(), kExitCannotListen);
}

TEST_F(Serve, TakesItsOptionsFromTheEnvironmentToo) {
  EngineProcess engine(
      {"serve"},
      {"OPENVENUE_ENGINE_DATA_DIR=" + (directory_.path() / "data").string(),
       "OPENVENUE_ENGINE_LISTEN=127.0.0.1:0", "OPENVENUE_ENGINE_METRICS_LISTEN=127.0.0.1:0",
       "OPENVENUE_ENGINE_MAX_ORDERS=4096", "OPENVENUE_ENGINE_LOG_LEVEL=error",
       "OPENVENUE_ENGINE_PORT_FILE=" + port_file().string()});
  EXPECT_GT(wait_for_port(), 0);
  engine.signal(SIGTERM);
  EXPECT_EQ(engine.wait(), kExitOk);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Two GiB of address space, and limits that need more than four.
TEST_F(Serve, RefusesLimitsThatCannotFitIntoMemory) {
  EngineProcess engine(arguments_with("--max-orders", "16000000"), {},
                       {"/bin/sh", "-c", "ulimit -v 2097152; exec \"$0\" \"$@\""});
  EXPECT_EQ(engine.wait(), kExitFailed);
  EXPECT_FALSE(std::filesystem::exists(directory_.path() / "data"));
}

TEST_F(Serve, EndsWithACodeOfItsOwnWhereMemoryRunsOut) {
  EngineProcess engine(arguments(), {}, {"/bin/sh", "-c", "ulimit -v 200000; exec \"$0\" \"$@\""});
  EXPECT_EQ(engine.wait(), kExitOutOfMemory);
}
#endif

TEST_F(Serve, RefusesOptionsThatMeanNothing) {
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{
           {"--day-end-utc", "25:00"},
           {"--ring-size", "0"},
           {"--log-format", "xml"},
           {"--max-orders", "1"},
           {"--max-orders", "16777217"},
           {"--max-open-orders", "16777216"},
           {"--max-open-orders-per-account", "4000000000"},
           {"--max-positions-per-account", "67108865"},
           {"--max-client-ids", "67108865"},
           {"--max-accounts", "0"},
           {"--max-accounts", "4000000000"},
           {"--max-instruments", "0"},
           {"--max-instruments", "1048577"},
           {"--max-positions", "0"},
           {"--max-positions", "67108865"},
           {"--max-fills", "0"},
           {"--max-fills", "65537"}}) {
    EngineProcess engine(arguments_with(option, value));
    EXPECT_GE(engine.wait(), 100) << option << ' ' << value;
  }
}

}  // namespace
}  // namespace openvenue

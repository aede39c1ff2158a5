#include "rpc/listener.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "runtime/test_engine.h"

namespace openvenue::rpc {
namespace {

using runtime::testing::TemporaryDirectory;

constexpr Listener::Limits kNoLimits{1000, 1000};

// A connection to a port of this machine; the destructor closes it.
class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Blocks until the other side closes.
  void wait_closed() const {
    char byte = 0;
    EXPECT_LE(recv(fd_, &byte, 1, 0), 0);
  }

 private:
  int fd_;
};

// The accepted connections, closed at the end.
class Accepted {
 public:
  ~Accepted() {
    for (std::size_t index = 0; index < count_; ++index) close(fds_.at(index));
  }
  Listener::HandOver hand_over() {
    return [this](int, int fd) {
      fds_.at(count_) = fd;
      ++count_;
      count_.notify_all();
    };
  }
  void wait_for(std::size_t count) const {
    for (std::size_t now = count_; now < count; now = count_) count_.wait(now);
  }
  [[nodiscard]] int fd(std::size_t index) const { return fds_.at(index); }
  [[nodiscard]] std::size_t count() const { return count_; }

 private:
  std::array<int, 100> fds_{};
  std::atomic<std::size_t> count_ = 0;
};

TEST(Listener, HandsOverConnectionsWithNoDelaySet) {
  Accepted accepted;
  Listener listener({"127.0.0.1:0"}, kNoLimits);
  listener.start(accepted.hand_over(), [] {});
  const Connection first(listener.port());
  const Connection second(listener.port());
  accepted.wait_for(2);
  EXPECT_EQ(listener.census().connections, 2U);
  EXPECT_EQ(listener.census().connections_nodelay, 2U);
}

TEST(Listener, ClosesAConnectionTooManyAndTakesOneAgainWhenAnotherHasGone) {
  Accepted accepted;
  std::atomic<int> refused = 0;
  Listener listener({"127.0.0.1:0"}, {1, 1000});
  listener.start(accepted.hand_over(), [&] { ++refused; });
  const Connection first(listener.port());
  accepted.wait_for(1);
  const Connection second(listener.port());
  second.wait_closed();
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(accepted.count(), 1U);

  close(accepted.fd(0));  // as gRPC does when it is through with it
  const Connection third(listener.port());
  accepted.wait_for(2);
  EXPECT_EQ(refused, 1);
}

TEST(Listener, CountsThePeersApart) {
  const TemporaryDirectory directory;
  const std::string path = (directory.path() / "socket").string();
  Accepted accepted;
  Listener listener({"127.0.0.1:0", "unix:" + path}, {10, 1});
  listener.start(accepted.hand_over(), [] {});
  const Connection first(listener.port());
  accepted.wait_for(1);
  const Connection second(listener.port());
  second.wait_closed();

  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  accepted.wait_for(2);
  close(fd);
}

TEST(Listener, TakesAUnixSocketOverThatNobodyListensOn) {
  const TemporaryDirectory directory;
  const std::string path = (directory.path() / "socket").string();
  {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(fd);  // the file stays, as when a process is killed
  }
  {
    const Listener listener({"unix:" + path}, kNoLimits);
    EXPECT_THROW(Listener({"unix:" + path}, kNoLimits), ListenError) << "somebody listens";
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Listener, OpensAUnixSocketToItsOwnerOnlyWhateverTheUmask) {
  const TemporaryDirectory directory;
  const std::string path = (directory.path() / "socket").string();
  for (const mode_t mask : {0000, 0022, 0077}) {
    const mode_t before = umask(mask);
    const Listener listener({"unix:" + path}, kNoLimits);
    umask(before);
    struct stat status {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600) << mask;
  }
}

TEST(Listener, RefusesAddressesThatCannotBe) {
  const Listener first({"127.0.0.1:0"}, kNoLimits);
  const std::string taken = "127.0.0.1:" + std::to_string(first.port());
  for (const std::string& address :
       {taken, std::string("203.0.113.1:7070"), std::string("nonsense"), std::string("unix:"),
        std::string("127.0.0.1:99999"), "unix:/" + std::string(200, 'x'),
        std::string("no.such.host.invalid:7070")}) {
    EXPECT_THROW(Listener({address}, kNoLimits), ListenError) << address;
  }
}

}  // namespace
}  // namespace openvenue::rpc

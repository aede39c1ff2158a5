// The sockets that clients connect to, with a bound on their connections.
//
// gRPC itself accepts every connection. Each may make the server buffer some megabytes and takes a
// descriptor, which the journal also needs, so the listener counts them before gRPC sees them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rpc/log_limit.h"

namespace openvenue::rpc {

class ListenError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Listener {
 public:
  struct Limits {
    std::uint32_t connections = 0;
    std::uint32_t connections_per_peer = 0;  // see peer.h
  };
  // Takes over the connection: an open, non-blocking socket.
  using HandOver = std::function<void(int listening_fd, int fd)>;

  struct Census {
    std::uint32_t connections = 0;
    std::uint32_t connections_nodelay = 0;  // with Nagle's algorithm off (TCP_NODELAY)
  };

  // Binds and listens. Addresses are host:port (port 0: any; the host [::] includes IPv4) or
  // unix:/path. Throws ListenError if one is in use, not this machine's or not an address.
  Listener(const std::vector<std::string>& addresses, const Limits& limits);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // Starts to accept, in a thread of its own. `on_refused` is called for each connection that is
  // closed at once because there are too many.
  void start(HandOver hand_over, std::function<void()> on_refused);
  // Afterwards no socket listens, and no connection is handed over. Idempotent.
  void stop();

  // Port of the first TCP address; 0 if there is none.
  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] Census census();

 private:
  struct Connection {
    std::uint64_t inode = 0;  // distinguishes the socket from a later one with the same descriptor
    std::string peer;
  };

  void close_sockets();
  void accept_from(int listening_fd);
  [[nodiscard]] bool admit(int fd);
  void forget_closed();

  const Limits limits_;
  std::vector<int> listening_;
  std::vector<std::string> unix_paths_;
  int port_ = 0;
  int wake_fd_ = -1;
  HandOver hand_over_;
  std::function<void()> on_refused_;
  std::mutex mutex_;
  std::map<int, Connection> connections_;  // by descriptor; may hold some that are closed
  LogLimit refusals_logged_;
  LogLimit failures_logged_;
  std::thread thread_;
};

}  // namespace openvenue::rpc

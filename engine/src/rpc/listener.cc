#include "rpc/listener.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <memory>
#include <system_error>

#include "rpc/peer.h"

namespace openvenue::rpc {
namespace {

constexpr int kBacklog = 256;
constexpr std::string_view kUnixPrefix = "unix:";

// Without descriptors or memory, poll reports a waiting connection again at once, for ever.
constexpr std::chrono::milliseconds kPauseAfterFailure{100};

std::string reason(int error) { return std::generic_category().message(error); }

ListenError cannot_listen(const std::string& address, const std::string& why) {
  return ListenError("cannot listen on " + address + ": " + why);
}

sockaddr* generic(sockaddr_storage& address) { return reinterpret_cast<sockaddr*>(&address); }

void set_option(int fd, int level, int option, int value) {
  (void)setsockopt(fd, level, option, &value, sizeof value);
}

// An open socket that listens at the address, or -1 with errno.
int listen_on(const sockaddr* address, socklen_t size) {
  const int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (address->sa_family == AF_INET6) {
    const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(address);
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) ? 0 : 1);
  }
  // Linux creates the socket's file with the mode of its descriptor, so others can never connect,
  // whatever the umask, which only removes permissions.
  if (address->sa_family == AF_UNIX && fchmod(fd, S_IRUSR | S_IWUSR) != 0) {
    const int error = errno;
    close(fd);
    errno = error;
    return -1;
  }
  // A restart need not wait until the last engine's connections time out. Two engines still cannot
  // share a port and split its clients.
  if (address->sa_family != AF_UNIX) set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, address, size) == 0 && listen(fd, kBacklog) == 0) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(fd, generic(address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

bool somebody_listens(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int failed = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const bool refused = failed != 0 && errno == ECONNREFUSED;
  close(fd);
  return !refused;
}

int listen_on_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    throw cannot_listen(std::string(kUnixPrefix) + path, "give a path of 1 to 107 bytes");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* generic_address = reinterpret_cast<const sockaddr*>(&address);
  int fd = listen_on(generic_address, sizeof address);
  // A killed engine has left the file behind.
  if (fd < 0 && errno == EADDRINUSE && !somebody_listens(address)) {
    unlink(path.c_str());
    fd = listen_on(generic_address, sizeof address);
  }
  if (fd < 0) throw cannot_listen(std::string(kUnixPrefix) + path, reason(errno));
  return fd;
}

struct Resolved {
  addrinfo* first = nullptr;
  ~Resolved() {
    if (first != nullptr) freeaddrinfo(first);
  }
};

// All addresses of the name, on one port.
std::vector<int> listen_on_tcp(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) throw cannot_listen(address, "give host:port or unix:/path");
  std::uint16_t port = 0;
  const char* end = address.data() + address.size();
  const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end) {
    throw cannot_listen(address, "the port is a number from 0 to 65535");
  }
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  Resolved resolved;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &resolved.first);
  if (failed != 0) throw cannot_listen(address, gai_strerror(failed));
  std::vector<int> sockets;
  for (const addrinfo* each = resolved.first; each != nullptr; each = each->ai_next) {
    sockaddr_storage storage{};
    std::memcpy(&storage, each->ai_addr, each->ai_addrlen);
    auto& port_field = each->ai_family == AF_INET6
                           ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port
                           : reinterpret_cast<sockaddr_in&>(storage).sin_port;
    port_field = htons(port);
    const int fd = listen_on(generic(storage), each->ai_addrlen);
    if (fd < 0) {
      const int error = errno;
      for (const int open : sockets) close(open);
      throw cannot_listen(
          address, reason(error) + ": is it in use by another process, or not this machine's?");
    }
    sockets.push_back(fd);
    port = local_port(fd);  // also for the next addresses, if any port was asked for
  }
  return sockets;
}

// 0 for a descriptor that is not open.
std::uint64_t inode_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

bool has_nodelay(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 && value != 0;
}

}  // namespace

Listener::Listener(const std::vector<std::string>& addresses, const Limits& limits)
    : limits_(limits) {
  try {
    for (const std::string& address : addresses) {
      if (address.starts_with(kUnixPrefix)) {
        const std::string path = address.substr(kUnixPrefix.size());
        listening_.push_back(listen_on_unix(path));
        unix_paths_.push_back(path);
      } else {
        const std::vector<int> sockets = listen_on_tcp(address);
        listening_.insert(listening_.end(), sockets.begin(), sockets.end());
        if (port_ == 0) port_ = local_port(sockets.front());
      }
    }
    wake_fd_ = eventfd(0, EFD_CLOEXEC);
    if (wake_fd_ < 0) throw ListenError("cannot listen: " + reason(errno));
  } catch (...) {
    close_sockets();
    throw;
  }
}

Listener::~Listener() { stop(); }

void Listener::close_sockets() {
  for (const int fd : std::exchange(listening_, {})) close(fd);
  for (const std::string& path : std::exchange(unix_paths_, {})) unlink(path.c_str());
  if (wake_fd_ >= 0) close(std::exchange(wake_fd_, -1));
}

void Listener::start(HandOver hand_over, std::function<void()> on_refused) {
  hand_over_ = std::move(hand_over);
  on_refused_ = std::move(on_refused);
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "listener");
    std::vector<pollfd> waiting{{wake_fd_, POLLIN, 0}};
    for (const int fd : listening_) waiting.push_back({fd, POLLIN, 0});
    for (;;) {
      (void)poll(waiting.data(), waiting.size(), -1);
      if (waiting.front().revents != 0) return;
      for (auto each = waiting.begin() + 1; each != waiting.end(); ++each) {
        if (each->revents != 0) accept_from(each->fd);
      }
    }
  });
}

void Listener::stop() {
  if (thread_.joinable()) {
    (void)eventfd_write(wake_fd_, 1);
    thread_.join();
  }
  close_sockets();
}

void Listener::accept_from(int listening_fd) {
  const int fd = accept4(listening_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    const std::string why = reason(errno);
    if (const auto held_back = failures_logged_.pass()) {
      spdlog::warn("a connection cannot be accepted: {} more_of_these={}", why, *held_back);
    }
    std::this_thread::sleep_for(kPauseAfterFailure);
    return;
  }
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (admit(fd)) {
    hand_over_(listening_fd, fd);
  } else {
    close(fd);
  }
}

bool Listener::admit(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getpeername(fd, generic(address), &size) != 0) return false;  // it has gone already
  const std::string peer = peer_of(address);
  {
    const std::lock_guard lock(mutex_);
    const auto of_peer = [&] {
      return std::count_if(connections_.begin(), connections_.end(),
                           [&](const auto& each) { return each.second.peer == peer; });
    };
    const auto has_room = [&] {
      return connections_.size() < limits_.connections && of_peer() < limits_.connections_per_peer;
    };
    connections_.erase(fd);  // its old connection is closed: the descriptor is this one's now
    if (!has_room()) forget_closed();
    if (has_room()) {
      connections_.emplace(fd, Connection{inode_of(fd), peer});
      return true;
    }
  }
  on_refused_();
  if (const auto held_back = refusals_logged_.pass()) {
    spdlog::warn("connection refused: too many peer={} more_of_these={}", peer, *held_back);
  }
  return false;
}

// Precondition: mutex_ is held.
void Listener::forget_closed() {
  std::erase_if(connections_,
                [](const auto& each) { return inode_of(each.first) != each.second.inode; });
}

Listener::Census Listener::census() {
  const std::lock_guard lock(mutex_);
  forget_closed();
  Census census;
  for (const auto& [fd, connection] : connections_) {
    ++census.connections;
    if (has_nodelay(fd)) ++census.connections_nodelay;
  }
  return census;
}

}  // namespace openvenue::rpc

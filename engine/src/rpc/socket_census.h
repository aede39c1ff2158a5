// Looks at this process's own sockets: how many connections a port has, and on how many of them
// Nagle's algorithm is off (TCP_NODELAY), without which small replies wait for acknowledgements.
#pragma once

#include <cstdint>

namespace openvenue::rpc {

struct SocketCensus {
  std::uint32_t connections = 0;
  std::uint32_t connections_nodelay = 0;
};

// Established TCP connections accepted on local port `port`.
[[nodiscard]] SocketCensus count_connections(int port);

}  // namespace openvenue::rpc

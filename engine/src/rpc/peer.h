// The unit that limits treat as one client: an IPv4 address, an IPv6 network of 64 bits (which is
// what one customer gets), or all users of this machine's Unix sockets.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace openvenue::rpc {

[[nodiscard]] std::string peer_of(const sockaddr_storage& address);

// The same for the text of grpc::ServerContext::peer().
[[nodiscard]] std::string peer_of(std::string_view grpc_peer);

}  // namespace openvenue::rpc

// Who a connection is from, as far as limits are concerned: one IPv4 address, one IPv6 network of
// 64 bits (which is what one customer gets), or all who reach this machine's Unix sockets.
#pragma once

#include <sys/socket.h>

#include <string>
#include <string_view>

namespace openvenue::rpc {

[[nodiscard]] std::string peer_of(const sockaddr_storage& address);

// The same of what grpc::ServerContext::peer() gives.
[[nodiscard]] std::string peer_of(std::string_view grpc_peer);

}  // namespace openvenue::rpc

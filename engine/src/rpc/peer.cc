#include "rpc/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

namespace openvenue::rpc {
namespace {

constexpr std::size_t kNetworkBytes = 8;

std::string name(const in_addr& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &address, text.data(), text.size());
  return text.data();
}

std::string name(in6_addr address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr v4{};
    std::copy_n(&address.s6_addr[12], sizeof v4, reinterpret_cast<std::uint8_t*>(&v4));
    return name(v4);
  }
  std::fill(std::begin(address.s6_addr) + kNetworkBytes, std::end(address.s6_addr), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &address, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

// `ipv6:[::1]:7070`, whose brackets gRPC writes as %5B and %5D.
std::string host_of(std::string_view peer) {
  std::string host(peer.substr(0, peer.rfind(':')));
  for (const std::string_view bracket : {"%5B", "%5D", "[", "]"}) {
    if (const auto at = host.find(bracket); at != std::string::npos) host.erase(at, bracket.size());
  }
  return host.substr(host.find(':') + 1);
}

}  // namespace

std::string peer_of(const sockaddr_storage& address) {
  switch (address.ss_family) {
    case AF_INET:
      return name(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
    case AF_INET6:
      return name(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
    default:
      return "unix";
  }
}

std::string peer_of(std::string_view grpc_peer) {
  if (grpc_peer.starts_with("ipv4:")) return host_of(grpc_peer);
  in6_addr address{};
  if (grpc_peer.starts_with("ipv6:") &&
      inet_pton(AF_INET6, host_of(grpc_peer).c_str(), &address) == 1) {
    return name(address);
  }
  return "unix";
}

}  // namespace openvenue::rpc

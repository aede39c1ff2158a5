#include "rpc/peer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace openvenue::rpc {
namespace {

sockaddr_storage v6(const char* text) {
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
  return storage;
}

TEST(Peer, IsOneAddressOfIpv4WhateverThePort) {
  sockaddr_storage storage{};
  auto& address = reinterpret_cast<sockaddr_in&>(storage);
  address.sin_family = AF_INET;
  address.sin_port = htons(1234);
  ASSERT_EQ(inet_pton(AF_INET, "10.0.0.7", &address.sin_addr), 1);
  EXPECT_EQ(peer_of(storage), "10.0.0.7");
  EXPECT_EQ(peer_of("ipv4:10.0.0.7:4321"), "10.0.0.7");
}

TEST(Peer, IsOneNetworkOfIpv6) {
  EXPECT_EQ(peer_of(v6("2001:db8:1:2:3:4:5:6")), "2001:db8:1:2::/64");
  EXPECT_EQ(peer_of("ipv6:%5B2001:db8:1:2::9%5D:4321"), "2001:db8:1:2::/64");
  EXPECT_EQ(peer_of("ipv6:[2001:db8:1:2::9]:4321"), "2001:db8:1:2::/64");
  EXPECT_NE(peer_of(v6("2001:db8:1:3::1")), peer_of(v6("2001:db8:1:2::1")));
}

TEST(Peer, IsTheIpv4AddressOfASocketThatTakesBoth) {
  EXPECT_EQ(peer_of(v6("::ffff:10.0.0.7")), "10.0.0.7");
  EXPECT_EQ(peer_of("ipv6:%5B::ffff:10.0.0.7%5D:4321"), "10.0.0.7");
}

TEST(Peer, IsOneForAllOfThisMachinesUnixSockets) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  EXPECT_EQ(peer_of(storage), "unix");
  EXPECT_EQ(peer_of("unix:"), "unix");
  EXPECT_EQ(peer_of("unix:/run/engine.sock"), "unix");
}

}  // namespace
}  // namespace openvenue::rpc

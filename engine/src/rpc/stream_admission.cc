#include "rpc/stream_admission.h"

#include <algorithm>

#include "rpc/peer.h"

namespace openvenue::rpc {

std::uint32_t StreamAdmission::max(StreamKind kind) const {
  switch (kind) {
    case StreamKind::kSession:
      return threads_max_ / 2;
    case StreamKind::kSubscriber:
      return std::min(subscribers_max_, threads_max_ / 4);
    case StreamKind::kReflection:
      return threads_max_ / 16;
  }
  return 0;
}

std::optional<StreamAdmission::Slot> StreamAdmission::admit(StreamKind kind,
                                                            const std::string& grpc_peer) {
  std::string peer = peer_of(grpc_peer);
  const std::uint32_t open_max = max(kind);
  const std::uint32_t of_peer_max = open_max - open_max / 2;
  const std::lock_guard lock(mutex_);
  Share& taken = share(kind);
  const auto of_peer = taken.by_peer.find(peer);
  if (taken.open >= open_max) return std::nullopt;
  if (of_peer != taken.by_peer.end() && of_peer->second >= of_peer_max) return std::nullopt;
  ++taken.by_peer[peer];
  ++taken.open;
  return Slot(*this, kind, std::move(peer));
}

void StreamAdmission::give_back(StreamKind kind, const std::string& peer) {
  const std::lock_guard lock(mutex_);
  Share& taken = share(kind);
  --taken.open;
  const auto of_peer = taken.by_peer.find(peer);
  if (--of_peer->second == 0) taken.by_peer.erase(of_peer);
}

std::uint32_t StreamAdmission::open(StreamKind kind) const {
  const std::lock_guard lock(mutex_);
  return share(kind).open;
}

}  // namespace openvenue::rpc

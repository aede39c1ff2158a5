// Limits long-lived calls. Each holds a server thread for its whole life. So each kind has a share
// of the threads that no other kind can take, unary calls keep the rest, and no peer (see peer.h)
// takes more than half of a share.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace openvenue::rpc {

enum class StreamKind : std::uint8_t { kSession, kSubscriber, kReflection };

class StreamAdmission {
 public:
  // Held while the stream lives.
  class Slot {
   public:
    Slot(StreamAdmission& admission, StreamKind kind, std::string peer)
        : admission_(&admission), kind_(kind), peer_(std::move(peer)) {}
    Slot(Slot&& other) noexcept
        : admission_(std::exchange(other.admission_, nullptr)),
          kind_(other.kind_),
          peer_(std::move(other.peer_)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (admission_ != nullptr) admission_->give_back(kind_, peer_);
    }

   private:
    StreamAdmission* admission_;
    StreamKind kind_;
    std::string peer_;
  };

  StreamAdmission(std::uint32_t threads_max, std::uint32_t subscribers_max)
      : subscribers_max_(subscribers_max), threads_max_(threads_max) {}

  // Nothing at the limit. `grpc_peer` is the text of grpc::ServerContext::peer().
  [[nodiscard]] std::optional<Slot> admit(StreamKind kind, const std::string& grpc_peer);

  // From now on no new stream is admitted.
  void drain() { draining_ = true; }
  [[nodiscard]] bool draining() const { return draining_; }

  // Streams above a lowered limit continue; new ones wait for room.
  void set_threads_max(std::uint32_t threads_max) { threads_max_ = threads_max; }

  // The share of a kind: half of the threads for sessions, a quarter for subscribers, a sixteenth
  // for reflection.
  [[nodiscard]] std::uint32_t max(StreamKind kind) const;

  [[nodiscard]] std::uint32_t open(StreamKind kind) const;

 private:
  struct Share {
    std::uint32_t open = 0;
    std::map<std::string, std::uint32_t> by_peer;
  };

  void give_back(StreamKind kind, const std::string& peer);
  [[nodiscard]] const Share& share(StreamKind kind) const {
    return shares_.at(static_cast<std::size_t>(kind));
  }
  [[nodiscard]] Share& share(StreamKind kind) { return shares_.at(static_cast<std::size_t>(kind)); }

  const std::uint32_t subscribers_max_;
  std::atomic<std::uint32_t> threads_max_;
  std::atomic<bool> draining_ = false;
  mutable std::mutex mutex_;
  std::array<Share, 3> shares_;
};

}  // namespace openvenue::rpc

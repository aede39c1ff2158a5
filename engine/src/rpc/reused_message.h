// A message that is filled, used and emptied over and over. Its parts lie on an arena whose memory
// stays, so that thousands of requests a message cost no allocation each.
#pragma once

#include <google/protobuf/arena.h>

#include <cstddef>
#include <memory>

namespace openvenue::rpc {

template <class Message>
class ReusedMessage {
 public:
  // The message, empty. What was in it before is gone.
  [[nodiscard]] Message& renew() {
    arena_.Reset();
    return *google::protobuf::Arena::CreateMessage<Message>(&arena_);
  }

 private:
  // Enough for a full message of orders with usual client order ids; beyond it the arena allocates
  // blocks, and frees them at the next renew().
  static constexpr std::size_t kBlockBytes = std::size_t{128} << 10;

  static google::protobuf::ArenaOptions options(char* block) {
    google::protobuf::ArenaOptions options;
    options.initial_block = block;
    options.initial_block_size = kBlockBytes;
    options.max_block_size = kBlockBytes;
    return options;
  }

  const std::unique_ptr<char[]> block_{new char[kBlockBytes]};
  google::protobuf::Arena arena_{options(block_.get())};
};

}  // namespace openvenue::rpc

#include "journal/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/byte_io.h"
#include "journal/codec.h"
#include "journal/frame_reader.h"

namespace openvenue::journal {
namespace {

constexpr core::Sequence kUnbounded = ~core::Sequence{0};

}  // namespace

struct Reader::State {
  State(std::filesystem::path directory, std::uint32_t shard_id, core::Sequence from,
        std::filesystem::path archive)
      : frames(std::move(directory), shard_id, from, std::move(archive)), next_sequence(from) {}

  [[nodiscard]] Result next_frame(core::Sequence durable);
  [[nodiscard]] Result decode(core::Command& command, core::EventBuffer& events);

  FrameReader frames;
  core::Sequence next_sequence;
  core::ByteReader payload{{}};
  core::Sequence payload_next = 0;  // the entry that `payload` is at
  core::Sequence payload_end = 0;   // one past the frame's last entry
  std::string undecodable;          // set once an entry of a valid frame cannot be decoded
};

Reader::Reader(std::filesystem::path directory, std::uint32_t shard_id, core::Sequence from,
               std::filesystem::path archive)
    : state_(std::make_unique<State>(std::move(directory), shard_id,
                                     std::max(from, core::Sequence{1}), std::move(archive))) {}
Reader::~Reader() = default;
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

Reader::Result Reader::next(core::Command& command, core::EventBuffer& events,
                            core::Sequence up_to) {
  State& state = *state_;
  if (!state.undecodable.empty()) return Result::kDamaged;
  if (state.next_sequence > up_to) return Result::kEnd;
  do {
    while (state.payload_next == state.payload_end) {
      const Result result = state.next_frame(up_to == kUnbounded ? 0 : up_to);
      if (result != Result::kEntry) return result;
    }
    const Result result = state.decode(command, events);
    if (result != Result::kEntry) return result;
  } while (command.sequence < state.next_sequence);
  ++state.next_sequence;
  return Result::kEntry;
}

// Moves to the next frame with a wanted entry.
Reader::Result Reader::State::next_frame(core::Sequence durable) {
  for (;;) {
    switch (frames.next(durable)) {
      case FrameReader::Result::kFrame:
        if (frames.next_sequence() <= next_sequence) continue;
        payload = core::ByteReader(frames.payload());
        payload_next = frames.header().first_sequence;
        payload_end = frames.next_sequence();
        return Result::kEntry;
      case FrameReader::Result::kEnd:
        return Result::kEnd;
      case FrameReader::Result::kTorn:
        return Result::kTorn;
      case FrameReader::Result::kDamaged:
        return Result::kDamaged;
    }
  }
}

Reader::Result Reader::State::decode(core::Command& command, core::EventBuffer& events) {
  const bool decoded = decode_entry(payload, frames.header().version, command, events) &&
                       command.sequence == payload_next;
  ++payload_next;
  const bool whole = payload_next < payload_end || payload.remaining() == 0;
  if (decoded && whole) return Result::kEntry;
  undecodable = describe_damage(
      frames.path(), frames.header().offset,
      fmt::format("the frame's checksum is right, but entry {} in it is not an entry that this "
                  "engine can read",
                  payload_next - 1));
  return Result::kDamaged;
}

const std::string& Reader::error() const {
  return state_->undecodable.empty() ? state_->frames.error() : state_->undecodable;
}

const FrameReader& Reader::frames() const { return state_->frames; }

}  // namespace openvenue::journal

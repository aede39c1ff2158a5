// Reads a journal's entries in order, also while it is written.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "core/schema/command.h"
#include "core/schema/event.h"

namespace openvenue::journal {

class FrameReader;

class Reader {
 public:
  enum class Result {
    kEntry,    // `command` and `events` hold the next entry
    kEnd,      // no more entries now; call again after the journal has grown
    kTorn,     // the last frame is incomplete or fails its checksum and nothing valid follows it
    kDamaged,  // anything else that must not be; see error()
  };

  // Positions before entry `from` (0 and 1: the first). What the directory does not have any more
  // comes from the archive, if one is named. Opening errors appear at the first next().
  Reader(std::filesystem::path directory, std::uint32_t shard_id, core::Sequence from,
         std::filesystem::path archive = {});
  ~Reader();
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;

  // `events` should have capacity reserved. A live tail passes the durable sequence as `up_to` and
  // never sees entries beyond it (kEnd instead); others pass the default. Throws OutOfResources.
  [[nodiscard]] Result next(core::Command& command, core::EventBuffer& events,
                            core::Sequence up_to = ~core::Sequence{0});

  // File, offset, what is wrong and what to do; for kTorn and kDamaged.
  [[nodiscard]] const std::string& error() const;

  // The frame that the last entry came from, and where the journal would continue.
  [[nodiscard]] const FrameReader& frames() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace openvenue::journal

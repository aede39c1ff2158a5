// Sees the end of the journal's disk coming. While little is free the engine takes fewer kinds of
// commands, so that what is left pays for cancels and for the end of the trading day, and no write
// of the journal ever finds the disk full.
//
//   free bytes         commands that are taken
//   the reserve        all
//   less               cancels: the engine is read-only for everything else
//   less than a fourth none
//
// It goes back by itself, but only once there is a fourth of the reserve more than it takes: a disk
// that is about as full as the limit must not make it change with each segment.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>

#include "core/schema/command.h"

namespace openvenue::runtime {

class DiskReserve {
 public:
  enum class Room : std::uint8_t { kNone, kForCancels, kForAll };
  // Bytes of the journal's disk that the engine may take; nothing where that cannot be told.
  using FreeBytes = std::function<std::optional<std::uint64_t>()>;

  // Looks at once.
  DiskReserve(std::uint64_t reserve_bytes, FreeBytes free_bytes);

  // Measures anew and logs what changed. From one thread at a time.
  void look();

  // For any thread: as of the last look.
  [[nodiscard]] Room room() const { return room_; }
  [[nodiscard]] bool takes(const core::CommandBody& command) const;
  [[nodiscard]] std::uint64_t reserve_bytes() const { return reserve_bytes_; }

 private:
  [[nodiscard]] Room room_for(std::uint64_t free_bytes) const;

  const std::uint64_t reserve_bytes_;
  const FreeBytes free_bytes_;
  std::atomic<Room> room_ = Room::kForAll;
};

}  // namespace openvenue::runtime

#include "runtime/disk_reserve.h"

#include <spdlog/spdlog.h>

#include <utility>
#include <variant>

namespace openvenue::runtime {

DiskReserve::DiskReserve(std::uint64_t reserve_bytes, FreeBytes free_bytes)
    : reserve_bytes_(reserve_bytes), free_bytes_(std::move(free_bytes)) {
  look();
}

bool DiskReserve::takes(const core::CommandBody& command) const {
  switch (room_) {
    case Room::kForAll:
      return true;
    case Room::kForCancels:
      return std::holds_alternative<core::CancelOrder>(command) ||
             std::holds_alternative<core::CancelOrders>(command) ||
             std::holds_alternative<core::SuspendTrading>(command);
    case Room::kNone:
      return false;
  }
  return false;
}

void DiskReserve::look() {
  const std::optional<std::uint64_t> free_bytes = free_bytes_();
  if (!free_bytes) return;
  const Room before = room_;
  const Room now = room_for(*free_bytes);
  if (now == before) return;
  room_ = now;
  switch (now) {
    case Room::kForAll:
      spdlog::info("the journal's disk has room again: all commands are taken free_bytes={}",
                   *free_bytes);
      return;
    case Room::kForCancels:
      spdlog::error(
          "the journal's disk is nearly full: the engine is read-only, and only cancels are taken "
          "until there is room free_bytes={} reserve_bytes={}",
          *free_bytes, reserve_bytes_);
      return;
    case Room::kNone:
      spdlog::critical(
          "the journal's disk is full: cancels are refused as well free_bytes={} reserve_bytes={}",
          *free_bytes, reserve_bytes_);
      return;
  }
}

DiskReserve::Room DiskReserve::room_for(std::uint64_t free_bytes) const {
  const std::uint64_t fourth = reserve_bytes_ / 4;
  const Room before = room_;
  const std::uint64_t for_all = reserve_bytes_ + (before == Room::kForAll ? 0 : fourth);
  const std::uint64_t for_cancels = fourth + (before == Room::kNone ? fourth : 0);
  if (free_bytes >= for_all) return Room::kForAll;
  return free_bytes >= for_cancels ? Room::kForCancels : Room::kNone;
}

}  // namespace openvenue::runtime

#include "rpc/stream_admission.h"

#include <limits>

namespace openvenue::rpc {

std::optional<StreamAdmission::Slot> StreamAdmission::admit_session() {
  return admit(sessions_, std::numeric_limits<std::uint32_t>::max());
}

std::optional<StreamAdmission::Slot> StreamAdmission::admit_subscriber() {
  return admit(subscribers_, subscribers_max_);
}

std::optional<StreamAdmission::Slot> StreamAdmission::admit(std::atomic<std::uint32_t>& count,
                                                            std::uint32_t count_max) {
  const std::lock_guard lock(mutex_);
  if (count >= count_max || sessions_ + subscribers_ >= streams_max_) return std::nullopt;
  ++count;
  return Slot(count);
}

}  // namespace openvenue::rpc

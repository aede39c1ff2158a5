// The bound on the server's threads, which can change while it serves.
#pragma once

#include <grpcpp/resource_quota.h>

#include <atomic>
#include <cstdint>

#include "rpc/stream_admission.h"

namespace openvenue::rpc {

class ServerThreads {
 public:
  static constexpr std::uint32_t kMin = 16;  // a share for each kind of stream
  static constexpr std::uint32_t kMax = 4096;

  // Precondition: kMin <= threads_max <= kMax. Both references must outlive this.
  ServerThreads(grpc::ResourceQuota& quota, StreamAdmission& admission, std::uint32_t threads_max);

  // False, with nothing changed, outside kMin..kMax. Running calls continue; new ones beyond the
  // bound are refused with RESOURCE_EXHAUSTED.
  [[nodiscard]] bool set_max(std::uint32_t threads_max);
  [[nodiscard]] std::uint32_t max() const { return max_; }

 private:
  grpc::ResourceQuota& quota_;
  StreamAdmission& admission_;
  std::atomic<std::uint32_t> max_;
};

}  // namespace openvenue::rpc

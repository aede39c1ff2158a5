#include "rpc/server_threads.h"

namespace openvenue::rpc {

ServerThreads::ServerThreads(grpc::ResourceQuota& quota, StreamAdmission& admission,
                             std::uint32_t threads_max)
    : quota_(quota), admission_(admission), max_(threads_max) {
  quota_.SetMaxThreads(static_cast<int>(threads_max));
}

bool ServerThreads::set_max(std::uint32_t threads_max) {
  if (threads_max < kMin || threads_max > kMax) return false;
  quota_.SetMaxThreads(static_cast<int>(threads_max));
  admission_.set_threads_max(threads_max);
  max_ = threads_max;
  return true;
}

}  // namespace openvenue::rpc

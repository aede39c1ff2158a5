// Generated order flow of one session for load measurements: two accounts that quote around a mid
// price, cancel most of their quotes and sometimes cross the spread. The same seed gives the same
// flow, except for which acknowledged orders it cancels.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "openvenue/engine/v1/engine.pb.h"

namespace openvenue::tools {

class OrderFlow {
 public:
  static constexpr std::uint32_t kInstrumentId = 1;

  // Accounts 2 x session + 1 and 2 x session + 2. `run` keeps client order ids of runs apart.
  OrderFlow(std::uint32_t session, const std::string& run);

  [[nodiscard]] std::uint32_t first_account() const { return first_account_; }

  // Writes the next request without its request_id. One thread.
  void next(::openvenue::engine::v1::Request& request);

  // An order came to rest and may be cancelled from now on. Any thread.
  void rests(std::uint32_t account_id, std::uint64_t order_id);

 private:
  struct Resting {
    std::uint32_t account_id;
    std::uint64_t order_id;
  };
  [[nodiscard]] bool cancel_one(::openvenue::engine::v1::Request& request);
  void quote(::openvenue::engine::v1::NewOrder& order);
  void cross(::openvenue::engine::v1::NewOrder& order);
  void begin(::openvenue::engine::v1::NewOrder& order, bool buy);

  const std::uint32_t first_account_;
  const std::string id_prefix_;
  std::mt19937_64 random_;
  std::uint64_t orders_ = 0;
  std::mutex mutex_;
  std::vector<Resting> resting_;
};

}  // namespace openvenue::tools

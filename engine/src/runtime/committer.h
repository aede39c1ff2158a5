// The journal thread: group commit. It writes every frame that queued during the last sync, syncs
// once, and only then passes their replies to the publisher. When it is idle it marks its last
// frames as synced, so that damage to them is distinguished from a torn write.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/durable_watermark.h"
#include "runtime/flight.h"
#include "runtime/frame_sink.h"
#include "runtime/metrics.h"

namespace openvenue::runtime {

class Committer {
 public:
  // Called once, from the journal thread, when a write or sync failed. Nothing that is not durable
  // by then is ever answered. The process should end: the kernel may have dropped the pages, so a
  // failed sync cannot be retried.
  using OnFailure = std::function<void(const std::string& what)>;
  using OnDurable = std::function<void(core::Sequence)>;

  Committer(std::unique_ptr<FrameSink> sink, FlightQueue& handed_over, FlightQueue& durable,
            FlightQueue& free_flights, DurableWatermark& watermark, OnDurable on_durable,
            OnFailure on_failure, Metrics& metrics);

  // Runs until `handed_over` is closed and empty; then marks the journal's end and closes
  // `durable`.
  void run();

  // Duration of the sync that runs now; 0: none runs. For any thread.
  [[nodiscard]] std::chrono::steady_clock::duration sync_under_way() const;

 private:
  void sync();

  void commit(const std::vector<Flight*>& flights);
  // Waits for flights and takes them, as Handover::pop_all does; marks the journal's end meanwhile.
  [[nodiscard]] bool next(std::vector<Flight*>& flights);
  void mark_end();
  void fail(const std::string& what);
  void discard(const std::vector<Flight*>& flights);

  std::unique_ptr<FrameSink> sink_;
  FlightQueue& handed_over_;
  FlightQueue& durable_;
  FlightQueue& free_flights_;
  DurableWatermark& watermark_;
  const OnDurable on_durable_;
  const OnFailure on_failure_;
  Metrics& metrics_;
  bool failed_ = false;
  std::atomic<std::chrono::steady_clock::rep> sync_began_ = 0;  // 0: none runs
};

}  // namespace openvenue::runtime

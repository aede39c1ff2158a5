// Writes snapshots beside the running engine: every so many sequence numbers, and when asked to.
//
// The state comes from a replay of the journal, so matching never waits for it, and every snapshot
// checks that replay recomputes what was recorded.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <vector>

#include "core/types.h"
#include "runtime/durable_watermark.h"
#include "runtime/metrics.h"

namespace openvenue::runtime {

class Snapshotter {
 public:
  // Writes a snapshot of the state at `up_to` and returns its sequence; throws JournalError.
  using Write = std::function<core::Sequence(core::Sequence up_to)>;

  // `interval` sequence numbers between snapshots; 0: only when asked to. `newest` is the snapshot
  // that is there already (0: none).
  Snapshotter(Write write, core::Sequence interval, core::Sequence newest,
              const DurableWatermark& watermark, Metrics& metrics);

  // The thread's work: runs until stop().
  void run();
  void stop();

  // Something became durable. Cheap unless a snapshot is due.
  void on_durable(core::Sequence sequence);

  // Resolves to the sequence of a snapshot at or after what is durable now, or to a JournalError.
  [[nodiscard]] std::future<core::Sequence> request();

  [[nodiscard]] core::Sequence newest() const { return newest_; }

 private:
  using Requests = std::vector<std::promise<core::Sequence>>;
  [[nodiscard]] bool due() const;
  void take(Requests requests);

  const Write write_;
  const core::Sequence interval_;
  const DurableWatermark& watermark_;
  Metrics& metrics_;
  std::atomic<core::Sequence> newest_;
  std::atomic<core::Sequence> next_due_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Requests requests_;
  bool stopped_ = false;
};

}  // namespace openvenue::runtime

// Writes snapshots beside the running engine, at intervals of sequence numbers and on request.
// After one that nobody requested it pauses for twenty times its duration, so that snapshots cost
// order flow a bounded share of the machine, however fast the journal grows.
//
// The state comes from a replay of the journal, so matching never waits for it, and every snapshot
// checks that replay gives the recorded events.
#pragma once

#include <semaphore.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "core/base/types.h"
#include "runtime/durable_watermark.h"
#include "runtime/metrics.h"

namespace openvenue::runtime {

class Snapshotter {
 public:
  // Writes a snapshot of the state at `up_to` and returns its sequence. Throws its errors, which
  // harm nothing else. Throws journal::Stopped soon after `stop` is requested.
  using Write = std::function<core::Sequence(core::Sequence up_to, const std::stop_token& stop)>;
  // Called once, from the snapshot thread, when replay differs from the recorded events twice in a
  // row, the second time from the newest snapshot on.
  using OnDivergence = std::function<void(const std::string& what)>;

  static constexpr int kRestFactor = 20;
  // Bounds what a restart must replay, however slow the machine.
  static constexpr std::chrono::minutes kRestMax{10};

  // `interval` sequence numbers from the end of one snapshot to the next; 0: only on request.
  // `newest` is the existing snapshot (0: none).
  Snapshotter(Write write, core::Sequence interval, core::Sequence newest,
              const DurableWatermark& watermark, Metrics& metrics, OnDivergence on_divergence = {});
  ~Snapshotter();
  Snapshotter(const Snapshotter&) = delete;
  Snapshotter& operator=(const Snapshotter&) = delete;

  // The thread's work: runs until stop().
  void run();
  // Abandons the snapshot that is being written.
  void stop();

  // Something became durable. Never waits for the snapshot thread, which may be preempted for long.
  void on_durable(core::Sequence sequence);

  // Resolves to the sequence of a snapshot at or after the present durable sequence, or to an
  // error. Returns nothing while another request is unanswered.
  [[nodiscard]] std::optional<std::future<core::Sequence>> request();

  [[nodiscard]] core::Sequence newest() const { return newest_; }

 private:
  using SteadyClock = std::chrono::steady_clock;
  [[nodiscard]] bool due() const { return watermark_.get() >= next_due_; }
  void wait_until_wanted();
  [[nodiscard]] bool asked();
  [[nodiscard]] bool stopped();
  void wake();
  // False at `until`.
  bool sleep(std::optional<SteadyClock::time_point> until);
  [[nodiscard]] core::Sequence write_checked();
  void take(bool requested);
  void answer(bool requested, core::Sequence sequence);
  void refuse(bool requested, const std::exception_ptr& why);
  void write(bool requested);
  [[nodiscard]] core::Sequence due_after(core::Sequence sequence) const;

  const Write write_;
  const core::Sequence interval_;
  const DurableWatermark& watermark_;
  Metrics& metrics_;
  const OnDivergence on_divergence_;
  sem_t wake_{};  // posted without a lock
  std::atomic<bool> woken_ = false;
  std::atomic<core::Sequence> newest_;
  std::atomic<core::Sequence> next_due_;  // the largest number during a pause
  core::Sequence due_after_rest_;
  SteadyClock::time_point rest_until_;
  std::stop_source stop_source_;
  std::mutex mutex_;
  std::optional<std::promise<core::Sequence>> request_;
  bool stopped_ = false;
};

}  // namespace openvenue::runtime

#include "runtime/frame_sink.h"

#include <spdlog/spdlog.h>

namespace openvenue::runtime {

void JournalSink::write(journal::Frame& frame) {
  const std::uint64_t before = writer_.bytes_written();
  writer_.write(frame);
  metrics_.journal_written_bytes.Increment(static_cast<double>(writer_.bytes_written() - before));
  report_preparation();
}

void JournalSink::sync() {
  writer_.sync();
  report_preparation();
}

void JournalSink::report_preparation() {
  const journal::SegmentPipeline::Statistics& now = writer_.preparation();
  if (now.waited != reported_.waited) {
    metrics_.segment_wait_seconds.Increment(
        std::chrono::duration<double>(now.waited - reported_.waited).count());
    reported_.waited = now.waited;
  }
  if (now.failures != reported_.failures) {
    metrics_.segment_failures.Increment(static_cast<double>(now.failures - reported_.failures));
    reported_.failures = now.failures;
    spdlog::warn("the journal's next segment cannot be prepared; it is tried again: {}",
                 now.last_error);
  }
}

}  // namespace openvenue::runtime

// Prepares the next segment's file, full of zeros, in a thread of its own before the writer needs
// it.
//
// One file at a time is in preparation, under the name next-segment.tmp.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <string>

#include "journal/file.h"

namespace openvenue::journal {

class SegmentPipeline {
 public:
  struct Statistics {
    std::uint64_t failures = 0;  // each is retried, at the latest by take()
    std::string last_error;
    std::chrono::nanoseconds waited{0};  // in take(), for files that were not ready
  };

  // `bytes`: of the files that it prepares. Begins with the first.
  SegmentPipeline(const std::filesystem::path& directory, std::uint64_t bytes);
  // Removes what was prepared.
  ~SegmentPipeline();
  SegmentPipeline(const SegmentPipeline&) = delete;
  SegmentPipeline& operator=(const SegmentPipeline&) = delete;

  // The prepared file, lengthened to `bytes` if that is more. Waits for it, or makes it now if its
  // preparation failed. Throws JournalError.
  [[nodiscard]] File take(std::uint64_t bytes);
  // Begins with the next file. Precondition: the one that was taken has another name.
  void prepare();
  // Retries a failed preparation after each sixteenth of the segment in use: `offset` is the end of
  // what is written there. By the bytes written and not by the clock, so that a full disk is not
  // asked all the time, but is asked before the file is needed.
  void retry_if_failed(std::uint64_t offset, std::uint64_t segment_bytes);

  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  void collect();

  const std::filesystem::path path_;
  const std::uint64_t bytes_;
  Statistics statistics_;
  std::future<File> preparing_;
  File prepared_;
  std::uint64_t retry_at_ = 0;  // after a failure: offset in the segment in use
};

}  // namespace openvenue::journal

#include "journal/segment_pipeline.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "journal/error.h"

namespace openvenue::journal {
namespace {

constexpr std::uint64_t kRetriesPerSegment = 16;

// Writes real zeros, not a hole: a later write into the file then changes no metadata, and its
// fdatasync is one disk write and never a file system commit.
File create_zeroed(const std::filesystem::path& path, std::uint64_t bytes) {
  File file = File::create(path);
  try {
    file.write_zeros(0, bytes);
  } catch (const DiskError&) {
    // On a disk that is full now, the part that was written would be missing to everything else.
    std::error_code ignored;  // what went wrong before is what matters
    std::filesystem::remove(path, ignored);
    throw;
  }
  return file;
}

}  // namespace

SegmentPipeline::SegmentPipeline(const std::filesystem::path& directory, std::uint64_t bytes)
    : path_(directory / "next-segment.tmp"), bytes_(bytes) {
  prepare();
}

SegmentPipeline::~SegmentPipeline() {
  if (preparing_.valid()) preparing_.wait();
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

void SegmentPipeline::prepare() {
  preparing_ = std::async(std::launch::async, create_zeroed, path_, bytes_);
}

File SegmentPipeline::take(std::uint64_t bytes) {
  const auto begin = std::chrono::steady_clock::now();
  if (preparing_.valid()) collect();
  // It failed while nothing depended on it; the obstacle may be gone by now.
  if (!prepared_.is_open()) prepared_ = create_zeroed(path_, bytes);
  File file = std::exchange(prepared_, File());
  file.write_zeros(std::min(file.size(), bytes), bytes);
  statistics_.waited += std::chrono::steady_clock::now() - begin;
  return file;
}

void SegmentPipeline::retry_if_failed(std::uint64_t offset, std::uint64_t segment_bytes) {
  if (preparing_.valid()) {
    if (preparing_.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
    collect();
    retry_at_ = offset + segment_bytes / kRetriesPerSegment;
  } else if (!prepared_.is_open() && offset >= retry_at_) {
    prepare();
  }
}

// Waits for a preparation under way.
void SegmentPipeline::collect() {
  try {
    prepared_ = preparing_.get();
  } catch (const JournalError& error) {
    ++statistics_.failures;
    statistics_.last_error = error.what();
  }
}

}  // namespace openvenue::journal

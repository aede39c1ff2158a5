#include "runtime/disk_usage.h"

#include <filesystem>
#include <limits>
#include <system_error>

#include "journal/file.h"
#include "journal/segment.h"

namespace openvenue::runtime {
namespace {

constexpr std::chrono::seconds kFreshFor{1};
constexpr std::chrono::minutes kRateOver{5};
constexpr double kNever = std::numeric_limits<double>::infinity();

std::uint64_t size_of(const std::filesystem::path& path) {
  std::error_code gone;  // removed since it was listed
  const std::uintmax_t size = std::filesystem::file_size(path, gone);
  return gone ? 0 : size;
}

double age_s(const std::filesystem::path& path) {
  std::error_code gone;
  const auto written_at = std::filesystem::last_write_time(path, gone);
  if (gone) return 0;
  return std::chrono::duration<double>(std::filesystem::file_time_type::clock::now() - written_at)
      .count();
}

}  // namespace

DiskUsage::Usage DiskUsage::at(SteadyClock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (!written_.empty() && now < measured_at_ + kFreshFor) return usage_;
  const double rate = rate_per_s(now);
  usage_ = measure();
  usage_.seconds_until_full = rate > 0 ? static_cast<double>(usage_.free_bytes) / rate : kNever;
  measured_at_ = now;
  return usage_;
}

double DiskUsage::rate_per_s(SteadyClock::time_point now) {
  written_.push_back({now, written_bytes_()});
  while (written_.size() > 2 && written_[1].at <= now - kRateOver) written_.pop_front();
  const double seconds = std::chrono::duration<double>(now - written_.front().at).count();
  return seconds > 0 ? (written_.back().bytes - written_.front().bytes) / seconds : 0;
}

DiskUsage::Usage DiskUsage::measure() const {
  Usage usage;
  try {
    const auto segments = journal::list_segments(settings_.directory, settings_.shard_id);
    const auto snapshots = journal::list_snapshots(settings_.directory, settings_.shard_id);
    for (const auto& segment : segments) usage.journal_bytes += size_of(segment.path);
    for (const auto& snapshot : snapshots) usage.journal_bytes += size_of(snapshot.path);
    usage.oldest_sequence = segments.empty() ? 0 : segments.front().sequence;
    usage.snapshot_age_s = snapshots.empty() ? kNever : age_s(snapshots.back().path);
  } catch (const std::exception&) {
    // The directory cannot be read now; the journal reports that.
  }
  usage.free_bytes = journal::free_bytes(settings_.directory).value_or(0);
  return usage;
}

}  // namespace openvenue::runtime

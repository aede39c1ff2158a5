#include "runtime/retention.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "journal/error.h"
#include "runtime/out_of_memory.h"
#include "runtime/wait.h"

namespace openvenue::runtime {
namespace {

constexpr std::chrono::seconds kPeriod{1};
// Pause after a failure, because another try most likely fails until a person has looked.
constexpr std::chrono::seconds kRestAfterFailure{30};

}  // namespace

Retention::Retention(const journal::Settings& journal, const journal::Retention& policy,
                     Clock clock, Metrics& metrics)
    : journal_(journal), policy_(policy), clock_(std::move(clock)), metrics_(metrics) {
  CHECK(policy.keeps_all() || !journal.archive.empty(), "segments are to go, and have no archive");
}

void Retention::run(const std::stop_token& stop) {
  const MemoryMayRunOut retention_can_fail;
  if (policy_.keeps_all()) return;
  for (std::chrono::seconds rest = kPeriod; !wait_for(stop, rest);) {
    try {
      retire(stop);
      rest = kPeriod;
    } catch (const journal::Stopped&) {
      return;
    } catch (const std::exception& error) {
      metrics_.archive_failures.Increment();
      spdlog::error("the journal's segments stay where they are: {}", error.what());
      rest = kRestAfterFailure;
    }
  }
}

void Retention::retire(const std::stop_token& stop) {
  for (const auto& segment : journal::retire_segments(journal_, policy_, clock_(), stop)) {
    metrics_.segments_archived.Increment();
    spdlog::info("segment archived and removed path={}", segment.path.string());
  }
}

Retention::Acknowledged Retention::acknowledge(const std::string& name, core::Sequence sequence) {
  const std::lock_guard lock(mutex_);
  const auto readers = journal::list_reader_offsets(journal_.directory);
  const bool known = std::any_of(readers.begin(), readers.end(),
                                 [&](const auto& reader) { return reader.name == name; });
  if (!known && readers.size() >= journal::kReadersMax) return Acknowledged::kTooManyReaders;
  if (!known) spdlog::info("journal reader registered name={} sequence={}", name, sequence);
  journal::store_reader_offset(journal_.directory, {name, sequence});
  return Acknowledged::kStored;
}

double Retention::lowest_offset() const {
  double lowest = std::numeric_limits<double>::infinity();
  try {
    for (const auto& reader : journal::list_reader_offsets(journal_.directory)) {
      lowest = std::min(lowest, static_cast<double>(reader.sequence));
    }
  } catch (const journal::JournalError&) {
    // The directory cannot be read now; the journal itself says so louder.
  }
  return lowest;
}

}  // namespace openvenue::runtime

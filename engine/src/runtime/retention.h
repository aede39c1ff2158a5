// Archives and removes segments that nobody needs any more, beside the running engine, and keeps
// the offsets of readers. The thread asks the disk once a second and writes only where there is
// work.
#pragma once

#include <functional>
#include <limits>
#include <mutex>
#include <stop_token>
#include <string>

#include "core/base/types.h"
#include "journal/archive.h"
#include "journal/reader_offset.h"
#include "runtime/metrics.h"
#include "runtime/venue_clock.h"

namespace openvenue::runtime {

class Retention {
 public:
  // Precondition: the journal has an archive, or `policy` keeps all. `metrics` must outlive it.
  Retention(const journal::Settings& journal, const journal::Retention& policy, Clock clock,
            Metrics& metrics);

  // The thread's work: runs until `stop` is requested.
  void run(const std::stop_token& stop);

  enum class Acknowledged { kStored, kTooManyReaders };
  // From now on nothing behind `sequence` is kept for this reader. Throws JournalError.
  // Precondition: is_reader_name(name). For any thread.
  [[nodiscard]] Acknowledged acknowledge(const std::string& name, core::Sequence sequence);

  // The lowest offset of all readers, in a moment before; infinite: there is none.
  [[nodiscard]] double lowest_offset() const;

 private:
  void retire(const std::stop_token& stop);

  const journal::Settings journal_;
  const journal::Retention policy_;
  const Clock clock_;
  Metrics& metrics_;
  mutable std::mutex mutex_;  // over the readers' files
};

}  // namespace openvenue::runtime

// Segments that a start does not need any more, in a directory of their own: the whole history is
// the archive, and behind it the journal.
//
// A segment has its name in the archive only once it is there whole, checked and durable, and is
// removed from the journal only after that. So every segment is always in one of the two.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <vector>

#include "core/base/types.h"
#include "journal/segment.h"
#include "journal/writer.h"

namespace openvenue::journal {

// Segments that the journal's directory keeps although they could be archived. 0: no bound of that
// kind; with neither, everything stays.
struct Retention {
  std::uint64_t bytes = 0;      // of all segments together
  std::chrono::seconds age{0};  // of a segment's last entry

  [[nodiscard]] bool keeps_all() const { return bytes == 0 && age.count() == 0; }
};

// Puts a segment into settings.archive: a hard link where both are of one file system, else a copy.
// Does nothing where it is there already. Precondition: another segment follows it. Throws
// JournalError where the segment is damaged, the archive holds another one of its name, or either
// disk fails; Stopped where `stop` was requested.
void archive_segment(const Settings& settings, const NamedFile& segment,
                     const std::stop_token& stop = {});

// Archives every segment but the last two, whose ends a start may write again. Returns how many
// were not in the archive before. `on_segment` is told each.
std::uint64_t archive_closed_segments(const Settings& settings,
                                      const std::function<void(const NamedFile&)>& on_segment);

// Archives and removes the oldest segments that `retention` does not keep and nobody needs. Needed
// are: the last two segments; what lies behind the older of two snapshots, which are checked; and
// what lies behind the offset of any registered reader (reader_offset.h). `now_ns` is the time that
// ages count from. Returns the segments that it removed. Throws JournalError,
// and Stopped where `stop` was requested.
std::vector<NamedFile> retire_segments(const Settings& settings, const Retention& retention,
                                       core::TimestampNs now_ns, const std::stop_token& stop = {});

}  // namespace openvenue::journal

// The end of a journal, which recovery finds and from which a Writer continues.
#pragma once

#include <cstdint>

#include "core/base/types.h"
#include "journal/file.h"
#include "journal/format.h"
#include "journal/writer.h"

namespace openvenue::journal {

struct Tail {
  Settings settings;
  DirectoryLock lock;
  File file;  // the last segment, open for writing; not open in a journal without segments
  SegmentHeader segment;
  std::uint64_t offset = 0;  // of the next frame in it; durable up to here, and only zeros behind
  std::uint64_t chain = 0;   // checksum of the last frame
  core::Sequence next_sequence = 1;
  bool ends_with_entries = false;  // the segment's last frame is not a mark
  Epoch epoch = 1;                 // of the writer that continues here
};

}  // namespace openvenue::journal

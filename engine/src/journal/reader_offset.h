// Readers of the journal that say how far they are: what lies behind the offset of any of them
// stays.
//
//   reader-NAME.offset     the last entry that the reader NAME will not ask for again, in decimal
//
// A reader that is gone for good keeps the journal from being archived until its file is removed,
// which may be done at any time.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/types.h"

namespace openvenue::journal {

constexpr std::size_t kReadersMax = 16;

struct ReaderOffset {
  std::string name;
  core::Sequence sequence = 0;  // durable with the reader; 0 where its file cannot be understood
};

// 1 to 63 lower-case letters, digits and hyphens; the first is no hyphen.
[[nodiscard]] bool is_reader_name(std::string_view name);

// Throws JournalError where the directory cannot be read.
[[nodiscard]] std::vector<ReaderOffset> list_reader_offsets(const std::filesystem::path& directory);

// Replaces the reader's offset. One caller at a time. Not synced: what a crash takes away only
// keeps more. Throws DiskError. Precondition: is_reader_name(reader.name).
void store_reader_offset(const std::filesystem::path& directory, const ReaderOffset& reader);

}  // namespace openvenue::journal

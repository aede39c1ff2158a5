// `openvenue-engine journal restore`: makes a whole journal, up to a moment of the past, from what
// an archive and a journal's directory hold together.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "core/base/types.h"
#include "journal/writer.h"

namespace openvenue::tools {

struct RestoreTime {
  core::TimestampNs ns = 0;
};
// The last entry of the restored journal, or the last moment that it holds; nothing: the end.
using RestoreUntil = std::variant<std::monostate, core::Sequence, RestoreTime>;

// A sequence number, or a time as RFC 3339 gives it in UTC: 2026-12-01T16:30:00Z, with or without a
// fraction of the second. Nothing for anything else.
[[nodiscard]] std::optional<RestoreUntil> parse_until(const std::string& text);

// Writes segments, the last one cut behind the entry that `until` means, and the snapshots up to
// there into `to`, which is made, or is empty. `from` names the directory, which may hold nothing
// any more, and the archive. The directory's engine may run. `on_segment` is told each file before
// it is copied. Returns the last entry. Throws journal::JournalError; what was written by then lies
// in `to`.
core::Sequence restore_journal(const journal::Settings& from, const std::filesystem::path& to,
                               const RestoreUntil& until,
                               const std::function<void(const std::filesystem::path&)>& on_file);

}  // namespace openvenue::tools

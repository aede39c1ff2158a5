#include "tools/journal_tool.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include "core/schema/names.h"
#include "journal/archive.h"
#include "journal/error.h"
#include "journal/file.h"
#include "journal/reader.h"
#include "journal/segment.h"
#include "tools/entry_json.h"
#include "tools/journal_audit.h"
#include "tools/journal_restore.h"

namespace openvenue::tools {
namespace {

struct Options {
  journal::Settings journal;
  bool json = false;
  std::string to;
  std::string until;
  core::Sequence from = 0;
  std::uint64_t limit = ~std::uint64_t{0};
};

// Shows the progress of a long reading, on a terminal.
class Progress {
 public:
  ~Progress() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }
  void operator()(std::uint64_t entries) { show(fmt::format("{} entries", entries)); }
  void operator()(const std::filesystem::path& file) { show(file.filename().string()); }

 private:
  void show(const std::string& what) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || now < next_) return;
    next_ = now + std::chrono::milliseconds(250);
    shown_ = true;
    fmt::print(stderr, "\r\x1b[K{}", what);
    std::fflush(stderr);
  }

  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::chrono::steady_clock::time_point next_ =
      std::chrono::steady_clock::now() + std::chrono::seconds(2);
  bool shown_ = false;
};

std::string_view name_of(Ending ending) {
  switch (ending) {
    case Ending::kClean:
      return "clean";
    case Ending::kOpen:
      return "open";
    case Ending::kTorn:
      return "torn";
  }
  return {};
}

std::string describe(const JournalStats& stats) {
  switch (stats.ending) {
    case Ending::kClean:
      return "clean: all of it was synced, and the engine was stopped or has nothing to do";
    case Ending::kOpen:
      return "open: the engine is writing, or was killed while it wrote";
    case Ending::kTorn:
      return fmt::format(
          "torn: {} bytes of an unfinished write, never acknowledged; the next start cuts them off",
          stats.torn_bytes);
  }
  return {};
}

double seconds_spanned(const JournalStats& stats) {
  return static_cast<double>(stats.last_ns - stats.first_ns) / 1e9;
}

double per_frame(const JournalStats& stats, std::uint64_t amount) {
  return stats.frames == 0 ? 0 : static_cast<double>(amount) / static_cast<double>(stats.frames);
}

template <class Names, class Counts>
std::string counts_json(const Names& names, const Counts& counts) {
  std::string out = "{";
  for (std::size_t kind = 0; kind < names.size(); ++kind) {
    fmt::format_to(std::back_inserter(out), "{}\"{}\":{}", kind == 0 ? "" : ",", names[kind],
                   counts[kind]);
  }
  return out + "}";
}

template <class Names, class Counts>
void print_counts(std::string_view title, const Names& names, const Counts& counts) {
  fmt::print("{}\n", title);
  for (std::size_t kind = 0; kind < names.size(); ++kind) {
    if (counts[kind] != 0) fmt::print("  {:<20}{:>14}\n", names[kind], counts[kind]);
  }
}

void print_stats_json(const JournalStats& stats) {
  fmt::print(
      R"({{"segments":{},"frames":{},"frame_bytes":{},"entries":{},"first_sequence":{},)"
      R"("last_sequence":{},)"
      R"("entries_per_frame":{:.2f},"entries_per_frame_max":{},"bytes_per_entry":{:.1f},)"
      R"("first_ns":{},"last_ns":{},"ending":"{}","torn_bytes":{},"commands":{},"events":{}}})"
      "\n",
      stats.segments, stats.frames, stats.frame_bytes, stats.entries, stats.first_sequence,
      stats.last_sequence, per_frame(stats, stats.entries), stats.frame_entries_max,
      stats.entries == 0
          ? 0.0
          : static_cast<double>(stats.frame_bytes) / static_cast<double>(stats.entries),
      stats.first_ns, stats.last_ns, name_of(stats.ending), stats.torn_bytes,
      counts_json(core::kCommandNames, stats.commands),
      counts_json(core::kEventNames, stats.events));
}

void print_stats(const JournalStats& stats) {
  fmt::print("segments              {:>14}\n", stats.segments);
  fmt::print("frames                {:>14}\n", stats.frames);
  fmt::print("bytes in frames       {:>14}\n", stats.frame_bytes);
  fmt::print("entries               {:>14}\n", stats.entries);
  fmt::print("entries in a frame    {:>14.2f} (at most {})\n", per_frame(stats, stats.entries),
             stats.frame_entries_max);
  fmt::print("bytes in a frame      {:>14.0f}\n", per_frame(stats, stats.frame_bytes));
  fmt::print("time span             {:>14.3f} s\n", seconds_spanned(stats));
  fmt::print("ending                {}\n", describe(stats));
  print_counts("commands", core::kCommandNames, stats.commands);
  print_counts("events", core::kEventNames, stats.events);
}

void print_verdict_json(const Verdict& verdict) {
  std::string faults;
  for (const std::string& fault : verdict.snapshot_faults) {
    if (!faults.empty()) faults += ',';
    append_json_string(fault, faults);
  }
  fmt::print(R"({{"ok":{},"entries":{},"first_sequence":{},"replayed_from":{},)"
             R"("last_sequence":{},"segments":{},"frames":{},"ending":"{}",)"
             R"("torn_bytes":{},"state_hash":"{:016x}","snapshots":[{}],"snapshot_faults":[{}]}})"
             "\n",
             verdict.snapshot_faults.empty(), verdict.stats.entries, verdict.stats.first_sequence,
             verdict.replayed_from, verdict.stats.last_sequence, verdict.stats.segments,
             verdict.stats.frames, name_of(verdict.stats.ending), verdict.stats.torn_bytes,
             verdict.state_hash, fmt::join(verdict.snapshots, ","), faults);
}

void print_verdict(const Verdict& verdict) {
  fmt::print("entries     {} in {} frames in {} segments\n", verdict.stats.entries,
             verdict.stats.frames, verdict.stats.segments);
  if (verdict.replayed_from != 0) {
    fmt::print("replayed    from the snapshot of entry {}: the journal here begins with entry {}\n",
               verdict.replayed_from, verdict.stats.first_sequence);
  }
  fmt::print("ending      {}\n", describe(verdict.stats));
  fmt::print("state hash  {:016x}\n", verdict.state_hash);
  fmt::print("snapshots   {} checked\n", verdict.snapshots.size());
  for (const std::string& fault : verdict.snapshot_faults) fmt::print(stderr, "{}\n", fault);
  fmt::print("{}\n", verdict.snapshot_faults.empty()
                         ? "ok          every entry was read, replayed and found as recorded"
                         : "not ok      the journal is whole, but a snapshot is not: remove it");
}

int run_verify(const Options& options) {
  Progress progress;
  const Verdict verdict = verify(options.journal, std::ref(progress));
  options.json ? print_verdict_json(verdict) : print_verdict(verdict);
  return verdict.snapshot_faults.empty() ? 0 : 1;
}

int run_stats(const Options& options) {
  Progress progress;
  const JournalStats stats = read_stats(options.journal, std::ref(progress));
  options.json ? print_stats_json(stats) : print_stats(stats);
  return 0;
}

int run_dump(const Options& options) {
  core::Sequence from = options.from;
  if (from == 0) {
    const auto segments = journal::list_segments(options.journal.directory, options.journal.archive,
                                                 options.journal.shard_id);
    if (!segments.empty()) from = segments.front().sequence;
  }
  journal::Reader reader(options.journal.directory, options.journal.shard_id, from,
                         options.journal.archive);
  core::Command command;
  core::EventBuffer events;
  std::string line;
  for (std::uint64_t entry = 0; entry < options.limit; ++entry) {
    const journal::Reader::Result result = reader.next(command, events);
    if (result == journal::Reader::Result::kDamaged) throw journal::JournalError(reader.error());
    if (result == journal::Reader::Result::kTorn) fmt::print(stderr, "{}\n", reader.error());
    if (result != journal::Reader::Result::kEntry) break;
    line.clear();
    append_entry_json(command, events, line);
    line += '\n';
    if (std::fwrite(line.data(), 1, line.size(), stdout) != line.size()) {
      throw journal::JournalError("Writing to standard output failed.");
    }
  }
  return 0;
}

int run_archive(const Options& options) {
  std::uint64_t archived = 0;
  {
    Progress progress;
    journal::make_directories(options.journal.archive);
    archived = journal::archive_closed_segments(
        options.journal, [&](const journal::NamedFile& segment) { progress(segment.path); });
  }
  if (options.json) {
    fmt::print(R"({{"ok":true,"archived":{}}})"
               "\n",
               archived);
  } else {
    fmt::print("{} segments archived in {}\n", archived, options.journal.archive.string());
  }
  return 0;
}

int run_restore(const Options& options) {
  RestoreUntil until;
  if (!options.until.empty()) {
    const auto parsed = parse_until(options.until);
    if (!parsed) {
      throw journal::JournalError(
          "--until is the sequence number of an entry, or a time in UTC such as "
          "2026-12-01T16:30:00Z.");
    }
    until = *parsed;
  }
  Options restored = options;
  restored.journal.directory = options.to;
  restored.journal.archive.clear();
  {
    Progress progress;
    static_cast<void>(restore_journal(options.journal, options.to, until,
                                      [&](const std::filesystem::path& file) { progress(file); }));
  }
  return run_verify(restored);
}

int report(const Options& options, const std::exception& error) {
  if (options.json) {
    std::string text;
    append_json_string(error.what(), text);
    fmt::print(R"({{"ok":false,"error":{}}})"
               "\n",
               text);
  }
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}

template <class Run>
CLI::App* add_command(CLI::App& journal, const char* name, const char* help,
                      const std::shared_ptr<Options>& options, int& exit_code, Run run) {
  CLI::App* command = journal.add_subcommand(name, help);
  command->add_option("directory", options->journal.directory, "The engine's data directory")
      ->required();
  command->add_option("--shard", options->journal.shard_id, "Shard whose journal it is")
      ->capture_default_str();
  command->add_option("--archive-dir", options->journal.archive,
                      "Where the segments are that were archived");
  command->add_flag("--json", options->json, "Print JSON (dump always does)");
  command->callback([options, &exit_code, run] {
    try {
      exit_code = run(*options);
    } catch (const std::exception& error) {
      exit_code = report(*options, error);
    }
  });
  return command;
}

}  // namespace

void add_journal_command(CLI::App& app, int& exit_code) {
  CLI::App* journal = app.add_subcommand("journal", "Read a journal without the engine");
  journal->require_subcommand(1);
  const auto options = std::make_shared<Options>();
  add_command(*journal, "verify", "Check every frame and replay every entry; exit 1 on damage",
              options, exit_code, run_verify);
  add_command(*journal, "stats", "Count commands, events, frames and bytes", options, exit_code,
              run_stats);
  CLI::App* dump = add_command(*journal, "dump", "Print entries, one JSON object a line", options,
                               exit_code, run_dump);
  dump->add_option("--from", options->from,
                   "First entry, by sequence number; not given: the oldest that is there");
  dump->add_option("--limit", options->limit, "At most so many entries");
  CLI::App* archive =
      add_command(*journal, "archive",
                  "Put all segments but the last two into the archive as well; the engine may run",
                  options, exit_code, run_archive);
  archive->get_option("--archive-dir")->required();
  CLI::App* restore = add_command(
      *journal, "restore",
      "Make a journal of all that archive and directory hold, up to a moment, and verify it; the "
      "engine may run",
      options, exit_code, run_restore);
  restore->add_option("--to", options->to, "Directory to make, or an empty one")->required();
  restore->add_option("--until", options->until,
                      "Last entry by sequence number, or a time (2026-12-01T16:30:00Z): all up to "
                      "then; not given: all");
}

}  // namespace openvenue::tools

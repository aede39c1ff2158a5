#include "journal/snapshot.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string_view>
#include <system_error>

#include "core/base/byte_io.h"
#include "journal/error.h"
#include "journal/file.h"
#include "journal/frame_reader.h"
#include "journal/reader.h"

namespace openvenue::journal {
namespace {

// Size of a write and sync, so that the journal's own syncs never wait for all of a snapshot.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

JournalError refuse(const NamedFile& name, std::string_view what) {
  return JournalError(fmt::format("{}: {}", name.path.string(), what));
}

// The new snapshot is whole, even if removing the old ones fails.
std::string remove_old_snapshots(const Settings& settings) {
  try {
    std::vector<NamedFile> snapshots = list_snapshots(settings.directory, settings.shard_id);
    if (snapshots.size() <= kSnapshotsKept) return {};
    snapshots.resize(snapshots.size() - kSnapshotsKept);
    std::string left;
    for (const NamedFile& old : snapshots) {
      std::error_code error;
      std::filesystem::remove(old.path, error);
      if (!error) continue;
      left +=
          fmt::format("{}{} ({})", left.empty() ? "" : ", ", old.path.string(), error.message());
    }
    sync_directory(settings.directory);
    if (left.empty()) return {};
    return fmt::format(
        "snapshots that are not needed any more could not be removed: {}. Remove them "
        "by hand.",
        left);
  } catch (const JournalError& error) {
    return error.what();
  }
}

// The journal must find room for its next segment, whatever else is written.
void leave_reserve(const Settings& settings, std::uint64_t bytes) {
  const auto there = free_bytes(settings.directory);
  const std::uint64_t needed = bytes + settings.disk_reserve_bytes / 2;
  if (!there || *there >= needed) return;
  throw DiskError(fmt::format(
      "A snapshot of {} bytes would leave less than half of the disk's reserve: {} bytes are free "
      "in {}, {} are needed. Free the disk.",
      bytes, *there, settings.directory.string(), needed));
}

// Walks the state twice, for the header and for the bytes: time costs nothing here, and memory for
// all the bytes would.
SnapshotHeader write_state(File& file, const Settings& settings, const core::Exchange& exchange,
                           std::uint64_t frame_checksum, const std::stop_token& stop) {
  const core::Digest digest = exchange.digest();
  SnapshotHeader header;
  header.shard_id = settings.shard_id;
  header.sequence = exchange.last_sequence();
  header.frame_checksum = frame_checksum;
  header.state_hash = digest.value();
  header.payload_bytes = digest.size();
  leave_reserve(settings, sizeof header + header.payload_bytes);
  PiecewiseChecksum checksum(header, header.salt);
  std::uint64_t offset = sizeof header;
  core::PieceWriter out(kPieceBytes, [&](std::span<const std::byte> piece) {
    if (stop.stop_requested()) throw Stopped("the snapshot was abandoned");
    checksum.add(piece);
    file.write_at(offset, piece);
    file.sync();
    offset += piece.size();
  });
  exchange.serialize(out);
  out.finish();
  header.checksum = checksum.value();
  file.write_at(0, std::as_bytes(std::span(&header, 1)));
  file.sync();
  return header;
}

}  // namespace

Snapshot read_snapshot(const NamedFile& name, std::uint32_t shard_id) {
  const File file = File::open(name.path);
  Snapshot snapshot;
  snapshot.bytes.resize(file.size());
  if (file.read_at(0, snapshot.bytes) < sizeof(SnapshotHeader)) {
    throw refuse(name, "shorter than a snapshot's header");
  }
  snapshot.header = load_header<SnapshotHeader>(snapshot.bytes);
  const SnapshotHeader& header = snapshot.header;
  if (header.magic != kSnapshotMagic) throw refuse(name, "not a snapshot");
  if (header.checksum != checksum_of(snapshot.bytes, 0))
    throw refuse(name, "its checksum is wrong");
  if (!core::can_read(header.version)) {
    throw JournalError(describe_version(name.path, header.version));
  }
  if (header.shard_id != shard_id || header.sequence != name.sequence ||
      header.payload_bytes != snapshot.bytes.size() - sizeof header) {
    throw refuse(name, "its name or size is not what its header says");
  }
  return snapshot;
}

void check_snapshot(const NamedFile& name, const Settings& settings) {
  const File file = File::open(name.path);
  file.drop_cache();
  SnapshotHeader header;
  if (file.read_at(0, std::as_writable_bytes(std::span(&header, 1))) != sizeof header ||
      header.magic != kSnapshotMagic || !core::can_read(header.version) ||
      header.sequence != name.sequence) {
    throw refuse(name, "not a snapshot of the entry that its name says, or of another version");
  }
  PiecewiseChecksum checksum(header, header.salt);
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t at = sizeof header;;) {
    const std::size_t got = file.read_at(at, piece);
    if (got == 0) break;
    checksum.add(std::span(piece).first(got));
    at += got;
  }
  if (checksum.value() != header.checksum) throw refuse(name, "its checksum is wrong");
  Reader reader(settings.directory, settings.shard_id, name.sequence);
  core::Command command;
  core::EventBuffer events;
  if (reader.next(command, events) != Reader::Result::kEntry ||
      reader.frames().header().checksum != header.frame_checksum) {
    throw refuse(name, "it was not taken of this journal");
  }
}

std::unique_ptr<core::Exchange> restore_snapshot(const NamedFile& name, const Snapshot& snapshot,
                                                 const core::Limits& limits) {
  core::ByteReader in(std::span(snapshot.bytes).subspan(sizeof(SnapshotHeader)));
  const std::optional<core::Limits> needed = core::Exchange::limits_in(in);
  if (!needed) throw refuse(name, "it does not begin with a state that this engine reads");
  auto exchange = std::make_unique<core::Exchange>(core::larger_of(limits, *needed));
  if (!exchange->restore(in) || in.remaining() != 0) {
    throw refuse(name, "its state contradicts itself, or another version wrote it");
  }
  if (exchange->last_sequence() != snapshot.header.sequence ||
      exchange->state_hash(snapshot.header.version) != snapshot.header.state_hash) {
    throw refuse(name, "the state restored from it is not the one it was taken of");
  }
  return exchange;
}

std::string save_snapshot(const Settings& settings, const core::Exchange& exchange,
                          std::uint64_t frame_checksum, const std::stop_token& stop) {
  const std::filesystem::path unfinished = settings.directory / "next-snapshot.tmp";
  File file = File::create(unfinished);
  try {
    const SnapshotHeader header = write_state(file, settings, exchange, frame_checksum, stop);
    file.rename(snapshot_path(settings.directory, settings.shard_id, header.sequence));
  } catch (...) {
    std::error_code ignored;  // the earlier error is the one to report
    std::filesystem::remove(unfinished, ignored);
    throw;
  }
  return remove_old_snapshots(settings);
}

}  // namespace openvenue::journal

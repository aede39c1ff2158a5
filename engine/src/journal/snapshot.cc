#include "journal/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <system_error>

#include "core/byte_io.h"
#include "journal/error.h"
#include "journal/file.h"

namespace openvenue::journal {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

JournalError refuse(const NamedFile& name, std::string_view what) {
  return JournalError(fmt::format("{}: {}", name.path.string(), what));
}

void remove_old_snapshots(const Settings& settings) {
  std::vector<NamedFile> snapshots = list_snapshots(settings.directory, settings.shard_id);
  if (snapshots.size() <= kSnapshotsKept) return;
  snapshots.resize(snapshots.size() - kSnapshotsKept);
  for (const NamedFile& old : snapshots) {
    std::error_code error;
    std::filesystem::remove(old.path, error);
    if (error) {
      throw refuse(old,
                   fmt::format("could not be removed ({}). Remove it by hand.", error.message()));
    }
  }
  sync_directory(settings.directory);
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
  if (header.version != kFormatVersion) {
    throw refuse(name, fmt::format("of format {}, this engine reads format {}", header.version,
                                   kFormatVersion));
  }
  if (header.shard_id != shard_id || header.sequence != name.sequence ||
      header.payload_bytes != snapshot.bytes.size() - sizeof header) {
    throw refuse(name, "its name or size is not what its header says");
  }
  return snapshot;
}

std::unique_ptr<VenueExchange> restore_snapshot(const NamedFile& name, const Snapshot& snapshot,
                                                const core::Limits& capacity) {
  auto exchange = std::make_unique<VenueExchange>(capacity);
  core::ByteReader in(std::span(snapshot.bytes).subspan(sizeof(SnapshotHeader)));
  if (!exchange->restore(in) || in.remaining() != 0) {
    throw refuse(name, "its state does not fit the configured limits, or another version wrote it");
  }
  if (exchange->last_sequence() != snapshot.header.sequence ||
      exchange->state_hash() != snapshot.header.state_hash) {
    throw refuse(name, "the state restored from it is not the one it was taken of");
  }
  return exchange;
}

void save_snapshot(const Settings& settings, const VenueExchange& exchange,
                   std::uint64_t frame_checksum) {
  std::vector<std::byte> bytes(sizeof(SnapshotHeader));
  core::ByteWriter out(bytes);
  exchange.serialize(out);

  SnapshotHeader header;
  header.shard_id = settings.shard_id;
  header.sequence = exchange.last_sequence();
  header.frame_checksum = frame_checksum;
  header.state_hash = exchange.state_hash();
  header.payload_bytes = bytes.size() - sizeof header;
  seal(header, std::span(bytes), 0);

  File file = File::create(settings.directory / "next-snapshot.tmp");
  for (std::size_t at = 0; at < bytes.size(); at += kPieceBytes) {
    file.write_at(at, std::span(bytes).subspan(at, std::min(kPieceBytes, bytes.size() - at)));
    file.sync();  // piece by piece, so that the journal's own syncs never wait for all of it
  }
  file.rename(snapshot_path(settings.directory, settings.shard_id, header.sequence));
  remove_old_snapshots(settings);
}

}  // namespace openvenue::journal

// Shared by the journal's tests: a directory that cleans up after itself, and a small market that
// fills a journal with every kind of command and event.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/exchange/exchange.h"
#include "journal/reader.h"
#include "journal/recovery.h"
#include "journal/segment.h"
#include "journal/snapshot_maker.h"
#include "journal/writer.h"

namespace openvenue::journal::testing {

constexpr core::Limits kSmallLimits{.max_orders = 128,
                                    .max_accounts = 8,
                                    .max_instruments = 4,
                                    .max_positions = 32,
                                    .max_fills_per_command = 8,
                                    .max_open_orders = 96,
                                    .max_open_orders_per_account = 64,
                                    .max_client_ids = 256};

struct Entry {
  core::Command command;
  core::EventBuffer events;
  friend bool operator==(const Entry&, const Entry&) = default;
};

// A snapshot by a maker that has made none before.
inline core::Sequence write_snapshot(const Settings& settings, const core::Limits& capacity,
                                     core::Sequence up_to) {
  return SnapshotMaker(settings, capacity).write(up_to).sequence;
}

class TemporaryDirectory {
 public:
  // In memory where the machine offers that: these tests are about bytes, not about disks.
  TemporaryDirectory() {
    const std::filesystem::path memory = "/dev/shm";
    std::string pattern =
        (::access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path()) /
        "openvenue-journal-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Settings settings(std::uint64_t segment_bytes = std::uint64_t{1} << 20) const {
    Settings settings;
    settings.directory = path_;
    settings.segment_bytes = segment_bytes;
    return settings;
  }

 private:
  std::filesystem::path path_;
};

// Commands that fit the state they meet, by seed: orders of all kinds on two instruments from three
// accounts, some of them refused.
class Market {
 public:
  explicit Market(std::uint64_t seed) : random_(seed) {}

  // Applies the next command to `exchange` and returns it with its events.
  Entry next(core::Exchange& exchange) {
    Entry entry;
    entry.command.sequence = exchange.last_sequence() + 1;
    entry.command.timestamp_ns = static_cast<core::TimestampNs>(1'000 * entry.command.sequence);
    entry.command.body = body(entry.command.sequence);
    exchange.apply(entry.command, entry.events);
    return entry;
  }

 private:
  core::CommandBody body(core::Sequence sequence) {
    switch (sequence) {
      case 1:
        return core::Configure{kSmallLimits};
      case 2:
      case 3:
        return instrument(static_cast<core::InstrumentId>(sequence - 1));
      case 4:
      case 5:
      case 6:
        return core::OpenAccount{static_cast<core::AccountId>(sequence - 3), core::Name("desk"),
                                 true, 1'000'000'000'000};
      case 7:
        return core::AdjustBalance{1, 5'000'000};
      case 8:
        return core::AdjustPosition{2, 1, 1'000, 1'000'000};
      default:
        return order_flow(sequence);
    }
  }

  static core::DefineInstrument instrument(core::InstrumentId id) {
    return {.instrument = id,
            .symbol = core::Symbol("SYM" + std::to_string(id)),
            .name = core::Name("Instrument"),
            .tick_size_nanos = 10'000'000,
            .lot_size_nanos = 1'000'000'000,
            .min_price_ticks = 1,
            .max_price_ticks = 10'000,
            .max_order_qty_lots = 1'000};
  }

  core::CommandBody order_flow(core::Sequence sequence) {
    const auto account = static_cast<core::AccountId>(uniform(1, 3));
    const core::ClientOrderId id("order-" + std::to_string(sequence));
    const auto known = static_cast<core::OrderId>(
        uniform(9, static_cast<std::int64_t>(std::max<core::Sequence>(sequence - 1, 9))));
    switch (uniform(0, 15)) {
      case 0:
      case 1:
        return core::CancelOrder{account, known};
      case 2:
        return core::ReplaceOrder{.account = account,
                                  .order_id = known,
                                  .qty_lots = uniform(1, 20),
                                  .limit_price_ticks = uniform(95, 105),
                                  .client_order_id = id};
      case 3:
        return core::EndTradingDay{};
      case 4:
        return core::CancelOrders{
            .account = account, .both_sides = uniform(0, 1) == 1, .from = known};
      default:
        return new_order(account, id);
    }
  }

  core::NewOrder new_order(core::AccountId account, const core::ClientOrderId& id) {
    core::NewOrder order;
    order.account = account;
    order.instrument = static_cast<core::InstrumentId>(uniform(1, 2));
    order.side = uniform(0, 1) == 0 ? core::Side::kBuy : core::Side::kSell;
    order.time_in_force = static_cast<core::TimeInForce>(uniform(1, 4));
    order.qty_lots = uniform(1, 20);
    order.limit_price_ticks = uniform(95, 105);
    order.client_order_id = id;
    return order;
  }

  std::int64_t uniform(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }

  std::mt19937_64 random_;
};

// Writes `frames` frames of `entries` entries each, every one synced, and returns what they hold.
inline std::vector<Entry> append_frames(core::Exchange& exchange, Writer& writer, Market& market,
                                        int frames, int entries) {
  std::vector<Entry> written;
  Frame frame;
  for (int index = 0; index < frames; ++index) {
    frame.clear();
    for (int entry = 0; entry < entries; ++entry) {
      written.push_back(market.next(exchange));
      frame.append(written.back().command, written.back().events);
    }
    writer.write(frame);
    writer.sync();
  }
  return written;
}

enum class Ending { kKilled, kClosed };

// A new journal of `frames` frames; its writer is closed or just gone, as after a kill.
inline std::vector<Entry> write_journal(const Settings& settings, int frames, int entries,
                                        Ending ending) {
  Recovered recovered = recover(settings, kSmallLimits);
  Market market(7);
  std::vector<Entry> written =
      append_frames(*recovered.exchange, recovered.writer, market, frames, entries);
  if (ending == Ending::kClosed) recovered.writer.mark_end();
  return written;
}

struct ReadBack {
  std::vector<Entry> entries;
  Reader::Result result = Reader::Result::kEntry;  // the one that is not an entry
  std::string error;
};

inline ReadBack read_journal(const Settings& settings, core::Sequence from = 1) {
  ReadBack back;
  Reader reader(settings.directory, settings.shard_id, from);
  for (;;) {
    Entry entry;
    back.result = reader.next(entry.command, entry.events);
    if (back.result != Reader::Result::kEntry) break;
    back.entries.push_back(std::move(entry));
  }
  back.error = reader.error();
  return back;
}

inline ::testing::AssertionResult is_prefix(const std::vector<Entry>& entries,
                                            const std::vector<Entry>& of) {
  if (entries.size() > of.size()) {
    return ::testing::AssertionFailure() << entries.size() << " entries of " << of.size();
  }
  for (std::size_t index = 0; index < entries.size(); ++index) {
    if (entries[index] != of[index]) {
      return ::testing::AssertionFailure() << "entry " << index + 1 << " differs";
    }
  }
  return ::testing::AssertionSuccess();
}

inline std::string read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Unpacks a journal that the binary of an earlier version made, see engine/testdata.
inline void unpack_journal(const std::filesystem::path& from, const std::filesystem::path& to) {
  for (const auto& packed : std::filesystem::directory_iterator(from)) {
    const std::filesystem::path name = packed.path().stem();
    if (name.extension() != ".ovj" && name.extension() != ".ovs") continue;
    gzFile file = gzopen(packed.path().c_str(), "rb");
    std::string bytes;
    std::vector<char> piece(1U << 16);
    for (int size = 0; (size = gzread(file, piece.data(), 1U << 16)) > 0;) {
      bytes.append(piece.data(), static_cast<std::size_t>(size));
    }
    gzclose(file);
    write_bytes(to / name, bytes);
  }
}

// The message of recover() if it refuses; empty if it does not.
inline std::string refusal(const Settings& settings, const core::Limits& limits = kSmallLimits) {
  try {
    static_cast<void>(recover(settings, limits));
  } catch (const JournalError& error) {
    return error.what();
  }
  return {};
}

}  // namespace openvenue::journal::testing

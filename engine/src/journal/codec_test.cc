// Promises of an entry's encoding: it decodes to the same entry, and only a whole one decodes.
#include "journal/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "core/schema/field_codec.h"
#include "core/schema/names.h"
#include "journal/format.h"

namespace openvenue::journal {
namespace {

// Offsets in an encoded entry without an actor.
constexpr std::size_t kKindAt = 4 + 8 + 8 + 1;
constexpr std::size_t kSideAt = kKindAt + 1 + 4 + 4;
constexpr std::size_t kSymbolSizeAt = kKindAt + 1 + 4;
constexpr std::size_t kEventCountAt = kKindAt + 1;  // after a command without fields

// Fills every field with a random value of its whole range.
class RandomFields {
 public:
  explicit RandomFields(std::uint64_t seed) : random_(seed) {}

  template <class T>
  void field(const char* /*name*/, T& value) {
    fill(value);
  }
  template <class T>
  void since(std::uint32_t /*version*/, const char* /*name*/, T& value,
             const std::type_identity_t<T>& /*before*/ = {}) {
    fill(value);
  }

  template <class Variant, std::size_t Index = 0>
  Variant alternative(std::size_t index) {
    if constexpr (Index < std::variant_size_v<Variant>) {
      if (index != Index) return alternative<Variant, Index + 1>(index);
      std::variant_alternative_t<Index, Variant> record;
      core::visit_fields(record, *this);
      return record;
    } else {
      return {};
    }
  }

  std::size_t below(std::size_t bound) { return random_() % bound; }

 private:
  template <std::integral T>
  void fill(T& value) {
    value = static_cast<T>(random_());
  }
  void fill(bool& value) { value = random_() % 2 == 1; }
  template <class T>
  requires std::is_enum_v<T>
  void fill(T& value) {
    do {
      value = static_cast<T>(random_() % 64);
    } while (!core::is_enumerator(value));
  }
  template <std::size_t Capacity>
  void fill(core::FixedString<Capacity>& text) {
    std::string bytes(random_() % (Capacity + 1), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    text = core::FixedString<Capacity>(bytes);
  }
  void fill(core::TradeSide& side) { core::visit_fields(side, *this); }

  std::mt19937_64 random_;
};

struct Entry {
  core::Command command;
  core::EventBuffer events;
};

// An entry of each kind as `index` counts up, random otherwise.
Entry random_entry(std::size_t index) {
  RandomFields random(index);
  Entry entry;
  core::visit_fields(entry.command, random);
  entry.command.body =
      random.alternative<core::CommandBody>(index % std::variant_size_v<core::CommandBody>);
  for (std::size_t event = random.below(6); event > 0; --event) {
    entry.events.push_back(
        random.alternative<core::Event>((index + event) % std::variant_size_v<core::Event>));
  }
  return entry;
}

std::vector<std::byte> encode(const Entry& entry) {
  std::vector<std::byte> bytes(entry_bytes_max(entry.events.size()));
  bytes.resize(encode_entry(entry.command, entry.events, bytes.data()));
  return bytes;
}

// In the form of version 2, without later fields.
std::vector<std::byte> encode_version_2(const Entry& entry) {
  std::vector<std::byte> bytes;
  core::ByteWriter out(bytes);
  const auto put = [&](const auto& variant) {
    out.put(static_cast<std::uint8_t>(variant.index() + 1));
    std::visit([&](const auto& record) { core::write_fields(record, out, 2); }, variant);
  };
  out.put(entry.command.sequence);
  out.put(entry.command.timestamp_ns);
  put(entry.command.body);
  out.put(static_cast<std::uint32_t>(entry.events.size()));
  for (const core::Event& event : entry.events) put(event);
  return bytes;
}

bool decodes(core::ByteReader& in, Entry& entry) {
  return decode_entry(in, kFormatVersion, entry.command, entry.events);
}

bool decodes_whole(std::span<const std::byte> bytes, Entry& entry) {
  core::ByteReader in(bytes);
  return decodes(in, entry) && in.remaining() == 0;
}

TEST(Codec, EveryKindOfCommandAndEventComesBackAsItWas) {
  for (std::size_t index = 0; index < 20'000; ++index) {
    const Entry entry = random_entry(index);
    Entry decoded;
    ASSERT_TRUE(decodes_whole(encode(entry), decoded)) << index;
    ASSERT_EQ(decoded.command, entry.command) << index;
    ASSERT_EQ(decoded.events, entry.events) << index;
  }
}

// Fields that version 2 lacked get the meaning that they had then.
TEST(Codec, AnEntryOfVersion2IsReadWithWhatItMeantThen) {
  for (std::size_t index = 0; index < 2'000; ++index) {
    const Entry entry = random_entry(index);
    const std::vector<std::byte> bytes = encode_version_2(entry);
    core::ByteReader in(bytes);
    Entry decoded;
    ASSERT_TRUE(decode_entry(in, 2, decoded.command, decoded.events)) << index;
    ASSERT_EQ(in.remaining(), 0U);
    core::Command expected = entry.command;
    expected.actor = {};
    if (auto* order = std::get_if<core::NewOrder>(&expected.body)) {
      order->position_intent = core::PositionIntent::kUnspecified;
      order->history_checked = false;
      order->self_trade_prevention = core::SelfTradePrevention::kNone;
      order->post_only = false;
      order->stop_price_ticks = 0;
      order->trail = {};
    }
    if (auto* replace = std::get_if<core::ReplaceOrder>(&expected.body)) {
      replace->history_checked = false;
      replace->stop_price_ticks = 0;
      replace->trail = {};
    }
    if (auto* configure = std::get_if<core::Configure>(&expected.body)) {
      configure->rules_version = 1;
      configure->limits.max_positions_per_account = core::kPositionsMax;
      configure->limits.max_client_ids = configure->limits.max_orders;
    }
    ASSERT_EQ(decoded.command, expected) << index;
    core::EventBuffer expected_events = entry.events;
    for (core::Event& event : expected_events) {
      if (auto* replaced = std::get_if<core::OrderReplaced>(&event)) {
        replaced->stop_price_ticks = 0;
        replaced->waiting = false;
        replaced->trail = {};
      }
    }
    ASSERT_EQ(decoded.events, expected_events) << index;
  }
}

TEST(Codec, AnEntryIsExactlyAsLongAsItSays) {
  std::vector<std::byte> bytes = encode(random_entry(3));
  bytes.push_back(std::byte{0});
  for (const int change : {-1, 1}) {
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    length += static_cast<std::uint32_t>(change);
    std::vector<std::byte> changed = bytes;
    std::memcpy(changed.data(), &length, sizeof length);
    core::ByteReader in(changed);
    Entry decoded;
    EXPECT_FALSE(decodes(in, decoded)) << change;
  }
}

TEST(Codec, NoStrictPrefixOfAnEntryDecodes) {
  for (std::size_t index = 0; index < 200; ++index) {
    const std::vector<std::byte> bytes = encode(random_entry(index));
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      Entry decoded;
      core::ByteReader in(std::span<const std::byte>(bytes).first(size));
      ASSERT_FALSE(decodes(in, decoded)) << index << " at " << size;
    }
  }
}

TEST(Codec, EntriesFollowEachOtherWithoutSeparators) {
  std::vector<std::byte> bytes = encode(random_entry(1));
  const std::vector<std::byte> second = encode(random_entry(2));
  bytes.insert(bytes.end(), second.begin(), second.end());
  core::ByteReader in(bytes);
  Entry decoded;
  ASSERT_TRUE(decodes(in, decoded));
  ASSERT_TRUE(decodes(in, decoded));
  EXPECT_EQ(decoded.command, random_entry(2).command);
  EXPECT_EQ(in.remaining(), 0U);
}

// Changes, removes and adds bytes, as a fuzzer does first.
class Mutation {
 public:
  explicit Mutation(std::uint64_t seed) : random_(seed) {}

  std::vector<std::byte> random_bytes(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = random_byte();
    return bytes;
  }

  void apply(std::vector<std::byte>& bytes) {
    for (std::size_t times = 1 + below(4); times > 0; --times) {
      const auto at = static_cast<std::ptrdiff_t>(below(bytes.size() + 1));
      const auto rest = static_cast<std::size_t>(bytes.end() - (bytes.begin() + at));
      const auto size = static_cast<std::ptrdiff_t>(std::min(rest, below(9)));
      switch (below(4)) {
        case 0:
          if (rest > 0) bytes[static_cast<std::size_t>(at)] ^= std::byte{1} << below(8);
          break;
        case 1:
          if (rest > 0) bytes[static_cast<std::size_t>(at)] = boundary();
          break;
        case 2:
          bytes.erase(bytes.begin() + at, bytes.begin() + at + size);
          break;
        default:
          const std::vector<std::byte> more = random_bytes(below(9));
          bytes.insert(bytes.begin() + at, more.begin(), more.end());
      }
    }
  }

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }
  std::byte random_byte() { return static_cast<std::byte>(random_()); }
  // Values next to those at which lengths, kinds and enumerators change their meaning.
  std::byte boundary() {
    constexpr std::array<int, 8> kBoundaries = {0, 1, 2, 9, 10, 127, 128, 255};
    return static_cast<std::byte>(kBoundaries[below(kBoundaries.size())]);
  }

  std::mt19937_64 random_;
};

// Either the bytes are refused, or they decode to an entry that encodes to exactly the bytes read.
// Bytes behind them are not touched: each case has an allocation of its own size. True if decoded.
bool refuses_or_reads_exactly(const std::vector<std::byte>& bytes) {
  const std::vector<std::byte> exact(bytes.begin(), bytes.end());
  Entry decoded;
  core::ByteReader in(exact);
  if (!decodes(in, decoded)) return false;
  const std::vector<std::byte> again = encode(decoded);
  EXPECT_EQ(again.size(), exact.size() - in.remaining());
  EXPECT_TRUE(std::equal(again.begin(), again.end(), exact.begin()));
  return true;
}

TEST(CodecFuzz, RandomBytesAreRefusedOrReadExactly) {
  Mutation mutation(1);
  for (std::size_t index = 0; index < 50'000 && !testing::Test::HasFailure(); ++index) {
    std::vector<std::byte> bytes = mutation.random_bytes(index % 400);
    // Half of them pass the first checks: a right length, no actor, a known kind.
    if (index % 2 == 0 && bytes.size() > kKindAt) {
      const auto length = static_cast<std::uint32_t>(bytes.size() - 4);
      std::memcpy(bytes.data(), &length, sizeof length);
      bytes[kKindAt - 1] = std::byte{0};
      bytes[kKindAt] =
          static_cast<std::byte>(1 + index / 2 % std::variant_size_v<core::CommandBody>);
    }
    refuses_or_reads_exactly(bytes);
  }
}

TEST(CodecFuzz, MutatedEntriesAreRefusedOrReadExactly) {
  Mutation mutation(2);
  std::size_t decoded = 0;
  constexpr std::size_t kEntries = 100'000;
  for (std::size_t index = 0; index < kEntries && !testing::Test::HasFailure(); ++index) {
    std::vector<std::byte> bytes = encode(random_entry(index));
    mutation.apply(bytes);
    if (refuses_or_reads_exactly(bytes)) ++decoded;
  }
  EXPECT_GT(decoded, kEntries / 10) << "mutations that are all refused test nothing";
  EXPECT_LT(decoded, kEntries - kEntries / 10) << "mutations that are all read test nothing";
}

TEST(Codec, TheNumbersOfKindsNeverChange) {
  const auto number = [](const core::CommandBody& body) {
    return std::to_integer<int>(encode({{1, 1, body, {}}, {}})[kKindAt]);
  };
  EXPECT_EQ(number(core::NewOrder{}), 1);
  EXPECT_EQ(number(core::CancelOrder{}), 2);
  EXPECT_EQ(number(core::ReplaceOrder{}), 3);
  EXPECT_EQ(number(core::DefineInstrument{}), 4);
  EXPECT_EQ(number(core::OpenAccount{}), 5);
  EXPECT_EQ(number(core::AdjustBalance{}), 6);
  EXPECT_EQ(number(core::AdjustPosition{}), 7);
  EXPECT_EQ(number(core::EndTradingDay{}), 8);
  EXPECT_EQ(number(core::Configure{}), 9);
  EXPECT_EQ(number(core::CancelOrders{}), 10);
  EXPECT_EQ(number(core::TriggerOrder{}), 11);
  EXPECT_EQ(number(core::SuspendTrading{}), 12);
  const auto event_number = [](const core::Event& event) {
    return std::to_integer<int>(
        encode({{1, 1, core::EndTradingDay{}, {}}, {event}})[kEventCountAt + 4]);
  };
  EXPECT_EQ(event_number(core::OrderAccepted{}), 1);
  EXPECT_EQ(event_number(core::Rejected{}), 2);
  EXPECT_EQ(event_number(core::Duplicate{}), 3);
  EXPECT_EQ(event_number(core::Trade{}), 4);
  EXPECT_EQ(event_number(core::OrderCanceled{}), 5);
  EXPECT_EQ(event_number(core::OrderReplaced{}), 6);
  EXPECT_EQ(event_number(core::Applied{}), 7);
  EXPECT_EQ(event_number(core::BalanceAdjusted{}), 8);
  EXPECT_EQ(event_number(core::PositionAdjusted{}), 9);
  EXPECT_EQ(event_number(core::TradingDayEnded{}), 10);
  EXPECT_EQ(event_number(core::OrdersCanceled{}), 11);
  EXPECT_EQ(event_number(core::OrderTriggered{}), 12);
}

TEST(Codec, AnUnknownKindIsRefused) {
  for (const int kind : {0, 13, 255}) {
    std::vector<std::byte> bytes = encode({{1, 1, core::EndTradingDay{}}, {}});
    bytes[kKindAt] = static_cast<std::byte>(kind);
    Entry decoded;
    EXPECT_FALSE(decodes_whole(bytes, decoded)) << kind;
  }
}

TEST(Codec, AValueThatIsNoEnumeratorIsRefused) {
  std::vector<std::byte> bytes = encode({{1, 1, core::NewOrder{}, {}}, {}});
  bytes[kSideAt] = std::byte{3};
  Entry decoded;
  EXPECT_FALSE(decodes_whole(bytes, decoded));
}

TEST(Codec, ATextBeyondItsCapacityIsRefused) {
  core::DefineInstrument define;
  define.symbol = core::Symbol(std::string(core::kSymbolBytesMax, 'A'));
  std::vector<std::byte> bytes = encode({{1, 1, define, {}}, {}});
  bytes[kSymbolSizeAt] = std::byte{core::kSymbolBytesMax + 1};
  Entry decoded;
  EXPECT_FALSE(decodes_whole(bytes, decoded));
}

TEST(Codec, ACountOfEventsThatAreNotThereIsRefused) {
  std::vector<std::byte> bytes = encode({{1, 1, core::EndTradingDay{}, {}}, {core::Applied{}}});
  std::fill_n(bytes.begin() + kEventCountAt, 4, std::byte{0xFF});
  Entry decoded;
  EXPECT_FALSE(decodes_whole(bytes, decoded));
}

TEST(Codec, NoCommandOrEventIsLargerThanTheFormatAllows) {
  for (std::size_t index = 0; index < 5'000; ++index) {
    const Entry entry = random_entry(index);
    const std::size_t command_bytes = encode({entry.command, {}}).size();
    EXPECT_LE(command_bytes, kCommandBytesMax);
    for (const core::Event& event : entry.events) {
      EXPECT_LE(encode({entry.command, {event}}).size() - command_bytes, kEventBytesMax);
    }
  }
}

}  // namespace
}  // namespace openvenue::journal

#include "journal/codec.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "core/schema/field_codec.h"

namespace openvenue::journal {
namespace {

using EntryLength = std::uint32_t;

// The first version whose entries begin with their length.
constexpr std::uint32_t kLengthSince = 3;

template <class Variant, std::size_t... Index>
constexpr std::size_t largest_alternative(std::index_sequence<Index...> /*indices*/) {
  return 1 + std::max({core::field_bytes_max<std::variant_alternative_t<Index, Variant>>()...});
}

template <class Variant>
constexpr std::size_t largest_alternative() {
  return largest_alternative<Variant>(std::make_index_sequence<std::variant_size_v<Variant>>());
}

static_assert(sizeof(EntryLength) + core::field_bytes_max<core::Command>() +
                  largest_alternative<core::CommandBody>() + sizeof(std::uint32_t) <=
              kCommandBytesMax);
static_assert(largest_alternative<core::Event>() <= kEventBytesMax);

// Kinds are the alternative's index plus one, so that zeros are never an entry.
template <class Variant>
std::uint8_t kind_of(const Variant& variant) {
  return static_cast<std::uint8_t>(variant.index() + 1);
}

template <class Variant, std::size_t... Index>
bool emplace_kind(Variant& variant, std::size_t kind, std::index_sequence<Index...> /*indices*/) {
  return ((kind == Index + 1 && (variant.template emplace<Index>(), true)) || ...);
}

template <class Variant>
void put_alternative(const Variant& variant, core::UncheckedWriter& out) {
  out.put(kind_of(variant));
  std::visit([&](const auto& record) { core::write_fields(record, out); }, variant);
}

template <class Variant>
void get_alternative(Variant& variant, core::ByteReader& in, std::uint32_t version) {
  const auto kind = in.get<std::uint8_t>();
  if (!emplace_kind(variant, kind, std::make_index_sequence<std::variant_size_v<Variant>>())) {
    in.fail();
    return;
  }
  std::visit([&](auto& record) { core::read_fields(record, in, version); }, variant);
}

bool decode_fields(core::ByteReader& in, std::uint32_t version, core::Command& command,
                   core::EventBuffer& events) {
  core::read_fields(command, in, version);
  get_alternative(command.body, in, version);
  const auto count = in.get<std::uint32_t>();
  events.clear();
  for (std::uint32_t index = 0; index < count && in.ok(); ++index) {
    get_alternative(events.emplace_back(), in, version);
  }
  return in.ok();
}

}  // namespace

std::size_t encode_entry(const core::Command& command, const core::EventBuffer& events,
                         std::byte* out) {
  core::UncheckedWriter writer(out + sizeof(EntryLength));
  core::write_fields(command, writer);
  put_alternative(command.body, writer);
  writer.put(static_cast<std::uint32_t>(events.size()));
  for (const core::Event& event : events) put_alternative(event, writer);
  const auto size = static_cast<std::size_t>(writer.end() - out);
  CHECK(size <= entry_bytes_max(events.size()), "an entry is larger than its bound");
  const auto length = static_cast<EntryLength>(size - sizeof(EntryLength));
  std::memcpy(out, &length, sizeof length);
  return size;
}

bool decode_entry(core::ByteReader& in, std::uint32_t version, core::Command& command,
                  core::EventBuffer& events) {
  if (version < kLengthSince) return decode_fields(in, version, command, events);
  const std::size_t length = in.get<EntryLength>();
  core::ByteReader entry(in.get_bytes(length));
  return in.ok() && decode_fields(entry, version, command, events) && entry.remaining() == 0;
}

}  // namespace openvenue::journal

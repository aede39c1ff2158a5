#include "journal/codec.h"

#include <cstdint>
#include <type_traits>
#include <utility>
#include <variant>

#include "journal/fields.h"
#include "journal/names.h"

namespace openvenue::journal {
namespace {

// Kinds are written as the alternative's index plus one, so that zeros are never an entry.
template <class Variant>
std::uint8_t kind_of(const Variant& variant) {
  return static_cast<std::uint8_t>(variant.index() + 1);
}

class FieldWriter {
 public:
  explicit FieldWriter(core::ByteWriter& out) : out_(out) {}

  template <class T>
  void operator()(const char* /*name*/, const T& value) {
    put(value);
  }

 private:
  template <std::integral T>
  void put(T value) {
    out_.put(value);
  }
  void put(bool value) { out_.put(static_cast<std::uint8_t>(value)); }
  template <class T>
  requires std::is_enum_v<T>
  void put(T value) {
    // The decoder will refuse it, and a journal that cannot be read again must not be written.
    if (name_of(value).empty()) __builtin_trap();
    out_.put(value);
  }
  template <std::size_t Capacity>
  void put(const core::FixedString<Capacity>& text) {
    out_.put_short_string(text.view());
  }
  void put(const core::TradeSide& side) { visit_fields(side, *this); }

  core::ByteWriter& out_;
};

class FieldReader {
 public:
  explicit FieldReader(core::ByteReader& in) : in_(in) {}

  template <class T>
  void operator()(const char* /*name*/, T& value) {
    get(value);
  }

 private:
  template <std::integral T>
  void get(T& value) {
    value = in_.get<T>();
  }
  void get(bool& value) {
    const auto byte = in_.get<std::uint8_t>();
    if (byte > 1) in_.fail();
    value = byte == 1;
  }
  template <class T>
  requires std::is_enum_v<T>
  void get(T& value) {
    value = in_.get<T>();
    if (name_of(value).empty()) in_.fail();
  }
  template <std::size_t Capacity>
  void get(core::FixedString<Capacity>& text) {
    const std::string_view view = in_.get_short_string();
    if (view.size() > Capacity) {
      in_.fail();
      return;
    }
    text = core::FixedString<Capacity>(view);
  }
  void get(core::TradeSide& side) { visit_fields(side, *this); }

  core::ByteReader& in_;
};

template <class Variant, std::size_t... Index>
bool emplace_kind(Variant& variant, std::size_t kind, std::index_sequence<Index...> /*indices*/) {
  return ((kind == Index + 1 && (variant.template emplace<Index>(), true)) || ...);
}

template <class Variant>
void put_alternative(const Variant& variant, core::ByteWriter& out) {
  out.put(kind_of(variant));
  std::visit([&](const auto& record) { visit_fields(record, FieldWriter(out)); }, variant);
}

template <class Variant>
void get_alternative(Variant& variant, core::ByteReader& in) {
  const auto kind = in.get<std::uint8_t>();
  if (!emplace_kind(variant, kind, std::make_index_sequence<std::variant_size_v<Variant>>())) {
    in.fail();
    return;
  }
  std::visit([&](auto& record) { visit_fields(record, FieldReader(in)); }, variant);
}

}  // namespace

void encode_entry(const core::Command& command, const core::EventBuffer& events,
                  core::ByteWriter& out) {
  out.put(command.sequence);
  out.put(command.timestamp_ns);
  put_alternative(command.body, out);
  out.put(static_cast<std::uint32_t>(events.size()));
  for (const core::Event& event : events) put_alternative(event, out);
}

bool decode_entry(core::ByteReader& in, core::Command& command, core::EventBuffer& events) {
  command.sequence = in.get<core::Sequence>();
  command.timestamp_ns = in.get<core::TimestampNs>();
  get_alternative(command.body, in);
  const auto count = in.get<std::uint32_t>();
  events.clear();
  for (std::uint32_t index = 0; index < count && in.ok(); ++index) {
    get_alternative(events.emplace_back(), in);
  }
  return in.ok();
}

}  // namespace openvenue::journal

// Converts records to bytes and back, by the lists in fields.h, for every readable version.
//
// Integers have their own width, enumerations and booleans a byte, text a length byte and its
// bytes, records inside a record their fields.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "core/base/byte_io.h"
#include "core/base/check.h"
#include "core/schema/fields.h"
#include "core/schema/names.h"
#include "core/schema/version.h"

namespace openvenue::core {

template <class T>
concept Enumeration = std::is_enum_v<T>;

// `Sink` is any of byte_io.h's writers, or a Digest.
template <class Sink>
class FieldWriter {
 public:
  FieldWriter(Sink& out, std::uint32_t version) : out_(out), version_(version) {}

  template <class T>
  void field(const char* /*name*/, const T& value) {
    put(value);
  }
  template <class T>
  void since(std::uint32_t version, const char* /*name*/, const T& value,
             const std::type_identity_t<T>& /*before*/ = {}) {
    if (version_ >= version) put(value);
  }

 private:
  template <std::integral T>
  void put(T value) {
    out_.put(value);
  }
  void put(bool value) { out_.put(static_cast<std::uint8_t>(value)); }
  template <Enumeration T>
  void put(T value) {
    CHECK(is_enumerator(value), "a value without a name would be written, which no reader takes");
    out_.put(value);
  }
  template <std::size_t Capacity>
  void put(const FixedString<Capacity>& text) {
    out_.put_short_string(text.view());
  }
  template <class Record>
  requires std::is_class_v<Record>
  void put(const Record& record) { visit_fields(record, *this); }

  Sink& out_;
  const std::uint32_t version_;
};

// Makes `in` fail at a value that its field cannot have.
class FieldReader {
 public:
  FieldReader(ByteReader& in, std::uint32_t version) : in_(in), version_(version) {}

  template <class T>
  void field(const char* /*name*/, T& value) {
    get(value);
  }
  template <class T>
  void since(std::uint32_t version, const char* /*name*/, T& value,
             const std::type_identity_t<T>& before = {}) {
    if (version_ >= version) {
      get(value);
    } else {
      value = before;
    }
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
  template <Enumeration T>
  void get(T& value) {
    value = in_.get<T>();
    if (!is_enumerator(value)) in_.fail();
  }
  template <std::size_t Capacity>
  void get(FixedString<Capacity>& text) {
    const std::string_view view = in_.get_short_string();
    if (view.empty() && text.empty()) return;  // the case of most actors
    if (view.size() > Capacity) {
      in_.fail();
      return;
    }
    text = FixedString<Capacity>(view);
  }
  template <class Record>
  requires std::is_class_v<Record>
  void get(Record& record) { visit_fields(record, *this); }

  ByteReader& in_;
  const std::uint32_t version_;
};

template <class Record, class Sink>
void write_fields(const Record& record, Sink& out, std::uint32_t version = kSchemaVersion) {
  FieldWriter<Sink> writer(out, version);
  visit_fields(record, writer);
}

template <class Record>
void read_fields(Record& record, ByteReader& in, std::uint32_t version = kSchemaVersion) {
  FieldReader reader(in, version);
  visit_fields(record, reader);
}

// The largest size of a record's fields, for bounds that the compiler checks.
class FieldBytesMax {
 public:
  template <class T>
  constexpr void field(const char* /*name*/, const T& value) {
    add(value);
  }
  template <class T>
  constexpr void since(std::uint32_t /*version*/, const char* /*name*/, const T& value,
                       const std::type_identity_t<T>& /*before*/ = {}) {
    add(value);
  }
  [[nodiscard]] constexpr std::size_t value() const { return bytes_; }

 private:
  template <class T>
  requires(std::integral<T> || Enumeration<T>) constexpr void add(const T& /*value*/) {
    bytes_ += sizeof(T);
  }
  template <std::size_t Capacity>
  constexpr void add(const FixedString<Capacity>& /*text*/) {
    bytes_ += 1 + Capacity;
  }
  template <class Record>
  requires std::is_class_v<Record>
  constexpr void add(const Record& record) { visit_fields(record, *this); }

  std::size_t bytes_ = 0;
};

template <class Record>
[[nodiscard]] constexpr std::size_t field_bytes_max() {
  FieldBytesMax bytes;
  const Record record{};
  visit_fields(record, bytes);
  return bytes.value();
}

}  // namespace openvenue::core

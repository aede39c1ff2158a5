// Little-endian bytes in and out, bounds-checked. Snapshots, journal and state hashes share this
// one encoding.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/check.h"

namespace openvenue::core {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

// Appends to a caller-owned buffer. `out` must outlive the writer.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(T value) {
    const auto* first = reinterpret_cast<const std::byte*>(&value);
    out_.insert(out_.end(), first, first + sizeof value);
  }

  // A length byte, then the bytes. Precondition: text.size() <= 255.
  void put_short_string(std::string_view text) {
    CHECK(text.size() <= 255, "a text is longer than its length byte can say");
    put(static_cast<std::uint8_t>(text.size()));
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    out_.insert(out_.end(), first, first + text.size());
  }

  [[nodiscard]] std::size_t size() const { return out_.size(); }

 private:
  std::vector<std::byte>& out_;
};

// A ByteWriter that stores through a pointer. Precondition: the caller has made room for
// everything.
class UncheckedWriter {
 public:
  explicit UncheckedWriter(std::byte* out) : out_(out) {}

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(T value) {
    std::memcpy(out_, &value, sizeof value);
    out_ += sizeof value;
  }

  // A length byte, then the bytes. Precondition: text.size() <= 255.
  void put_short_string(std::string_view text) {
    put(static_cast<std::uint8_t>(text.size()));
    std::memcpy(out_, text.data(), text.size());
    out_ += text.size();
  }

  // One past the last stored byte.
  [[nodiscard]] std::byte* end() const { return out_; }

 private:
  std::byte* out_;
};

// A ByteWriter that passes the bytes on in pieces, so that large states need little memory. All
// pieces but the last have `piece_bytes`.
class PieceWriter {
 public:
  using Take = std::function<void(std::span<const std::byte> piece)>;

  PieceWriter(std::size_t piece_bytes, Take take) : piece_(piece_bytes), take_(std::move(take)) {}

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) void put(T value) {
    add(&value, sizeof value);
  }

  // A length byte, then the bytes. Precondition: text.size() <= 255.
  void put_short_string(std::string_view text) {
    CHECK(text.size() <= 255, "a text is longer than its length byte can say");
    put(static_cast<std::uint8_t>(text.size()));
    add(text.data(), text.size());
  }

  // Passes the rest on. Call once, at the end.
  void finish() {
    if (used_ > 0) take_(std::span(piece_).first(used_));
    used_ = 0;
  }

 private:
  void add(const void* bytes, std::size_t size) {
    const auto* at = static_cast<const std::byte*>(bytes);
    while (size > piece_.size() - used_) {
      const std::size_t fits = piece_.size() - used_;
      std::memcpy(piece_.data() + used_, at, fits);
      at += fits;
      size -= fits;
      used_ = 0;
      take_(piece_);
    }
    if (size > 0) std::memcpy(piece_.data() + used_, at, size);
    used_ += size;
  }

  std::vector<std::byte> piece_;
  std::size_t used_ = 0;
  const Take take_;
};

// Reads from a caller-owned span. After a read past the end, ok() stays false and every further
// read gives zero: callers check once, at the end.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> in) : in_(in) {}

  template <class T>
  requires(std::is_integral_v<T> || std::is_enum_v<T>) T get() {
    T value{};
    if (!take(sizeof value)) return value;
    std::memcpy(&value, in_.data() + at_ - sizeof value, sizeof value);
    return value;
  }

  std::string_view get_short_string() {
    const std::size_t size = get<std::uint8_t>();
    if (!take(size)) return {};
    return {reinterpret_cast<const char*>(in_.data()) + at_ - size, size};
  }

  // The next `size` bytes, for a reader of their own; empty if fewer are left.
  std::span<const std::byte> get_bytes(std::size_t size) {
    if (!take(size)) return {};
    return in_.subspan(at_ - size, size);
  }

  void fail() { ok_ = false; }
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] std::size_t remaining() const { return in_.size() - at_; }

 private:
  bool take(std::size_t size) {
    if (!ok_ || in_.size() - at_ < size) {
      ok_ = false;
      return false;
    }
    at_ += size;
    return true;
  }

  std::span<const std::byte> in_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace openvenue::core

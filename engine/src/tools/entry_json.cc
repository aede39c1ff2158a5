#include "tools/entry_json.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>
#include <type_traits>

#include "core/schema/fields.h"
#include "core/schema/names.h"

namespace openvenue::tools {
namespace {

class FieldPrinter {
 public:
  explicit FieldPrinter(std::string& out) : out_(out) {}

  template <class T>
  void field(const char* name, const T& value) {
    name_next(name);
    print(value);
  }
  template <class T>
  void since(std::uint32_t /*version*/, const char* name, const T& value,
             const std::type_identity_t<T>& /*before*/ = {}) {
    field(name, value);
  }

  // The caller appends the value.
  void name_next(const char* name) {
    fmt::format_to(std::back_inserter(out_), "{}\"{}\":", first_ ? "" : ",", name);
    first_ = false;
  }

 private:
  template <class T>
  requires std::is_integral_v<T>
  void print(T value) { fmt::format_to(std::back_inserter(out_), "{}", value); }
  template <class T>
  requires std::is_enum_v<T>
  void print(T value) { append_json_string(core::name_of(value), out_); }
  template <std::size_t Capacity>
  void print(const core::FixedString<Capacity>& text) {
    append_json_string(text.view(), out_);
  }
  void print(const core::TradeSide& side) {
    out_ += '{';
    core::visit_fields(side, FieldPrinter(out_));
    out_ += '}';
  }

  std::string& out_;
  bool first_ = true;
};

template <class Variant, class Names>
void append_record(const Variant& variant, const Names& names, std::string& out) {
  out += '{';
  FieldPrinter printer(out);
  printer.field("kind", core::Name(names[variant.index()]));
  std::visit([&](const auto& record) { core::visit_fields(record, printer); }, variant);
  out += '}';
}

}  // namespace

void append_entry_json(const core::Command& command, const core::EventBuffer& events,
                       std::string& out) {
  out += '{';
  FieldPrinter printer(out);
  core::visit_fields(command, printer);
  printer.name_next("command");
  append_record(command.body, core::kCommandNames, out);
  printer.name_next("events");
  out += '[';
  for (const core::Event& event : events) {
    if (&event != &events.front()) out += ',';
    append_record(event, core::kEventNames, out);
  }
  out += "]}";
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", letter);
    } else {
      out += letter;
    }
  }
  out += '"';
}

}  // namespace openvenue::tools

#include "tools/entry_json.h"

#include <fmt/format.h>

#include <iterator>
#include <type_traits>

#include "journal/fields.h"
#include "journal/names.h"

namespace openvenue::tools {
namespace {

class FieldPrinter {
 public:
  explicit FieldPrinter(std::string& out) : out_(out) {}

  template <class T>
  void operator()(const char* name, const T& value) {
    fmt::format_to(std::back_inserter(out_), "{}\"{}\":", first_ ? "" : ",", name);
    first_ = false;
    print(value);
  }

 private:
  template <class T>
  requires std::is_integral_v<T>
  void print(T value) { fmt::format_to(std::back_inserter(out_), "{}", value); }
  template <class T>
  requires std::is_enum_v<T>
  void print(T value) { append_json_string(journal::name_of(value), out_); }
  template <std::size_t Capacity>
  void print(const core::FixedString<Capacity>& text) {
    append_json_string(text.view(), out_);
  }
  void print(const core::TradeSide& side) {
    out_ += '{';
    journal::visit_fields(side, FieldPrinter(out_));
    out_ += '}';
  }

  std::string& out_;
  bool first_ = true;
};

template <class Variant, class Names>
void append_record(const Variant& variant, const Names& names, std::string& out) {
  out += '{';
  FieldPrinter printer(out);
  printer("kind", core::Name(names[variant.index()]));
  std::visit([&](const auto& record) { journal::visit_fields(record, printer); }, variant);
  out += '}';
}

}  // namespace

void append_entry_json(const core::Command& command, const core::EventBuffer& events,
                       std::string& out) {
  fmt::format_to(std::back_inserter(out), R"({{"sequence":{},"timestamp_ns":{},"command":)",
                 command.sequence, command.timestamp_ns);
  append_record(command.body, journal::kCommandNames, out);
  out += R"(,"events":[)";
  for (const core::Event& event : events) {
    if (&event != &events.front()) out += ',';
    append_record(event, journal::kEventNames, out);
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

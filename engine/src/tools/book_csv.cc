#include "tools/book_csv.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "core/schema/command.h"

namespace openvenue::tools {
namespace {

constexpr std::size_t kColumns = 7;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
using Columns = std::array<std::string_view, kColumns>;

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};
using GzipFile = std::unique_ptr<gzFile_s, CloseGzip>;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw CsvError(path.string() + ": " + what);
}

[[noreturn]] void fail_with_errno(const std::filesystem::path& path, const std::string& what) {
  fail(path, what + ": " + (errno == 0 ? "out of memory" : std::strerror(errno)));
}

// The fields of one line, each checked; errors name the file and line.
class MessageLine {
 public:
  MessageLine(const std::filesystem::path& path, std::size_t number, std::string_view line)
      : path_(path), number_(number) {
    std::size_t count = 0;
    for (std::string_view rest = line;; ++count) {
      const std::size_t comma = rest.find(',');
      if (count < kColumns) columns_[count] = rest.substr(0, comma);
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
    if (count + 1 != kColumns) {
      reject("has " + std::to_string(count + 1) + " fields, expected " + std::to_string(kColumns) +
             " (" + std::string(kMessageHeader) + ")");
    }
  }

  [[nodiscard]] BookMessage message() const {
    BookMessage message;
    message.sequence = number<std::uint64_t>(columns_[0], "seq");
    message.kind = kind();
    message.order_id = number<std::uint64_t>(columns_[5], "order_id");
    if (message.kind == MessageKind::kCancel) return message;
    message.qty_lots = number<core::QtyLots>(columns_[4], "quantity");
    message.price_ticks = number<core::PriceTicks>(columns_[6], "price");
    if (message.qty_lots < 1 || message.qty_lots > core::kOrderQtyLotsMax) {
      reject("quantity must be between 1 and " + std::to_string(core::kOrderQtyLotsMax));
    }
    if (message.price_ticks > core::kPriceTicksMax || message.price_ticks < -core::kPriceTicksMax) {
      reject("price must be within " + std::to_string(core::kPriceTicksMax) + " ticks of zero");
    }
    if (message.kind == MessageKind::kModify) return message;
    message.side = side();
    message.immediate_or_cancel = flag(columns_[3], "ioc");
    return message;
  }

 private:
  [[noreturn]] void reject(const std::string& what) const {
    throw CsvError(path_.string() + ":" + std::to_string(number_) + ": " + what);
  }

  template <class Number>
  [[nodiscard]] Number number(std::string_view text, std::string_view column) const {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      reject(std::string(column) + " is not a 64-bit number: '" + std::string(text) + "'");
    }
    return value;
  }

  [[nodiscard]] bool flag(std::string_view text, std::string_view column) const {
    if (text == "0" || text.empty()) return false;
    if (text == "1") return true;
    reject(std::string(column) + " must be 0 or 1, not '" + std::string(text) + "'");
  }

  [[nodiscard]] MessageKind kind() const {
    if (columns_[1] == "new") return MessageKind::kNew;
    if (columns_[1] == "cancel") return MessageKind::kCancel;
    if (columns_[1] == "modify") return MessageKind::kModify;
    reject("type must be new, cancel or modify, not '" + std::string(columns_[1]) + "'");
  }

  [[nodiscard]] core::Side side() const {
    if (columns_[2] == "buy") return core::Side::kBuy;
    if (columns_[2] == "sell") return core::Side::kSell;
    reject("side must be buy or sell, not '" + std::string(columns_[2]) + "'");
  }

  const std::filesystem::path& path_;
  std::size_t number_;
  Columns columns_;
};

// Removes the first line from `text` and returns it without its line break (LF or CR LF).
std::string_view take_line(std::string_view& text) {
  const std::size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::string_view name(ReportKind kind) {
  switch (kind) {
    case ReportKind::kAck:
      return "ack";
    case ReportKind::kTrade:
      return "trade";
    case ReportKind::kCanceled:
      return "canceled";
    case ReportKind::kReplaced:
      return "replaced";
    case ReportKind::kCancelRejected:
      return "cancel_rejected";
    case ReportKind::kModifyRejected:
      return "modify_rejected";
  }
  __builtin_unreachable();
}

std::string_view name(core::Side side) { return side == core::Side::kBuy ? "buy" : "sell"; }

template <class Number>
void append(std::string& text, Number number) {
  std::array<char, 24> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  text.append(digits.data(), end);
}

// Fields that a kind of report lacks stay empty.
void append_line(std::string& text, const BookReport& report) {
  const bool trade = report.kind == ReportKind::kTrade;
  const bool rejected =
      report.kind == ReportKind::kCancelRejected || report.kind == ReportKind::kModifyRejected;
  text += name(report.kind);
  text += ',';
  append(text, report.sequence);
  text += ',';
  if (!trade && !rejected) text += name(report.side);
  text += ',';
  if (!trade) append(text, report.order_id);
  text += ',';
  if (!rejected) append(text, report.price_ticks);
  text += ',';
  if (!rejected && report.kind != ReportKind::kCanceled) append(text, report.qty_lots);
  text += ',';
  if (trade) append(text, report.maker_order_id);
  text += ',';
  if (trade) append(text, report.order_id);
}

void write_all(gzFile_s* file, const std::filesystem::path& path, const std::string& text) {
  const auto size = static_cast<unsigned>(text.size());
  if (gzwrite(file, text.data(), size) != static_cast<int>(size)) {
    fail_with_errno(path, "cannot be written");
  }
}

}  // namespace

std::string read_text(const std::filesystem::path& path) {
  errno = 0;
  const GzipFile file(gzopen(path.c_str(), "rb"));
  if (!file) fail_with_errno(path, "cannot be opened");
  constexpr unsigned kChunkBytes = 1U << 20;
  std::string text;
  for (;;) {
    const std::size_t before = text.size();
    text.resize(before + kChunkBytes);
    const int got = gzread(file.get(), text.data() + before, kChunkBytes);
    text.resize(before + static_cast<std::size_t>(std::max(got, 0)));
    int error = Z_OK;
    const char* message = gzerror(file.get(), &error);
    if (got < 0 || error != Z_OK) {
      // A compressed file that ends too early counts as read to its end, with Z_BUF_ERROR.
      fail(path,
           "cannot be read: " + std::string(error == Z_ERRNO ? std::strerror(errno) : message));
    }
    if (got == 0) return text;
  }
}

std::vector<BookMessage> read_messages(const std::filesystem::path& path) {
  const std::string content = read_text(path);
  std::string_view rest = content;
  if (rest.starts_with(kByteOrderMark)) rest.remove_prefix(kByteOrderMark.size());
  if (take_line(rest) != kMessageHeader) {
    throw CsvError(path.string() + ":1: the first line must be " + std::string(kMessageHeader));
  }
  std::vector<BookMessage> messages;
  messages.reserve(static_cast<std::size_t>(std::count(rest.begin(), rest.end(), '\n')) + 1);
  for (std::size_t number = 2; !rest.empty(); ++number) {
    const std::string_view line = take_line(rest);
    if (!line.empty()) messages.push_back(MessageLine(path, number, line).message());
  }
  return messages;
}

std::string report_line(const BookReport& report) {
  std::string line;
  append_line(line, report);
  return line;
}

void write_reports(const std::filesystem::path& path, std::span<const BookReport> reports) {
  constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
  errno = 0;
  // "T" writes plain text through the same calls.
  GzipFile file(gzopen(path.c_str(), path.extension() == ".gz" ? "wb1" : "wbT"));
  if (!file) fail_with_errno(path, "cannot be created");
  std::string text(kReportHeader);
  text += '\n';
  for (const BookReport& report : reports) {
    append_line(text, report);
    text += '\n';
    if (text.size() < kChunkBytes) continue;
    write_all(file.get(), path, text);
    text.clear();
  }
  write_all(file.get(), path, text);
  if (gzclose(file.release()) != Z_OK) fail_with_errno(path, "cannot be written");
}

}  // namespace openvenue::tools

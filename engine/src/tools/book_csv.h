// Reads order flow and writes reports as CSV, plain or compressed with gzip (see book_message.h).
#pragma once

#include <filesystem>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "tools/book_message.h"

namespace openvenue::tools {

// File, line if there is one, and problem. `what()` is a complete sentence.
class CsvError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Reads a whole message file, compressed or not by its content. Throws CsvError.
[[nodiscard]] std::vector<BookMessage> read_messages(const std::filesystem::path& path);

// One report's line, without the line break.
[[nodiscard]] std::string report_line(const BookReport& report);

// Writes a whole report file, compressed if the name ends in .gz. Throws CsvError.
void write_reports(const std::filesystem::path& path, std::span<const BookReport> reports);

// A file's whole content, decompressed if necessary. Throws CsvError.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

constexpr std::string_view kMessageHeader = "seq,type,side,ioc,quantity,order_id,price";
constexpr std::string_view kReportHeader =
    "report,seq,side,order_id,price,quantity,maker_order_id,taker_order_id";

}  // namespace openvenue::tools

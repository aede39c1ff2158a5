#include "journal/reader_offset.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <system_error>

#include "journal/error.h"

namespace openvenue::journal {
namespace {

constexpr std::string_view kPrefix = "reader-";
constexpr std::string_view kSuffix = ".offset";

std::string name_in(const std::string& file) {
  if (file.size() <= kPrefix.size() + kSuffix.size() || !file.starts_with(kPrefix) ||
      !file.ends_with(kSuffix)) {
    return {};
  }
  std::string name = file.substr(kPrefix.size(), file.size() - kPrefix.size() - kSuffix.size());
  return is_reader_name(name) ? name : std::string();
}

}  // namespace

bool is_reader_name(std::string_view name) {
  const auto may_have = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !name.empty() && name.size() <= 63 && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), may_have);
}

std::vector<ReaderOffset> list_reader_offsets(const std::filesystem::path& directory) {
  std::vector<ReaderOffset> readers;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    const std::string name = name_in(it->path().filename().string());
    if (name.empty()) continue;
    core::Sequence sequence = 0;
    if (!(std::ifstream(it->path()) >> sequence)) sequence = 0;
    readers.push_back({name, sequence});
  }
  if (error) {
    throw DiskError(fmt::format("Listing {} failed: {}. Check the path and its permissions.",
                                directory.string(), error.message()));
  }
  return readers;
}

void store_reader_offset(const std::filesystem::path& directory, const ReaderOffset& reader) {
  const std::filesystem::path unfinished = directory / "next-reader.tmp";
  const std::filesystem::path path =
      directory / fmt::format("{}{}{}", kPrefix, reader.name, kSuffix);
  std::ofstream file(unfinished, std::ios::trunc);
  file << reader.sequence << '\n';
  std::error_code error;
  if (file.flush()) std::filesystem::rename(unfinished, path, error);
  if (!file || error) {
    throw DiskError(
        fmt::format("Writing {} failed. Check free space and the path.", path.string()));
  }
}

}  // namespace openvenue::journal

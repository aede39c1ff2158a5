// The tokens for administration: one file each in a directory, as in a mounted Secret.
#pragma once

#include <cstddef>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/types.h"
#include "rpc/log_limit.h"

namespace openvenue::rpc {

class AdminTokens {
 public:
  // A shorter one could be guessed.
  static constexpr std::size_t kTokenBytesMin = 16;
  static constexpr std::size_t kTokenBytesMax = 4096;
  // The name is journaled with its holder's commands.
  static constexpr std::size_t kNameBytesMax = core::kActorBytesMax;

  explicit AdminTokens(std::filesystem::path directory) : directory_(std::move(directory)) {}

  // The name of the file that holds `token`; nothing if none does. Reads the files at each call, so
  // tokens change without a restart. Skips names that begin with a dot, as the links of a mounted
  // Secret do, and logs unusable files. Takes the same time for all tokens of a length.
  [[nodiscard]] std::optional<std::string> name_of(std::string_view token);

 private:
  void cannot_use(const std::filesystem::path& path, std::string_view why);

  const std::filesystem::path directory_;
  LogLimit unusable_logged_;
};

}  // namespace openvenue::rpc

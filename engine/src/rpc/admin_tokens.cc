#include "rpc/admin_tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <system_error>

namespace openvenue::rpc {
namespace {

constexpr std::string_view kWhiteSpace = " \t\r\n";

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

// Digests have one length, so comparing them reveals nothing about the token's.
Digest digest_of(std::string_view text) {
  Digest digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

bool equal(const Digest& left, const Digest& right) {
  return CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

// Names that a Secret's keys may have; any other could forge lines of a log.
bool may_be_name(std::string_view name) {
  return name.size() <= AdminTokens::kNameBytesMax &&
         std::all_of(name.begin(), name.end(), [](char letter) {
           return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                  (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
                  letter == '.';
         });
}

// The file's first bytes without surrounding white space, which editors add.
std::string read_token(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(AdminTokens::kTokenBytesMax, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  const auto begin = text.find_first_not_of(kWhiteSpace);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kWhiteSpace) + 1 - begin);
}

}  // namespace

std::optional<std::string> AdminTokens::name_of(std::string_view token) {
  const Digest asked = digest_of(token);
  std::optional<std::string> found;
  std::error_code error;
  std::filesystem::directory_iterator files(directory_, error);
  if (error) cannot_use(directory_, error.message());
  for (; !error && files != std::filesystem::directory_iterator(); files.increment(error)) {
    const std::string name = files->path().filename().string();
    std::error_code ignored;
    if (name.starts_with('.') || !files->is_regular_file(ignored)) continue;
    const std::string held = read_token(files->path());
    if (!may_be_name(name)) {
      cannot_use(files->path(), "give it a name of at most 32 letters, digits and . _ -");
    } else if (held.size() < kTokenBytesMin) {
      cannot_use(files->path(), "it cannot be read or has fewer than 16 characters");
    } else if (equal(digest_of(held), asked)) {
      found = name;  // keep looping: leaving early would reveal its place
    }
  }
  return found;
}

void AdminTokens::cannot_use(const std::filesystem::path& path, std::string_view why) {
  if (const auto held_back = unusable_logged_.pass()) {
    spdlog::warn("administration token {} is not used: {} more_of_these={}", path.string(), why,
                 *held_back);
  }
}

}  // namespace openvenue::rpc

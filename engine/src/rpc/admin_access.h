// Who may administrate through a listener: whoever sends a token, or nobody.
#pragma once

#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <optional>
#include <string>

#include "rpc/admin_tokens.h"
#include "rpc/log_limit.h"
#include "runtime/metrics.h"

namespace openvenue::rpc {

class AdminAccess {
 public:
  // Nobody; `instead` tells a caller where to turn. `metrics` must outlive this.
  AdminAccess(runtime::Metrics& metrics, std::string instead)
      : metrics_(metrics), instead_(std::move(instead)) {}
  // Whoever sends `authorization: Bearer TOKEN` with a token of the directory.
  AdminAccess(runtime::Metrics& metrics, const std::filesystem::path& tokens)
      : metrics_(metrics), tokens_(std::in_place, tokens) {}

  // OK with the token's name in `actor`; else UNAUTHENTICATED or PERMISSION_DENIED with what to do,
  // counted and logged.
  [[nodiscard]] grpc::Status admit(const grpc::ServerContext& context, std::string& actor);

  // True if every call here needs a token, harmless ones too.
  [[nodiscard]] bool guards_all() const { return tokens_.has_value(); }

 private:
  [[nodiscard]] grpc::Status refuse(const grpc::ServerContext& context, grpc::StatusCode code,
                                    const std::string& why);

  runtime::Metrics& metrics_;
  const std::string instead_;
  std::optional<AdminTokens> tokens_;
  LogLimit refusals_logged_;
};

}  // namespace openvenue::rpc

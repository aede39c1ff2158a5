// Decides who may administrate through a listener: holders of a token, or nobody.
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
  // Admits nobody; `instead` tells callers where to turn. `metrics` must outlive this.
  AdminAccess(runtime::Metrics& metrics, std::string instead)
      : metrics_(metrics), instead_(std::move(instead)) {}
  // Admits callers that send `authorization: Bearer TOKEN` with a token of the directory.
  AdminAccess(runtime::Metrics& metrics, const std::filesystem::path& tokens)
      : metrics_(metrics), tokens_(std::in_place, tokens) {}

  // OK with the token's name in `actor`; else UNAUTHENTICATED or PERMISSION_DENIED with advice,
  // counted and logged.
  [[nodiscard]] grpc::Status admit(const grpc::ServerContext& context, std::string& actor);

  // True if every call here needs a token, also harmless ones.
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

#include "rpc/admin_access.h"

#include <spdlog/spdlog.h>

#include <string_view>

namespace openvenue::rpc {
namespace {

constexpr const char* kHeader = "authorization";
constexpr std::string_view kScheme = "Bearer ";

}  // namespace

grpc::Status AdminAccess::admit(const grpc::ServerContext& context, std::string& actor) {
  if (!tokens_) return refuse(context, grpc::StatusCode::PERMISSION_DENIED, instead_);
  const auto& metadata = context.client_metadata();
  const auto header = metadata.find(kHeader);
  if (header == metadata.end()) {
    return refuse(context, grpc::StatusCode::UNAUTHENTICATED,
                  "send the metadata `authorization: Bearer TOKEN` with one of the tokens that the "
                  "engine was given (--admin-tokens)");
  }
  const std::string_view value(header->second.data(), header->second.size());
  std::optional<std::string> name;
  if (value.starts_with(kScheme)) name = tokens_->name_of(value.substr(kScheme.size()));
  if (!name) {
    return refuse(context, grpc::StatusCode::UNAUTHENTICATED,
                  "the token is none of those that the engine was given (--admin-tokens): take the "
                  "content of one of their files");
  }
  actor = *std::move(name);
  return grpc::Status::OK;
}

grpc::Status AdminAccess::refuse(const grpc::ServerContext& context, grpc::StatusCode code,
                                 const std::string& why) {
  metrics_.refused_admin_calls.Increment();
  if (const auto held_back = refusals_logged_.pass()) {
    spdlog::warn("administration refused peer={}: {} more_of_these={}", context.peer(), why,
                 *held_back);
  }
  return {code, why};
}

}  // namespace openvenue::rpc

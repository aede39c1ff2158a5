#include "rpc/admin_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "journal/error.h"
#include "rpc/decode.h"
#include "rpc/encode.h"
#include "rpc/pending_call.h"
#include "rpc/wire.h"

namespace openvenue::rpc {
namespace {

constexpr std::array<std::string_view, 5> kLogLevels = {"trace", "debug", "info", "warn", "error"};

// A snapshot replays the journal since the last one, which may be long.
constexpr std::chrono::minutes kSnapshotWaitMax{10};

// How late the service notices that a caller has gone and frees its server thread.
constexpr std::chrono::milliseconds kCancelledCheck{100};

std::string log_level_name() {
  const auto name = spdlog::level::to_string_view(spdlog::get_level());
  const std::string level(name.data(), name.size());
  return level == "warning" ? "warn" : level;
}

// The command's name in the protocol; empty if there is none.
std::string_view command_name(const v1::AdminRequest& request) {
  const auto* field = v1::AdminRequest::descriptor()->FindFieldByNumber(request.command_case());
  return field == nullptr ? std::string_view() : std::string_view(field->name());
}

}  // namespace

grpc::Status AdminService::admit(const grpc::ServerContext& context, Call call,
                                 std::string& actor) {
  if (call == Call::kForEverybody && !access_.guards_all()) return grpc::Status::OK;
  return access_.admit(context, actor);
}

grpc::Status AdminService::admit(const grpc::ServerContext& context, Call call) {
  std::string actor;
  return admit(context, call, actor);
}

grpc::Status AdminService::Apply(grpc::ServerContext* context, const v1::AdminRequest* request,
                                 v1::AdminResponse* response) {
  std::string actor;
  if (auto status = admit(*context, Call::kForAdministrators, actor); !status.ok()) return status;
  if (auto status = check_shard(engine_, request->shard_id()); !status.ok()) return status;
  core::CommandBody command;
  if (auto problem = decode(*request, command)) {
    return {grpc::StatusCode::INVALID_ARGUMENT, *problem};
  }
  runtime::Reply reply;
  const auto status = ask(engine_, *context, {0, command, core::Actor(actor)}, reply);
  if (!status.ok()) return status;
  spdlog::info("administration sequence={} actor={} command={}", reply.sequence, actor,
               command_name(*request));
  response->set_sequence(reply.sequence);
  for (const core::Event& event : std::get<runtime::CommandEvents>(reply.body).events) {
    encode(event, *response->add_events());
    if (const auto* rejected = std::get_if<core::Rejected>(&event)) {
      response->set_reject_reason(static_cast<v1::Reason>(rejected->reason));
    }
  }
  return status;
}

grpc::Status AdminService::GetStatus(grpc::ServerContext* context,
                                     const v1::GetStatusRequest* request,
                                     v1::EngineStatus* response) {
  const Call call = request->with_state_hash() ? Call::kForAdministrators : Call::kForEverybody;
  if (auto status = admit(*context, call); !status.ok()) return status;
  runtime::Reply reply;
  const runtime::GetStatus query{request->with_state_hash()};
  const auto status = ask(engine_, *context, {0, runtime::Query(query)}, reply);
  if (!status.ok()) return status;
  const auto& summary = std::get<runtime::StateSummary>(reply.body);
  response->set_shard_id(engine_.settings().journal.shard_id);
  response->set_applied_sequence(reply.sequence);
  response->set_durable_sequence(engine_.durable().get());
  response->set_snapshot_sequence(engine_.snapshot_sequence());
  response->set_state_hash(summary.state_hash);
  response->set_open_orders(summary.open_orders);
  response->set_sessions(admission_.open(StreamKind::kSession));
  response->set_stream_subscribers(admission_.open(StreamKind::kSubscriber));
  response->set_started_ns(engine_.started_ns());
  response->set_trading_day_end_ns(engine_.next_day_end_ns());
  response->set_version(version_);
  response->set_read_only(engine_.read_only());
  response->set_suspended(summary.suspended);
  return status;
}

grpc::Status AdminService::ListInstruments(grpc::ServerContext* context,
                                           const v1::ListInstrumentsRequest* request,
                                           v1::ListInstrumentsResponse* response) {
  if (auto status = admit(*context, Call::kForEverybody); !status.ok()) return status;
  runtime::Reply reply;
  const auto status = ask(engine_, *context,
                          {0, runtime::Query(runtime::ListInstruments{
                                  request->after_instrument_id(), request->limit()})},
                          reply);
  if (!status.ok()) return status;
  response->set_sequence(reply.sequence);
  const auto& list = std::get<runtime::InstrumentList>(reply.body);
  for (const auto& instrument : list.instruments) encode(instrument, *response->add_instruments());
  response->set_more(list.more);
  response->set_schema_version(core::kSchemaVersion);
  return status;
}

grpc::Status AdminService::ListAccounts(grpc::ServerContext* context,
                                        const v1::ListAccountsRequest* request,
                                        v1::ListAccountsResponse* response) {
  if (auto status = admit(*context, Call::kForAdministrators); !status.ok()) return status;
  runtime::Reply reply;
  const auto status =
      ask(engine_, *context,
          {0, runtime::Query(runtime::ListAccounts{request->after_account_id(), request->limit()})},
          reply);
  if (!status.ok()) return status;
  const auto& list = std::get<runtime::AccountList>(reply.body);
  for (const auto& account : list.accounts) encode(account, *response->add_accounts());
  response->set_more(list.more);
  return status;
}

grpc::Status AdminService::GetAccount(grpc::ServerContext* context,
                                      const v1::GetAccountRequest* request, v1::Account* response) {
  if (auto status = admit(*context, Call::kForAdministrators); !status.ok()) return status;
  runtime::Reply reply;
  const auto status = ask(engine_, *context,
                          {0, runtime::Query(runtime::GetAccount{request->account_id()})}, reply);
  if (!status.ok()) return status;
  encode(std::get<runtime::AccountState>(reply.body), *response);
  return status;
}

grpc::Status AdminService::TakeSnapshot(grpc::ServerContext* context,
                                        const v1::TakeSnapshotRequest*,
                                        v1::TakeSnapshotResponse* response) {
  if (auto status = admit(*context, Call::kForAdministrators); !status.ok()) return status;
  auto snapshot = engine_.take_snapshot();
  if (!snapshot) {
    return {grpc::StatusCode::ABORTED,
            "another caller is waiting for a snapshot: see snapshot_sequence in the status"};
  }
  const auto until =
      std::min(context->deadline(), std::chrono::system_clock::now() + kSnapshotWaitMax);
  while (snapshot->wait_for(kCancelledCheck) != std::future_status::ready) {
    if (context->IsCancelled() || std::chrono::system_clock::now() >= until) {
      return {grpc::StatusCode::DEADLINE_EXCEEDED,
              "the snapshot is still being written: see snapshot_sequence in the status"};
    }
  }
  try {
    response->set_sequence(snapshot->get());
    return grpc::Status::OK;
  } catch (const journal::Stopped& stopped) {
    return {grpc::StatusCode::UNAVAILABLE, stopped.what()};
  } catch (const std::exception& error) {
    return {grpc::StatusCode::INTERNAL, error.what()};
  }
}

grpc::Status AdminService::Tune(grpc::ServerContext* context, const v1::TuneRequest* request,
                                v1::TuneResponse* response) {
  if (auto status = admit(*context, Call::kForEverybody); !status.ok()) return status;
  const bool known_level =
      std::find(kLogLevels.begin(), kLogLevels.end(), request->log_level()) != kLogLevels.end();
  if (request->has_log_level() && !known_level) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "log_level is one of trace, debug, info, warn, error"};
  }
  if (request->has_server_threads_max() && !threads_.set_max(request->server_threads_max())) {
    return {grpc::StatusCode::INVALID_ARGUMENT, "server_threads_max is " +
                                                    std::to_string(ServerThreads::kMin) + " to " +
                                                    std::to_string(ServerThreads::kMax)};
  }
  if (request->has_log_level()) spdlog::set_level(spdlog::level::from_str(request->log_level()));
  response->set_log_level(log_level_name());
  response->set_server_threads_max(threads_.max());
  spdlog::info("tuned log_level={} server_threads_max={}", response->log_level(),
               response->server_threads_max());
  return grpc::Status::OK;
}

}  // namespace openvenue::rpc

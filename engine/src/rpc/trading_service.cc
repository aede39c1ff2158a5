#include "rpc/trading_service.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "rpc/decode.h"
#include "rpc/encode.h"
#include "rpc/intake.h"
#include "rpc/pending_call.h"
#include "rpc/wire.h"

namespace openvenue::rpc {

namespace {

// Indexes of v1::Trading's methods, in the order of the .proto file.
constexpr int kSessionMethod = 0;

// Bounds of one session's outbox. The minimum holds the replies to the largest message; the maximum
// keeps the delay of one session's own queue small.
constexpr std::uint64_t kOutboxCapacityMin = kRequestsPerMessageMax;
constexpr std::uint64_t kOutboxCapacityMax = 32'768;

}  // namespace

// Makes a session one of those that end_sessions() ends, while this lives.
class TradingService::Registration {
 public:
  Registration(TradingService& service, rpc::Session& session)
      : service_(service), session_(session) {
    const std::unique_lock lock(service_.mutex_);
    if (!service_.ending_) registered_ = service_.sessions_.insert(&session).second;
  }
  ~Registration() {
    const std::unique_lock lock(service_.mutex_);
    service_.sessions_.erase(&session_);
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;

  // False once sessions are being ended.
  [[nodiscard]] bool registered() const { return registered_; }

 private:
  TradingService& service_;
  rpc::Session& session_;
  bool registered_ = false;
};

TradingService::TradingService(runtime::Engine& engine, runtime::Metrics& metrics,
                               StreamAdmission& admission, CallWatch& watch,
                               const SessionSettings& settings)
    : engine_(engine),
      metrics_(metrics),
      admission_(admission),
      watch_(watch),
      settings_(settings) {
  // The handler that gRPC generates reads messages; this one reads bytes (see Session::Stream).
  using Handler =
      grpc::internal::BidiStreamingHandler<TradingService, grpc::ByteBuffer, v1::SessionResponse>;
  MarkMethodStreamed(kSessionMethod, new Handler(
                                         [](TradingService* service, grpc::ServerContext* context,
                                            rpc::Session::Stream* stream) {
                                           return service->run_session(*context, *stream);
                                         },
                                         this));
}

grpc::Status TradingService::run_session(grpc::ServerContext& context,
                                         rpc::Session::Stream& stream) {
  if (admission_.draining()) return engine_stopping();
  const auto slot = admission_.admit(StreamKind::kSession, context.peer());
  if (!slot) {
    metrics_.refused_streams.Increment();
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "no more sessions: close one, or raise the engine's server threads"};
  }
  rpc::Session session(engine_, metrics_, watch_, settings_, outbox_capacity(), context, stream);
  const Registration registration(*this, session);
  if (!registration.registered()) return engine_stopping();
  return session.run();
}

grpc::Status TradingService::Submit(grpc::ServerContext* context, const v1::SessionRequest* request,
                                    v1::SessionResponse* response) {
  if (request->requests_size() > kRequestsPerMessageMax) {
    return {grpc::StatusCode::INVALID_ARGUMENT,
            "the message has " + std::to_string(request->requests_size()) +
                " requests; send at most " + std::to_string(kRequestsPerMessageMax)};
  }
  if (auto status = check_shard(engine_, request->shard_id()); !status.ok()) return status;
  Intake intake = [&] {
    const runtime::StageTimer timer(metrics_.decode_seconds);
    return take_in(*request);
  }();
  metrics_.invalid_requests.Increment(static_cast<double>(intake.malformed.size()));
  const auto call =
      std::make_shared<PendingCall>(static_cast<std::size_t>(request->requests_size()));
  call->deliver(std::move(intake.malformed));
  if (!intake.operations.empty()) {
    runtime::Batch batch{std::move(intake.operations), call, {}};
    const auto admission = engine_.submit(batch);
    if (admission != runtime::Admission::kAccepted) {
      call->deliver(refuse(batch.operations, admission));
    }
  }
  if (!call->wait(*context)) return fate_unknown();
  for (const runtime::Reply& reply : call->replies()) encode(reply, *response->add_replies());
  return grpc::Status::OK;
}

void TradingService::end_sessions(std::chrono::steady_clock::time_point deadline) {
  {
    const std::unique_lock lock(mutex_);
    ending_ = true;
  }
  const std::shared_lock lock(mutex_);  // shared: metrics can be read while clients take time
  for (rpc::Session* session : sessions_) session->end(deadline);
}

std::uint64_t TradingService::replies_owed() {
  const std::shared_lock lock(mutex_);
  std::uint64_t owed = 0;
  for (const rpc::Session* session : sessions_) owed += session->owed();
  return owed;
}

std::uint64_t TradingService::outbox_capacity() const {
  const std::uint64_t share =
      settings_.replies_owed_max / std::max(admission_.max(StreamKind::kSession), 1U);
  return std::clamp(share, kOutboxCapacityMin, kOutboxCapacityMax);
}

}  // namespace openvenue::rpc

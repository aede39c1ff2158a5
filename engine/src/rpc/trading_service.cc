#include "rpc/trading_service.h"

#include <memory>
#include <string>
#include <utility>

#include "rpc/decode.h"
#include "rpc/encode.h"
#include "rpc/intake.h"
#include "rpc/pending_call.h"
#include "rpc/wire.h"

namespace openvenue::rpc {

// A session among those that end_sessions() ends, for as long as this lives.
class TradingService::Registration {
 public:
  Registration(TradingService& service, rpc::Session& session)
      : service_(service), session_(session) {
    const std::lock_guard lock(service_.mutex_);
    if (!service_.ending_) registered_ = service_.sessions_.insert(&session).second;
  }
  ~Registration() {
    const std::lock_guard lock(service_.mutex_);
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

grpc::Status TradingService::Session(grpc::ServerContext* context, rpc::Session::Stream* stream) {
  if (admission_.draining()) return engine_stopping();
  const auto slot = admission_.admit_session();
  if (!slot) {
    metrics_.refused_streams.Increment();
    return {grpc::StatusCode::RESOURCE_EXHAUSTED,
            "no more sessions: close one, or raise the engine's server threads"};
  }
  rpc::Session session(engine_, metrics_, settings_, *context, *stream);
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
  const std::lock_guard lock(mutex_);
  ending_ = true;
  for (rpc::Session* session : sessions_) session->end(deadline);
}

}  // namespace openvenue::rpc

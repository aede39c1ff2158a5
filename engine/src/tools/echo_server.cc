#include "tools/echo_server.h"

#include <grpcpp/grpcpp.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "openvenue/engine/v1/engine.grpc.pb.h"

namespace openvenue::tools {

namespace v1 = ::openvenue::engine::v1;

namespace {

// As large as the engine's answer to the same request.
void echo(const v1::Request& request, v1::Reply& reply) {
  reply.set_request_id(request.request_id());
  reply.set_sequence(request.request_id() + 1);
  const v1::NewOrder& sent = request.new_order();
  v1::Order& order = *reply.mutable_order();
  order.set_order_id(request.request_id() + 1);
  order.set_account_id(sent.account_id());
  order.set_instrument_id(sent.instrument_id());
  order.set_side(sent.side());
  order.set_type(sent.type());
  order.set_time_in_force(sent.time_in_force());
  order.set_status(request.has_cancel_order() ? v1::ORDER_STATUS_CANCELED : v1::ORDER_STATUS_NEW);
  order.set_qty_lots(sent.qty_lots());
  order.set_limit_price_ticks(sent.limit_price_ticks());
  order.set_created_ns(INT64_C(1'700'000'000'000'000'000));
  order.set_updated_ns(INT64_C(1'700'000'000'000'000'000));
  order.set_updated_sequence(request.request_id() + 1);
  order.set_client_order_id(sent.client_order_id());
}

void echo(const v1::SessionRequest& message, v1::SessionResponse& answer) {
  answer.Clear();
  for (const v1::Request& request : message.requests()) echo(request, *answer.add_replies());
}

class EchoService final : public v1::Trading::Service {
 public:
  grpc::Status Session(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::SessionResponse, v1::SessionRequest>* stream) override {
    v1::SessionRequest message;
    v1::SessionResponse answer;
    while (stream->Read(&message)) {
      echo(message, answer);
      if (!stream->Write(answer)) break;
    }
    return grpc::Status::OK;
  }
};

// The same on gRPC's callback API, for the comparison in docs/decisions/0001.
class CallbackEchoService final : public v1::Trading::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse>* Session(
      grpc::CallbackServerContext*) override {
    return new Stream;  // deletes itself
  }

 private:
  class Stream final : public grpc::ServerBidiReactor<v1::SessionRequest, v1::SessionResponse> {
   public:
    Stream() { StartRead(&message_); }
    void OnReadDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      echo(message_, answer_);
      StartWrite(&answer_);
    }
    void OnWriteDone(bool ok) override {
      if (!ok) return Finish(grpc::Status::OK);
      StartRead(&message_);
    }
    void OnDone() override { delete this; }

   private:
    v1::SessionRequest message_;
    v1::SessionResponse answer_;
  };
};

}  // namespace

void run_echo_server(const std::string& port_file, bool callback) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  EchoService sync_service;
  CallbackEchoService callback_service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  if (callback) {
    builder.RegisterService(&callback_service);
  } else {
    builder.RegisterService(&sync_service);
  }
  const auto server = builder.BuildAndStart();
  if (server == nullptr) throw std::runtime_error("the echo server cannot listen on loopback");
  std::ofstream(port_file + ".new") << port << '\n';
  std::filesystem::rename(port_file + ".new", port_file);
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now());
}

}  // namespace openvenue::tools

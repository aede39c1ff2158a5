#include "rpc/reflection_guard.h"

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <optional>
#include <string_view>

namespace openvenue::rpc {
namespace {

using grpc::experimental::InterceptionHookPoints;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kReflectionPrefix = "/grpc.reflection.";
constexpr std::chrono::seconds kCallMax{10};

// Lives as long as the call.
class ReflectionCall final : public grpc::experimental::Interceptor {
 public:
  ReflectionCall(grpc::ServerContextBase& context, StreamAdmission& admission, CallWatch& watch,
                 runtime::Metrics& metrics)
      : context_(context), admission_(admission), watch_(watch), metrics_(metrics) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      begin();
    }
    methods->Proceed();
  }

 private:
  void begin() {
    auto slot = admission_.admit(StreamKind::kReflection, context_.peer());
    if (!slot) {
      metrics_.refused_streams.Increment();
      context_.TryCancel();
      return;
    }
    slot_.emplace(*std::move(slot));
    watched_ = watch_.watch([until = Clock::now() + kCallMax] { return Clock::now() > until; },
                            [this] { context_.TryCancel(); });
  }

  grpc::ServerContextBase& context_;
  StreamAdmission& admission_;
  CallWatch& watch_;
  runtime::Metrics& metrics_;
  std::optional<StreamAdmission::Slot> slot_;
  std::unique_ptr<CallWatch::Watched> watched_;
};

class Factory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  Factory(StreamAdmission& admission, CallWatch& watch, runtime::Metrics& metrics)
      : admission_(admission), watch_(watch), metrics_(metrics) {}

  // Returns nothing for other calls, which then have no interceptor. gRPC takes ownership.
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    if (!std::string_view(info->method()).starts_with(kReflectionPrefix)) return nullptr;
    return new ReflectionCall(*info->server_context(), admission_, watch_, metrics_);
  }

 private:
  StreamAdmission& admission_;
  CallWatch& watch_;
  runtime::Metrics& metrics_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> guard_reflection(
    StreamAdmission& admission, CallWatch& watch, runtime::Metrics& metrics) {
  return std::make_unique<Factory>(admission, watch, metrics);
}

}  // namespace openvenue::rpc

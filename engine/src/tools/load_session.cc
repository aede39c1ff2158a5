#include "tools/load_session.h"

#include <algorithm>
#include <thread>

namespace openvenue::tools {

namespace v1 = ::openvenue::engine::v1;

void LoadResult::add(const LoadResult& other) {
  latencies.add(other.latencies);
  answered += other.answered;
  rejected += other.rejected;
  refused += other.refused;
  broken |= other.broken;
}

LoadSession::LoadSession(const std::shared_ptr<grpc::Channel>& channel, const LoadPlan& plan,
                         OrderFlow& flow)
    : plan_(plan),
      flow_(flow),
      stub_(v1::Trading::NewStub(channel)),
      stream_(stub_->Session(&context_)),
      meant_at_(kWindow) {}

LoadResult LoadSession::run() {
  const auto start = SteadyClock::now();
  LoadResult result;
  std::thread receiver([&] { receive_all(start, result); });
  send_all(start);
  stream_->WritesDone();
  receiver.join();
  result.broken = !stream_->Finish().ok() || answered_ != sent_;
  return result;
}

void LoadSession::send_all(SteadyClock::time_point start) {
  const auto end = start + plan_.warm_up + plan_.duration;
  while (SteadyClock::now() < end) {
    const std::uint64_t until = due(start);
    if (!send(until, start)) return;
  }
}

// Waits for requests to send; returns the number of the first that must not be sent yet.
std::uint64_t LoadSession::due(SteadyClock::time_point start) {
  const auto batch_max = static_cast<std::uint64_t>(plan_.batch_max);
  if (plan_.rate_per_s > 0) {
    auto next_in = std::chrono::duration_cast<SteadyClock::duration>(
        std::chrono::duration<double>(static_cast<double>(sent_) / plan_.rate_per_s));
    if (plan_.tick.count() > 0) next_in = (next_in / plan_.tick + 1) * plan_.tick;
    std::this_thread::sleep_until(start + next_in);
    const double elapsed_s = std::chrono::duration<double>(SteadyClock::now() - start).count();
    const auto due_by_now = static_cast<std::uint64_t>(elapsed_s * plan_.rate_per_s) + 1;
    return std::min(due_by_now, sent_ + batch_max);
  }
  return sent_ + batch_max;
}

bool LoadSession::send(std::uint64_t until, SteadyClock::time_point start) {
  const std::uint64_t in_flight_max = plan_.rate_per_s > 0 ? kWindow : plan_.in_flight_max;
  {
    std::unique_lock lock(mutex_);
    answered_some_.wait(lock, [&] { return ended_ || until - answered_ <= in_flight_max; });
    if (ended_) return false;
  }
  const auto now = SteadyClock::now();
  v1::SessionRequest& message = request_.renew();
  for (; sent_ < until; ++sent_) {
    v1::Request& request = *message.add_requests();
    request.set_request_id(sent_);
    flow_.next(request);
    meant_at_[sent_ % kWindow] =
        plan_.rate_per_s > 0
            ? start +
                  std::chrono::duration_cast<SteadyClock::duration>(
                      std::chrono::duration<double>(static_cast<double>(sent_) / plan_.rate_per_s))
            : now;
  }
  return stream_->Write(message);
}

void LoadSession::receive_all(SteadyClock::time_point start, LoadResult& result) {
  rpc::ReusedMessage<v1::SessionResponse> response;
  for (;;) {
    v1::SessionResponse& message = response.renew();
    if (!stream_->Read(&message)) break;
    const auto now = SteadyClock::now();
    for (const v1::Reply& reply : message.replies()) take(reply, now, start, result);
    {
      const std::lock_guard lock(mutex_);
      answered_ += static_cast<std::uint64_t>(message.replies_size());
    }
    answered_some_.notify_one();
  }
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  answered_some_.notify_one();
}

void LoadSession::take(const v1::Reply& reply, SteadyClock::time_point now,
                       SteadyClock::time_point start, LoadResult& result) {
  if (reply.order().status() == v1::ORDER_STATUS_NEW) {
    flow_.rests(reply.order().account_id(), reply.order().order_id());
  }
  if (now < start + plan_.warm_up || now >= start + plan_.warm_up + plan_.duration) return;
  ++result.answered;
  if (reply.has_reject()) ++result.rejected;
  if (reply.has_not_sequenced()) ++result.refused;
  const auto meant_at = meant_at_[reply.request_id() % kWindow];
  if (meant_at < start + plan_.warm_up) return;
  result.latencies.record(static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now - meant_at).count()));
}

}  // namespace openvenue::tools

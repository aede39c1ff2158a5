#include "runtime/publisher.h"

#include <utility>

namespace openvenue::runtime {

void Publisher::run() {
  std::vector<Flight*> flights;
  while (durable_.pop_all(flights)) {
    for (Flight* flight : flights) publish(*flight);
    free_flights_.push_all(flights);
  }
}

void Publisher::publish(Flight& flight) {
  for (Delivery& delivery : flight.deliveries) {
    delivery.sink->deliver(std::move(delivery.replies));
  }
  metrics_.publish_seconds.Observe(
      seconds_between(flight.durable_at, std::chrono::steady_clock::now()));
  flight.clear();
}

}  // namespace openvenue::runtime

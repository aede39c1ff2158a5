// Delivers the replies of durable frames to their sessions and recycles the flights. Sinks never
// block, so one slow client delays no other.
#pragma once

#include <vector>

#include "runtime/flight.h"
#include "runtime/metrics.h"

namespace openvenue::runtime {

class Publisher {
 public:
  Publisher(FlightQueue& durable, FlightQueue& free_flights, Metrics& metrics)
      : durable_(durable), free_flights_(free_flights), metrics_(metrics) {}

  // Runs until `durable` is closed and empty.
  void run();

 private:
  void publish(Flight& flight);

  FlightQueue& durable_;
  FlightQueue& free_flights_;
  Metrics& metrics_;
};

}  // namespace openvenue::runtime

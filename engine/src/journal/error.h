// The one exception of this layer.
#pragma once

#include <stdexcept>

namespace openvenue::journal {

// What happened to which file, and what the operator can do. `what()` is complete.
class JournalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace openvenue::journal

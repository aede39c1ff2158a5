// The exceptions of this layer.
#pragma once

#include <stdexcept>

namespace openvenue::journal {

// What happened to which file, and what the operator can do. `what()` is complete.
class JournalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The system gave no descriptor or memory for it: it says nothing of the journal, and later it may.
class OutOfResources : public JournalError {
 public:
  using JournalError::JournalError;
};

// What was asked to stop has stopped, with nothing left half done.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace openvenue::journal

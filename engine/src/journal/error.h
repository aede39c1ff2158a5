// The exceptions of this layer.
#pragma once

#include <stdexcept>

namespace openvenue::journal {

// What happened to which file, and what the operator can do. `what()` is complete.
class JournalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The disk or the system refused. It says nothing of the journal, which is whole again once they
// are well.
class DiskError : public JournalError {
 public:
  using JournalError::JournalError;
};

// The system gave no descriptor or memory for it: it says nothing of the journal, and later it may.
class OutOfResources : public DiskError {
 public:
  using DiskError::DiskError;
};

// Replaying an entry gives other events than were recorded with it: the state that the engine runs
// on cannot be trusted, or this build decides differently.
class Divergence : public JournalError {
 public:
  using JournalError::JournalError;
};

// What was asked to stop has stopped, with nothing left half done.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace openvenue::journal

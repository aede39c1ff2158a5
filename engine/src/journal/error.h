// The exceptions of this layer.
#pragma once

#include <stdexcept>

namespace openvenue::journal {

// What happened to which file, and what the operator can do. `what()` is a complete sentence.
class JournalError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The disk or the system refused. The journal is not damaged and works again once they do.
class DiskError : public JournalError {
 public:
  using JournalError::JournalError;
};

// The system gave no descriptor or memory. The journal is not damaged; a later try may succeed.
class OutOfResources : public DiskError {
 public:
  using DiskError::DiskError;
};

// Replaying an entry gives other events than the recorded ones: the running state cannot be
// trusted, or this build decides differently.
class Divergence : public JournalError {
 public:
  using JournalError::JournalError;
};

// A requested stop is complete, with nothing left half done.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace openvenue::journal

// Ends the process when memory runs out.
//
// A thread of the pipeline cannot continue without memory, and unwinding it would answer and
// destroy on behalf of a state that is not durable. So the process ends at once, with one line in
// the log and its own exit code.
#pragma once

#include <cstdint>

namespace openvenue::runtime {

// From now on a failed allocation in any thread ends the process with `exit_code`: nothing more is
// answered, written or destroyed. The log's last line, as text or JSON, names the thread and what
// to do; it needs no memory.
void end_when_memory_runs_out(bool log_is_json, int exit_code);

// While one exists, failed allocations of its thread throw std::bad_alloc instead: for work that
// can be given up.
class MemoryMayRunOut {
 public:
  MemoryMayRunOut();
  ~MemoryMayRunOut();
  MemoryMayRunOut(const MemoryMayRunOut&) = delete;
  MemoryMayRunOut& operator=(const MemoryMayRunOut&) = delete;
};

// Largest memory of this process: the least of its machine's, control group's and address space's.
[[nodiscard]] std::uint64_t memory_bytes_max();

}  // namespace openvenue::runtime

// What happens when memory runs out.
//
// A thread of the pipeline that cannot get memory cannot go on, and unwinding it would answer and
// destroy on behalf of a state that is not durable. So the process ends at once, with one line in
// the log and an exit code of its own.
#pragma once

#include <cstdint>

namespace openvenue::runtime {

// From now on a failed allocation ends the process with `exit_code`, in whatever thread: nothing is
// answered, written or destroyed any more. The log's last line, as text or JSON, says in which
// thread and what to do; it needs no memory.
void end_when_memory_runs_out(bool log_is_json, int exit_code);

// While one lives, failed allocations of its thread throw std::bad_alloc all the same: for work
// that can be given up.
class MemoryMayRunOut {
 public:
  MemoryMayRunOut();
  ~MemoryMayRunOut();
  MemoryMayRunOut(const MemoryMayRunOut&) = delete;
  MemoryMayRunOut& operator=(const MemoryMayRunOut&) = delete;
};

// What this process can have at most: of the machine, of its control group, of its address space.
[[nodiscard]] std::uint64_t memory_bytes_max();

}  // namespace openvenue::runtime

#include "runtime/out_of_memory.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <new>

namespace openvenue::runtime {
namespace {

// The formats of logging.cc, with placeholders for the time, its microseconds and the thread's
// name.
constexpr const char* kTextLine =
    "%s.%06ldZ critical memory ran out in thread %s; the process ends, and what was acknowledged "
    "is "
    "durable: give it more memory, or start it with lower --max-orders and other limits\n";
constexpr const char* kJsonLine =
    "{\"time\":\"%s.%06ldZ\",\"level\":\"critical\",\"message\":\"memory ran out in thread %s; the "
    "process ends, and what was acknowledged is durable: give it more memory, or start it with "
    "lower "
    "--max-orders and other limits\"}\n";

const char* line_format = kTextLine;
int code_at_end = EXIT_FAILURE;
std::atomic_flag ending;
// Initialized to true: mold 1.10 lays out a program's only zero thread-local in a way that the
// system refuses to load.
thread_local bool must_not_run_out = true;

// Calls nothing that might allocate.
void write_last_line() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  std::array<char, 32> time{};
  std::strftime(time.data(), time.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 16> thread{};
  ::pthread_getname_np(::pthread_self(), thread.data(), thread.size());
  std::array<char, 512> line{};
  const int size = std::snprintf(line.data(), line.size(), line_format, time.data(),
                                 now.tv_nsec / 1'000, thread.data());
  const ssize_t written = ::write(STDERR_FILENO, line.data(), static_cast<std::size_t>(size));
  static_cast<void>(written);  // a failure cannot be reported any more
}

void on_failed_allocation() {
  if (!must_not_run_out) throw std::bad_alloc();
  // If several threads fail at once, one writes for all.
  while (ending.test_and_set()) ::pause();
  write_last_line();
  std::_Exit(code_at_end);
}

}  // namespace

void end_when_memory_runs_out(bool log_is_json, int exit_code) {
  line_format = log_is_json ? kJsonLine : kTextLine;
  code_at_end = exit_code;
  std::set_new_handler(on_failed_allocation);
}

MemoryMayRunOut::MemoryMayRunOut() { must_not_run_out = false; }
MemoryMayRunOut::~MemoryMayRunOut() { must_not_run_out = true; }

std::uint64_t memory_bytes_max() {
  std::uint64_t bytes = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  rlimit address_space{};
  if (::getrlimit(RLIMIT_AS, &address_space) == 0) {
    bytes = std::min<std::uint64_t>(bytes, address_space.rlim_cur);  // RLIM_INFINITY is the largest
  }
  // In a container the group is at the root. "max" in the file is no number.
  std::uint64_t of_group = 0;
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> of_group) bytes = std::min(bytes, of_group);
  return bytes;
}

}  // namespace openvenue::runtime

#include "runtime/out_of_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/test_engine.h"

namespace openvenue::runtime {
namespace {

using testing::operation;
using testing::TemporaryDirectory;
using testing::test_settings;
using testing::TestEngine;

constexpr int kCode = 7;

// Limits the process to little more memory than it has now.
void allow_no_more_memory() {
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlimit now{pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)), RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &now), 0);
}

void use_up_memory() {
  std::vector<std::unique_ptr<char[]>> all;
  for (;;) all.push_back(std::make_unique<char[]>(std::size_t{1} << 20));
}

class OutOfMemory : public ::testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer takes more address space than can be limited";
#endif
  }
};

TEST_F(OutOfMemory, EndsTheProcessWithOneLineAndACodeOfItsOwn) {
  const auto exhaust = [](bool json) {
    end_when_memory_runs_out(json, kCode);
    allow_no_more_memory();
    use_up_memory();
  };
  EXPECT_EXIT(exhaust(false), ::testing::ExitedWithCode(kCode),
              "^[0-9T:.-]+Z critical memory ran out in thread .*more memory.*limits\n$");
  EXPECT_EXIT(
      exhaust(true), ::testing::ExitedWithCode(kCode),
      "^.\"time\":\"[0-9T:.-]+Z\",\"level\":\"critical\",\"message\":\"memory ran out.*\".\n$");
}

TEST_F(OutOfMemory, ThrowsWhereWorkCanBeGivenUp) {
  EXPECT_EXIT(
      {
        end_when_memory_runs_out(false, kCode);
        allow_no_more_memory();
        try {
          const MemoryMayRunOut work_can_be_given_up;
          use_up_memory();
        } catch (const std::bad_alloc&) {
          std::_Exit(0);
        }
      },
      ::testing::ExitedWithCode(0), "");
}

// An instrument's book is the largest allocation of a command; the allocator's reserve is enough
// for some of them.
TEST_F(OutOfMemory, InTheShardThreadNothingIsAnsweredAnyMore) {
  class Answered final : public ReplySink {
   public:
    void deliver(std::vector<Reply>) noexcept override { std::_Exit(1); }
  };
  const TemporaryDirectory directory;  // of this process, which outlives the one that ends
  EXPECT_EXIT(
      {
        TestEngine engine(test_settings(directory.path()));
        engine.set_up_market();
        std::vector<Operation> wide_instruments;
        for (core::InstrumentId id = 2; id < 16; ++id) {
          core::DefineInstrument wide;
          wide.instrument = id;
          wide.symbol = core::Symbol("WIDE" + std::to_string(id));
          wide.tick_size_nanos = wide.lot_size_nanos = 1'000'000;
          wide.max_price_ticks = core::kPriceRangeTicksMax;
          wide.max_order_qty_lots = 1;
          wide_instruments.push_back(operation(id, wide));
        }
        const auto sink = std::make_shared<Answered>();
        end_when_memory_runs_out(false, kCode);
        allow_no_more_memory();
        (void)engine.submit(sink, std::move(wide_instruments));
        for (;;) pause();
      },
      ::testing::ExitedWithCode(kCode), "critical memory ran out in thread shard");
}

}  // namespace
}  // namespace openvenue::runtime

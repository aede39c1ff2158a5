#include "journal/journal_end.h"

#include <gtest/gtest.h>

namespace openvenue::journal {
namespace {

constexpr std::uint64_t kZeros = 0;
constexpr std::uint64_t kBytes = 17;

struct Row {
  EndEvidence found;
  EndVerdict verdict;
};

// Bytes that vouch are no zeros, and nothing is searched for them where a segment follows: there
// are no other rows.
constexpr Row kTable[] = {
    {{false, kZeros, false, false}, EndVerdict::kEnd},
    {{false, kBytes, false, false}, EndVerdict::kTorn},
    {{false, kZeros, false, true}, EndVerdict::kDamage},
    {{false, kBytes, false, true}, EndVerdict::kDamage},
    {{false, kBytes, true, false}, EndVerdict::kDamage},
    {{false, kBytes, true, true}, EndVerdict::kDamage},
    // Its header has to continue here, and proves by that that nothing is missing.
    {{true, kZeros, false, false}, EndVerdict::kNextSegment},
    {{true, kZeros, false, true}, EndVerdict::kNextSegment},
};

TEST(JournalEnd, IsJudgedAsTheTableSays) {
  for (const Row& row : kTable) {
    EXPECT_EQ(judge(row.found), row.verdict)
        << "next segment " << row.found.next_segment << ", bytes " << row.found.bytes
        << ", later frame vouches " << row.found.later_frame_vouches << ", caller vouches "
        << row.found.caller_vouches;
  }
}

}  // namespace
}  // namespace openvenue::journal

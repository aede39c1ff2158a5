// Exit codes of `openvenue-engine`, for whatever restarts it. Wrong usage gives CLI11's codes (>=
// 100).
#pragma once

namespace openvenue {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,          // a tool failed; it said why
  kExitJournalRefused = 3,  // damage, another engine's lock, or limits too small: needs a person
  kExitJournalFailed = 4,   // the disk failed, maybe at the start: restart once it works
  kExitCannotListen = 5,
  kExitStopOverdue = 6,  // the stop took too long; everything acknowledged is on disk
  kExitOutOfMemory = 7,  // restart it with more memory or lower limits
  kExitClockBehind = 8,  // the clock is behind the journal: restart once it is right
};

}  // namespace openvenue

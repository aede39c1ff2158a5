// How `openvenue-engine` ends, for whoever restarts it. Wrong usage gives the codes of CLI11 (>=
// 100).
#pragma once

namespace openvenue {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,          // of a tool; it said why
  kExitJournalRefused = 3,  // damage, another engine's lock, or limits too small: needs a person
  kExitJournalFailed = 4,   // the disk failed, at the start too: restart once it is well
  kExitCannotListen = 5,
  kExitStopOverdue = 6,  // the stop took too long; all that was acknowledged is on the disk
  kExitOutOfMemory = 7,  // restart it with more memory or lower limits
  kExitClockBehind = 8,  // of the journal: restart once the clock is right
};

}  // namespace openvenue

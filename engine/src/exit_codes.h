// How `openvenue-engine` ends, for whoever restarts it. Wrong usage gives the codes of CLI11 (>=
// 100).
#pragma once

namespace openvenue {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,          // of a tool; it said why
  kExitJournalRefused = 3,  // damage, another engine's lock, or limits too small: needs a person
  kExitJournalFailed = 4,   // a write or sync failed while running: restart once the disk is well
  kExitCannotListen = 5,
  kExitStopOverdue = 6,  // the stop took too long; all that was acknowledged is on the disk
  kExitOutOfMemory = 7,  // restart it with more memory or lower limits
};

}  // namespace openvenue

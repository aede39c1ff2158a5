#include "journal/snapshot_maker.h"

#include "journal/snapshot.h"

namespace openvenue::journal {

SnapshotMaker::Newest SnapshotMaker::write(core::Sequence up_to, const std::stop_token& stop) {
  try {
    if (!replay_) replay_.emplace(settings_, limits_, Replay::Start::kNewestSnapshot);
    Newest newest;
    if (replay_->exchange().last_sequence() < up_to) {
      replay_->run(up_to, up_to, stop);
      newest.warning =
          save_snapshot(settings_, replay_->exchange(), replay_->frame_checksum(), stop);
    }
    newest.sequence = replay_->exchange().last_sequence();
    return newest;
  } catch (...) {
    replay_.reset();  // it may have stopped within an entry, or be ahead of the disk
    throw;
  }
}

}  // namespace openvenue::journal

// Recovery after a failed sync and after a power cut: data that reached the disk, and data that
// only seems to.
//
// The files are real. Between them and the journal is a model of the kernel's page cache: written
// data can be read at once, is on the disk only after a sync, and after a failed sync is neither
// dirty nor on the disk, as on Linux.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <map>
#include <mutex>
#include <set>

#include "journal/format.h"
#include "journal/frame_reader.h"
#include "journal/journal_fixture_test.h"

namespace openvenue::journal {
namespace {

using testing::append_frames;
using testing::Entry;
using testing::kSmallLimits;
using testing::Market;
using testing::read_bytes;
using testing::read_journal;
using testing::refusal;
using testing::TemporaryDirectory;
using testing::write_bytes;

class Disk;
std::atomic<Disk*> disk_in_use = nullptr;

class Disk {
 public:
  enum class Cache { kCanBeDropped, kStays };

  explicit Disk(std::filesystem::path directory, Cache cache = Cache::kCanBeDropped)
      : directory_(std::move(directory)), cache_(cache) {
    disk_in_use = this;
  }
  ~Disk() { disk_in_use = nullptr; }
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // The next sync of a segment, or of the directory, fails.
  void fail_next_segment_sync() { failing_segment_sync_ = true; }
  void fail_next_directory_sync() { failing_directory_sync_ = true; }
  // The process has no descriptor left for the next file of that kind.
  void fail_next_open(std::string extension) { failing_open_ = std::move(extension); }

  [[nodiscard]] const std::set<std::filesystem::path>& synced_directories() const {
    return synced_directories_;
  }

  // Leaves only the data that is on the disk.
  void cut_power() {
    for (const std::filesystem::path& name : names_in_memory_) std::filesystem::remove(name);
    names_in_memory_.clear();
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      struct stat status {};
      ASSERT_EQ(::stat(entry.path().c_str(), &status), 0);
      const auto file = files_.find(status.st_ino);
      if (file != files_.end()) write_bytes(entry.path(), file->second.on_disk);
    }
    for (auto& [inode, file] : files_) file.dirty.clear();
  }

  // --- the system calls

  ssize_t write(int descriptor, const void* bytes, std::size_t size, off_t offset) {
    const std::lock_guard lock(mutex_);
    CachedFile& file = file_of(descriptor);
    const long put = ::syscall(SYS_pwrite64, descriptor, bytes, size, offset);
    if (put > 0) file.dirty.emplace(offset, static_cast<std::size_t>(put));
    return put;
  }

  int sync(int descriptor) {
    const std::lock_guard lock(mutex_);
    CachedFile& file = file_of(descriptor);
    const bool fails = path_of(descriptor).extension() == ".ovj" && failing_segment_sync_;
    if (fails) failing_segment_sync_ = false;
    for (const auto& [offset, size] : file.dirty) {
      if (fails) break;
      const auto end = static_cast<std::size_t>(offset) + size;
      if (file.on_disk.size() < end) file.on_disk.resize(end);
      EXPECT_EQ(::pread(descriptor, file.on_disk.data() + offset, size, offset), size);
    }
    file.dirty.clear();
    return fails ? failure() : 0;
  }

  int drop_cache(int descriptor) {
    const std::lock_guard lock(mutex_);
    const CachedFile& file = file_of(descriptor);
    if (cache_ == Cache::kStays || !file.dirty.empty()) return 0;
    EXPECT_EQ(::syscall(SYS_pwrite64, descriptor, file.on_disk.data(), file.on_disk.size(), 0),
              file.on_disk.size());
    return 0;
  }

  int rename(const char* from, const char* to) {
    const std::lock_guard lock(mutex_);
    names_in_memory_.insert(to);
    return static_cast<int>(::syscall(SYS_rename, from, to));
  }

  int open(const char* path, int flags, mode_t mode) {
    const std::lock_guard lock(mutex_);
    if (!failing_open_.empty() && std::filesystem::path(path).extension() == failing_open_) {
      failing_open_.clear();
      errno = EMFILE;
      return -1;
    }
    return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
  }

  int sync_directory(int descriptor) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(failing_directory_sync_, false)) return failure();
    synced_directories_.insert(path_of(descriptor));
    names_in_memory_.clear();
    return 0;
  }

 private:
  struct CachedFile {
    std::string on_disk;
    std::set<std::pair<off_t, std::size_t>> dirty;
  };

  static int failure() {
    errno = EIO;
    return -1;
  }

  static std::filesystem::path path_of(int descriptor) {
    return std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor));
  }

  // Content that existed when the model first saw the file counts as written.
  CachedFile& file_of(int descriptor) {
    struct stat status {};
    EXPECT_EQ(::fstat(descriptor, &status), 0);
    const auto [file, is_new] = files_.try_emplace(status.st_ino);
    if (is_new || status.st_size == 0) file->second = {read_bytes(path_of(descriptor)), {}};
    return file->second;
  }

  const std::filesystem::path directory_;
  const Cache cache_;
  std::mutex mutex_;
  std::map<ino_t, CachedFile> files_;
  std::set<std::filesystem::path> names_in_memory_;
  bool failing_segment_sync_ = false;
  bool failing_directory_sync_ = false;
  std::string failing_open_;
  std::set<std::filesystem::path> synced_directories_;
};

// Writes one frame of two entries whose sync fails, and destroys the writer.
std::vector<Entry> write_frame_that_is_not_synced(const Settings& settings, Market& market,
                                                  Disk& disk) {
  Recovered recovered = recover(settings, kSmallLimits);
  std::vector<Entry> written = append_frames(*recovered.exchange, recovered.writer, market, 3, 2);
  disk.fail_next_segment_sync();
  EXPECT_THROW(append_frames(*recovered.exchange, recovered.writer, market, 1, 2), JournalError);
  return written;
}

TEST(FailingDisk, WhatAFailedSyncDidNotWriteIsNotRecovered) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Disk disk(directory.path());
  Market market(1);
  const auto acknowledged = write_frame_that_is_not_synced(settings, market, disk);
  EXPECT_EQ(recover(settings, kSmallLimits).exchange->last_sequence(), acknowledged.size());
  disk.cut_power();
  EXPECT_TRUE(read_journal(settings).entries == acknowledged);
}

TEST(FailingDisk, WhatIsRecoveredFromMemoryIsWrittenAgain) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Disk disk(directory.path(), Disk::Cache::kStays);
  Market market(1);
  const auto acknowledged = write_frame_that_is_not_synced(settings, market, disk);
  std::vector<Entry> more;
  {
    Recovered recovered = recover(settings, kSmallLimits);
    ASSERT_EQ(recovered.exchange->last_sequence(), acknowledged.size() + 2);
    more = append_frames(*recovered.exchange, recovered.writer, market, 1, 1);
  }
  disk.cut_power();
  const auto back = read_journal(settings);
  EXPECT_EQ(back.result, Reader::Result::kEnd) << back.error;
  ASSERT_EQ(back.entries.size(), acknowledged.size() + 3);
  EXPECT_TRUE(back.entries.back() == more.back());
}

TEST(FailingDisk, ATornWriteIsCutOnTheDiskToo) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings(kSegmentBytesMin);
  Disk disk(directory.path());
  Market market(1);
  const auto acknowledged = write_frame_that_is_not_synced(settings, market, disk);
  {
    File segment = File::open_for_writing(list_segments(directory.path(), 0).back().path);
    const std::array<std::byte, 100> torn{std::byte{'O'}, std::byte{'V'}};
    FrameReader frames(directory.path(), 0, 1);
    while (frames.next(0) == FrameReader::Result::kFrame &&
           frames.next_sequence() <= acknowledged.size()) {
    }
    segment.write_at(frames.offset(), torn);
    segment.sync();
  }
  EXPECT_GT(recover(settings, kSmallLimits).torn_bytes_cut, 0U);
  disk.cut_power();
  const auto back = read_journal(settings);
  EXPECT_EQ(back.result, Reader::Result::kEnd) << back.error;
  EXPECT_TRUE(back.entries == acknowledged);
}

// A power cut must not remove a directory on the path to the journal.
TEST(FailingDisk, EveryDirectoryThatIsMadeIsDurable) {
  const TemporaryDirectory directory;
  for (const char* name : {"a/b/c", "d/e/f/", "g/./h/../i"}) {
    Disk disk(directory.path());
    Settings settings = directory.settings();
    settings.directory /= name;
    EXPECT_EQ(refusal(settings), "");
    for (std::filesystem::path made = std::filesystem::canonical(settings.directory);
         made != directory.path(); made = made.parent_path()) {
      EXPECT_TRUE(disk.synced_directories().contains(made.parent_path())) << made;
    }
  }
}

// Older segments may have been archived, so the snapshot is needed.
TEST(FailingDisk, ASnapshotThatCannotBeOpenedNowIsNotPassedOver) {
  const TemporaryDirectory directory;
  const Settings settings = directory.settings();
  testing::write_journal(settings, 10, 10, testing::Ending::kClosed);
  testing::write_snapshot(settings, kSmallLimits, 80);
  Disk disk(directory.path());
  disk.fail_next_open(".ovs");
  EXPECT_THROW(static_cast<void>(recover(settings, kSmallLimits)), OutOfResources);
  EXPECT_EQ(recover(settings, kSmallLimits).snapshot_sequence, 80U);
}

// A journal whose writer ended within the roll to its second segment, before its name was durable.
class InterruptedRoll : public ::testing::Test {
 protected:
  InterruptedRoll() {
    Recovered recovered = recover(settings_, kSmallLimits);
    written_ = append_frames(*recovered.exchange, recovered.writer, market_, 2, 2);
    disk_.fail_next_directory_sync();
    EXPECT_THROW(append_frames(*recovered.exchange, recovered.writer, market_, 100, 2),
                 JournalError);
    EXPECT_EQ(list_segments(directory_.path(), 0).size(), 2U);
  }

  core::Sequence last_before_roll() const {
    return list_segments(directory_.path(), 0).back().sequence - 1;
  }

  TemporaryDirectory directory_;
  Settings settings_ = directory_.settings(kSegmentBytesMin);
  Disk disk_{directory_.path()};
  Market market_{1};
  std::vector<Entry> written_;
};

TEST_F(InterruptedRoll, TheNewSegmentsNameIsDurableBeforeAnythingIsWrittenIntoIt) {
  const core::Sequence last = last_before_roll();
  {
    Recovered recovered = recover(settings_, kSmallLimits);
    ASSERT_EQ(recovered.exchange->last_sequence(), last);
    append_frames(*recovered.exchange, recovered.writer, market_, 1, 3);
  }
  disk_.cut_power();
  const auto back = read_journal(settings_);
  EXPECT_EQ(back.result, Reader::Result::kEnd) << back.error;
  EXPECT_EQ(back.entries.size(), last + 3);
}

TEST_F(InterruptedRoll, TheOldSegmentSaysThatTheJournalGoesOn) {
  EXPECT_EQ(refusal(settings_), "");
  std::filesystem::remove(list_segments(directory_.path(), 0).back().path);
  EXPECT_THAT(refusal(settings_), ::testing::HasSubstr("is missing"));
}

TEST_F(InterruptedRoll, APowerCutThatTakesTheNewSegmentLeavesAJournalThatGoesOn) {
  const core::Sequence last = last_before_roll();
  disk_.cut_power();
  ASSERT_EQ(list_segments(directory_.path(), 0).size(), 1U);
  {
    Recovered recovered = recover(settings_, kSmallLimits);
    ASSERT_EQ(recovered.exchange->last_sequence(), last);
    append_frames(*recovered.exchange, recovered.writer, market_, 5, 3);
  }
  EXPECT_EQ(read_journal(settings_).entries.size(), last + 15);
}

}  // namespace

// The journal calls these instead of the C library while a test has a Disk.
extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  if (Disk* disk = disk_in_use) return disk->open(path, flags, mode);
  return static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

ssize_t pwrite(int descriptor, const void* bytes, std::size_t size, off_t offset) {
  if (Disk* disk = disk_in_use) return disk->write(descriptor, bytes, size, offset);
  return ::syscall(SYS_pwrite64, descriptor, bytes, size, offset);
}

int fdatasync(int descriptor) {
  if (Disk* disk = disk_in_use) return disk->sync(descriptor);
  return static_cast<int>(::syscall(SYS_fdatasync, descriptor));
}

// The journal uses fsync only for directories.
int fsync(int descriptor) {
  if (Disk* disk = disk_in_use) return disk->sync_directory(descriptor);
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

int posix_fadvise(int descriptor, off_t offset, off_t size, int advice) {
  if (Disk* disk = disk_in_use) return disk->drop_cache(descriptor);
  return ::syscall(SYS_fadvise64, descriptor, offset, size, advice) == 0 ? 0 : errno;
}

int rename(const char* from, const char* to) noexcept {
  if (Disk* disk = disk_in_use) return disk->rename(from, to);
  return static_cast<int>(::syscall(SYS_rename, from, to));
}
}

}  // namespace openvenue::journal

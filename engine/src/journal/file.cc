#include "journal/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "journal/error.h"

namespace openvenue::journal {
namespace {

constexpr std::uint64_t kFillBytes = std::uint64_t{1} << 20;

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void fail(std::string_view doing, const std::filesystem::path& path,
                       std::uint64_t offset, std::string_view why) {
  throw DiskError(fmt::format(
      "{} {} at offset {} failed: {}. Check free space, limits and the health of the disk, then "
      "start the engine again: it recovers everything that was acknowledged.",
      doing, path.string(), offset, why));
}

[[noreturn]] void fail(std::string_view doing, const std::filesystem::path& path, int error) {
  if (error == EMFILE || error == ENFILE || error == ENOMEM) {
    throw OutOfResources(
        fmt::format("{} {} failed: {}. Raise the limit on open files (ulimit -n) or the memory.",
                    doing, path.string(), reason(error)));
  }
  throw DiskError(fmt::format("{} {} failed: {}. Check the path, its permissions and the disk.",
                              doing, path.string(), reason(error)));
}

}  // namespace

File::File(int descriptor, std::filesystem::path path)
    : descriptor_(descriptor), path_(std::move(path)) {}

File::~File() {
  if (is_open()) ::close(descriptor_);
}

File::File(File&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

File& File::operator=(File&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

File File::open_with(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0640);
  if (descriptor < 0) fail("Opening", path, errno);
  return {descriptor, path};
}

File File::create(const std::filesystem::path& path) {
  return open_with(path, O_RDWR | O_CREAT | O_TRUNC);
}

File File::open(const std::filesystem::path& path) { return open_with(path, O_RDONLY); }

File File::open_for_writing(const std::filesystem::path& path) { return open_with(path, O_RDWR); }

std::size_t File::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("Reading", path_, offset + done, reason(errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void File::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  const ssize_t put = ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  if (put < 0) fail("Writing", path_, offset, reason(errno));
  if (static_cast<std::size_t>(put) != bytes.size()) {
    fail("Writing", path_, offset, fmt::format("only {} of {} bytes fit", put, bytes.size()));
  }
}

void File::write_zeros(std::uint64_t begin, std::uint64_t end) {
  const std::vector<std::byte> zeros(std::min(kFillBytes, end - begin));
  for (std::uint64_t at = begin; at < end; at += kFillBytes) {
    write_at(at, std::span(zeros).first(std::min<std::uint64_t>(kFillBytes, end - at)));
    sync();
  }
}

void File::rewrite(std::uint64_t begin, std::uint64_t end) {
  std::vector<std::byte> piece(std::min(kFillBytes, end - begin));
  for (std::uint64_t at = begin; at < end; at += kFillBytes) {
    const auto bytes = std::span(piece).first(std::min<std::uint64_t>(kFillBytes, end - at));
    if (read_at(at, bytes) != bytes.size()) fail("Reading", path_, at, "the file ends here");
    write_at(at, bytes);
    sync();
  }
}

void File::sync() {
  if (::fdatasync(descriptor_) != 0) fail("Syncing", path_, 0, reason(errno));
}

void File::drop_cache() const {
  const int error = ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
  if (error != 0) fail("Dropping the cache of", path_, error);
}

void File::rename(const std::filesystem::path& to) {
  if (::rename(path_.c_str(), to.c_str()) != 0) fail("Renaming", path_, errno);
  path_ = to;
  sync_directory(to.parent_path());
}

std::uint64_t File::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) fail("Examining", path_, errno);
  return static_cast<std::uint64_t>(status.st_size);
}

File copy_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                  const std::stop_token& stop) {
  const File source = File::open(from);
  File copy = File::create(to);
  std::vector<std::byte> piece(kFillBytes);
  for (std::uint64_t at = 0;;) {
    const std::size_t got = source.read_at(at, piece);
    if (got == 0) return copy;
    if (stop.stop_requested()) throw Stopped("copying a file was abandoned");
    copy.write_at(at, std::span(piece).first(got));
    copy.sync();
    at += got;
  }
}

bool same_bytes(const File& one, const File& other) {
  std::vector<std::byte> ours(kFillBytes);
  std::vector<std::byte> theirs(kFillBytes);
  for (std::uint64_t at = 0;;) {
    const std::size_t got = one.read_at(at, ours);
    if (other.read_at(at, theirs) != got) return false;
    if (got == 0) return true;
    if (!std::equal(ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(got),
                    theirs.begin())) {
      return false;
    }
    at += got;
  }
}

void remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) fail("Removing", path, errno);
  sync_directory(path.parent_path());
}

void make_directories(const std::filesystem::path& directory) {
  // Absolute and without a slash at its end, so that each part has the one before it as its parent.
  std::filesystem::path path = std::filesystem::absolute(directory);
  if (!path.has_filename()) path = path.parent_path();
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return;
  const std::filesystem::path parent = path.parent_path();
  if (parent != path) make_directories(parent);
  std::filesystem::create_directory(path, error);
  if (error) {
    throw JournalError(fmt::format("Creating {} failed: {}. Check the path and its permissions.",
                                   path.string(), error.message()));
  }
  sync_directory(parent);
}

std::optional<std::uint64_t> free_bytes(const std::filesystem::path& directory) {
  struct statvfs disk {};
  if (::statvfs(directory.c_str(), &disk) != 0) return std::nullopt;
  return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

void sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("Opening directory", directory, errno);
  const int failed = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (failed != 0) fail("Syncing directory", directory, error);
}

// The lock is on the directory itself, so that nobody can remove it under a running engine; the
// file in it only names the holder.
DirectoryLock::DirectoryLock(const std::filesystem::path& directory) {
  const std::filesystem::path holder_path = directory / "lock";
  descriptor_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) fail("Opening directory", directory, errno);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor_);
    if (error != EWOULDBLOCK) fail("Locking directory", directory, error);
    std::string holder = "?";
    std::ifstream(holder_path) >> holder;
    throw JournalError(fmt::format(
        "{} is in use by process {}: one journal has one engine. Stop that one first, or give this "
        "one a directory of its own.",
        directory.string(), holder));
  }
  errno = 0;
  std::ofstream file(holder_path, std::ios::trunc);
  file << ::getpid() << '\n';
  // A full disk keeps nobody from reading what is on it, nor from cancelling.
  if (!file.flush() && errno != ENOSPC && errno != EDQUOT) {
    const int error = errno;
    ::close(descriptor_);
    fail("Writing", holder_path, error);
  }
}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace openvenue::journal

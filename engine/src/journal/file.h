// The journal's files: positioned reads and writes, explicit durability, no retries.
//
// Every failure throws JournalError with the file, the offset and the system's reason. A short
// write is a failure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <string_view>

namespace openvenue::journal {

class File {
 public:
  File() = default;
  ~File();
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;

  // Creates the file, or empties an existing one.
  [[nodiscard]] static File create(const std::filesystem::path& path);
  [[nodiscard]] static File open(const std::filesystem::path& path);
  [[nodiscard]] static File open_for_writing(const std::filesystem::path& path);

  // Reads fewer bytes only at the end of the file.
  [[nodiscard]] std::size_t read_at(std::uint64_t offset, std::span<std::byte> out) const;
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  // Overwrites [begin, end) by zeros in pieces, each made durable, so that a large fill never
  // floods the disk to which the journal syncs.
  void write_zeros(std::uint64_t begin, std::uint64_t end);
  // Writes [begin, end) again with its own bytes and makes it durable, because the kernel may hold
  // a page as clean without having written it.
  void rewrite(std::uint64_t begin, std::uint64_t end);
  // fdatasync.
  void sync();
  // Drops the file from the kernel's memory, so that reading asks the disk. Pages in use stay.
  void drop_cache() const;
  // Renames the file and makes the new name durable.
  void rename(const std::filesystem::path& to);

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] std::uint64_t size() const;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  File(int descriptor, std::filesystem::path path);
  [[nodiscard]] static File open_with(const std::filesystem::path& path, int flags);

  int descriptor_ = -1;
  std::filesystem::path path_;
};

// Copies a file a piece at a time, each made durable; the copy is durable but for its name.
// Throws Stopped where `stop` was requested; the part is then left.
[[nodiscard]] File copy_durably(const std::filesystem::path& from, const std::filesystem::path& to,
                                const std::stop_token& stop = {});
[[nodiscard]] bool same_bytes(const File& one, const File& other);

// Removes the file, and makes that durable.
void remove_file(const std::filesystem::path& path);

// Makes the directory and those above it that are missing, each durable before the next: a power
// cut must not take away one that holds acknowledged orders.
void make_directories(const std::filesystem::path& directory);

// Bytes that this process may still take of the directory's disk; nothing where that cannot be
// told.
[[nodiscard]] std::optional<std::uint64_t> free_bytes(const std::filesystem::path& directory);

// Makes created, renamed and removed names in the directory durable.
void sync_directory(const std::filesystem::path& directory);

// Exclusive use of a directory until the object or the process ends; a file `lock` names the
// holder.
class DirectoryLock {
 public:
  // Throws JournalError, naming the holder, if another process has it.
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(DirectoryLock&& other) noexcept;
  DirectoryLock& operator=(DirectoryLock&&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace openvenue::journal

#pragma once
// Question answered here: how do bytes get onto a disk so that they are still there after a power
// cut?
//
// Blocking calls; on the loop only at start and for rare, small files. Every error names the path.

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/io/fd.h"

#include <string>
#include <string_view>
#include <sys/types.h>

namespace tocsin::io {

/// Files of the daemons are their owner's only, unless said otherwise.
inline constexpr mode_t kPrivateFile = 0600;
inline constexpr mode_t kPrivateDirectory = 0700;

/// The whole file. kNotFound when there is none, kLimit when it is larger than `size_max`.
Expected<Bytes> read_file(const std::string& path, std::size_t size_max);

/// Opens for appending; creates when missing. `created` tells which (the directory then needs a
/// sync).
Expected<Fd> open_append(const std::string& path, bool* created = nullptr,
                         mode_t mode = kPrivateFile);

/// Writes everything, in several calls if need be; after an error a part may have been written.
Expected<void> write_all(int fd, ByteSpan bytes, std::string_view path);

/// fdatasync. After an error never sync the same file again: the kernel may have dropped the pages
/// and would then report success.
Expected<void> sync_data(int fd, std::string_view path);

/// Makes names created, renamed or removed in it durable.
Expected<void> sync_directory(const std::string& path);

/// Appends; on return the bytes and, if it is new, the file are durable.
Expected<void> append_durably(const std::string& path, ByteSpan bytes, mode_t mode = kPrivateFile);

/// Writes PATH.tmp, syncs it, renames it over `path` and syncs the directory: a reader sees the old
/// bytes or the new ones, never a mixture, and on return the new ones are durable.
Expected<void> replace_file(const std::string& path, ByteSpan bytes, mode_t mode = kPrivateFile);

/// Makes the directory and its parents; an existing one is left as it is.
Expected<void> make_directory(const std::string& path, mode_t mode = kPrivateDirectory);

/// The part before the last slash; "." when there is none.
std::string directory_of(const std::string& path);

/// Holds flock(2) on a file until destroyed. The kernel releases it when the process dies.
class FileLock {
 public:
  /// kUnavailable with the holder's process id when somebody else has it.
  static Expected<FileLock> take(const std::string& path);

 private:
  explicit FileLock(Fd fd)
      : fd_(std::move(fd)) {}

  Fd fd_;
};

}  // namespace tocsin::io

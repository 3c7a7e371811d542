#pragma once
// Question answered here: what does the spool need of a disk?
//
// A flat directory of append-only files and small files replaced as a whole. Two implementations:
// real files (agent/spool/file_disk.h) and the simulator's SimDisk, which loses what was not
// synced.

#include "common/base/bytes.h"
#include "common/base/expected.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tocsin::agent {

/// One thread: the loop's. Names match [a-z0-9.-]+ and stand in one directory.
class Disk {
 public:
  struct File {
    std::string name;
    std::uint64_t size = 0;
  };

  using Synced = std::function<void(Expected<void>)>;

  virtual ~Disk() = default;

  /// Every file, sorted by name.
  virtual Expected<std::vector<File>> list() = 0;

  /// Appends, creating the file if there is none. Not durable until a sync of it has completed. A
  /// failed append may leave a torn tail; the caller goes on in a new file.
  virtual Expected<void> append(const std::string& name, ByteSpan bytes) = 0;

  /// Makes durable all that had been appended to `names`, and the creation of those files, before
  /// this call; `done` runs later on the loop, never inside this call. After an error the same file
  /// must never be synced again (the kernel may have dropped the pages): go on in a new file.
  virtual void sync(std::vector<std::string> names, Synced done) = 0;

  /// Up to `size` bytes from `offset`; fewer at the end of the file.
  virtual Expected<Bytes> read(const std::string& name, std::uint64_t offset, std::size_t size) = 0;

  /// Removes the file; a crash may undo it. Missing is not an error.
  virtual Expected<void> unlink(const std::string& name) = 0;

  /// Writes the file as a whole, atomically and durably on return (temporary, fdatasync, rename,
  /// sync of the directory). Slow: start-up and rare events only.
  virtual Expected<void> replace(const std::string& name, ByteSpan bytes) = 0;

  /// Renames a damaged file to NAME.corrupt for a person to look at. list() leaves such files out.
  virtual Expected<void> quarantine(const std::string& name) = 0;

  /// Bytes that may still be written before the file system is full.
  virtual std::uint64_t free_bytes() = 0;
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: who may change what lies in the state directory?
//
// flock(2) on the directory itself, which is gone with the process however it ends.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/io/fd.h"

#include <string>

namespace tocsin::collector {

class DirectoryLock {
 public:
  /// Makes the directory (0700) when its parent exists. kUnavailable when another process has it,
  /// and keeps it for longer than `patience`: the calling thread waits.
  static Expected<DirectoryLock> take(const std::string& directory, Duration patience = {});

 private:
  explicit DirectoryLock(io::Fd fd)
      : fd_(std::move(fd)) {}

  io::Fd fd_;
};

}  // namespace tocsin::collector

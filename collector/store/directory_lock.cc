#include "collector/store/directory_lock.h"

#include <fcntl.h>

#include <cerrno>
#include <sys/file.h>
#include <sys/stat.h>

namespace tocsin::collector {

Expected<DirectoryLock> DirectoryLock::take(const std::string& directory) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno("mkdir " + directory, errno);
  }
  io::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + directory, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return DirectoryLock(std::move(fd));
  if (errno != EWOULDBLOCK) return fail_errno("flock " + directory, errno);
  return fail(Errc::kUnavailable, "{} is in use by another tocsin-collector", directory);
}

}  // namespace tocsin::collector

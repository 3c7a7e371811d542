#include "collector/store/directory_lock.h"

#include "common/base/clock.h"

#include <fcntl.h>
#include <poll.h>

#include <cerrno>
#include <sys/file.h>
#include <sys/stat.h>

namespace tocsin::collector {
namespace {

constexpr int kRetryMs = 20;

}  // namespace

Expected<DirectoryLock> DirectoryLock::take(const std::string& directory, Duration patience) {
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail_errno("mkdir " + directory, errno);
  }
  io::Fd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + directory, errno);
  const MonoTime until = latency_clock() + patience;
  while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_errno("flock " + directory, errno);
    if (latency_clock() >= until) {
      return fail(Errc::kUnavailable, "{} is in use by another tocsin-collector", directory);
    }
    ::poll(nullptr, 0, kRetryMs);
  }
  return DirectoryLock(std::move(fd));
}

}  // namespace tocsin::collector

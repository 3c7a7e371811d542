#include "common/io/privileges.h"

#include "common/io/file.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <cerrno>
#include <sys/stat.h>

namespace tocsin::io {

Expected<std::string> become_owner_of(const std::string& path) {
  if (::geteuid() != 0) return std::string{};

  struct stat info {};

  std::string at = path;
  while (::stat(at.c_str(), &info) != 0) {
    if (errno != ENOENT) return fail_errno("look at " + at, errno);
    const std::string above = directory_of(at);
    if (above == at) return std::string{};
    at = above;
  }
  if (info.st_uid == 0) return std::string{};
  const passwd* owner = ::getpwuid(info.st_uid);
  const gid_t group = owner == nullptr ? info.st_gid : owner->pw_gid;
  std::string name = owner == nullptr ? std::to_string(info.st_uid) : owner->pw_name;
  if (::setgroups(1, &group) != 0 || ::setresgid(group, group, group) != 0 ||
      ::setresuid(info.st_uid, info.st_uid, info.st_uid) != 0) {
    return fail_errno("become " + name + ", who owns " + at, errno);
  }
  return name;
}

}  // namespace tocsin::io

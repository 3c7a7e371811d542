#include "common/io/file.h"

#include "common/base/strings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <sys/file.h>
#include <sys/stat.h>

namespace tocsin::io {

namespace {

Unexpected failed(std::string_view verb, std::string_view path) {
  const int error = errno;
  return fail_errno(fmt::format("{} {}", verb, path), error);
}

}  // namespace

std::string directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Expected<Bytes> read_file(const std::string& path, std::size_t size_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return fail(Errc::kNotFound, "there is no file {}", path);
    return failed("open", path);
  }

  struct stat st {};

  if (::fstat(fd.get(), &st) != 0) return failed("look at", path);
  if (S_ISDIR(st.st_mode)) return fail(Errc::kInvalid, "{} is a directory", path);
  Bytes out;
  char buffer[64 * 1024];
  while (true) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("read", path);
    if (n == 0) return out;
    if (out.size() + static_cast<std::size_t>(n) > size_max) {
      return fail(Errc::kLimit, "{} is larger than {} bytes", path, size_max);
    }
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

Expected<Fd> open_append(const std::string& path, bool* created, mode_t mode) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CLOEXEC;
  if (created != nullptr) *created = false;
  Fd fd(::open(path.c_str(), kFlags));
  if (fd || errno != ENOENT) {
    if (!fd) return failed("open", path);
    return fd;
  }
  fd.reset(::open(path.c_str(), kFlags | O_CREAT, mode));
  if (!fd) return failed("create", path);
  if (created != nullptr) *created = true;
  return fd;
}

Expected<void> write_all(int fd, ByteSpan bytes, std::string_view path) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed("write", path);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Expected<void> sync_data(int fd, std::string_view path) {
  // Not repeated on EINTR: what an interrupted sync has done is unknown (see the header).
  if (::fdatasync(fd) != 0) return failed("sync", path);
  return {};
}

Expected<void> sync_directory(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return failed("open directory", path);
  if (::fsync(fd.get()) != 0) return failed("sync directory", path);
  return {};
}

Expected<void> append_durably(const std::string& path, ByteSpan bytes, mode_t mode) {
  bool created = false;
  TRY_ASSIGN(const Fd fd, open_append(path, &created, mode));
  TRY(write_all(fd.get(), bytes, path));
  TRY(sync_data(fd.get(), path));
  if (created) TRY(sync_directory(directory_of(path)));
  return {};
}

Expected<void> replace_file(const std::string& path, ByteSpan bytes, mode_t mode) {
  const std::string temporary = path + ".tmp";
  {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd) return failed("create", temporary);
    // A temporary left by a crash keeps its mode: set it, in case it was made with another one.
    if (::fchmod(fd.get(), mode) != 0) return failed("set the mode of", temporary);
    TRY(write_all(fd.get(), bytes, temporary));
    TRY(sync_data(fd.get(), temporary));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed("rename to", path);
  return sync_directory(directory_of(path));
}

Expected<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == ENOENT && directory_of(path) != path) {
    TRY(make_directory(directory_of(path), 0755));
    if (::mkdir(path.c_str(), mode) == 0) return {};
  }
  if (errno != EEXIST) return failed("make directory", path);

  struct stat st {};

  if (::stat(path.c_str(), &st) != 0) return failed("look at", path);
  if (!S_ISDIR(st.st_mode)) return fail(Errc::kInvalid, "{} is not a directory", path);
  return {};
}

Expected<FileLock> FileLock::take(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, kPrivateFile));
  if (!fd) return failed("open", path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock", path);
    char text[32] = {};
    const ssize_t n = ::pread(fd.get(), text, sizeof text - 1, 0);
    const std::string_view holder =
        trim(std::string_view(text, n > 0 ? static_cast<std::size_t>(n) : 0));
    return fail(Errc::kUnavailable, "{} is held by another process (pid {})", path,
                holder.empty() ? "unknown" : printable(holder, 16));
  }
  // Only for people who meet the message above; the lock itself is the kernel's.
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(fd.get(), 0) != 0) return failed("write", path);
  TRY(write_all(fd.get(), as_bytes(pid), path));
  return FileLock(std::move(fd));
}

}  // namespace tocsin::io

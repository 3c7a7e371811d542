#include "common/io/sd_notify.h"

#include "common/io/fd.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

namespace tocsin::io {

namespace {

std::optional<std::int64_t> number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  const char* end = text + std::strlen(text);
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text, end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace

Expected<bool> sd_notify(std::string_view state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return false;
  const std::size_t length = std::strlen(path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (length >= sizeof address.sun_path || (*path != '/' && *path != '@')) {
    return fail(Errc::kInvalid, "NOTIFY_SOCKET is neither a path nor an abstract name: {}", path);
  }
  std::memcpy(address.sun_path, path, length);
  if (*path == '@') address.sun_path[0] = '\0';  // Abstract; its length says where it ends.
  const Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("make a socket for NOTIFY_SOCKET", errno);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return fail_errno("send to NOTIFY_SOCKET", errno);
  }
  return true;
}

std::optional<Duration> sd_watchdog() {
  const auto us = number_in("WATCHDOG_USEC");
  if (!us || *us <= 0) return std::nullopt;
  const auto pid = number_in("WATCHDOG_PID");
  if (pid && *pid != ::getpid()) return std::nullopt;
  return Duration{*us};
}

}  // namespace tocsin::io

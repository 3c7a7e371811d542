#include "common/io/tcp_connector.h"

#include "common/base/check.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace tocsin::io {

namespace {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Endpoint endpoint_of(const IpAddress& address, std::uint16_t port) {
  Endpoint out;
  const std::string_view bytes = address.bytes();
  if (address.is_v4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::memcpy(&in.sin6_addr, bytes.data(), bytes.size());
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  }
  return out;
}

/// `local`: the kernel refused without asking the network.
Reason reason_of(int error, bool local) {
  switch (error) {
    case ECONNREFUSED:
      return Reason::kConnectRefused;
    case ETIMEDOUT:
      return Reason::kConnectTimeout;
    case ECONNRESET:
    case EPIPE:
      return Reason::kConnectReset;
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTUNREACH:
    case EHOSTDOWN:
      return local ? Reason::kSelfUplink : Reason::kConnectUnreachable;
    case EMFILE:
    case ENFILE:
      return Reason::kSelfDescriptors;
    case ENOMEM:
    case ENOBUFS:
      return Reason::kSelfMemory;
    case EADDRNOTAVAIL:
    case EAGAIN:
    case EACCES:
    case EPERM:
    case EAFNOSUPPORT:
      return Reason::kSelfUplink;
    default:
      return local ? Reason::kSelfInternal : Reason::kConnectReset;
  }
}

Failure failure_of(int error, bool local, const IpAddress& address, std::uint16_t port) {
  return {reason_of(error, local),
          fmt::format("connect to {}: {}", address.with_port(port), std::strerror(error))};
}

}  // namespace

tl::expected<Fd, Failure> start_connect(const IpAddress& address, std::uint16_t port) {
  Fd fd{::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                 IPPROTO_TCP)};
  if (!fd) return tl::unexpected{failure_of(errno, true, address, port)};
  const Endpoint to = endpoint_of(address, port);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0 ||
      errno == EINPROGRESS) {
    return fd;
  }
  return tl::unexpected{failure_of(errno, true, address, port)};
}

std::optional<Failure> connect_result(int fd, const IpAddress& address, std::uint16_t port) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) return std::nullopt;
  return failure_of(error, false, address, port);
}

Expected<IpAddress> local_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return fail(Errc::kIo, "getsockname: {}", std::strerror(errno));
  }
  if (storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &storage, sizeof in);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  if (storage.ss_family != AF_INET6) return fail(Errc::kIo, "this socket has no IP address");
  sockaddr_in6 in{};
  std::memcpy(&in, &storage, sizeof in);
  std::array<std::uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
  return IpAddress::v6(bytes);
}

void send_without_delay(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void close_by_reset(int fd) {
  const linger now{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

}  // namespace tocsin::io

#include "common/io/tcp_listener.h"

#include "common/base/check.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <string_view>
#include <sys/socket.h>

namespace tocsin::io {

namespace {

constexpr int kBacklog = 512;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Expected<Address> parse_listen(std::string_view listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(Errc::kInvalid, "listen address \"{}\": expected ADDRESS:PORT", listen);
  }
  std::string_view host = listen.substr(0, colon);
  const std::string_view digits = listen.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || ec != std::errc{} || end != digits.data() + digits.size()) {
    return fail(Errc::kInvalid, "listen address \"{}\": expected a port from 0 to 65535", listen);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "*") host = "0.0.0.0";
  TRY_ASSIGN(const IpAddress ip, IpAddress::parse(host));
  Address out;
  if (ip.is_v4()) {
    sockaddr_in sin{};
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    std::memcpy(&sin.sin_addr, ip.bytes().data(), 4);
    std::memcpy(&out.storage, &sin, sizeof sin);
    out.size = sizeof sin;
  } else {
    sockaddr_in6 sin{};
    sin.sin6_family = AF_INET6;
    sin.sin6_port = htons(port);
    std::memcpy(&sin.sin6_addr, ip.bytes().data(), 16);
    std::memcpy(&out.storage, &sin, sizeof sin);
    out.size = sizeof sin;
  }
  return out;
}

}  // namespace

Expected<Fd> listen_on(const std::string& listen) {
  TRY_ASSIGN(const Address address, parse_listen(listen));
  Fd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return fail_errno("socket for HTTP", errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno == EADDRINUSE) {
      return fail(Errc::kExists, "listen on {}: another program uses this address already", listen);
    }
    return fail_errno(fmt::format("listen on {}", listen), errno);
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    return fail_errno(fmt::format("listen on {}", listen), errno);
  }
  return fd;
}

std::uint16_t local_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
  if (storage.ss_family == AF_INET) {
    sockaddr_in sin{};
    std::memcpy(&sin, &storage, sizeof sin);
    return ntohs(sin.sin_port);
  }
  sockaddr_in6 sin{};
  std::memcpy(&sin, &storage, sizeof sin);
  return ntohs(sin.sin6_port);
}

std::optional<IpAddress> address_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in sin{};
    std::memcpy(&sin, &storage, sizeof sin);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &sin.sin_addr, bytes.size());
    return IpAddress::v4(bytes);
  }
  if (storage.ss_family == AF_INET6) {
    sockaddr_in6 sin{};
    std::memcpy(&sin, &storage, sizeof sin);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &sin.sin6_addr, bytes.size());
    return IpAddress::v6(bytes).unmapped();
  }
  return std::nullopt;
}

}  // namespace tocsin::io

#include "common/io/curl_guard.h"

#include "common/base/ip_address.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <curl/curl.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace tocsin::io {

namespace {

IpAddress address_of(int family, const sockaddr& address) {
  if (family == AF_INET6) {
    sockaddr_in6 sin{};
    std::memcpy(&sin, &address, sizeof sin);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &sin.sin6_addr, bytes.size());
    return IpAddress::v6(bytes);
  }
  sockaddr_in sin{};
  std::memcpy(&sin, &address, sizeof sin);
  std::array<std::uint8_t, 4> bytes{};
  std::memcpy(bytes.data(), &sin.sin_addr, bytes.size());
  return IpAddress::v4(bytes);
}

}  // namespace

bool curl_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

long curl_milliseconds(Duration d) {
  return static_cast<long>(std::max<std::int64_t>(d.count() / 1000, 1));
}

Expected<int> open_allowed_socket(const EgressPolicy& egress, int family, int type, int protocol,
                                  const sockaddr& address, std::string& remote) {
  const IpAddress ip = address_of(family, address);
  if (auto allowed = egress.allows(ip); !allowed) {
    return Unexpected{Error{Errc::kDenied, allowed.error().text}};
  }
  remote = ip.str();
  return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
}

}  // namespace tocsin::io

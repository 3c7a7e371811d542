#include "common/io/forwarded.h"

#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::io {

namespace {

/// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711".
Expected<IpAddress> parse_hop(std::string_view text) {
  text = trim(text);
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    return IpAddress::parse(text.substr(1, close == std::string_view::npos ? close : close - 1));
  }
  if (std::count(text.begin(), text.end(), ':') == 1) text = text.substr(0, text.find(':'));
  return IpAddress::parse(text);
}

}  // namespace

bool is_trusted(const std::vector<IpBlock>& proxies, const IpAddress& address) {
  const IpAddress plain = address.unmapped();
  return std::any_of(proxies.begin(), proxies.end(),
                     [&](const IpBlock& block) { return block.contains(plain); });
}

IpAddress client_of(const codec::HttpRequest& request, const IpAddress& peer,
                    const std::vector<IpBlock>& proxies) {
  IpAddress client = peer.unmapped();
  std::size_t hops = 0;
  // Several headers of the name are one list (RFC 9110 5.3).
  for (auto header = request.headers.rbegin(); header != request.headers.rend(); ++header) {
    if (header->name != "x-forwarded-for") continue;
    std::string_view rest = header->value;
    while (is_trusted(proxies, client)) {
      const std::size_t comma = rest.rfind(',');
      const auto hop = parse_hop(comma == std::string_view::npos ? rest : rest.substr(comma + 1));
      if (!hop || ++hops > kForwardedHopsMax) return client;
      client = hop->unmapped();
      if (comma == std::string_view::npos) break;
      rest = rest.substr(0, comma);
    }
  }
  return client;
}

}  // namespace tocsin::io

#include "agent/probe/http_connection.h"

#include "common/base/hash.h"
#include "common/base/strings.h"

#include <string_view>

namespace tocsin::agent {

namespace {

constexpr std::string_view kHttp2{"\x02h2"};
constexpr std::string_view kHttp2OrHttp1{"\x02h2\x08http/1.1"};

std::string_view alpn_of(const HttpTarget& target) {
  switch (target.version) {
    case HttpVersion::kAuto:
      // RFC 9113 section 8.5: CONNECT is another thing there, a tunnel in one stream.
      return target.method == "CONNECT" ? std::string_view{} : kHttp2OrHttp1;
    case HttpVersion::k11:
      return {};
    case HttpVersion::k2:
      return kHttp2;
  }
  return {};
}

std::string tunnel_request(const Url& url, const std::string& user_agent,
                           const std::vector<Header>& headers) {
  const std::string to = url.host_and_port();
  std::string out =
      fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {1}\r\n", to, user_agent);
  for (const Header& h : headers) out.append(h.name).append(": ").append(h.value).append("\r\n");
  return out.append("\r\n");
}

}  // namespace

tl::expected<std::shared_ptr<io::Resolver>, Failure> named_resolver(ProbeContext& context,
                                                                    const std::string& server) {
  const auto address = io::DnsServer::parse(server);
  if (!address) {
    return tl::unexpected{Failure{Reason::kPolicyUnsupported, address.error().text}};
  }
  const auto allowed = context.egress().allows(address->address);
  if (!allowed) {
    return tl::unexpected{Failure{Reason::kPolicyDeniedAddress, allowed.error().text}};
  }
  auto out = context.resolver_at(*address);
  if (!out) return tl::unexpected{Failure{Reason::kSelfResolver, out.error().text}};
  return *std::move(out);
}

tl::expected<ConnectPlan, Failure> plan_http_connection(ProbeContext& context,
                                                        const HttpTarget& target,
                                                        const HttpRequestPlan& request,
                                                        const HttpCredentials& credentials) {
  const Url& url = request.url;
  ConnectPlan out;
  out.host = url.host;
  out.host_is_address = url.host_is_address;
  out.port = url.port;
  out.tls = url.https;
  out.verify = target.verify;
  out.ca_pem = target.ca_pem;
  if (url.https) out.alpn = alpn_of(target);
  if (request.at_home) {
    out.tls_name = target.server_name;
    out.wishes.ocsp = target.ocsp;
    out.identity = credentials.identity;
  }
  if (target.proxy.empty()) return out;
  const ProxySettings* proxy = context.proxy(target.proxy);
  if (proxy == nullptr) {
    return tl::unexpected{
        Failure{Reason::kPolicyProxyUnknown,
                fmt::format("the agent's file names no proxy '{}'", printable(target.proxy, 63))}};
  }
  // What a name is, the proxy decides; an address is judged here, or a redirect would reach through
  // the proxy what the agent's owner denies.
  if (const auto address = IpAddress::parse(url.host); url.host_is_address && address) {
    const auto allowed = context.egress().allows(*address);
    if (!allowed) {
      return tl::unexpected{Failure{Reason::kPolicyDeniedAddress, allowed.error().text}};
    }
  }
  if (url.https) {
    out.tunnel = tunnel_request(url, context.user_agent(), credentials.proxy_headers);
    if (out.tls_name.empty()) {
      out.tls_name = url.host;
      out.tls_name_is_address = url.host_is_address;
    }
  }
  out.host = proxy->host;
  out.host_is_address = proxy->host_is_address;
  out.port = proxy->port;
  return out;
}

std::string connection_key(const HttpTarget& target, const HttpRequestPlan& request,
                           IpFamily family) {
  const Url& url = request.url;
  return fmt::format(
      "{}|{}|{}|{}|{:x}.{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", url.https, url.host_and_port(),
      static_cast<int>(family), target.verify, fnv1a64(target.ca_pem), target.ca_pem.size(),
      request.at_home, target.server_name, target.resolver, static_cast<int>(target.version),
      target.proxy, describe(target.client_cert), describe(target.client_key), target.auth.username,
      describe(target.auth.secret), static_cast<int>(target.ocsp));
}

Failure blame_proxy(const HttpTarget& target, Failure failure) {
  if (target.proxy.empty()) return failure;
  const auto layer = static_cast<std::uint16_t>(failure.reason) / 100;
  constexpr int kDnsLayer = 1;
  constexpr int kConnectLayer = 2;
  if (layer == kDnsLayer || layer == kConnectLayer) {
    failure.detail =
        fmt::format("proxy {}, {}: {}", target.proxy, to_string(failure.reason), failure.detail);
    failure.reason = Reason::kPolicyProxy;
  }
  return failure;
}

}  // namespace tocsin::agent

#include "common/model/monitor_spec.h"

#include "common/base/check.h"
#include "common/base/ip_address.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

namespace tocsin {

namespace {

struct DnsTypeName {
  DnsType type;
  const char* name;
};

constexpr std::array<DnsTypeName, 11> kDnsTypes{{
    {DnsType::kA, "A"},
    {DnsType::kNs, "NS"},
    {DnsType::kCname, "CNAME"},
    {DnsType::kSoa, "SOA"},
    {DnsType::kPtr, "PTR"},
    {DnsType::kMx, "MX"},
    {DnsType::kTxt, "TXT"},
    {DnsType::kAaaa, "AAAA"},
    {DnsType::kSrv, "SRV"},
    {DnsType::kHttps, "HTTPS"},
    {DnsType::kCaa, "CAA"},
}};

constexpr std::array<std::string_view, 12> kRcodes{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                   "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                                   "NXRRSET", "NOTAUTH", "NOTZONE",  "BADVERS"};

constexpr std::array<std::string_view, 9> kMethods{"GET",    "HEAD",    "POST",    "PUT",  "PATCH",
                                                   "DELETE", "OPTIONS", "CONNECT", "TRACE"};

class Errors {
 public:
  template <class... Args>
  void expect(bool holds, std::string path, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) list.push_back({std::move(path), fmt::format(text, std::forward<Args>(args)...)});
  }

  std::vector<FieldError> list;
};

bool is_header_name(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return c > 0x20 && c < 0x7f &&
           std::string_view{"()<>@,;:\\\"/[]?={}"}.find(c) == std::string_view::npos;
  });
}

bool is_field_value(std::string_view s) {
  return std::none_of(s.begin(), s.end(),
                      [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

/// What the agent will look for in its secrets_dir: never a path.
bool is_secret_file(std::string_view s) {
  return !s.empty() && s.size() <= 100 && s.front() != '.' &&
         std::all_of(s.begin(), s.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '/'; });
}

bool is_host_name(std::string_view s) {
  return !s.empty() && s.size() <= 253 && !IpAddress::parse(s) &&
         std::all_of(s.begin(), s.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '.' || c == '_';
         });
}

/// "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT".
bool is_resolver(std::string_view s) {
  if (IpAddress::parse(s)) return true;
  const std::size_t colon = s.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = s.substr(0, colon);
  const std::string_view port = s.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  return IpAddress::parse(host) && error == std::errc{} && end == port.data() + port.size() &&
         value != 0;
}

constexpr std::string_view kSecretRule =
    "expected {secret: NAME}, a secret of the collector, or {file: NAME}, a file in the agent's "
    "secrets_dir, without slashes";

bool names_secret(const SecretRef& secret) {
  return secret.kind == SecretRef::Kind::kStored ? is_key(secret.name)
                                                 : is_secret_file(secret.name);
}

bool names_header(const HttpTarget& http, std::string_view name) {
  const auto is = [&](const auto& h) { return iequals(h.name, name); };
  return std::any_of(http.headers.begin(), http.headers.end(), is) ||
         std::any_of(http.secret_headers.begin(), http.secret_headers.end(), is);
}

void check_credentials(const HttpTarget& http, Errors& errors) {
  using Kind = HttpAuth::Kind;
  if (http.auth.kind != Kind::kNone) {
    errors.expect(names_secret(http.auth.secret), "auth", "{}", kSecretRule);
    errors.expect(!names_header(http, "authorization"), "auth",
                  "expected either auth or a header Authorization, not both");
  }
  const std::string& user = http.auth.username;
  const bool user_ok = !user.empty() && user.size() <= 256 && is_field_value(user) &&
                       user.find(':') == std::string::npos;
  errors.expect(http.auth.kind != Kind::kBasic || user_ok, "auth",
                "expected a username of 1 to 256 bytes without a colon");
  for (std::size_t i = 0; i < http.secret_headers.size(); ++i) {
    const SecretHeader& h = http.secret_headers[i];
    errors.expect(is_header_name(h.name) && names_secret(h.value),
                  fmt::format("headers[{}]", http.headers.size() + i),
                  "expected a header name, and {{secret: NAME}} or {{file: NAME}}");
  }
  errors.expect(http.client_cert.empty() || names_secret(http.client_cert), "client_certificate",
                "{}", kSecretRule);
  errors.expect(
      http.client_key.empty() || (names_secret(http.client_key) && !http.client_cert.empty()),
      "client_key", "{}, and a client_certificate", kSecretRule);
}

void check_ocsp(OcspMode ocsp, bool verify, Errors& errors) {
  errors.expect(
      ocsp == OcspMode::kOff || verify, "ocsp",
      "expected off with verify: false: nobody vouches for the answer of an issuer that is "
      "not verified");
}

void check_connection(const HttpTarget& http, Errors& errors) {
  errors.expect(http.server_name.empty() || is_host_name(http.server_name), "server_name",
                "expected a host name");
  errors.expect(http.resolver.empty() || is_resolver(http.resolver), "resolver",
                "expected ADDRESS or ADDRESS:PORT, IPv6 addresses in brackets");
  errors.expect(http.proxy.empty() || is_key(http.proxy), "proxy",
                "expected the name of a proxy in the agent's file");
  errors.expect(http.version != HttpVersion::k2 || http.method != "CONNECT", "http",
                "expected auto or 1.1 with the method CONNECT");
  errors.expect(http.connection != ConnectionMode::kResume || http.url.starts_with("https://"),
                "connection", "expected cold or reuse with http://: only TLS has sessions");
  errors.expect(http.connection != ConnectionMode::kReuse ||
                    (http.method != "POST" && http.method != "PATCH" && http.method != "CONNECT"),
                "connection",
                "expected cold or resume with the method {}: a kept connection may turn out to be "
                "closed, and only idempotent requests can be sent again",
                printable(http.method, 20));
  errors.expect(http.body_max == 0 || (http.body_max >= 1024 && http.body_max <= 1024 * 1024),
                "body_max", "expected 1KiB to 1MiB");
  errors.expect(http.ocsp == OcspMode::kOff || http.url.starts_with("https://"), "ocsp",
                "expected off with http://: only TLS has certificates");
  check_ocsp(http.ocsp, http.verify, errors);
}

void check_target(const HttpTarget& http, Errors& errors) {
  const bool scheme = http.url.starts_with("http://") || http.url.starts_with("https://");
  errors.expect(scheme && http.url.size() <= 2048, "url",
                "expected an absolute http:// or https:// URL of at most 2048 bytes");
  errors.expect(std::find(kMethods.begin(), kMethods.end(), http.method) != kMethods.end(),
                "method",
                "expected GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE or CONNECT, not '{}'",
                printable(http.method, 20));
  errors.expect(http.headers.size() + http.secret_headers.size() <= 20, "headers",
                "expected at most 20 headers");
  for (std::size_t i = 0; i < http.headers.size(); ++i) {
    const Header& h = http.headers[i];
    errors.expect(is_header_name(h.name) && is_field_value(h.value) && h.value.size() <= 4096,
                  fmt::format("headers[{}]", i),
                  "expected a header name and a value without line breaks");
  }
  errors.expect(http.body.size() <= 65536, "body", "expected at most 64 KiB");
  errors.expect(http.redirects_max >= 0 && http.redirects_max <= 10, "redirects",
                "expected 0 to 10");
  errors.expect(http.method != "TRACE" || http.body.empty(), "body",
                "expected none with the method TRACE (RFC 9110 section 9.3.8)");
  check_credentials(http, errors);
  check_connection(http, errors);
}

/// What can stand in SNI (RFC 6066 section 3): a name, never an address.
void check_server_name(const std::string& name, Errors& errors) {
  const bool fits = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
  const bool number = !name.empty() && name.find_first_not_of("0123456789.") == std::string::npos;
  errors.expect(fits && !number && name.size() <= 253, "server_name", "expected a host name");
}

void check_target(const TcpTarget& tcp, Errors& errors) {
  errors.expect(!tcp.host.empty() && tcp.host.size() <= 253, "host",
                "expected a host name or address");
  errors.expect(tcp.port != 0, "port", "expected 1 to 65535");
  errors.expect(tcp.send.size() <= 4096, "send", "expected at most 4096 bytes");
  errors.expect(tcp.expect.size() <= 1024, "expect", "expected at most 1024 bytes");
  errors.expect(tcp.starttls != StartTls::kNone || tcp.server_name.empty(), "server_name",
                "expected starttls beside it");
  errors.expect(tcp.starttls != StartTls::kNone || tcp.ca_pem.empty(), "ca",
                "expected starttls beside it");
  errors.expect(tcp.starttls != StartTls::kNone || tcp.verify, "verify",
                "expected starttls beside it");
  errors.expect(tcp.starttls != StartTls::kNone || tcp.ocsp == OcspMode::kOff, "ocsp",
                "expected starttls beside it");
  check_ocsp(tcp.ocsp, tcp.verify, errors);
  check_server_name(tcp.server_name, errors);
}

void check_target(const TlsTarget& tls, Errors& errors) {
  errors.expect(!tls.host.empty() && tls.host.size() <= 253, "host",
                "expected a host name or address");
  errors.expect(tls.port != 0, "port", "expected 1 to 65535");
  check_server_name(tls.server_name, errors);
  check_ocsp(tls.ocsp, tls.verify, errors);
  errors.expect(tls.alpn.size() <= TlsTarget::kAlpnMax, "alpn", "expected at most {} protocols",
                TlsTarget::kAlpnMax);
  for (std::size_t i = 0; i < tls.alpn.size(); ++i) {
    const std::string& name = tls.alpn[i];
    const bool visible =
        std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    errors.expect(!name.empty() && name.size() <= 32 && visible, fmt::format("alpn[{}]", i),
                  "expected the name of a protocol such as h2 or http/1.1");
  }
}

/// Labels of 1 to 63 bytes, 255 bytes in all (RFC 1035 section 2.3.4); "." is the root.
bool is_domain_name(std::string_view name) {
  if (name == ".") return true;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty() || name.size() > 253) return false;
  const std::vector<std::string_view> labels = split(name, '.');
  return std::all_of(labels.begin(), labels.end(),
                     [](std::string_view label) { return !label.empty() && label.size() <= 63; });
}

void check_target(const DnsTarget& dns, Errors& errors) {
  const bool tls = dns.transport == DnsTransport::kTls;
  errors.expect(is_domain_name(dns.name), "name", "expected a domain name");
  if (!dns.resolver.empty()) {
    const auto server = parse_address_port(dns.resolver, DnsTarget::kPort);
    if (!server) errors.list.push_back({"resolver", server.error().text});
  }
  errors.expect(!tls || !dns.resolver.empty(), "resolver",
                "expected an address: the system's resolver is not asked over TLS");
  errors.expect(tls || (dns.server_name.empty() && dns.ca_pem.empty() && dns.verify), "transport",
                "expected tls, because server_name, verify or ca is given");
  errors.expect(dns.server_name.empty() || is_domain_name(dns.server_name), "server_name",
                "expected a host name");
  errors.expect(is_rcode_name(dns.rcode), "rcode",
                "expected a response code such as NOERROR or NXDOMAIN, not '{}'",
                printable(dns.rcode, 40));
}

}  // namespace

const char* to_string(DnsType type) {
  for (const DnsTypeName& row : kDnsTypes) {
    if (row.type == type) return row.name;
  }
  return "?";
}

Expected<DnsType> parse_dns_type(std::string_view name) {
  std::vector<std::string> known;
  for (const DnsTypeName& row : kDnsTypes) {
    if (iequals(row.name, name)) return row.type;
    known.emplace_back(row.name);
  }
  return fail(Errc::kInvalid, "'{}' is not a DNS record type: expected one of {}",
              printable(name, 40), join(known, " "));
}

std::string record_type_name(DnsType type) {
  const std::string_view known = to_string(type);
  return known != "?" ? std::string{known}
                      : fmt::format("TYPE{}", static_cast<std::uint16_t>(type));
}

bool is_rcode_name(std::string_view name) {
  return std::find(kRcodes.begin(), kRcodes.end(), name) != kRcodes.end();
}

const char* to_string(DnsTransport transport) {
  switch (transport) {
    case DnsTransport::kUdp:
      return "udp";
    case DnsTransport::kTcp:
      return "tcp";
    case DnsTransport::kTls:
      return "tls";
  }
  return "?";
}

Expected<AddressPort> parse_address_port(std::string_view text, std::uint16_t port) {
  std::string_view host = text;
  std::optional<std::string_view> digits;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) {
      return fail(Errc::kInvalid, "'{}': expected ']' after the address", printable(text, 80));
    }
    host = text.substr(1, close - 1);
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && rest.front() != ':') {
      return fail(Errc::kInvalid, "'{}': expected ':' and a port after ']'", printable(text, 80));
    }
    if (!rest.empty()) digits = rest.substr(1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    host = text.substr(0, text.find(':'));
    digits = text.substr(text.find(':') + 1);
  }
  TRY_ASSIGN(const IpAddress address, IpAddress::parse(host));
  if (!digits) return AddressPort{address, port};
  std::uint16_t number = 0;
  const auto [end, error] =
      std::from_chars(digits->data(), digits->data() + digits->size(), number);
  if (error != std::errc{} || end != digits->data() + digits->size() || number == 0) {
    return fail(Errc::kInvalid, "'{}': expected a port from 1 to 65535", printable(text, 80));
  }
  return AddressPort{address, number};
}

Duration retry_budget(const ProbeSpec& spec) {
  const Duration full =
      spec.timeout * (spec.retry.retries + 1) + spec.retry.delay * spec.retry.retries;
  return std::min(spec.interval, full);
}

Duration default_timeout(Duration interval) {
  return std::min<Duration>(std::chrono::seconds{10}, interval / 2);
}

Duration default_retry_delay(Duration interval) {
  return interval < std::chrono::seconds{10} ? Duration{std::chrono::milliseconds{100}}
                                             : Duration{std::chrono::seconds{1}};
}

int attempts_when_hanging(const ProbeSpec& spec) {
  int n = 1;
  Duration used = spec.timeout;
  while (n <= spec.retry.retries && used + spec.retry.delay + spec.timeout <= spec.interval) {
    used += spec.retry.delay + spec.timeout;
    ++n;
  }
  return n;
}

int QuorumRule::required(int n) const {
  CHECK(n > 0);
  switch (kind) {
    case QuorumKind::kMajority:
      return n / 2 + 1;
    case QuorumKind::kAny:
      return 1;
    case QuorumKind::kAll:
      return n;
    case QuorumKind::kNumber:
      return std::clamp(number, 1, n);
  }
  return n;
}

std::string to_string(const QuorumRule& rule) {
  switch (rule.kind) {
    case QuorumKind::kMajority:
      return "majority";
    case QuorumKind::kAny:
      return "any";
    case QuorumKind::kAll:
      return "all";
    case QuorumKind::kNumber:
      return std::to_string(rule.number);
  }
  return "?";
}

std::vector<FieldError> validate(const MonitorSpec& spec) {
  Errors e;
  const ProbeSpec& p = spec.probe;
  using std::chrono::hours;
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  e.expect(is_key(spec.key), "key", "expected [a-z0-9-], 1 to 63 characters, not '{}'",
           printable(spec.key, 80));
  e.expect(!spec.name.empty() && spec.name.size() <= 200 && is_valid_utf8(spec.name), "name",
           "expected 1 to 200 bytes of UTF-8");
  e.expect(p.interval >= seconds{1} && p.interval <= hours{24} && p.interval % seconds{1} == 0us,
           "interval", "expected whole seconds from 1s to 24h, not {}",
           format_duration(p.interval));
  e.expect(p.timeout >= milliseconds{10} && p.timeout < p.interval, "timeout",
           "expected at least 10ms and less than the interval of {}, not {}",
           format_duration(p.interval), format_duration(p.timeout));
  e.expect(p.retry.retries >= 0 && p.retry.retries <= 10, "retries", "expected 0 to 10, not {}",
           p.retry.retries);
  e.expect(p.retry.delay >= 0us && p.retry.delay <= hours{1}, "retry_delay", "expected 0s to 1h");
  e.expect(spec.open_after >= 1 && spec.open_after <= 10, "open_after", "expected 1 to 10");
  e.expect(spec.close_after >= 1 && spec.close_after <= 10, "close_after", "expected 1 to 10");
  e.expect(p.assertions.all.size() <= Assertions::kMaxConditions, "assert", "expected at most {}",
           Assertions::kMaxConditions);
  e.expect(p.degraded.size() <= 4, "degraded", "expected at most 4 conditions");
  for (const auto& [field, list] :
       {std::pair{"assert", &p.assertions.all}, std::pair{"degraded", &p.degraded}}) {
    e.expect(count_nodes(*list) <= Assertions::kNodesMax, field,
             "expected at most {} conditions and groups in all", Assertions::kNodesMax);
    e.expect(group_depth(*list) <= Assertions::kGroupDepthMax, field,
             "expected groups at most {} deep", Assertions::kGroupDepthMax);
  }
  std::set<std::string> seen;
  for (std::size_t i = 0; i < spec.regions.size(); ++i) {
    e.expect(is_key(spec.regions[i]) && seen.insert(spec.regions[i]).second,
             fmt::format("regions[{}]", i), "expected a region's key, each once");
  }
  const int n = static_cast<int>(spec.regions.size());
  e.expect(spec.quorum.kind != QuorumKind::kNumber ||
               (spec.quorum.number >= 1 && (n == 0 || spec.quorum.number <= n)),
           "quorum", "expected majority, any, all, or a number from 1 to the number of regions");
  e.expect(spec.tags.size() <= 20, "tags", "expected at most 20");
  e.expect(is_key(spec.service), "service", "expected a service's key");
  std::visit([&](const auto& target) { check_target(target, e); }, p.target);
  return std::move(e.list);
}

const char* to_string(HttpVersion version) {
  switch (version) {
    case HttpVersion::kAuto:
      return "auto";
    case HttpVersion::k11:
      return "1.1";
    case HttpVersion::k2:
      return "2";
  }
  return "?";
}

const char* to_string(ConnectionMode mode) {
  switch (mode) {
    case ConnectionMode::kCold:
      return "cold";
    case ConnectionMode::kResume:
      return "resume";
    case ConnectionMode::kReuse:
      return "reuse";
  }
  return "?";
}

const char* to_string(OcspMode mode) {
  switch (mode) {
    case OcspMode::kOff:
      return "off";
    case OcspMode::kCheck:
      return "check";
    case OcspMode::kRequire:
      return "require";
  }
  return "?";
}

std::optional<OcspMode> ocsp_mode_from_name(std::string_view name) {
  for (const OcspMode mode : {OcspMode::kOff, OcspMode::kCheck, OcspMode::kRequire}) {
    if (name == to_string(mode)) return mode;
  }
  return std::nullopt;
}

OcspMode ocsp_mode(const Target& target) {
  if (const auto* http = std::get_if<HttpTarget>(&target)) return http->ocsp;
  if (const auto* tcp = std::get_if<TcpTarget>(&target)) return tcp->ocsp;
  if (const auto* tls = std::get_if<TlsTarget>(&target)) return tls->ocsp;
  return OcspMode::kOff;
}

const char* to_string(StartTls protocol) {
  switch (protocol) {
    case StartTls::kNone:
      return "none";
    case StartTls::kSmtp:
      return "smtp";
    case StartTls::kImap:
      return "imap";
    case StartTls::kPop3:
      return "pop3";
    case StartTls::kPostgres:
      return "postgres";
  }
  return "?";
}

std::optional<StartTls> starttls_from_name(std::string_view name) {
  for (const StartTls protocol :
       {StartTls::kSmtp, StartTls::kImap, StartTls::kPop3, StartTls::kPostgres}) {
    if (name == to_string(protocol)) return protocol;
  }
  return std::nullopt;
}

std::string describe(const SecretRef& secret) {
  return fmt::format("secret {}{}", secret.kind == SecretRef::Kind::kFile ? "file " : "",
                     printable(secret.name, 100));
}

std::vector<std::string> stored_secrets(const Target& target) {
  std::vector<std::string> out;
  const auto* http = std::get_if<HttpTarget>(&target);
  if (http == nullptr) return out;
  const auto add = [&](const SecretRef& secret) {
    if (secret.kind == SecretRef::Kind::kStored && !secret.empty()) out.push_back(secret.name);
  };
  add(http->auth.secret);
  for (const SecretHeader& header : http->secret_headers) add(header.value);
  add(http->client_cert);
  add(http->client_key);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

const char* type_name(const Target& target) {
  static constexpr std::array<const char*, 4> kNames{"http", "tcp", "dns", "tls"};
  return kNames[target.index()];
}

std::string describe(const Target& target) {
  if (const auto* http = std::get_if<HttpTarget>(&target)) return http->url;
  const auto place = [](const std::string& host, std::uint16_t port, StartTls starttls) {
    const bool v6 = host.find(':') != std::string::npos;
    return fmt::format(
        "{}{}{}:{}{}", v6 ? "[" : "", host, v6 ? "]" : "", port,
        starttls == StartTls::kNone ? "" : fmt::format(" ({})", to_string(starttls)));
  };
  if (const auto* tcp = std::get_if<TcpTarget>(&target)) {
    return place(tcp->host, tcp->port, tcp->starttls);
  }
  if (const auto* tls = std::get_if<TlsTarget>(&target)) {
    return place(tls->host, tls->port, tls->starttls);
  }
  const auto& dns = std::get<DnsTarget>(target);
  return fmt::format("{} {}{}{}{}", to_string(dns.type), dns.name,
                     dns.resolver.empty() ? "" : " @ ", dns.resolver,
                     dns.transport == DnsTransport::kTls ? " over TLS" : "");
}

}  // namespace tocsin

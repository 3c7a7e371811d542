#pragma once
// Question answered here: what is a monitor, and is this one allowed?
//
// ProbeSpec is the part an agent runs; MonitorSpec adds who watches, how votes turn into a verdict
// and whom it concerns. Both are values. Any change of ProbeSpec or of what is measured raises
// `spec_rev`.

#include "common/base/id.h"
#include "common/base/ip_address.h"
#include "common/base/time.h"
#include "common/model/assertion.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tocsin {

enum class IpFamily : std::uint8_t { kAny = 0, kV4 = 4, kV6 = 6 };

struct Header {
  std::string name;
  std::string value;

  friend bool operator==(const Header&, const Header&) = default;
};

/// Where a secret is; the secret itself is never in a spec (DEC-12).
struct SecretRef {
  enum class Kind : std::uint8_t {
    kFile = 0,    ///< The content of a file of that name in the agent's `secrets_dir`.
    kStored = 1,  ///< The collector's secret of that name (a key), which the assignment brings.
  };

  std::string name;  ///< Empty: none is named.
  Kind kind = Kind::kFile;

  static SecretRef file(std::string name) { return {std::move(name), Kind::kFile}; }

  static SecretRef stored(std::string name) { return {std::move(name), Kind::kStored}; }

  bool empty() const { return name.empty(); }

  friend bool operator==(const SecretRef&, const SecretRef&) = default;
};

/// For people: "secret file NAME", "secret NAME".
std::string describe(const SecretRef& secret);

/// Bytes of a secret that the collector keeps. A shorter one could not be told apart in what a
/// server sends back.
inline constexpr std::size_t kSecretBytesMin = 4;
inline constexpr std::size_t kSecretBytesMax = 64 * 1024;

struct SecretHeader {
  std::string name;
  SecretRef value;

  friend bool operator==(const SecretHeader&, const SecretHeader&) = default;
};

/// Who the request says it is (RFC 7617, RFC 6750).
struct HttpAuth {
  enum class Kind : std::uint8_t { kNone = 0, kBasic = 1, kBearer = 2 };

  Kind kind = Kind::kNone;
  std::string username;  ///< Only kBasic; at most 256 bytes, no colon.
  SecretRef secret;      ///< The password or the token.

  friend bool operator==(const HttpAuth&, const HttpAuth&) = default;
};

enum class HttpVersion : std::uint8_t {
  kAuto = 0,  ///< What the server picks by ALPN; HTTP/1.1 without TLS.
  k11 = 1,
  k2 = 2,  ///< By ALPN; without TLS by prior knowledge (RFC 9113 section 3.3).
};

/// What may be left from an earlier attempt of the same monitor.
enum class ConnectionMode : std::uint8_t {
  kCold = 0,    ///< Nothing: resolved, connected and shaken hands afresh.
  kResume = 1,  ///< The TLS session; the connection is fresh.
  kReuse = 2,   ///< The connection itself, when it is still open.
};

/// Whether a server is asked for proof that its certificate is not revoked: a stapled OCSP answer
/// (RFC 6066 section 8). The numbers are wire values.
enum class OcspMode : std::uint8_t {
  kOff = 0,      ///< Nothing is asked.
  kCheck = 1,    ///< What it staples must be good; nothing stapled passes.
  kRequire = 2,  ///< It must staple.
};

struct HttpTarget {
  std::string url;  ///< http or https, absolute; userinfo refused.
  std::string method = "GET";
  std::vector<Header> headers;  ///< At most 20.
  std::string body;             ///< At most 64 KiB.
  int redirects_max = 5;        ///< 0..10; 0 does not follow.
  bool verify = true;           ///< Certificate chain and name.
  std::string ca_pem;           ///< Instead of the system's roots when not empty.
  HttpAuth auth;
  std::vector<SecretHeader> secret_headers;  ///< 20 with `headers`.
  std::string
      server_name;  ///< SNI and the certificate's name at the URL's own origin; empty: its host.
  std::string resolver;  ///< As of DnsTarget, for host names; empty: the agent's.
  HttpVersion version = HttpVersion::kAuto;
  bool allow_downgrade = false;  ///< Redirects from https to http are followed.
  std::string proxy;             ///< A name among the agent's `proxies`; empty: none.
  SecretRef client_cert;         ///< PEM: certificate, chain and, if alone, the key.
  SecretRef client_key;          ///< PEM; empty: in client_cert.
  ConnectionMode connection = ConnectionMode::kCold;
  std::uint32_t body_max = 0;  ///< Bytes of the body that are kept, 1 KiB..1 MiB; 0: the default.
  OcspMode ocsp = OcspMode::kOff;  ///< At the URL's own origin; needs https and `verify`.

  friend bool operator==(const HttpTarget&, const HttpTarget&) = default;
};

/// What is said in the clear before TLS begins (common/codec/starttls.h). The numbers are wire
/// values.
enum class StartTls : std::uint8_t { kNone = 0, kSmtp = 1, kImap = 2, kPop3 = 3, kPostgres = 4 };

struct TcpTarget {
  std::string host;
  std::uint16_t port = 0;
  std::string send;    ///< Sent once connected; may be empty.
  std::string expect;  ///< The first bytes received must contain this; empty: connecting is enough.
  StartTls starttls = StartTls::kNone;  ///< With one, `send` and `expect` go through TLS.
  std::string server_name = {};         ///< These four: as of TlsTarget, only with starttls.
  bool verify = true;
  std::string ca_pem = {};
  OcspMode ocsp = OcspMode::kOff;

  friend bool operator==(const TcpTarget&, const TcpTarget&) = default;
};

/// Query types by their number (RFC 1035 and followers).
enum class DnsType : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kMx = 15,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kHttps = 65,
  kCaa = 257,
};

/// "?" for a type that is none of these.
const char* to_string(DnsType type);
Expected<DnsType> parse_dns_type(std::string_view name);

/// "MX", or "TYPE46" (RFC 3597).
std::string record_type_name(DnsType type);

/// "NOERROR", "NXDOMAIN" and the other response codes of RFC 6895 section 2.3.
bool is_rcode_name(std::string_view name);

/// The numbers are wire values.
enum class DnsTransport : std::uint8_t {
  kUdp = 0,  ///< And TCP when the answer was cut.
  kTcp = 1,
  kTls = 2,  ///< RFC 7858; a connection of its own each time.
};

/// "udp", "tcp", "tls".
const char* to_string(DnsTransport transport);

struct DnsTarget {
  static constexpr std::uint16_t kPort = 53;
  static constexpr std::uint16_t kTlsPort = 853;

  std::string name;  ///< What is asked for; of kPtr also an address, which is turned round.
  DnsType type = DnsType::kA;
  /// "ADDRESS" or "ADDRESS:PORT", IPv6 in brackets; empty: the system's first. kTls needs one.
  std::string resolver;
  DnsTransport transport = DnsTransport::kUdp;
  std::string server_name;        ///< kTls: SNI and the certificate's name; empty: the address.
  bool verify = true;             ///< kTls: certificate chain and name.
  std::string ca_pem;             ///< kTls: instead of the system's roots when not empty.
  bool recursion = true;          ///< The question's RD flag.
  bool dnssec = false;            ///< Asks for validation: the question's DO and AD flags.
  std::string rcode = "NOERROR";  ///< What must be answered.

  friend bool operator==(const DnsTarget&, const DnsTarget&) = default;
};

/// A TLS handshake, and what the certificate says.
struct TlsTarget {
  static constexpr std::size_t kAlpnMax = 8;

  std::string host;
  std::uint16_t port = 443;
  StartTls starttls = StartTls::kNone;
  std::string server_name = {};  ///< SNI, and what the certificate must be for; empty: the host.
  std::vector<std::string> alpn = {};  ///< The server must choose one; empty: not asked. At most 8.
  bool tls13_only = false;             ///< Else TLS 1.2 will do.
  bool verify = true;
  std::string ca_pem = {};         ///< Instead of the system's roots when not empty.
  OcspMode ocsp = OcspMode::kOff;  ///< Needs `verify`.

  friend bool operator==(const TlsTarget&, const TlsTarget&) = default;
};

using Target = std::variant<HttpTarget, TcpTarget, DnsTarget, TlsTarget>;

struct RetryPolicy {
  int retries = 3;  ///< 0..10 after the first attempt.
  Duration delay = std::chrono::seconds{1};
  bool retry_assertions = true;  ///< false: only failures of transport are tried again.

  friend bool operator==(const RetryPolicy&, const RetryPolicy&) = default;
};

struct ProbeSpec {
  Target target;
  Duration interval = std::chrono::seconds{60};  ///< 1 s .. 24 h, whole seconds.
  Duration timeout = std::chrono::seconds{10};   ///< Per attempt; < interval.
  RetryPolicy retry;
  IpFamily family = IpFamily::kAny;
  Assertions assertions;            ///< Empty for HTTP means status in 200..299.
  std::vector<Condition> degraded;  ///< Any that holds turns a pass into degraded. At most 4.

  friend bool operator==(const ProbeSpec&, const ProbeSpec&) = default;
};

/// Longest time one check may take: min(interval, (retries+1) x timeout + retries x delay) (DEC-6).
Duration retry_budget(const ProbeSpec& spec);

/// The defaults of DEC-6: min(10 s, interval/2), and 1 s or 100 ms below intervals of 10 s.
Duration default_timeout(Duration interval);
Duration default_retry_delay(Duration interval);

/// How many attempts fit into one slot when the target hangs until the timeout; at least 1.
int attempts_when_hanging(const ProbeSpec& spec);

enum class QuorumKind : std::uint8_t { kMajority = 0, kAny = 1, kAll = 2, kNumber = 3 };

struct QuorumRule {
  QuorumKind kind = QuorumKind::kMajority;
  int number = 0;  ///< Only kNumber; 1..regions.

  friend bool operator==(const QuorumRule&, const QuorumRule&) = default;

  /// k for n regions: majority is n/2 + 1, any 1, all n. n > 0.
  int required(int n) const;
};

std::string to_string(const QuorumRule& rule);

struct MonitorSpec {
  MonitorId id;
  std::string key;   ///< [a-z0-9-]{1,63}, unique.
  std::string name;  ///< 1..200 bytes of UTF-8.
  ProbeSpec probe;
  std::vector<std::string> regions;  ///< Region keys in order; empty: all regions.
  QuorumRule quorum;
  int open_after =
      1;  ///< 1..10 consecutive failing results of a region before its vote turns down.
  int close_after = 2;  ///< 1..10 consecutive passing results before it turns up again.
  bool confirm = true;  ///< Ask the other regions at the first failed attempt.
  bool page_on_degraded = false;
  bool paused = false;
  std::string service = "default";          ///< Service key.
  std::map<std::string, std::string> tags;  ///< At most 20.
  std::vector<std::string> depends_on;      ///< Monitor keys; recorded, not yet acted on.

  friend bool operator==(const MonitorSpec&, const MonitorSpec&) = default;
};

/// One broken rule: `path` is the field ("monitors[2].timeout"), `text` what was expected.
struct FieldError {
  std::string path;
  std::string text;

  friend bool operator==(const FieldError&, const FieldError&) = default;
};

/// "ADDRESS" or "ADDRESS:PORT"; IPv6 with a port stands in brackets. `port` when none is named.
struct AddressPort {
  IpAddress address;
  std::uint16_t port = 0;
};

Expected<AddressPort> parse_address_port(std::string_view text, std::uint16_t port);

/// Every rule of a spec at once, paths relative to the monitor ("timeout"). Empty: valid. Does not
/// look at other objects (unknown regions or services are the catalogue's business).
std::vector<FieldError> validate(const MonitorSpec& spec);

/// Names of the collector's secrets that the target needs, each once, in order.
std::vector<std::string> stored_secrets(const Target& target);

const char* to_string(HttpVersion version);
const char* to_string(ConnectionMode mode);

/// "off", "check", "require".
const char* to_string(OcspMode mode);
/// Nothing when it is none of them.
std::optional<OcspMode> ocsp_mode_from_name(std::string_view name);
/// Of http, tcp and tls; kOff for the others.
OcspMode ocsp_mode(const Target& target);

/// "smtp", "imap", "pop3", "postgres"; "none".
const char* to_string(StartTls protocol);
/// One of those but "none"; nothing otherwise.
std::optional<StartTls> starttls_from_name(std::string_view name);

/// "http", "tcp", "dns", "tls".
const char* type_name(const Target& target);

/// What people recognise: the URL, "host:port", or "A example.com @ resolver".
std::string describe(const Target& target);

}  // namespace tocsin

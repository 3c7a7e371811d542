#pragma once
// Question answered here: what did a probe see?
//
// Facts and phases of one attempt; never a verdict. The agent's judge turns it into a Finding.

#include "common/base/boxed.h"
#include "common/base/time.h"
#include "common/model/monitor_spec.h"
#include "common/model/outcome.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tocsin {

/// The phases of docs/glossary.md; they partition `total`. Microseconds, monotonic.
struct Phases {
  std::uint32_t dns_us = 0;
  std::uint32_t connect_us = 0;
  std::uint32_t tls_us = 0;
  std::uint32_t send_us = 0;
  std::uint32_t wait_us = 0;
  std::uint32_t receive_us = 0;
  std::uint32_t total_us = 0;

  friend bool operator==(const Phases&, const Phases&) = default;
};

/// What stopped the probe. `detail` is for people, already bounded (256 bytes) and printable.
struct Failure {
  Reason reason = Reason::kNone;
  std::string detail;

  friend bool operator==(const Failure&, const Failure&) = default;
};

/// One request of a chain of redirects, the last one included.
struct HttpHop {
  static constexpr std::size_t kUrlMax = 250;  ///< An ellipsis may follow.
  static constexpr std::size_t kHopsMax = 11;  ///< Ten redirects and the last request.

  std::string url;     ///< Printable.
  std::string remote;  ///< Address and port.
  int status = 0;      ///< 0: there was no response.
  Phases phases;       ///< Of this request alone.

  friend bool operator==(const HttpHop&, const HttpHop&) = default;
};

/// How the connection of the last response came about.
enum class ConnectionUse : std::uint8_t { kCold = 0, kResumed = 1, kReused = 2 };

const char* to_string(ConnectionUse use);

struct HttpFacts {
  int status = 0;
  std::string version;          ///< "1.1"
  std::vector<Header> headers;  ///< Of the last response, names in lower case; at most 100, 64 KiB.
  std::string body;             ///< At most the body limit (64 KiB; 1 MiB when asserted).
  std::uint64_t body_bytes = 0;  ///< Received in all.
  bool body_cut = false;
  std::uint32_t redirects = 0;
  std::vector<HttpHop> hops;  ///< Only when there was a redirect; at most HttpHop::kHopsMax.
  ConnectionUse connection = ConnectionUse::kCold;
  std::string decoded;  ///< The content codings taken off the body, "gzip"; empty: none.

  friend bool operator==(const HttpFacts&, const HttpFacts&) = default;
};

/// RFC 9293 section 3.3.2, numbered as Linux does.
enum class TcpState : std::uint8_t {
  kEstablished = 1,
  kSynSent = 2,
  kSynReceived = 3,
  kFinWait1 = 4,
  kFinWait2 = 5,
  kTimeWait = 6,
  kClosed = 7,
  kCloseWait = 8,
  kLastAck = 9,
  kListen = 10,
  kClosing = 11,
};

/// "syn-sent"; "?" for what a newer peer or kernel knows.
const char* to_string(TcpState state);

/// What the kernel knew of a connection when its attempt ended: whether the network lost something
/// or the server was slow.
struct TcpFacts {
  TcpState state = TcpState::kClosed;
  std::uint32_t rtt_us = 0;  ///< Smoothed (RFC 6298); 0: never measured.
  std::uint32_t rtt_variation_us = 0;
  std::uint32_t retransmissions = 0;     ///< Segments sent again, SYN included.
  std::uint32_t unacknowledged = 0;      ///< Segments that were under way.
  std::uint64_t bytes_acknowledged = 0;  ///< Of ours, by the peer.
  std::uint64_t bytes_received = 0;
  std::uint32_t mss = 0;
  std::uint32_t path_mtu = 0;

  friend bool operator==(const TcpFacts&, const TcpFacts&) = default;
};

/// One certificate; texts are printable and at most 256 bytes.
struct CertificateFacts {
  static constexpr std::size_t kNamesMax = 100;

  std::string subject;
  std::string issuer;
  std::string serial;              ///< Hexadecimal, lower case, without leading zeros.
  std::vector<std::string> names;  ///< Subject alternative names, at most kNamesMax.
  std::uint32_t name_count = 0;    ///< How many there are.
  WallTime not_before;
  WallTime not_after;
  std::string key;        ///< "RSA 2048", "EC P-256", "ED25519"
  std::string signature;  ///< "ecdsa-with-SHA256"
  std::string sha256;     ///< Of its DER, hexadecimal.

  friend bool operator==(const CertificateFacts&, const CertificateFacts&) = default;
};

/// One thing that verification found wrong.
struct TlsProblem {
  Reason reason = Reason::kNone;
  std::uint32_t depth = 0;  ///< Of the certificate it is about; 0: the leaf.
  std::string text;         ///< Printable, at most 256 bytes.

  friend bool operator==(const TlsProblem&, const TlsProblem&) = default;
};

/// What the server's stapled OCSP answer says of its certificate.
enum class OcspStatus : std::uint8_t {
  kNotAsked = 0,  ///< Or the session was resumed, and no certificate was shown.
  kNone = 1,      ///< Asked, and nothing was stapled.
  kGood = 2,
  kRevoked = 3,
  kUnknown = 4,   ///< The responder does not know the certificate.
  kUnusable = 5,  ///< It cannot be read or verified, or is not of now.
};

/// "good"; "not asked".
const char* to_string(OcspStatus status);

struct OcspFacts {
  OcspStatus status = OcspStatus::kNotAsked;
  /// Since when and until when the answer holds; zero unless its signature is good, the second also
  /// when it does not say. kUnusable with the first: the answer is not of now.
  WallTime this_update;
  WallTime next_update;

  friend bool operator==(const OcspFacts&, const OcspFacts&) = default;
};

struct TlsFacts {
  static constexpr std::size_t kChainMax = 8;
  static constexpr std::size_t kProblemsMax = 8;

  std::string version;  ///< "TLSv1.3"
  std::string cipher;
  std::string alpn;
  WallTime not_before;
  WallTime not_after;
  std::string subject;  ///< Printable, at most 256 bytes.
  std::string issuer;
  bool verified = false;
  std::string group;        ///< Of the key exchange, "X25519".
  std::string server_name;  ///< Sent as SNI; empty: none was.
  /// The earliest end in the chain that was verified, root included; in the chain as the server
  /// sent it when verification failed. Zero without a certificate.
  WallTime chain_not_after;
  std::uint32_t chain_size = 0;  ///< Certificates the server sent.
  std::vector<CertificateFacts>
      chain;                         ///< As sent, leaf first; at most kChainMax. May be left out.
  std::vector<TlsProblem> problems;  ///< In the order found; at most kProblemsMax.
  std::string alert_received;        ///< "handshake_failure (40)"; empty: none but close_notify.
  std::string alert_sent;
  OcspFacts ocsp;

  friend bool operator==(const TlsFacts&, const TlsFacts&) = default;
};

struct DnsRecord {
  std::string name;
  DnsType type = DnsType::kA;
  std::uint32_t ttl = 0;
  std::string data;  ///< Presentation form, printable.

  friend bool operator==(const DnsRecord&, const DnsRecord&) = default;
};

struct DnsFacts {
  std::string rcode;  ///< "NOERROR"
  bool authoritative = false;
  bool authentic_data = false;
  bool recursion_available = false;
  DnsTransport transport = DnsTransport::kUdp;  ///< What the answer came over.
  bool truncated_udp = false;                   ///< The UDP answer was cut and TCP was used.
  std::vector<DnsRecord> answers;               ///< At most 64.
  std::uint32_t count = 0;  ///< Answers of the asked type, also those that were not kept.
  /// Of these sections only who wants all of them gets the records, at most 64 each.
  std::vector<DnsRecord> authorities;
  std::vector<DnsRecord> additionals;
  std::uint32_t answers_total = 0;  ///< These three: as the message's header says.
  std::uint32_t authorities_total = 0;
  std::uint32_t additionals_total = 0;

  friend bool operator==(const DnsFacts&, const DnsFacts&) = default;
};

struct Observation {
  std::optional<Failure> failure;  ///< Nothing: the protocol ran to its end.
  Phases phases;
  std::string remote;              ///< Address and port used, "127.0.0.1:80"; empty if none was.
  std::vector<std::string> tried;  ///< Other addresses tried first, "addr: why"; at most 16.
  bool dns_cached = false;         ///< Also for literal addresses.
  std::optional<HttpFacts> http;
  Boxed<TlsFacts> tls;
  Boxed<DnsFacts> dns;
  /// Of the last connection, unless nothing can make a failure of what was seen.
  Boxed<TcpFacts> tcp;
  std::string banner;  ///< TCP: the first bytes received, at most 1 KiB.

  friend bool operator==(const Observation&, const Observation&) = default;
};

}  // namespace tocsin

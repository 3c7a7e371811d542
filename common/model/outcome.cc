#include "common/model/outcome.h"

#include <algorithm>
#include <array>

namespace tocsin {

namespace {

struct ReasonRow {
  Reason reason;
  std::string_view name;
  std::string_view sentence;
};

constexpr ReasonRow kReasons[] = {
    {Reason::kNone, "none", "nothing is wrong"},
    {Reason::kDnsTimeout, "dns.timeout", "the resolver did not answer in time"},
    {Reason::kDnsRcode, "dns.rcode", "the resolver answered with another code than expected"},
    {Reason::kDnsNodata, "dns.nodata", "the name exists but has no record of the wanted type"},
    {Reason::kDnsRefused, "dns.refused", "the resolver is not listening"},
    {Reason::kDnsProtocol, "dns.protocol", "the resolver's answer is malformed"},
    {Reason::kDnsTruncated, "dns.truncated",
     "the answer was cut and TCP did not deliver it either"},
    {Reason::kDnsNxdomain, "dns.nxdomain", "the name does not exist"},
    {Reason::kDnsServfail, "dns.servfail",
     "the resolver could not find out (its servers fail, or DNSSEC does not validate)"},
    {Reason::kDnsNotAllowed, "dns.not_allowed", "the resolver refuses to answer such questions"},
    {Reason::kDnsClosed, "dns.closed", "the resolver closed the connection before it answered"},
    {Reason::kConnectRefused, "connect.refused", "nothing listens on that port"},
    {Reason::kConnectTimeout, "connect.timeout",
     "no answer to the connection request (firewall, or the host is down)"},
    {Reason::kConnectReset, "connect.reset", "the connection was reset while it opened"},
    {Reason::kConnectUnreachable, "connect.unreachable",
     "there is no route to the host or network"},
    {Reason::kConnectNoAddress, "connect.no_address", "the name has no address of a usable family"},
    {Reason::kTlsNotTls, "tls.not_tls", "the port speaks something other than TLS"},
    {Reason::kTlsHandshake, "tls.handshake", "no shared protocol version, cipher or curve"},
    {Reason::kTlsReset, "tls.reset", "the server closed during the TLS handshake"},
    {Reason::kTlsTimeout, "tls.timeout", "the TLS handshake did not finish in time"},
    {Reason::kTlsVersion, "tls.version", "the server speaks no TLS version that is allowed"},
    {Reason::kTlsAlpn, "tls.alpn", "the server speaks none of the wanted protocols (ALPN)"},
    {Reason::kTlsUnrecognizedName, "tls.unrecognized_name",
     "the server does not know the name that was asked for (SNI)"},
    {Reason::kTlsClientCertificate, "tls.client_certificate",
     "the server wants a client certificate, or refuses the one it got"},
    {Reason::kTlsProtocol, "tls.protocol",
     "the server's TLS messages break the protocol or a limit"},
    {Reason::kTlsAlert, "tls.alert", "the server ended TLS with an alert"},
    {Reason::kTlsVerifyExpired, "tls.verify.expired", "the certificate has expired"},
    {Reason::kTlsVerifyNotYetValid, "tls.verify.not_yet_valid", "the certificate is not valid yet"},
    {Reason::kTlsVerifyHostname, "tls.verify.hostname", "the certificate is for another name"},
    {Reason::kTlsVerifyUnknownIssuer, "tls.verify.unknown_issuer",
     "the certificate's issuer is not trusted"},
    {Reason::kTlsVerifySelfSigned, "tls.verify.self_signed", "the certificate is self-signed"},
    {Reason::kTlsVerifyRevoked, "tls.verify.revoked", "the certificate has been revoked"},
    {Reason::kTlsVerifyWeak, "tls.verify.weak",
     "a key or signature in the chain is too weak to be trusted"},
    {Reason::kTlsVerifyPurpose, "tls.verify.purpose",
     "a certificate in the chain is not made for this use"},
    {Reason::kTlsVerifyPathLength, "tls.verify.path_length",
     "the chain of certificates is longer than allowed"},
    {Reason::kTlsVerifyIssuerExpired, "tls.verify.issuer_expired",
     "an issuer in the certificate's chain has expired"},
    {Reason::kTlsVerifyNameConstraints, "tls.verify.name_constraints",
     "an issuer in the chain may not issue certificates for that name"},
    {Reason::kTlsVerifyCriticalExtension, "tls.verify.critical_extension",
     "a certificate in the chain has a critical extension that is not known"},
    {Reason::kTlsVerifyMalformed, "tls.verify.malformed",
     "a certificate in the chain is malformed"},
    {Reason::kTlsVerifyStaple, "tls.verify.staple",
     "the server does not prove by OCSP that its certificate is not revoked"},
    {Reason::kTlsVerifyOther, "tls.verify.other", "the certificate cannot be verified"},
    {Reason::kHttpTimeout, "http.timeout", "the server did not finish its response in time"},
    {Reason::kHttpTruncated, "http.truncated", "the connection ended before the declared length"},
    {Reason::kHttpProtocol, "http.protocol", "the response breaks the rules of HTTP"},
    {Reason::kHttpReset, "http.reset", "the connection was reset during the response"},
    {Reason::kHttpHeadersTooLarge, "http.headers_too_large",
     "the response headers exceed the limit"},
    {Reason::kHttpTooManyRedirects, "http.too_many_redirects",
     "there are more redirects than allowed"},
    {Reason::kHttpBadRedirect, "http.bad_redirect", "the redirect cannot be followed"},
    {Reason::kHttpEmptyReply, "http.empty_reply", "the server closed without sending a response"},
    {Reason::kHttpProxy, "http.proxy", "the proxy could not reach the server"},
    {Reason::kHttpBadEncoding, "http.bad_encoding",
     "the body does not decode as its content-encoding says"},
    {Reason::kHttpDecodedTooLarge, "http.decoded_too_large",
     "the body is a compression bomb: it decodes to far more than was sent"},
    {Reason::kHttpVersion, "http.version", "the server does not speak the wanted version of HTTP"},
    {Reason::kHttpStreamReset, "http.stream_reset", "the server reset the HTTP/2 stream"},
    {Reason::kHttpGoaway, "http.goaway", "the server ended the HTTP/2 session before it answered"},
    {Reason::kHttpTooManyInterim, "http.too_many_interim",
     "the server sends interim (1xx) responses without an end"},
    {Reason::kHttpRedirectDowngrade, "http.redirect_downgrade",
     "the server redirects from https to http"},
    {Reason::kTcpTimeout, "tcp.timeout", "the server did not send the expected bytes in time"},
    {Reason::kTcpReset, "tcp.reset", "the connection was reset"},
    {Reason::kTcpClosed, "tcp.closed", "the server closed before the expected bytes came"},
    {Reason::kTcpUnexpected, "tcp.unexpected", "the server sent something else than expected"},
    {Reason::kStarttlsTimeout, "starttls.timeout",
     "the server did not say its part before TLS in time"},
    {Reason::kStarttlsClosed, "starttls.closed", "the server closed before TLS began"},
    {Reason::kStarttlsReset, "starttls.reset", "the connection was reset before TLS began"},
    {Reason::kStarttlsGreeting, "starttls.greeting", "the server greets with an error"},
    {Reason::kStarttlsNotOffered, "starttls.not_offered", "the server does not offer TLS"},
    {Reason::kStarttlsRefused, "starttls.refused", "the server refuses to begin TLS"},
    {Reason::kStarttlsProtocol, "starttls.protocol",
     "the server speaks another protocol than the one that was chosen"},
    {Reason::kStarttlsInjected, "starttls.injected",
     "bytes came between the server's consent and TLS: somebody may be in between"},
    {Reason::kAssertStatus, "assert.status", "the status code is not as asserted"},
    {Reason::kAssertHeader, "assert.header", "a header is not as asserted"},
    {Reason::kAssertBody, "assert.body", "the body is not as asserted"},
    {Reason::kAssertJson, "assert.json", "the JSON body is not as asserted"},
    {Reason::kAssertLatency, "assert.latency", "the response took longer than asserted"},
    {Reason::kAssertPhase, "assert.phase", "a phase took longer than asserted"},
    {Reason::kAssertCertificate, "assert.certificate", "the certificate is not as asserted"},
    {Reason::kAssertDns, "assert.dns", "the DNS answer is not as asserted"},
    {Reason::kAssertAddress, "assert.address", "the address that was used is not as asserted"},
    {Reason::kAssertRedirects, "assert.redirects", "the number of redirects is not as asserted"},
    {Reason::kAssertVersion, "assert.version", "the protocol's version is not as asserted"},
    {Reason::kAssertTls, "assert.tls", "the TLS connection is not as asserted"},
    {Reason::kAssertOther, "assert.other", "an assertion does not hold"},
    {Reason::kPolicyDeniedAddress, "policy.denied_address",
     "the agent's egress policy does not allow this address"},
    {Reason::kPolicyUnsupported, "policy.unsupported", "this agent cannot run such a check"},
    {Reason::kPolicySecret, "policy.secret",
     "the agent does not have a secret that the monitor names"},
    {Reason::kPolicyProxyUnknown, "policy.proxy_unknown", "the agent has no proxy of that name"},
    {Reason::kPolicyProxy, "policy.proxy", "the agent's proxy cannot be reached or refuses"},
    {Reason::kSelfResolver, "self.resolver", "the agent's own resolver does not work"},
    {Reason::kSelfDescriptors, "self.descriptors", "the agent has run out of file descriptors"},
    {Reason::kSelfMemory, "self.memory", "the agent has run out of memory"},
    {Reason::kSelfUplink, "self.uplink", "the agent's own network does not work"},
    {Reason::kSelfClock, "self.clock", "the agent's clock cannot be trusted"},
    {Reason::kSelfInternal, "self.internal", "the agent failed"},
    {Reason::kSelfCancelled, "self.cancelled", "the agent gave the check up before it finished"},
    {Reason::kSelfAnchors, "self.anchors", "half or more of the agent's anchors do not answer"},
    {Reason::kSelfTargets, "self.targets", "most of the agent's targets fell silent at once"},
};

const ReasonRow* find_row(Reason reason) {
  const auto* at = std::find_if(std::begin(kReasons), std::end(kReasons),
                                [&](const ReasonRow& row) { return row.reason == reason; });
  return at == std::end(kReasons) ? nullptr : at;
}

}  // namespace

const char* to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUp:
      return "up";
    case Outcome::kDegraded:
      return "degraded";
    case Outcome::kDown:
      return "down";
    case Outcome::kNoData:
      return "no_data";
    case Outcome::kMissed:
      return "missed";
  }
  return "?";
}

std::optional<Outcome> outcome_from_int(std::uint32_t value) {
  if (value < 1 || value > 5) return std::nullopt;
  return static_cast<Outcome>(value);
}

const char* to_string(MissedCause cause) {
  switch (cause) {
    case MissedCause::kNone:
      return "none";
    case MissedCause::kOverload:
      return "overload";
    case MissedCause::kBlackout:
      return "blackout";
    case MissedCause::kProberCrash:
      return "prober_crash";
    case MissedCause::kPolicy:
      return "policy";
  }
  return "?";
}

std::optional<MissedCause> missed_cause_from_int(std::uint32_t value) {
  if (value > 4) return std::nullopt;
  return static_cast<MissedCause>(value);
}

std::string_view to_string(Reason reason) {
  const ReasonRow* row = find_row(reason);
  return row == nullptr ? "?" : row->name;
}

std::optional<Reason> reason_from_int(std::uint32_t value) {
  if (value > 0xffff) return std::nullopt;
  const ReasonRow* row = find_row(static_cast<Reason>(value));
  if (row == nullptr) return std::nullopt;
  return row->reason;
}

std::optional<Reason> reason_from_name(std::string_view name) {
  for (const ReasonRow& row : kReasons) {
    if (row.name == name) return row.reason;
  }
  return std::nullopt;
}

Reason reason_of_rcode(std::string_view rcode) {
  if (rcode == "NXDOMAIN") return Reason::kDnsNxdomain;
  if (rcode == "SERVFAIL") return Reason::kDnsServfail;
  if (rcode == "REFUSED") return Reason::kDnsNotAllowed;
  return Reason::kDnsRcode;
}

std::string_view explain(Reason reason) {
  const ReasonRow* row = find_row(reason);
  return row == nullptr ? "unknown reason" : row->sentence;
}

bool blames_target(Reason reason) {
  const auto value = static_cast<std::uint16_t>(reason);
  return value >= 100 && value < 600;
}

bool is_verify_failure(Reason reason) {
  const auto value = static_cast<std::uint16_t>(reason);
  return value >= 310 && value <= 339;
}

}  // namespace tocsin

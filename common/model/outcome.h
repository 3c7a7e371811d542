#pragma once
// Question answered here: how did an attempt or a check end, and for which reason?
//
// One enumeration of reasons for the agent, the wire, the store, the API and the docs. The numbers
// are on the wire and in the store: they are never reused or reordered; add at the end of a layer's
// block.

#include <cstdint>
#include <optional>
#include <string_view>

namespace tocsin {

/// How a check ended. The numbers are wire values.
enum class Outcome : std::uint8_t {
  kUp = 1,
  kDegraded = 2,  ///< Passed, but the `degraded` condition held.
  kDown = 3,      ///< The target's fault.
  kNoData = 4,    ///< Our own fault or policy: says nothing about the target, is no vote.
  kMissed = 5,    ///< The slot was not run at all; see MissedCause.
};

const char* to_string(Outcome outcome);
std::optional<Outcome> outcome_from_int(std::uint32_t value);

/// Why a slot was not run. Reported by the agent.
enum class MissedCause : std::uint8_t {
  kNone = 0,
  kOverload = 1,     ///< Later than min(interval/2, 30 s): the agent had too much to do.
  kBlackout = 2,     ///< The machine or the process stood still, or the clock stepped over it.
  kProberCrash = 3,  ///< The check took the process down with it.
  kPolicy = 4,       ///< Waited for its place at the target (politeness) until it was too late.
};

const char* to_string(MissedCause cause);
std::optional<MissedCause> missed_cause_from_int(std::uint32_t value);

/// `layer.reason`; blocks of 100 per layer. kNone stands with kUp.
enum class Reason : std::uint16_t {
  kNone = 0,

  kDnsTimeout = 100,
  kDnsRcode = 101,
  kDnsNodata = 102,
  kDnsRefused = 103,
  kDnsProtocol = 104,
  kDnsTruncated = 105,
  kDnsNxdomain = 106,
  kDnsServfail = 107,
  kDnsNotAllowed = 108,
  kDnsClosed = 109,

  kConnectRefused = 200,
  kConnectTimeout = 201,
  kConnectReset = 202,
  kConnectUnreachable = 203,
  kConnectNoAddress = 204,

  kTlsNotTls = 300,
  kTlsHandshake = 301,
  kTlsReset = 302,
  kTlsTimeout = 303,
  kTlsVersion = 304,
  kTlsAlpn = 305,
  kTlsUnrecognizedName = 306,
  kTlsClientCertificate = 307,
  kTlsProtocol = 308,
  kTlsAlert = 309,
  kTlsVerifyExpired = 310,
  kTlsVerifyNotYetValid = 311,
  kTlsVerifyHostname = 312,
  kTlsVerifyUnknownIssuer = 313,
  kTlsVerifySelfSigned = 314,
  kTlsVerifyRevoked = 315,
  kTlsVerifyWeak = 316,
  kTlsVerifyPurpose = 317,
  kTlsVerifyPathLength = 318,
  kTlsVerifyOther = 319,
  kTlsVerifyIssuerExpired = 320,
  kTlsVerifyNameConstraints = 321,
  kTlsVerifyCriticalExtension = 322,
  kTlsVerifyMalformed = 323,
  kTlsVerifyStaple = 324,

  kHttpTimeout = 400,
  kHttpTruncated = 401,
  kHttpProtocol = 402,
  kHttpReset = 403,
  kHttpHeadersTooLarge = 404,
  kHttpTooManyRedirects = 405,
  kHttpBadRedirect = 406,
  kHttpEmptyReply = 407,
  kHttpProxy = 408,              ///< The proxy could not reach the target.
  kHttpBadEncoding = 409,        ///< The body is not what its content-encoding says.
  kHttpDecodedTooLarge = 410,    ///< A compression bomb.
  kHttpVersion = 411,            ///< The wanted version of HTTP was not agreed on.
  kHttpStreamReset = 412,        ///< HTTP/2: RST_STREAM.
  kHttpGoaway = 413,             ///< HTTP/2: GOAWAY before the response.
  kHttpTooManyInterim = 414,     ///< 1xx responses without an end.
  kHttpRedirectDowngrade = 415,  ///< From https to http.

  kTcpTimeout = 450,
  kTcpReset = 451,
  kTcpClosed = 452,
  kTcpUnexpected = 453,
  kStarttlsTimeout = 454,
  kStarttlsClosed = 455,
  kStarttlsReset = 456,
  kStarttlsGreeting = 457,
  kStarttlsNotOffered = 458,
  kStarttlsRefused = 459,
  kStarttlsProtocol = 460,
  kStarttlsInjected = 461,

  kAssertStatus = 500,
  kAssertHeader = 501,
  kAssertBody = 502,
  kAssertJson = 503,
  kAssertLatency = 504,
  kAssertPhase = 505,
  kAssertCertificate = 506,
  kAssertDns = 507,
  kAssertAddress = 508,
  kAssertRedirects = 509,
  kAssertVersion = 510,
  kAssertTls = 518,
  kAssertOther = 519,

  kPolicyDeniedAddress = 600,
  kPolicyUnsupported = 601,  ///< This agent cannot run such a spec.
  kPolicySecret = 602,       ///< A secret file that the spec names is not there or not usable.
  kPolicyProxyUnknown = 603,
  kPolicyProxy = 604,  ///< The agent's own proxy cannot be reached, or refuses.

  kSelfResolver = 700,
  kSelfDescriptors = 701,
  kSelfMemory = 702,
  kSelfUplink = 703,
  kSelfClock = 704,
  kSelfInternal = 705,
  kSelfCancelled = 706,  ///< The agent shut down or the monitor changed while it ran.
  kSelfAnchors = 720,    ///< Of an agent's state only, as the next one.
  kSelfTargets = 721,
};

/// "connect.refused"; "none" for kNone.
std::string_view to_string(Reason reason);
std::optional<Reason> reason_from_int(std::uint32_t value);
std::optional<Reason> reason_from_name(std::string_view name);

/// What an answer with this response code ("NXDOMAIN") means where NOERROR was wanted.
Reason reason_of_rcode(std::string_view rcode);

/// One sentence for the operator, lower case, no trailing dot: "nothing listens on that port".
std::string_view explain(Reason reason);

/// `policy.*` and `self.*` say nothing about the target; everything else does.
bool blames_target(Reason reason);

/// `tls.verify.*`: the handshake went well and the certificate is bad.
bool is_verify_failure(Reason reason);

}  // namespace tocsin

#pragma once
// Question answered here: why was a key, a connection or a message turned away, and what should the
// operator do about it?
//
// Every reason is a metric label (tocsin_ingest_rejected_total{reason}) and a log line that ends
// with advice. The numbers are array indexes, not wire values.

#include <cstddef>
#include <cstdint>

namespace tocsin::collector {

enum class Rejection : std::uint8_t {
  kUnknownKey,        ///< ZAP: no agent and no enrolment has this key.
  kRevoked,           ///< ZAP or message: the agent was revoked.
  kEnrolmentUsed,     ///< ZAP: the one-time key of a bundle that has been used.
  kEnrolmentExpired,  ///< ZAP: the bundle is too old.
  kMechanism,         ///< ZAP: not CURVE, another domain, or a request that cannot be read.
  kHandshake,         ///< The CURVE handshake failed: usually another server key is pinned.
  kNoSession,         ///< A message before Hello.
  kVersion,           ///< A protocol version that this build does not speak.
  kMalformed,         ///< A message or frame that cannot be read.
  kOversized,         ///< Larger than a frame or message may be.
  kUnknownMessage,    ///< Well-formed, of a kind this build does not know.
  kNotAuthorised,  ///< The sender may not say this: another agent's frame, Enrol with a full key.
  kSessionsFull,   ///< More connections than kMaxSessions.
  kSlowReader,     ///< The peer does not take what we send.
};

inline constexpr std::size_t kRejectionCount = 14;

/// The metric label: "unknown_key".
const char* to_string(Rejection why);

/// One sentence for the operator, lower case, no trailing dot.
const char* what_to_do(Rejection why);

}  // namespace tocsin::collector

#pragma once
// Question answered here: what does `enroll` print for the agent's operator?
//
// The enrolment bundle: a small YAML map that `tocsin-agent enroll` reads. It holds the secret half
// of a one-time key, so it is a secret until it was used or has expired.

#include "collector/ports/enrolment.h"
#include "common/base/time.h"

#include <string>
#include <vector>

namespace tocsin::collector {

struct EnrolmentBundle {
  std::vector<std::string> endpoints;    ///< "tcp://HOST:PORT", at least one.
  std::vector<std::string> server_keys;  ///< Z85.
  std::string region;
  std::string public_key;  ///< Of the one-time pair, Z85.
  std::string secret_key;
  WallTime expires;
  std::string agent{};  ///< Whose key is renewed; empty for a new agent.

  friend bool operator==(const EnrolmentBundle&, const EnrolmentBundle&) = default;
};

/// The text with a comment that says what to do with it. Values are quoted: Z85 may begin with any
/// character that YAML gives a meaning.
std::string format_bundle(const EnrolmentBundle& bundle);

/// Which endpoints go into a bundle: the ones asked for, or the configured one with this host's
/// name in place of a wildcard. `bound` is the endpoint that is really bound (its port counts).
std::vector<std::string> bundle_endpoints(const std::vector<std::string>& wanted,
                                          const std::string& bound, const std::string& hostname);

/// What every bundle of this collector says.
struct BundleSource {
  std::string server_key;       ///< Z85.
  std::string agents_endpoint;  ///< As bound, or as configured.
  std::string hostname;         ///< In place of a wildcard address.
};

/// See EnrolmentMaker.
Expected<NewEnrolment> make_enrolment(const EnrolmentWish& wish, const BundleSource& source,
                                      WallTime now);

}  // namespace tocsin::collector

#pragma once
// Question answered here: what does a monitor know that nobody else may, and how does it stay out
// of the evidence?
//
// Secrets are files of the agent's `secrets_dir`, read for each attempt so that a changed file
// needs no restart, or come from the collector (DEC-12). They are in the clear while the attempt
// runs.

#include "agent/probe/probe_context.h"
#include "common/io/secret.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <memory>
#include <string>
#include <vector>

namespace tocsin::agent {

struct HttpCredentials {
  /// Shorter texts are not struck out: they would turn up by chance.
  static constexpr std::size_t kStruckMin = kSecretBytesMin;

  std::vector<Header> headers;        ///< Authorization and the secret ones, with their values.
  std::vector<Header> proxy_headers;  ///< Proxy-Authorization, for the proxy alone; may be empty.
  std::shared_ptr<const io::TlsIdentity> identity;  ///< Null: none.
  std::vector<io::Secret> secrets;  ///< In every form that was sent, for strike_out.
};

/// policy.secret, naming it, when one is missing, empty or not usable. A line break at the
/// end of a file is not part of the secret.
tl::expected<HttpCredentials, Failure> load_credentials(ProbeContext& context,
                                                        const HttpTarget& target);

/// "Basic dXNlcjpwYXNz" (RFC 7617).
std::string basic_authorization(std::string_view username, std::string_view password);

/// Servers send back what they were sent: every secret in `text` becomes three asterisks.
void strike_out(std::string& text, const std::vector<io::Secret>& secrets);
void strike_out(HttpFacts& facts, const std::vector<io::Secret>& secrets);

}  // namespace tocsin::agent

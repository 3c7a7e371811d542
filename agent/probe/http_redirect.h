#pragma once
// Question answered here: what is asked for next when a server says "elsewhere"?
//
// A function of values. RFC 9110 section 15.4, with the rules of browsers where it leaves a choice.

#include "common/codec/url.h"
#include "common/model/monitor_spec.h"
#include "common/model/observation.h"

#include <string>
#include <vector>

namespace tocsin::agent {

/// A request of a chain.
struct HttpRequestPlan {
  Url url;
  std::string method;
  std::vector<Header> headers;  ///< Of the spec, without secret ones.
  std::string body;
  /// Credentials, client certificate, `server_name` and `ocsp` still apply: no other origin was
  /// visited.
  bool at_home = true;
};

bool is_redirect(int status);

/// The request that follows a response with this status and Location. To another origin go only
/// headers that cannot be credentials, and no credentials; once they are dropped they stay dropped,
/// also when a later redirect leads back. http.bad_redirect when the location is no URL that we
/// request; http.redirect_downgrade from https to http unless `allow_downgrade`.
tl::expected<HttpRequestPlan, Failure> plan_redirect(HttpRequestPlan from, int status,
                                                     const std::string& location,
                                                     bool allow_downgrade);

}  // namespace tocsin::agent

#include "agent/probe/http_redirect.h"

#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

/// What may go to another origin. Everything else a user sets may be a credential.
bool is_harmless(std::string_view name) {
  static constexpr std::string_view kHarmless[] = {"accept", "accept-encoding", "accept-language",
                                                   "content-type", "user-agent"};
  return std::any_of(std::begin(kHarmless), std::end(kHarmless),
                     [&](std::string_view harmless) { return iequals(name, harmless); });
}

/// RFC 9110 section 15.4: 303 always becomes GET, and everybody does so after a POST with 301, 302.
bool becomes_get(int status, std::string_view method) {
  if (method == "HEAD") return false;
  return status == 303 || ((status == 301 || status == 302) && method == "POST");
}

}  // namespace

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

tl::expected<HttpRequestPlan, Failure> plan_redirect(HttpRequestPlan from, int status,
                                                     const std::string& location,
                                                     bool allow_downgrade) {
  auto next = resolve_url(from.url, location);
  if (!next) return tl::unexpected{Failure{Reason::kHttpBadRedirect, next.error().text}};
  if (from.url.https && !next->https && !allow_downgrade) {
    return tl::unexpected{Failure{Reason::kHttpRedirectDowngrade,
                                  fmt::format("from https to {}", printable(next->str(), 150))}};
  }
  if (becomes_get(status, from.method)) {
    from.method = "GET";
    from.body.clear();
    std::erase_if(from.headers, [](const Header& h) { return iequals(h.name, "content-type"); });
  }
  if (!next->same_origin(from.url)) {
    std::erase_if(from.headers, [](const Header& h) { return !is_harmless(h.name); });
    from.at_home = false;
  }
  from.url = *std::move(next);
  return from;
}

}  // namespace tocsin::agent

#include "collector/api/session_cookie.h"

#include "common/base/strings.h"
#include "common/codec/url.h"

#include <fmt/format.h>

namespace tocsin::collector {

namespace {

std::string attributes(bool secure) {
  return secure ? "; Path=/; HttpOnly; SameSite=Lax; Secure" : "; Path=/; HttpOnly; SameSite=Lax";
}

}  // namespace

std::string_view session_cookie_name(bool secure) { return secure ? "__Host-tocsin" : "tocsin"; }

Header set_session_cookie(bool secure, std::string_view secret, Duration max_age) {
  return {"Set-Cookie",
          fmt::format("{}={}; Max-Age={}{}", session_cookie_name(secure), secret,
                      std::chrono::duration_cast<std::chrono::seconds>(max_age).count(),
                      attributes(secure))};
}

Header clear_session_cookie(bool secure) {
  return {"Set-Cookie",
          fmt::format("{}=; Max-Age=0{}", session_cookie_name(secure), attributes(secure))};
}

std::optional<std::string> cross_site(const codec::HttpRequest& request,
                                      std::string_view public_url, bool undecided_is_foreign) {
  constexpr std::string_view kForeign = "a page of another site made this request";
  if (const auto site = request.header("sec-fetch-site")) {
    if (*site == "same-origin" || *site == "none") return std::nullopt;
    return std::string{kForeign};
  }
  const auto origin = request.header("origin");
  if (!origin) {
    if (!undecided_is_foreign) return std::nullopt;
    return "a session may change something only from a page of ours: expected Sec-Fetch-Site or "
           "Origin; programs use a token";
  }
  const auto from = parse_url(*origin);
  if (!from || from->path != "/") return std::string{kForeign};
  const auto ours = parse_url(public_url);
  if (ours && from->same_origin(*ours)) return std::nullopt;
  // The host that was asked, by the scheme the page came with: a proxy may speak TLS for us.
  const auto asked =
      parse_url(fmt::format("{}://{}", from->https ? "https" : "http", request.host));
  if (asked && from->same_origin(*asked)) return std::nullopt;
  return std::string{kForeign};
}

}  // namespace tocsin::collector

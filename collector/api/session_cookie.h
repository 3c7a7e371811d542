#pragma once
// Question answered here: which cookie carries a session, and may this request act by it?
//
// Specification
//  SC1 The cookie is HttpOnly, SameSite=Lax, of the whole site. Where people come by https it is
//      Secure and its name begins with "__Host-", which keeps sibling domains from planting one.
//  SC2 A request that changes something is believed a cookie only when the browser says that a page
//      of ours made it: Sec-Fetch-Site "same-origin" (or "none": the person themselves), else an
//      Origin that is the public one or the host that was asked. Neither header: no.
//  SC3 A body must then be said to be JSON, which no form of a foreign page can.
// Rationale
//  SC2 SameSite=Lax alone lets pages of sibling domains and of other ports through. A token of our
//      own would have to be carried through every form and program; browsers have sent these
//      headers since 2020 and 2023.

#include "common/base/time.h"
#include "common/codec/http_request.h"
#include "common/model/monitor_spec.h"

#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector {

std::string_view session_cookie_name(bool secure);

/// Set-Cookie for a session that ends at the latest after `max_age`.
Header set_session_cookie(bool secure, std::string_view secret, Duration max_age);
Header clear_session_cookie(bool secure);

/// Why a request with these headers may not act by a cookie (SC2); nothing: it may. `public_url`
/// may be empty. `undecided_is_foreign`: what a request with neither header is taken for.
std::optional<std::string> cross_site(const codec::HttpRequest& request,
                                      std::string_view public_url, bool undecided_is_foreign);

}  // namespace tocsin::collector

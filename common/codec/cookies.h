#pragma once
// Question answered here: which cookie of ours did the browser bring?
//
// The Cookie header of RFC 6265 section 4.2.1: NAME=VALUE, joined by ';' and blanks. Other programs
// on the same host may have set cookies that follow no rule, so a malformed one is skipped instead
// of refusing the request; but a cookie of ours has one value or none: when its name is there
// twice with different values (somebody planted a second one from a sibling domain or another
// path), it is as if it were not there.

#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace tocsin::codec {

/// Cookies of one header that are looked at; further ones are not seen. The header's size is
/// bounded by HttpRequestLimits.
constexpr std::size_t kCookiesMax = 64;

/// The well-formed cookies in order: names are tokens, values have no blanks, quotes, commas,
/// semicolons, backslashes, control characters or bytes above 127. A value's surrounding double
/// quotes are taken off. The views live as long as the header's text.
std::vector<std::pair<std::string_view, std::string_view>> parse_cookies(std::string_view header);

/// The one value of that name (names are case-sensitive); nothing when it is missing or ambiguous.
std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name);

}  // namespace tocsin::codec

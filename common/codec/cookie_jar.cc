#include "common/codec/cookie_jar.h"

#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace tocsin::codec {

namespace {

std::optional<int> number(std::string_view digits) {
  int out = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return out;
}

bool is_text(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 0x20 && u < 0x7f;
  });
}

/// Section 5.1.1, of the forms that servers send: a day, a month's name, a year and a time in any
/// order. Nothing for what is no date: then the attribute is ignored.
std::optional<WallTime> parse_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> kMonths{
      "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"};
  std::optional<int> day, month, year;
  std::string_view time;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = text.find_first_not_of(" ,-", i);
    if (begin == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" ,-", begin), text.size());
    const std::string_view word = text.substr(begin, end - begin);
    i = end;
    if (word.size() == 8 && word[2] == ':' && word[5] == ':') {
      time = word;
    } else if (const auto n = number(word)) {
      if (!day && word.size() <= 2) {
        day = n;
      } else if (!year) {
        year = word.size() == 2 ? (*n < 70 ? 2000 + *n : 1900 + *n) : *n;
      }
    } else if (word.size() >= 3) {
      const auto at = std::find(kMonths.begin(), kMonths.end(), to_lower(word.substr(0, 3)));
      if (at != kMonths.end() && !month) month = static_cast<int>(at - kMonths.begin()) + 1;
    }
  }
  if (!day || !month || !year || time.empty() || *day < 0 || *year < 0 || *year > 9999) {
    return std::nullopt;
  }
  const auto at = parse_rfc3339(fmt::format("{:04}-{:02}-{:02}T{}Z", *year, *month, *day, time));
  if (!at) return std::nullopt;
  return *at;
}

bool domain_matches(std::string_view host, std::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && host.ends_with(domain) &&
         host[host.size() - domain.size() - 1] == '.';
}

std::string_view path_of(const Url& url) {
  return std::string_view{url.path}.substr(0, url.path.find('?'));
}

/// Section 5.1.4.
std::string_view default_path(const Url& url) {
  const std::string_view path = path_of(url);
  const std::size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? "/" : path.substr(0, slash);
}

bool path_matches(std::string_view path, std::string_view cookie) {
  if (!path.starts_with(cookie)) return false;
  return path.size() == cookie.size() || cookie.ends_with('/') || path[cookie.size()] == '/';
}

}  // namespace

void CookieJar::take(const Url& from, std::string_view set_cookie, WallTime now) {
  if (set_cookie.size() > kCookieBytesMax) return;
  const std::string_view pair = set_cookie.substr(0, set_cookie.find(';'));
  const std::size_t equals = pair.find('=');
  if (equals == std::string_view::npos) return;
  Cookie cookie;
  cookie.name = trim(pair.substr(0, equals));
  cookie.value = trim(pair.substr(equals + 1));
  if (cookie.name.empty() || !is_text(cookie.name) || !is_text(cookie.value)) return;
  cookie.domain = from.host;
  cookie.path = default_path(from);
  bool gone = false;
  bool max_age = false;
  for (std::size_t i = pair.size(); i < set_cookie.size();) {
    const std::size_t end = std::min(set_cookie.find(';', i + 1), set_cookie.size());
    const std::string_view attribute = set_cookie.substr(i + 1, end - i - 1);
    i = end;
    const std::size_t at = std::min(attribute.find('='), attribute.size());
    const std::string name = to_lower(trim(attribute.substr(0, at)));
    const std::string_view value =
        at == attribute.size() ? std::string_view{} : trim(attribute.substr(at + 1));
    if (name == "secure") {
      if (!from.https) return;
      cookie.secure = true;
    } else if (name == "path") {
      if (value.starts_with('/') && is_text(value)) cookie.path = value;
    } else if (name == "max-age") {
      // Goes before Expires, wherever it stands.
      max_age = true;
      gone = value.starts_with('-') || value == "0";
    } else if (name == "expires") {
      const auto expires = parse_date(value);
      if (!max_age && expires) gone = *expires <= now;
    } else if (name == "domain") {
      const std::string domain = to_lower(value.substr(value.starts_with('.') ? 1 : 0));
      if (domain.empty() || domain == from.host) continue;
      if (from.host_is_address || domain.find('.') == std::string::npos ||
          !domain_matches(from.host, domain)) {
        return;
      }
      cookie.domain = domain;
      cookie.host_only = false;
    }
  }
  const auto old = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& c) {
    return c.name == cookie.name && c.domain == cookie.domain && c.path == cookie.path;
  });
  if (gone) {
    if (old != cookies_.end()) cookies_.erase(old);
  } else if (old != cookies_.end()) {
    *old = std::move(cookie);
  } else if (cookies_.size() < kCookiesMax) {
    cookies_.push_back(std::move(cookie));
  }
}

std::string CookieJar::header(const Url& to) const {
  std::vector<const Cookie*> sent;
  for (const Cookie& cookie : cookies_) {
    const bool host =
        cookie.host_only ? to.host == cookie.domain : domain_matches(to.host, cookie.domain);
    if (host && path_matches(path_of(to), cookie.path) && (!cookie.secure || to.https)) {
      sent.push_back(&cookie);
    }
  }
  // Section 5.4: longer paths first, then the older one.
  std::stable_sort(sent.begin(), sent.end(), [](const Cookie* a, const Cookie* b) {
    return a->path.size() > b->path.size();
  });
  std::string out;
  for (const Cookie* cookie : sent) {
    const std::size_t adds = cookie->name.size() + cookie->value.size() + 3;
    if (out.size() + adds > kHeaderBytesMax) continue;
    if (!out.empty()) out += "; ";
    out.append(cookie->name).append("=").append(cookie->value);
  }
  return out;
}

}  // namespace tocsin::codec

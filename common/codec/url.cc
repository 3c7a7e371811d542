#include "common/codec/url.h"

#include "common/base/ip_address.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>
#include <vector>

namespace tocsin {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// pchar, "/" and "?" of RFC 3986 appendix A, and the characters that browsers send unescaped in
/// queries: | [ ] { } ^ `.
constexpr std::array<bool, 256> kPathChars = [] {
  std::array<bool, 256> out{};
  constexpr std::string_view kAll =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,;=:@/?|[]{}^`%";
  for (const char c : kAll) out[static_cast<std::uint8_t>(c)] = true;
  return out;
}();

bool is_path_char(char c) { return kPathChars[static_cast<std::uint8_t>(c)]; }

template <class... Args>
[[nodiscard]] Unexpected bad(std::string_view text, fmt::format_string<Args...> format,
                             Args&&... args) {
  return fail(Errc::kInvalid, "URL '{}': {}", printable(text, 100),
              fmt::format(format, std::forward<Args>(args)...));
}

Expected<void> check_bytes(std::string_view text) {
  if (text.size() > Url::kSizeMax) {
    return bad(text, "expected at most {} bytes, not {}", Url::kSizeMax, text.size());
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') return bad(text, "a backslash (byte {}) is not allowed", i + 1);
    if (c <= 0x20 || c == 0x7f || static_cast<std::uint8_t>(c) >= 0x80) {
      return bad(text, "byte {} is a blank, a control or not ASCII: write it as %{:02X}", i + 1,
                 static_cast<std::uint8_t>(c));
    }
  }
  return {};
}

Expected<void> check_path(std::string_view text, std::string_view path) {
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (!is_path_char(path[i])) return bad(text, "'{}' is not allowed in a path", path[i]);
    if (path[i] == '%' && (i + 2 >= path.size() || !is_hex(path[i + 1]) || !is_hex(path[i + 2]))) {
      return bad(text, "expected two hexadecimal digits after '%'");
    }
  }
  return {};
}

/// RFC 3986 section 5.2.4 on a path that starts with '/'.
std::string remove_dot_segments(std::string_view path) {
  if (path.find("/.") == std::string_view::npos) return std::string{path};
  std::vector<std::string_view> kept;
  const std::vector<std::string_view> segments = split(path.substr(1), '/');
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const bool last = i + 1 == segments.size();
    if (segments[i] == "." || segments[i] == "..") {
      if (segments[i] == ".." && !kept.empty()) kept.pop_back();
      if (last) kept.emplace_back();
    } else {
      kept.push_back(segments[i]);
    }
  }
  std::string out;
  for (const std::string_view segment : kept) {
    out += '/';
    out += segment;
  }
  return out.empty() ? "/" : out;
}

struct PathAndQuery {
  std::string_view path;
  std::string_view query;  ///< With its '?'.
};

PathAndQuery split_query(std::string_view text) {
  const std::size_t at = std::min(text.find('?'), text.size());
  return {text.substr(0, at), text.substr(at)};
}

struct Host {
  std::string name;
  bool is_address = false;
};

Expected<Host> parse_name(std::string_view text, std::string_view host) {
  std::string_view name = host;
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.empty()) return bad(text, "expected a host");
  if (name.size() > 253) return bad(text, "the host is longer than 253 bytes");
  std::string_view last;
  for (std::size_t from = 0; from <= name.size(); from += last.size() + 1) {
    const std::string_view label = name.substr(from, name.find('.', from) - from);
    last = label;
    const bool shape = !label.empty() && label.size() <= 63 && label.front() != '-' &&
                       label.back() != '-' && std::all_of(label.begin(), label.end(), [](char c) {
                         return is_alnum(c) || c == '-' || c == '_';
                       });
    if (!shape) {
      return bad(text, "'{}' is not a host name: expected labels of letters, digits and hyphens",
                 printable(host, 80));
    }
  }
  const bool numeric = std::all_of(last.begin(), last.end(), is_digit);
  const bool hexadecimal = last.size() >= 2 && last[0] == '0' && (last[1] == 'x' || last[1] == 'X');
  if (!numeric && !hexadecimal) return Host{to_lower(name), false};
  // A number in the last place makes it an address in some resolvers' eyes (WHATWG URL, "ends in a
  // number"): only the one unambiguous spelling is let through.
  const auto address = IpAddress::parse(name);
  if (!address || !address->is_v4() || name.size() != host.size()) {
    return bad(text, "'{}' looks like an address: expected four decimal numbers such as 192.0.2.1",
               printable(host, 80));
  }
  return Host{address->str(), true};
}

Expected<Host> parse_bracketed(std::string_view text, std::string_view inside) {
  const auto address = IpAddress::parse(inside);
  if (!address || address->is_v4()) {
    return bad(text, "'{}' is not an IPv6 address", printable(inside, 80));
  }
  return Host{address->str(), true};
}

/// "host", "host:port", "[v6]:port" into `url`.
Expected<void> parse_authority(std::string_view text, std::string_view authority, Url& url) {
  if (authority.find('@') != std::string_view::npos) {
    return bad(text,
               "a user name or password in a URL is not allowed: use an Authorization header");
  }
  std::string_view port;
  bool has_port = false;
  Host host;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad(text, "expected ']' after the address");
    TRY_ASSIGN(host, parse_bracketed(text, authority.substr(1, close - 1)));
    port = authority.substr(close + 1);
    has_port = !port.empty();
    if (has_port && !port.starts_with(':')) return bad(text, "expected ':' and a port after ']'");
    if (has_port) port.remove_prefix(1);
  } else {
    const std::size_t colon = authority.find(':');
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon + 1);
    TRY_ASSIGN(host, parse_name(text, authority.substr(0, colon)));
  }
  url.host = std::move(host.name);
  url.host_is_address = host.is_address;
  url.port = url.https ? 443 : 80;
  if (!has_port) return {};
  std::uint32_t value = 0;
  const bool digits =
      !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), is_digit);
  if (digits) {
    for (const char c : port) value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  if (!digits || value == 0 || value > 65535) {
    return bad(text, "expected a port from 1 to 65535, not '{}'", printable(port, 20));
  }
  url.port = static_cast<std::uint16_t>(value);
  return {};
}

Expected<void> set_path(std::string_view text, std::string_view path, std::string_view query,
                        Url& url) {
  TRY(check_path(text, path));
  TRY(check_path(text, query));
  url.path = remove_dot_segments(path.empty() ? "/" : path);
  url.path += query;
  constexpr std::size_t kRestMax = 32;  // Scheme, brackets and port.
  if (url.host.size() + url.path.size() + kRestMax <= Url::kSizeMax) return {};
  if (url.str().size() > Url::kSizeMax) return bad(text, "too long after resolving");
  return {};
}

/// What follows "//": authority, path, query.
Expected<Url> parse_after_slashes(std::string_view text, std::string_view rest, bool https) {
  Url url;
  url.https = https;
  const std::size_t end = std::min(rest.find_first_of("/?"), rest.size());
  TRY(parse_authority(text, rest.substr(0, end), url));
  const auto [path, query] = split_query(rest.substr(end));
  TRY(set_path(text, path, query, url));
  return url;
}

std::string_view without_fragment(std::string_view text) { return text.substr(0, text.find('#')); }

/// The scheme with its colon, if the text starts with one (RFC 3986 section 3.1).
std::string_view scheme_of(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ':') return i == 0 ? std::string_view{} : text.substr(0, i + 1);
    const bool letter = is_alnum(c) && !is_digit(c);
    if (!letter && (i == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.'))) return {};
  }
  return {};
}

}  // namespace

std::string Url::authority() const {
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (https ? 443 : 80) ? name : fmt::format("{}:{}", name, port);
}

std::string Url::host_and_port() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

std::string Url::str() const {
  return fmt::format("{}://{}{}", https ? "https" : "http", authority(), path);
}

bool Url::same_origin(const Url& other) const {
  return https == other.https && host == other.host && port == other.port;
}

Expected<Url> parse_url(std::string_view text) {
  TRY(check_bytes(text));
  const std::string_view scheme = scheme_of(text);
  const bool https = iequals(scheme, "https:");
  if ((!https && !iequals(scheme, "http:")) || !text.substr(scheme.size()).starts_with("//")) {
    return bad(text, "expected http:// or https:// at the start");
  }
  return parse_after_slashes(text, without_fragment(text.substr(scheme.size() + 2)), https);
}

Expected<Url> resolve_url(const Url& base, std::string_view reference) {
  TRY(check_bytes(reference));
  if (!scheme_of(reference).empty()) return parse_url(reference);
  const std::string_view text = without_fragment(reference);
  if (text.starts_with("//")) return parse_after_slashes(reference, text.substr(2), base.https);
  Url out = base;
  const auto [path, query] = split_query(text);
  const auto [base_path, base_query] = split_query(base.path);
  if (path.empty()) {
    TRY(set_path(reference, base_path, query.empty() ? base_query : query, out));
    return out;
  }
  std::string merged{path};
  if (!path.starts_with('/')) {
    merged.insert(0, base_path.substr(0, base_path.rfind('/') + 1));
  }
  TRY(set_path(reference, merged, query, out));
  return out;
}

Expected<std::string> parse_host(std::string_view text) {
  TRY(check_bytes(text));
  if (text.starts_with('[') && text.ends_with(']')) {
    TRY_ASSIGN(Host host, parse_bracketed(text, text.substr(1, text.size() - 2)));
    return std::move(host.name);
  }
  if (const auto address = IpAddress::parse(text); address && !address->is_v4()) {
    return address->str();
  }
  TRY_ASSIGN(Host host, parse_name(text, text));
  return std::move(host.name);
}

}  // namespace tocsin

#include "common/codec/cookies.h"

#include "common/base/strings.h"

#include <algorithm>

namespace tocsin::codec {

namespace {

bool is_token_char(char c) {
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kPunctuation.find(c) != std::string_view::npos;
}

/// cookie-octet (RFC 6265 section 4.1.1).
bool is_value_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u > 0x20 && u < 0x7f && c != '"' && c != ',' && c != ';' && c != '\\';
}

}  // namespace

std::vector<std::pair<std::string_view, std::string_view>> parse_cookies(std::string_view header) {
  std::vector<std::pair<std::string_view, std::string_view>> out;
  std::size_t seen = 0;
  std::size_t at = 0;
  while (at <= header.size() && seen < kCookiesMax) {
    const std::size_t end = std::min(header.find(';', at), header.size());
    const std::string_view piece = trim(header.substr(at, end - at));
    at = end + 1;
    ++seen;
    const std::size_t equals = piece.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    const std::string_view name = piece.substr(0, equals);
    std::string_view value = piece.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
      value = value.substr(1, value.size() - 2);
    }
    if (!std::all_of(name.begin(), name.end(), is_token_char) ||
        !std::all_of(value.begin(), value.end(), is_value_char)) {
      continue;
    }
    out.emplace_back(name, value);
  }
  return out;
}

std::optional<std::string_view> find_cookie(std::string_view header, std::string_view name) {
  std::optional<std::string_view> found;
  for (const auto& [cookie, value] : parse_cookies(header)) {
    if (cookie != name) continue;
    if (found && *found != value) return std::nullopt;
    found = value;
  }
  return found;
}

}  // namespace tocsin::codec

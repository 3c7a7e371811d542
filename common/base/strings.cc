#include "common/base/strings.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdint>
#include <numeric>

namespace tocsin {

namespace {

constexpr char32_t kInvalid = 0xffffffff;

/// Decodes one code point at `i` and moves past it; kInvalid consumes one byte.
char32_t decode_utf8(std::string_view s, std::size_t& i) {
  const auto byte = [&](std::size_t k) { return static_cast<std::uint8_t>(s[k]); };
  const std::uint8_t first = byte(i);
  if (first < 0x80) return s.size() > i++ ? first : kInvalid;
  const std::size_t n = first >= 0xf0 && first < 0xf5   ? 4
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xc2 && first < 0xe0 ? 2
                                                        : 0;
  if (n == 0 || i + n > s.size()) {
    ++i;
    return kInvalid;
  }
  char32_t c = first & (0x7fU >> n);
  for (std::size_t k = 1; k < n; ++k) {
    if ((byte(i + k) & 0xc0) != 0x80) {
      ++i;
      return kInvalid;
    }
    c = (c << 6) | (byte(i + k) & 0x3f);
  }
  const bool overlong = (n == 3 && c < 0x800) || (n == 4 && c < 0x10000);
  if (overlong || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
    ++i;
    return kInvalid;
  }
  i += n;
  return c;
}

bool is_unsafe(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || c == 0x061c ||
         (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 ||
         c == 0x2029 || c == 0xfeff;
}

}  // namespace

std::string_view trim(std::string_view s) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!s.empty() && blank(s.front())) s.remove_prefix(1);
  while (!s.empty() && blank(s.back())) s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> split(std::string_view s, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const std::size_t at = s.find(separator);
    out.push_back(s.substr(0, at));
    if (at == std::string_view::npos) return out;
    s.remove_prefix(at + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

std::string to_lower(std::string_view s) {
  std::string out{s};
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool iequals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && to_lower(a) == to_lower(b);
}

bool is_key(std::string_view s) {
  if (s.empty() || s.size() > 63 || s.front() == '-') return false;
  return std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string escape_html(std::string_view s) {
  std::string out;
  out.reserve(s.size() + 16);
  for (const char c : s) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string align_columns(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return {};
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string out;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - row[i].size() + 2, ' ');
    }
    out += '\n';
  }
  return out;
}

bool is_mail_address(std::string_view s) {
  const std::size_t at = s.find('@');
  if (s.size() > 254 || at == std::string_view::npos || at == 0 || at > 64) return false;
  const bool plain = std::all_of(s.begin(), s.end(), [](char c) {
    return c > ' ' && c < 0x7f &&
           std::string_view{"\"(),:;<>[]\\"}.find(c) == std::string_view::npos;
  });
  const std::string_view domain = s.substr(at + 1);
  return plain && domain.find('@') == std::string_view::npos && !domain.empty() &&
         domain.front() != '.' && domain.back() != '.' &&
         domain.find("..") == std::string_view::npos;
}

bool is_valid_utf8(std::string_view s) {
  for (std::size_t i = 0; i < s.size();) {
    if (decode_utf8(s, i) == kInvalid) return false;
  }
  return true;
}

std::string printable(std::string_view s, std::size_t max_bytes) {
  std::string out;
  for (std::size_t i = 0; i < s.size();) {
    const std::size_t start = i;
    const char32_t c = decode_utf8(s, i);
    std::string piece;
    if (c == kInvalid) {
      piece = fmt::format("\\x{:02x}", static_cast<std::uint8_t>(s[start]));
    } else if (is_unsafe(c)) {
      piece = c < 0x100 ? fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c))
                        : fmt::format("\\u{{{:04x}}}", static_cast<std::uint32_t>(c));
    } else {
      piece = std::string{s.substr(start, i - start)};
    }
    if (out.size() + piece.size() > max_bytes) return out + "…";
    out += piece;
  }
  return out;
}

std::string escape_unsafe_json(std::string json) {
  // Every such code point begins with one of these bytes; most texts have none.
  constexpr std::string_view kFirstBytes = "\x7f\xc2\xd8\xe2\xef";
  std::size_t at = json.find_first_of(kFirstBytes);
  if (at == std::string::npos) return json;
  std::string out;
  std::size_t kept = 0;
  while (at != std::string::npos) {
    std::size_t end = at;
    const char32_t c = decode_utf8(json, end);
    if (c != kInvalid && is_unsafe(c)) {
      out.append(json, kept, at - kept);
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
      kept = end;
    }
    at = json.find_first_of(kFirstBytes, end);
  }
  return out.append(json, kept);
}

std::string_view did_you_mean(std::string_view word,
                              const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string_view candidate : candidates) {
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t k = 1; k <= candidate.size(); ++k) {
        const std::size_t substitution = diagonal + (word[i - 1] == candidate[k - 1] ? 0U : 1U);
        diagonal = row[k];
        row[k] = std::min({row[k] + 1, row[k - 1] + 1, substitution});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace tocsin

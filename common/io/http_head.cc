#include "common/io/http_head.h"

#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

namespace tocsin::io {

namespace {

struct Default {
  std::string_view name;
  std::string_view line;
};

/// For pages of our own that forget to say better: nothing may be kept, loaded, run or framed.
constexpr std::array kDefaults{
    Default{"Cache-Control", "Cache-Control: no-store\r\n"},
    Default{"X-Content-Type-Options", "X-Content-Type-Options: nosniff\r\n"},
    Default{"Referrer-Policy", "Referrer-Policy: no-referrer\r\n"},
    Default{"Content-Security-Policy",
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"},
};

bool has_header(const HttpResponse& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [&](const Header& h) { return iequals(h.name, name); });
}

/// A handler's header may hold what a user wrote: a line break there would be a second header.
void put_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  const auto good = [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return c == '\t' || (u >= 0x20 && u != 0x7f);
  };
  const std::size_t at = out.size();
  out.append(value);
  std::replace_if(out.begin() + static_cast<std::ptrdiff_t>(at), out.end(), std::not_fn(good), '?');
  out.append("\r\n");
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text, 512)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

void append_number(std::string& out, std::uint64_t n) {
  std::array<char, 20> digits{};
  const auto [end, ec] = std::to_chars(digits.begin(), digits.end(), n);
  out.append(digits.data(), end);
}

/// The name of a status that has one here; else empty.
std::string_view known_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 428:
      return "Precondition Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return {};
  }
}

}  // namespace

std::string http_date(WallTime t) {
  constexpr std::array kDays{"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::string iso = format_rfc3339(t);
  const auto day = static_cast<std::size_t>(t.us / 1'000'000 / 86'400 % 7);
  const auto month = static_cast<std::size_t>((iso[5] - '0') * 10 + (iso[6] - '0') - 1);
  return fmt::format("{}, {} {} {} {} GMT", kDays.at(day), iso.substr(8, 2), kMonths.at(month),
                     iso.substr(0, 4), iso.substr(11, 8));
}

HttpResponse HttpResponse::text(int status, std::string body) {
  HttpResponse r;
  r.status = status;
  r.content_type = "text/plain; charset=utf-8";
  r.body = std::move(body);
  return r;
}

HttpResponse HttpResponse::json(int status, std::string body) {
  HttpResponse r;
  r.status = status;
  r.content_type = "application/json";
  r.body = std::move(body);
  return r;
}

HttpResponse HttpResponse::problem(int status, std::string_view detail) {
  HttpResponse r;
  r.status = status;
  r.content_type = "application/problem+json";
  r.body = fmt::format("{{\"type\":\"about:blank\",\"title\":{},\"status\":{},\"detail\":{}}}\n",
                       json_string(http_phrase(status)), status, json_string(detail));
  return r;
}

std::string http_phrase(int status) {
  const std::string_view known = known_phrase(status);
  return known.empty() ? fmt::format("Status {}", status) : std::string{known};
}

bool names_etag(std::string_view if_none_match, std::string_view etag) {
  for (std::string_view part : split(if_none_match, ',')) {
    part = trim(part);
    if (part == "*") return true;
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == etag) return true;
  }
  return false;
}

void append_head(std::string& out, const HttpResponse& response, const HttpHeadFacts& facts) {
  if (response.status == 200) {
    out.append("HTTP/1.1 200 OK\r\nDate: ");
  } else {
    out.append("HTTP/1.1 ");
    append_number(out, static_cast<std::uint64_t>(response.status));
    out.append(" ").append(http_phrase(response.status)).append("\r\nDate: ");
  }
  out.append(facts.date).append("\r\n");
  if (facts.framing != HttpFraming::kNoBody) {
    if (!response.content_type.empty()) put_header(out, "Content-Type", response.content_type);
    if (facts.framing == HttpFraming::kLength) {
      out.append("Content-Length: ");
      append_number(out, response.body.size());
      out.append("\r\n");
    } else if (facts.framing == HttpFraming::kChunked) {
      out.append("Transfer-Encoding: chunked\r\n");
    }
  }
  if (!facts.etag.empty()) put_header(out, "ETag", facts.etag);
  for (const Default& header : kDefaults) {
    if (response.headers.empty() || !has_header(response, header.name)) out.append(header.line);
  }
  for (const Header& h : response.headers) put_header(out, h.name, h.value);
  if (!facts.keep) {
    out.append("Connection: close\r\n");
  } else if (facts.minor_version == 0) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
}

}  // namespace tocsin::io

#include "common/codec/http_request.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tocsin::codec {

namespace {

/// Longest method name plus some; longer first words are not HTTP.
constexpr std::size_t kMaxMethodBytes = 16;
/// Content-Length digits that cannot overflow 64 bits.
constexpr std::size_t kMaxLengthDigits = 18;
/// Chunk-size digits; leading zeros count, so that "0000...1" is bounded too.
constexpr std::size_t kMaxChunkDigits = 8;

struct MethodName {
  std::string_view name;
  HttpMethod method;
};

constexpr std::array kMethods{
    MethodName{"GET", HttpMethod::kGet},         MethodName{"HEAD", HttpMethod::kHead},
    MethodName{"POST", HttpMethod::kPost},       MethodName{"PUT", HttpMethod::kPut},
    MethodName{"PATCH", HttpMethod::kPatch},     MethodName{"DELETE", HttpMethod::kDelete},
    MethodName{"OPTIONS", HttpMethod::kOptions},
};

/// Framing, routing, who asks and how to read the body: never in a trailer.
constexpr std::array<std::string_view, 15> kHeaderOnly{"authorization",
                                                       "connection",
                                                       "content-encoding",
                                                       "content-length",
                                                       "content-type",
                                                       "cookie",
                                                       "expect",
                                                       "forwarded",
                                                       "host",
                                                       "if-match",
                                                       "origin",
                                                       "proxy-authorization",
                                                       "transfer-encoding",
                                                       "upgrade",
                                                       "x-forwarded-for"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// RFC 9110 section 5.6.2.
bool is_token_char(char c) {
  constexpr std::string_view kPunctuation = "!#$%&'*+-.^_`|~";
  return is_digit(c) || is_alpha(c) || kPunctuation.find(c) != std::string_view::npos;
}

bool is_token(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), is_token_char);
}

/// A header's value may hold visible characters, blanks and bytes above 127 (RFC 9110 section 5.5).
bool is_value_char(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u == '\t' || (u >= 0x20 && u != 0x7f);
}

/// pchar, '/', '?' and '%' (RFC 3986 section 3.3); no fragment, no backslash, nothing above 127.
bool is_target_char(char c) {
  constexpr std::string_view kPunctuation = "-._~!$&'()*+,;=:@/?%";
  return is_digit(c) || is_alpha(c) || kPunctuation.find(c) != std::string_view::npos;
}

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_control(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u < 0x20 || u == 0x7f;
}

std::string_view trim_blanks(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

/// A host name, an IPv4 address or a bracketed IPv6 address, with an optional port.
bool is_host(std::string_view s) {
  std::string_view port;
  if (!s.empty() && s.front() == '[') {
    const std::size_t end = s.find(']');
    if (end == std::string_view::npos || end < 3) return false;
    const std::string_view address = s.substr(1, end - 1);
    if (!std::all_of(address.begin(), address.end(),
                     [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; })) {
      return false;
    }
    port = s.substr(end + 1);
  } else {
    const std::size_t colon = s.find(':');
    const std::string_view name = s.substr(0, colon);
    if (name.empty() || name.size() > 255) return false;
    if (!std::all_of(name.begin(), name.end(), [](char c) {
          return is_digit(c) || is_alpha(c) || c == '-' || c == '.' || c == '_';
        })) {
      return false;
    }
    port = colon == std::string_view::npos ? std::string_view{} : s.substr(colon);
  }
  if (port.empty()) return true;
  if (port.front() != ':' || port.size() < 2 || port.size() > 6) return false;
  port.remove_prefix(1);
  return std::all_of(port.begin(), port.end(), is_digit);
}

/// Is `word` (lower case) one of the comma-separated words of the value?
bool has_word(std::string_view value, std::string_view word) {
  for (const std::string_view part : split(value, ',')) {
    if (iequals(trim_blanks(part), word)) return true;
  }
  return false;
}

}  // namespace

const char* to_string(HttpMethod method) {
  switch (method) {
    case HttpMethod::kGet:
      return "GET";
    case HttpMethod::kHead:
      return "HEAD";
    case HttpMethod::kPost:
      return "POST";
    case HttpMethod::kPut:
      return "PUT";
    case HttpMethod::kPatch:
      return "PATCH";
    case HttpMethod::kDelete:
      return "DELETE";
    case HttpMethod::kOptions:
      return "OPTIONS";
  }
  CHECK(false);
}

std::optional<std::string_view> HttpRequest::header(std::string_view name) const {
  for (const Header& h : headers) {
    if (h.name == name) return std::string_view{h.value};
  }
  return std::nullopt;
}

std::optional<std::string> normalise_path(std::string_view raw) {
  if (raw.empty() || raw.front() != '/') return std::nullopt;
  std::string decoded;
  decoded.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '%') {
      decoded += raw[i];
      continue;
    }
    if (i + 2 >= raw.size()) return std::nullopt;
    const int high = hex_value(raw[i + 1]);
    const int low = hex_value(raw[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    const char c = static_cast<char>(high * 16 + low);
    // An encoded separator would let a path mean one thing to a proxy and another to us.
    if (c == '/' || c == '\\' || is_control(c)) return std::nullopt;
    decoded += c;
    i += 2;
  }
  if (!is_valid_utf8(decoded)) return std::nullopt;

  std::vector<std::string_view> kept;
  std::vector<std::string_view> segments = split(decoded, '/');
  segments.erase(segments.begin());  // What stands before the first slash.
  bool directory = false;
  for (const std::string_view segment : segments) {
    directory = false;
    if (segment == ".") {
      directory = true;
    } else if (segment == "..") {
      if (kept.empty()) return std::nullopt;
      kept.pop_back();
      directory = true;
    } else {
      kept.push_back(segment);
    }
  }
  std::string out;
  out.reserve(decoded.size());
  for (const std::string_view segment : kept) out.append("/").append(segment);
  if (directory || out.empty()) out += '/';
  return out;
}

HttpRequestParser::HttpRequestParser(HttpRequestLimits limits)
    : limits_(limits) {}

HttpRequestParser::Status HttpRequestParser::status() const {
  if (state_ == State::kComplete) return Status::kComplete;
  if (state_ == State::kRefused) return Status::kRefused;
  return Status::kNeedMore;
}

void HttpRequestParser::refuse(int status, std::string_view why) {
  state_ = State::kRefused;
  refusal_ = {status, why};
  line_.clear();
}

HttpRequest HttpRequestParser::take() {
  CHECK(state_ == State::kComplete);
  HttpRequest out = std::move(request_);
  *this = HttpRequestParser{limits_};
  return out;
}

std::size_t HttpRequestParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size() && status() == Status::kNeedMore) {
    const std::string_view rest = bytes.substr(used);
    if (state_ == State::kBody || state_ == State::kChunkData) {
      expects_continue_ = false;
      const std::size_t n =
          static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, rest.size()));
      request_.body.append(rest.substr(0, n));
      body_left_ -= n;
      used += n;
      if (body_left_ == 0) state_ = state_ == State::kBody ? State::kComplete : State::kChunkEnd;
      continue;
    }
    // Something that is not HTTP (TLS, a probe of a scanner) is refused at its first byte.
    if (state_ == State::kRequestLine && line_.empty() && !(rest[0] >= 'A' && rest[0] <= 'Z') &&
        rest[0] != '\r') {
      refuse(400, "not an HTTP request");
      break;
    }
    if (state_ == State::kChunkSize) expects_continue_ = false;
    const std::size_t newline = rest.find('\n');
    const std::size_t n = newline == std::string_view::npos ? rest.size() : newline + 1;
    if (line_.size() + n > line_limit() + 2) {
      refuse_long_line();
      break;
    }
    used += n;
    if (newline == std::string_view::npos) {
      line_.append(rest);
      continue;
    }
    // Nearly every line arrives whole and is read where it lies.
    std::string joined;
    std::string_view line = rest.substr(0, n);
    if (!line_.empty()) {
      joined = std::exchange(line_, {});
      joined.append(line);
      line = joined;
    }
    if (line.size() < 2 || line[line.size() - 2] != '\r') {
      refuse(400, "a line does not end in CR LF");
      break;
    }
    on_line(line.substr(0, line.size() - 2));
  }
  return used;
}

std::size_t HttpRequestParser::line_limit() const {
  switch (state_) {
    case State::kRequestLine:
      return limits_.request_line_bytes;
    case State::kHeaders:
      return limits_.header_bytes - std::min(limits_.header_bytes, line_bytes_);
    case State::kTrailers:
      return limits_.trailer_bytes - std::min(limits_.trailer_bytes, line_bytes_);
    case State::kChunkSize:
      return limits_.chunk_line_bytes;
    case State::kChunkEnd:
      return 0;
    case State::kBody:
    case State::kChunkData:
    case State::kComplete:
    case State::kRefused:
      break;
  }
  CHECK(false);
}

void HttpRequestParser::refuse_long_line() {
  switch (state_) {
    case State::kRequestLine:
      return refuse(414, "the request line is too long");
    case State::kHeaders:
      return refuse(431, "the headers are too large");
    case State::kTrailers:
      return refuse(431, "the trailers are too large");
    case State::kChunkSize:
      return refuse(400, "a chunk's size line is too long");
    case State::kChunkEnd:
      return refuse(400, "a chunk does not end where it should");
    case State::kBody:
    case State::kChunkData:
    case State::kComplete:
    case State::kRefused:
      break;
  }
  CHECK(false);
}

void HttpRequestParser::on_line(std::string_view line) {
  switch (state_) {
    case State::kRequestLine:
      if (line.empty()) {
        if (leading_blank_) return refuse(400, "not an HTTP request");
        leading_blank_ = true;
        return;
      }
      return on_request_line(line);
    case State::kHeaders:
      if (line.empty()) return on_headers_end();
      return on_header(line);
    case State::kTrailers:
      if (line.empty()) {
        state_ = State::kComplete;
        return;
      }
      return on_header(line);
    case State::kChunkSize:
      return on_chunk_size(line);
    case State::kChunkEnd:
      if (!line.empty()) return refuse(400, "a chunk does not end where it should");
      state_ = State::kChunkSize;
      return;
    case State::kBody:
    case State::kChunkData:
    case State::kComplete:
    case State::kRefused:
      break;
  }
  CHECK(false);
}

void HttpRequestParser::on_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return refuse(400, "the request line needs a method, a target and a version");
  }
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);

  if (!is_token(method) || method.size() > kMaxMethodBytes) {
    return refuse(400, "the method is malformed");
  }
  if (version.size() != 8 || !version.starts_with("HTTP/") || !is_digit(version[5]) ||
      version[6] != '.' || !is_digit(version[7])) {
    return refuse(400, "the version is malformed");
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return refuse(400, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  }
  request_.minor_version = version[7] - '0';

  const auto* const known = std::find_if(kMethods.begin(), kMethods.end(),
                                         [&](const MethodName& m) { return m.name == method; });
  if (known == kMethods.end()) return refuse(400, "the method is not known here");
  request_.method = known->method;
  state_ = State::kHeaders;
  on_target(target);
}

void HttpRequestParser::on_target(std::string_view target) {
  if (target == "*") {
    if (request_.method != HttpMethod::kOptions) return refuse(400, "the target is malformed");
    request_.path.assign(target);
    return;
  }
  if (!std::all_of(target.begin(), target.end(), is_target_char)) {
    return refuse(400, "the target has a character that must be encoded");
  }
  // RFC 9112 section 3.2.2: the absolute form must be understood; it must name the same host as the
  // Host header, or a proxy and we would disagree about whom this is for.
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !iequals(target.substr(0, scheme.size()), scheme)) {
      continue;
    }
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = rest.find_first_of("/?");
    authority_ = std::string{rest.substr(0, end)};
    if (!is_host(authority_)) return refuse(400, "the target's host is malformed");
    target = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
    break;
  }
  const std::size_t question = target.find('?');
  const std::string_view raw = target.substr(0, question);
  // Only the absolute form may leave out the path (RFC 9110 section 4.2.3).
  const bool root = raw.empty() && !authority_.empty();
  std::optional<std::string> path = normalise_path(root ? std::string_view{"/"} : raw);
  if (!path) return refuse(400, "the path is malformed");
  request_.path = *std::move(path);
  if (question != std::string_view::npos) request_.query = std::string{target.substr(question + 1)};
}

void HttpRequestParser::on_header(std::string_view line) {
  line_bytes_ += line.size() + 2;
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a header is folded");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header has no colon");
  const std::string_view name = line.substr(0, colon);
  if (!is_token(name)) return refuse(400, "a header's name is malformed");
  const std::string_view value = trim_blanks(line.substr(colon + 1));
  if (!std::all_of(value.begin(), value.end(), is_value_char)) {
    return refuse(400, "a header has a control character");
  }
  // Trailers are dropped: merging them would let a client add a header after it was looked at.
  if (state_ == State::kTrailers) {
    // A proxy that merges these would read another request than we do (RFC 9110 section 6.5.1);
    // llhttp, for one, reads framing in a trailer as if it stood in the header.
    if (std::any_of(kHeaderOnly.begin(), kHeaderOnly.end(),
                    [&](std::string_view only) { return iequals(name, only); })) {
      return refuse(400, "a trailer that belongs into the header");
    }
    return;
  }
  if (request_.headers.size() == limits_.header_count) {
    return refuse(431, "there are too many headers");
  }
  request_.headers.push_back({to_lower(name), std::string{value}});
}

void HttpRequestParser::on_headers_end() {
  const auto count = [&](std::string_view name) {
    return std::count_if(request_.headers.begin(), request_.headers.end(),
                         [&](const Header& h) { return h.name == name; });
  };
  const auto hosts = count("host");
  if (hosts > 1) return refuse(400, "there is more than one Host");
  if (hosts == 0 && request_.minor_version == 1) return refuse(400, "there is no Host");
  if (hosts == 1) {
    request_.host = std::string{*request_.header("host")};
    if (!is_host(request_.host)) return refuse(400, "Host is malformed");
  }
  if (!authority_.empty() && !iequals(authority_, request_.host)) {
    return refuse(400, "the target's host is not the one in Host");
  }

  request_.keep_alive = request_.minor_version == 1;
  for (const Header& h : request_.headers) {
    if (h.name != "connection") continue;
    if (has_word(h.value, "close")) {
      request_.keep_alive = false;
      break;
    }
    if (has_word(h.value, "keep-alive")) request_.keep_alive = true;
  }
  on_framing();
}

void HttpRequestParser::on_framing() {
  const auto count = [&](std::string_view name) {
    return std::count_if(request_.headers.begin(), request_.headers.end(),
                         [&](const Header& h) { return h.name == name; });
  };
  const auto lengths = count("content-length");
  const auto codings = count("transfer-encoding");
  if (lengths > 1) return refuse(400, "there is more than one Content-Length");
  if (codings > 1) return refuse(400, "there is more than one Transfer-Encoding");
  if (lengths + codings > 1) return refuse(400, "Transfer-Encoding beside Content-Length");

  if (lengths == 1) {
    const std::string_view digits = *request_.header("content-length");
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) {
      return refuse(400, "Content-Length is not a number");
    }
    if (digits.size() > kMaxLengthDigits) return refuse(413, "the body is too large");
    for (const char c : digits) body_left_ = body_left_ * 10 + static_cast<std::uint64_t>(c - '0');
    if (body_left_ > limits_.body_bytes) return refuse(413, "the body is too large");
  }
  if (codings == 1) {
    if (request_.minor_version == 0) return refuse(400, "Transfer-Encoding in HTTP/1.0");
    if (!iequals(*request_.header("transfer-encoding"), "chunked")) {
      return refuse(400, "only the chunked coding is known here");
    }
  }
  const bool body = body_left_ > 0 || codings == 1;
  if (body && (request_.method == HttpMethod::kGet || request_.method == HttpMethod::kHead)) {
    return refuse(400, "GET and HEAD have no body");
  }
  if (const auto expect = request_.header("expect")) {
    if (!iequals(*expect, "100-continue")) return refuse(417, "the expectation is not known here");
    expects_continue_ = body && request_.minor_version == 1;
  }
  line_bytes_ = 0;
  if (codings == 1) {
    state_ = State::kChunkSize;
  } else {
    state_ = body ? State::kBody : State::kComplete;
  }
}

void HttpRequestParser::on_chunk_size(std::string_view line) {
  const std::size_t digits = std::min(line.find(';'), line.size());
  if (digits == 0 || digits > kMaxChunkDigits) return refuse(400, "a chunk's size is malformed");
  std::uint64_t size = 0;
  for (const char c : line.substr(0, digits)) {
    const int v = hex_value(c);
    if (v < 0) return refuse(400, "a chunk's size is malformed");
    size = size * 16 + static_cast<std::uint64_t>(v);
  }
  // Extensions mean nothing to us, but they may not hide a line break from another parser.
  const std::string_view extension = line.substr(digits);
  if (!std::all_of(extension.begin(), extension.end(), is_value_char)) {
    return refuse(400, "a chunk's extension has a control character");
  }
  if (size > limits_.body_bytes - request_.body.size()) {
    return refuse(413, "the body is too large");
  }
  body_left_ = size;
  state_ = size == 0 ? State::kTrailers : State::kChunkData;
}

}  // namespace tocsin::codec

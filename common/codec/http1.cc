#include "common/codec/http1.h"

#include "common/base/strings.h"

#include <llhttp.h>

#include <algorithm>

namespace tocsin::http1 {

namespace {

bool is_token(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(c) != std::string_view::npos;
  });
}

bool has_line_break(std::string_view s) {
  return std::any_of(s.begin(), s.end(),
                     [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool is_framing(std::string_view name) {
  return iequals(name, "content-length") || iequals(name, "transfer-encoding") ||
         iequals(name, "connection");
}

}  // namespace

Expected<void> check_request(const Request& request) {
  if (!is_token(request.method)) {
    return fail(Errc::kInvalid, "'{}' is not a method", printable(request.method, 40));
  }
  for (const Header& header : request.headers) {
    if (!is_token(header.name) || has_line_break(header.value)) {
      return fail(Errc::kInvalid, "header '{}' has a bad name or a line break in its value",
                  printable(header.name, 80));
    }
    if (is_framing(header.name)) {
      return fail(Errc::kInvalid, "header '{}' cannot be set: it follows from the request",
                  printable(header.name, 80));
    }
  }
  return {};
}

Expected<std::string> encode_request(const Request& request) {
  TRY(check_request(request));
  std::string out;
  out.reserve(256 + request.url.path.size() + request.body.size());
  out.append(request.method).append(" ");
  if (request.method == "CONNECT") {
    out.append(request.url.host_and_port());
  } else {
    if (request.absolute_form) out.append("http://").append(request.url.authority());
    out.append(request.url.path);
  }
  out.append(" HTTP/1.1\r\n");
  const auto add = [&](std::string_view name, std::string_view value) {
    out.append(name).append(": ").append(value).append("\r\n");
  };
  const auto add_ours = [&](std::string_view name, std::string_view value) {
    const bool theirs = std::any_of(request.headers.begin(), request.headers.end(),
                                    [&](const Header& h) { return iequals(h.name, name); });
    if (!theirs) add(name, value);
  };
  add_ours("Host", request.url.authority());
  if (!has_line_break(request.user_agent)) add_ours("User-Agent", request.user_agent);
  add_ours("Accept", "*/*");
  add_ours("Accept-Encoding", "identity");
  add("Connection", request.keep_alive ? "keep-alive" : "close");
  for (const Header& header : request.headers) add(header.name, header.value);
  const bool carries_body =
      request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (carries_body || !request.body.empty()) {
    add("Content-Length", fmt::format("{}", request.body.size()));
  }
  out.append("\r\n").append(request.body);
  return out;
}

const std::string* Response::find(std::string_view name) const {
  const auto at = std::find_if(headers.begin(), headers.end(),
                               [&](const Header& header) { return header.name == name; });
  return at == headers.end() ? nullptr : &at->value;
}

struct ResponseParser::Impl {
  Impl(bool head, bool connect, ResponseLimits bounds)
      : head_request(head),
        connect_request(connect),
        limits(bounds) {
    llhttp_init(&parser, HTTP_RESPONSE, &settings());
    parser.data = this;
  }

  static Impl& of(llhttp_t* p) { return *static_cast<Impl*>(p->data); }

  static const llhttp_settings_t& settings() {
    static const llhttp_settings_t table = [] {
      llhttp_settings_t s;
      llhttp_settings_init(&s);
      s.on_message_begin = [](llhttp_t* p) { return of(p).on_begin(); };
      s.on_status = [](llhttp_t* p, const char*, std::size_t n) { return of(p).count_head(n); };
      s.on_header_field = [](llhttp_t* p, const char* at, std::size_t n) {
        return of(p).on_field({at, n});
      };
      s.on_header_value = [](llhttp_t* p, const char* at, std::size_t n) {
        return of(p).on_value({at, n});
      };
      s.on_header_value_complete = [](llhttp_t* p) { return of(p).on_value_end(); };
      s.on_headers_complete = [](llhttp_t* p) { return of(p).on_head_end(); };
      s.on_body = [](llhttp_t* p, const char* at, std::size_t n) { return of(p).on_body({at, n}); };
      s.on_message_complete = [](llhttp_t* p) { return of(p).on_end(); };
      return s;
    }();
    return table;
  }

  int stop(FaultKind kind, std::string text) {
    fault = Fault{kind, std::move(text)};
    state = State::kFailed;
    return HPE_USER;
  }

  int count_head(std::size_t n) {
    head_bytes += n;
    if (head_bytes <= limits.head_bytes) return HPE_OK;
    return stop(FaultKind::kHeadTooLarge,
                fmt::format("more than {} bytes of headers", limits.head_bytes));
  }

  int on_begin() {
    const std::uint32_t interim = response.interim;
    response = {};
    response.interim = interim;
    field.clear();
    value.clear();
    return HPE_OK;
  }

  int on_field(std::string_view part) {
    field.append(part);
    return count_head(part.size());
  }

  int on_value(std::string_view part) {
    value.append(part);
    return count_head(part.size());
  }

  static constexpr std::size_t kHeadersExpected = 12;

  int on_value_end() {
    // Trailers after a chunked body come here as well; they are counted and dropped.
    if (state == State::kHead) {
      if (response.headers.size() == limits.headers) {
        return stop(FaultKind::kHeadTooLarge, fmt::format("more than {} headers", limits.headers));
      }
      if (response.headers.empty()) response.headers.reserve(kHeadersExpected);
      response.headers.push_back({to_lower(field), std::string{trim(value)}});
    }
    field.clear();
    value.clear();
    return HPE_OK;
  }

  int on_head_end() {
    response.status = parser.status_code;
    if (parser.http_major != 1 || parser.http_minor > 1) {
      return stop(FaultKind::kProtocol, fmt::format("HTTP/{}.{} in answer to HTTP/1.1",
                                                    parser.http_major, parser.http_minor));
    }
    if (response.status < 100 || response.status > 599) {
      return stop(FaultKind::kProtocol, fmt::format("status code {}", response.status));
    }
    response.version = parser.http_minor == 0 ? "1.0" : "1.1";
    if (is_interim()) {
      if (++response.interim > limits.interim) {
        return stop(FaultKind::kTooManyInterim,
                    fmt::format("more than {} interim responses", limits.interim));
      }
      return kNoBody;
    }
    state = State::kBody;
    // RFC 9112 section 6.3: these have no body even when a length is declared.
    const bool bodiless = head_request || response.status < 200 || response.status == 204 ||
                          response.status == 304 || (connect_request && response.status < 300);
    return bodiless ? kNoBody : HPE_OK;
  }

  int on_body(std::string_view part) {
    response.body_bytes += part.size();
    const std::size_t room = limits.body_bytes - response.body.size();
    response.body.append(part.substr(0, room));
    response.body_cut = response.body_cut || part.size() > room;
    if (response.body_bytes < limits.body_counted) return HPE_OK;
    response.body_cut = true;
    state = State::kDone;
    return HPE_PAUSED;
  }

  int on_end() {
    if (state == State::kHead) return HPE_OK;  // An interim response; the next one follows.
    keeps_alive = response.status != 101 && !connect_request && parser.http_minor == 1 &&
                  llhttp_should_keep_alive(&parser) == 1 && !ended;
    state = State::kDone;
    return HPE_PAUSED;
  }

  /// 101 is final: we never ask to switch protocols, so nothing we understand would follow.
  bool is_interim() const {
    return response.status >= 100 && response.status < 200 && response.status != 101;
  }

  std::string where() const {
    if (state == State::kHead) return "within the response head";
    if ((parser.flags & F_CHUNKED) != 0) {
      return fmt::format("after {} bytes of a chunked body", response.body_bytes);
    }
    return fmt::format("after {} of {} bytes of the body", response.body_bytes,
                       response.body_bytes + parser.content_length);
  }

  static constexpr int kNoBody = 1;

  llhttp_t parser{};
  bool head_request;
  bool connect_request;
  bool ended = false;  ///< The connection.
  bool keeps_alive = false;
  ResponseLimits limits;
  State state = State::kHead;
  Response response;
  std::optional<Fault> fault;
  std::string field;
  std::string value;
  std::size_t head_bytes = 0;
  std::uint64_t fed = 0;
};

ResponseParser::ResponseParser(bool head_request, ResponseLimits limits)
    : ResponseParser(head_request, false, limits) {}

ResponseParser::ResponseParser(bool head_request, bool connect_request, ResponseLimits limits)
    : impl_(std::make_unique<Impl>(head_request, connect_request, limits)) {}

ResponseParser::ResponseParser(ResponseParser&&) noexcept = default;

ResponseParser::~ResponseParser() = default;

ResponseParser::State ResponseParser::feed(std::string_view bytes) {
  Impl& my = *impl_;
  if (my.state == State::kDone || my.state == State::kFailed || bytes.empty()) return my.state;
  const llhttp_errno_t error = llhttp_execute(&my.parser, bytes.data(), bytes.size());
  if (my.state != State::kDone && my.state != State::kFailed && error != HPE_OK) {
    const char* at = llhttp_get_error_pos(&my.parser);
    const std::uint64_t offset =
        at == nullptr ? my.fed : my.fed + static_cast<std::uint64_t>(at - bytes.data());
    my.stop(FaultKind::kProtocol, fmt::format("byte {}: {}", offset + 1,
                                              printable(llhttp_get_error_reason(&my.parser), 100)));
  }
  // Bytes behind the end answer nothing that was asked.
  if (my.state == State::kDone && llhttp_get_error_pos(&my.parser) != bytes.data() + bytes.size()) {
    my.keeps_alive = false;
  }
  my.fed += bytes.size();
  return my.state;
}

ResponseParser::State ResponseParser::finish() {
  Impl& my = *impl_;
  if (my.state == State::kDone || my.state == State::kFailed) return my.state;
  if (my.fed == 0) {
    my.stop(FaultKind::kEmpty, "the connection ended before any byte of a response");
    return my.state;
  }
  my.ended = true;
  // Completes a body that lasts until the end of the connection (on_end runs inside).
  llhttp_finish(&my.parser);
  if (my.state != State::kDone) {
    my.stop(FaultKind::kTruncated, fmt::format("the connection ended {}", my.where()));
  }
  return my.state;
}

ResponseParser::State ResponseParser::state() const { return impl_->state; }

bool ResponseParser::keeps_alive() const { return impl_->keeps_alive; }

Expected<void> Exchange::start(const Request& request, const ResponseLimits& limits) {
  TRY_ASSIGN(request_, encode_request(request));
  sent_ = 0;
  began_ = false;
  parser_.emplace(request.method == "HEAD", request.method == "CONNECT", limits);
  return {};
}

std::string_view Exchange::pending() { return std::string_view{request_}.substr(sent_); }

HttpExchange::State Exchange::feed(std::string_view bytes) {
  began_ = began_ || !bytes.empty();
  return parser_->feed(bytes);
}

const Response& ResponseParser::response() const { return impl_->response; }

Response ResponseParser::take_response() { return std::move(impl_->response); }

const std::optional<Fault>& ResponseParser::fault() const { return impl_->fault; }

}  // namespace tocsin::http1

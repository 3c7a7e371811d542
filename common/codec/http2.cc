#include "common/codec/http2.h"

#include "common/base/check.h"
#include "common/base/strings.h"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <nghttp2/nghttp2.h>

namespace tocsin::http2 {

namespace {

using http1::Fault;
using http1::FaultKind;
using http1::Request;
using http1::Response;
using http1::ResponseLimits;

std::string_view view(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// RFC 9113 section 8.2.2: these say something about an HTTP/1.1 connection.
bool is_of_connection(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "connection", "host", "keep-alive", "upgrade", "te", "proxy-connection", "transfer-encoding"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

/// The header lines of an HTTP/1.1 request, so that both versions say the same.
std::vector<Header> headers_of(std::string_view encoded) {
  std::vector<Header> out;
  std::size_t at = encoded.find("\r\n") + 2;
  for (;;) {
    const std::size_t end = encoded.find("\r\n", at);
    if (end == at) return out;
    const std::string_view line = encoded.substr(at, end - at);
    const std::size_t colon = line.find(": ");
    out.push_back({to_lower(line.substr(0, colon)), std::string{trim(line.substr(colon + 2))}});
    at = end + 2;
  }
}

nghttp2_nv pair_of(std::string_view name, std::string_view value, bool secret) {
  // Literals without indexing: a credential belongs into no compression state.
  const auto flags = secret ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(),
          value.size(), static_cast<std::uint8_t>(flags)};
}

}  // namespace

struct Session::Impl {
  Impl() {
    nghttp2_session_callbacks* callbacks = nullptr;
    CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    set(callbacks);
    nghttp2_option* option = nullptr;
    CHECK(nghttp2_option_new(&option) == 0);
    // What the peer may make us queue: acknowledgements of PING and SETTINGS (CVE-2019-9512, 9515).
    nghttp2_option_set_max_outbound_ack(option, 32);
    nghttp2_option_set_max_settings(option, 32);
    const int made = nghttp2_session_client_new2(&session, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    CHECK(made == 0);
  }

  ~Impl() { nghttp2_session_del(session); }

  static Impl& of(void* self) { return *static_cast<Impl*>(self); }

  static void set(nghttp2_session_callbacks* c) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          return of(self).on_begin(frame->hd.stream_id);
        });
    nghttp2_session_callbacks_set_on_header_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
              std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
              std::uint8_t, void* self) {
          return of(self).on_header(frame->hd.stream_id, view(name, name_size),
                                    view(value, value_size));
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, void* self) {
          return of(self).on_frame(*frame);
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        c, [](nghttp2_session*, std::uint8_t, std::int32_t on, const std::uint8_t* data,
              std::size_t size, void* self) { return of(self).on_data(on, view(data, size)); });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        c, [](nghttp2_session*, std::int32_t on, std::uint32_t code, void* self) {
          return of(self).on_close(on, code);
        });
    nghttp2_session_callbacks_set_error_callback2(
        c, [](nghttp2_session*, int, const char* text, std::size_t size, void* self) {
          if (of(self).complaint.empty()) of(self).complaint = printable({text, size}, 150);
          return 0;
        });
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame*, int code, void* self) {
          if (of(self).complaint.empty()) of(self).complaint = nghttp2_strerror(code);
          return 0;
        });
  }

  void stop(FaultKind kind, std::string text) {
    if (state == State::kDone || state == State::kFailed) return;
    fault = Fault{kind, std::move(text)};
    state = State::kFailed;
  }

  bool is_mine(std::int32_t id) const {
    return id == stream && state != State::kDone && state != State::kFailed;
  }

  int on_begin(std::int32_t id) {
    if (is_mine(id)) began = true;
    return 0;
  }

  int on_header(std::int32_t id, std::string_view name, std::string_view value) {
    if (!is_mine(id)) return 0;
    head_bytes += name.size() + value.size();
    if (head_bytes > limits.head_bytes) {
      stop(FaultKind::kHeadTooLarge,
           fmt::format("more than {} bytes of headers", limits.head_bytes));
    } else if (state == State::kBody) {
      return 0;  // Trailers are counted and dropped.
    } else if (name == ":status") {
      std::from_chars(value.data(), value.data() + value.size(), response.status);
    } else if (response.headers.size() == limits.headers) {
      stop(FaultKind::kHeadTooLarge, fmt::format("more than {} headers", limits.headers));
    } else {
      response.headers.push_back({std::string{name}, std::string{trim(value)}});
    }
    return 0;
  }

  int on_frame(const nghttp2_frame& frame) {
    if (frame.hd.type == NGHTTP2_GOAWAY) {
      goaway = true;
      const nghttp2_goaway& g = frame.goaway;
      if (g.error_code != NGHTTP2_NO_ERROR || g.last_stream_id < stream) {
        stop(FaultKind::kGoaway,
             fmt::format("GOAWAY, {}{}{}", nghttp2_http2_strerror(g.error_code),
                         g.opaque_data_len == 0 ? "" : ": ",
                         printable(view(g.opaque_data, g.opaque_data_len), 100)));
      }
      return 0;
    }
    if (frame.hd.type == NGHTTP2_HEADERS && is_mine(frame.hd.stream_id) && state == State::kHead) {
      on_head_end();
    }
    return 0;
  }

  void on_head_end() {
    if (response.status < 100 || response.status > 599) {
      return stop(FaultKind::kProtocol, fmt::format("status code {}", response.status));
    }
    if (response.status >= 200) {
      response.version = "2";
      state = State::kBody;
      return;
    }
    const std::uint32_t interim = response.interim + 1;
    if (interim > limits.interim) {
      return stop(FaultKind::kTooManyInterim,
                  fmt::format("more than {} interim responses", limits.interim));
    }
    response = {};
    response.interim = interim;
  }

  int on_data(std::int32_t id, std::string_view part) {
    if (!is_mine(id) || state != State::kBody) return 0;
    response.body_bytes += part.size();
    const std::size_t room = limits.body_bytes - response.body.size();
    response.body.append(part.substr(0, room));
    response.body_cut = response.body_cut || part.size() > room;
    if (response.body_bytes >= limits.body_counted) {
      response.body_cut = true;
      state = State::kDone;
    }
    return 0;
  }

  int on_close(std::int32_t id, std::uint32_t code) {
    if (!is_mine(id)) return 0;
    if (code == NGHTTP2_NO_ERROR && state == State::kBody) {
      state = State::kDone;
      clean = true;
    } else if (!complaint.empty()) {  // The reset is ours.
      stop(FaultKind::kProtocol, complaint);
    } else {
      stop(FaultKind::kStreamReset,
           fmt::format("RST_STREAM, {}, {}", nghttp2_http2_strerror(code), where()));
    }
    return 0;
  }

  /// Takes from nghttp2 what is to be written, not more at a time than a socket takes: it keeps the
  /// rest of the body.
  void fill() {
    if (out_at == out.size()) {
      out.clear();
      out_at = 0;
    }
    while (out.size() < 64 * 1024) {
      const std::uint8_t* data = nullptr;
      const auto n = nghttp2_session_mem_send(session, &data);
      if (n < 0) stop(FaultKind::kProtocol, nghttp2_strerror(static_cast<int>(n)));
      if (n <= 0) return;
      out.append(view(data, static_cast<std::size_t>(n)));
    }
  }

  std::string where() const {
    if (state == State::kHead) return "within the response head";
    const std::string* declared = response.find("content-length");
    if (declared == nullptr) return fmt::format("after {} bytes of the body", response.body_bytes);
    return fmt::format("after {} of {} bytes of the body", response.body_bytes,
                       printable(*declared, 20));
  }

  std::ptrdiff_t read_body(std::uint8_t* into, std::size_t room, std::uint32_t* flags) {
    const std::size_t n = std::min(room, body.size() - body_sent);
    std::memcpy(into, body.data() + body_sent, n);
    body_sent += n;
    if (body_sent == body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<std::ptrdiff_t>(n);
  }

  nghttp2_session* session = nullptr;
  std::int32_t stream = 0;
  State state = State::kDone;
  ResponseLimits limits;
  Response response;
  std::optional<Fault> fault;
  std::string complaint;  ///< nghttp2's own words about what came.
  std::string body;
  std::size_t body_sent = 0;
  std::string out;  ///< Not yet written.
  std::size_t out_at = 0;
  std::string first;  ///< The first bytes that came.
  std::size_t head_bytes = 0;
  bool began = false;
  bool goaway = false;
  bool clean = false;  ///< The last exchange ended with END_STREAM on both sides.
  bool submitted = false;
};

Session::Session()
    : impl_(std::make_unique<Impl>()) {}

Session::~Session() = default;

Expected<void> Session::start(const Request& request, const ResponseLimits& limits) {
  Impl& my = *impl_;
  TRY_ASSIGN(const std::string encoded, http1::encode_request(request));
  const std::vector<Header> headers = headers_of(std::string_view{encoded});
  std::string authority = request.url.authority();
  std::vector<nghttp2_nv> pairs;
  const std::string_view scheme = request.url.https ? "https" : "http";
  for (const Header& h : headers) {
    if (h.name == "host") authority = h.value;
  }
  pairs.push_back(pair_of(":method", request.method, false));
  pairs.push_back(pair_of(":scheme", scheme, false));
  pairs.push_back(pair_of(":authority", authority, false));
  pairs.push_back(pair_of(":path", request.url.path, false));
  for (const Header& h : headers) {
    if (is_of_connection(h.name)) continue;
    pairs.push_back(pair_of(h.name, h.value, h.name == "authorization"));
  }
  if (!my.submitted) {
    my.submitted = true;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kWindow},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<std::uint32_t>(limits.head_bytes)}};
    CHECK(nghttp2_submit_settings(my.session, NGHTTP2_FLAG_NONE, settings, 3) == 0);
    CHECK(nghttp2_session_set_local_window_size(my.session, NGHTTP2_FLAG_NONE, 0, kWindow) == 0);
  }
  my.body = request.body;
  my.body_sent = 0;
  nghttp2_data_provider provider{};
  provider.source.ptr = &my;
  provider.read_callback = [](nghttp2_session*, std::int32_t, std::uint8_t* into, std::size_t room,
                              std::uint32_t* flags, nghttp2_data_source* source, void*) {
    return static_cast<Impl*>(source->ptr)->read_body(into, room, flags);
  };
  const std::int32_t id =
      nghttp2_submit_request(my.session, nullptr, pairs.data(), pairs.size(),
                             request.body.empty() ? nullptr : &provider, nullptr);
  if (id < 0) return fail(Errc::kInvalid, "HTTP/2 request: {}", nghttp2_strerror(id));
  my.stream = id;
  my.state = State::kHead;
  my.limits = limits;
  my.response = {};
  my.fault.reset();
  my.complaint.clear();
  my.head_bytes = 0;
  my.began = my.clean = false;
  return {};
}

std::string_view Session::pending() {
  impl_->fill();
  return std::string_view{impl_->out}.substr(impl_->out_at);
}

void Session::consume(std::size_t bytes) { impl_->out_at += bytes; }

bool Session::request_sent() const {
  const Impl& my = *impl_;
  return my.out_at == my.out.size() && my.body_sent == my.body.size() &&
         nghttp2_session_want_write(my.session) == 0;
}

HttpExchange::State Session::feed(std::string_view bytes) {
  Impl& my = *impl_;
  if (my.state == State::kFailed || bytes.empty()) return my.state;
  constexpr std::string_view kHttp1 = "HTTP/1.";
  if (my.first.size() < kHttp1.size()) {
    my.first.append(bytes.substr(0, kHttp1.size() - my.first.size()));
    if (my.first == kHttp1) {
      my.stop(FaultKind::kWrongVersion, "the server answered with HTTP/1, not HTTP/2");
      return my.state;
    }
  }
  const auto n = nghttp2_session_mem_recv(
      my.session, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  my.fill();  // Only once its GOAWAY has been taken does nghttp2 say that it reads no more.
  if (n < 0) {
    my.stop(FaultKind::kProtocol,
            my.complaint.empty() ? nghttp2_strerror(static_cast<int>(n)) : my.complaint);
  } else if (nghttp2_session_want_read(my.session) == 0 && my.state != State::kDone) {
    // nghttp2 has ended the session itself: what came was no HTTP/2 that it can go on with.
    my.stop(my.goaway ? FaultKind::kGoaway : FaultKind::kProtocol,
            my.complaint.empty() ? "the HTTP/2 session ended" : my.complaint);
  }
  return my.state;
}

HttpExchange::State Session::finish() {
  Impl& my = *impl_;
  if (my.state == State::kDone || my.state == State::kFailed) return my.state;
  if (my.goaway) {
    my.stop(FaultKind::kGoaway,
            fmt::format("GOAWAY and the end of the connection, {}", my.where()));
  } else if (!my.began) {
    my.stop(FaultKind::kEmpty, "the connection ended before any byte of a response");
  } else {
    my.stop(FaultKind::kTruncated, fmt::format("the connection ended {}", my.where()));
  }
  return my.state;
}

bool Session::response_began() const { return impl_->began; }

const Response& Session::response() const { return impl_->response; }

Response Session::take_response() { return std::move(impl_->response); }

const std::optional<Fault>& Session::fault() const { return impl_->fault; }

bool Session::reusable() const {
  return impl_->clean && !impl_->goaway && request_sent() &&
         nghttp2_session_check_request_allowed(impl_->session) != 0;
}

}  // namespace tocsin::http2

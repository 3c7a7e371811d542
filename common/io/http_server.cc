#include "common/io/http_server.h"

#include "common/base/check.h"
#include "common/base/digest.h"
#include "common/base/ip_address.h"
#include "common/base/strings.h"
#include "common/io/fd.h"
#include "common/io/log.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unordered_map>

namespace tocsin::io {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr int kBacklog = 512;
/// Connections taken, and requests of one connection answered, before others have their turn.
constexpr int kAcceptsPerTurn = 64;
constexpr int kRequestsPerTurn = 16;
/// After "too many open files": long enough not to spin, short enough that nobody notices.
constexpr Duration kAcceptPause = std::chrono::milliseconds{200};
/// After an answer that closes, what the client still sends is read and dropped for so long, or the
/// kernel would reset the connection and take the answer with it.
constexpr Duration kLinger = std::chrono::seconds{2};
constexpr std::size_t kLingerBytes = 1 << 20;
constexpr std::size_t kConnectionsMin = 16;

/// For pages of our own that forget to say better: nothing may be loaded, run or framed.
constexpr std::string_view kDefaultPolicy = "default-src 'none'; frame-ancestors 'none'";

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

bool has_header(const HttpResponse& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(),
                     [&](const Header& h) { return iequals(h.name, name); });
}

/// A handler's header may hold what a user wrote: a line break there would be a second header.
void put_header(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ");
  for (const char c : value) {
    const auto u = static_cast<unsigned char>(c);
    out += u == '\t' || (u >= 0x20 && u != 0x7f) ? c : '?';
  }
  out.append("\r\n");
}

/// Does If-None-Match name this tag? Weak comparison (RFC 9110 section 13.1.2).
bool matches(std::string_view if_none_match, std::string_view etag) {
  for (std::string_view part : split(if_none_match, ',')) {
    part = trim(part);
    if (part == "*") return true;
    if (part.starts_with("W/")) part.remove_prefix(2);
    if (part == etag) return true;
  }
  return false;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Expected<Address> parse_listen(std::string_view listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(Errc::kInvalid, "listen address \"{}\": expected ADDRESS:PORT", listen);
  }
  std::string_view host = listen.substr(0, colon);
  const std::string_view digits = listen.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (digits.empty() || ec != std::errc{} || end != digits.data() + digits.size()) {
    return fail(Errc::kInvalid, "listen address \"{}\": expected a port from 0 to 65535", listen);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "*") host = "0.0.0.0";
  TRY_ASSIGN(const IpAddress ip, IpAddress::parse(host));
  Address out;
  if (ip.is_v4()) {
    sockaddr_in sin{};
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    std::memcpy(&sin.sin_addr, ip.bytes().data(), 4);
    std::memcpy(&out.storage, &sin, sizeof sin);
    out.size = sizeof sin;
  } else {
    sockaddr_in6 sin{};
    sin.sin6_family = AF_INET6;
    sin.sin6_port = htons(port);
    std::memcpy(&sin.sin6_addr, ip.bytes().data(), 16);
    std::memcpy(&out.storage, &sin, sizeof sin);
    out.size = sizeof sin;
  }
  return out;
}

Expected<Fd> listen_on(const std::string& listen) {
  TRY_ASSIGN(const Address address, parse_listen(listen));
  Fd fd{::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd) return fail_errno("socket for HTTP", errno);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0) {
    if (errno == EADDRINUSE) {
      return fail(Errc::kExists, "listen on {}: another program uses this address already", listen);
    }
    return fail_errno(fmt::format("listen on {}", listen), errno);
  }
  if (::listen(fd.get(), kBacklog) != 0) {
    return fail_errno(fmt::format("listen on {}", listen), errno);
  }
  return fd;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) == 0);
  if (storage.ss_family == AF_INET) {
    sockaddr_in sin{};
    std::memcpy(&sin, &storage, sizeof sin);
    return ntohs(sin.sin_port);
  }
  sockaddr_in6 sin{};
  std::memcpy(&sin, &storage, sizeof sin);
  return ntohs(sin.sin6_port);
}

Fd open_spare() { return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : printable(text, 512)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

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
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
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
    case 422:
      return "Unprocessable Content";
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
      return fmt::format("Status {}", status);
  }
}

// --- the server ---

struct HttpServer::Impl {
  Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_);
  ~Impl();

  void on_acceptable();
  /// Accepts while there is room; waits otherwise.
  void update_accepting();
  void pause_accepting(const char* why);
  void remove(std::uint64_t id);
  void answer(std::uint64_t id, std::uint64_t serial, HttpResponse response);
  void finish_drain();
  const std::string& date();

  EventLoop& loop;
  HttpServerOptions options;
  Handler handler;
  HttpServerStats stats;
  Fd listener;
  Fd spare = open_spare();  ///< Given up for a moment to turn a client away when there is no other.
  std::uint16_t port = 0;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::uint64_t next_id = 1;
  bool draining = false;
  bool paused = false;
  std::function<void()> drained;
  std::int64_t date_second = -1;
  std::string date_text;
  log::RateLimit warnings{std::chrono::minutes{1}};
  /// What responders hold: gone with the server.
  std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
  WatchHandle watch;
  TimerHandle accept_timer;
  TimerHandle drain_timer;
};

/// What a responder knows of its request. `server` is only looked at on the loop's thread.
struct HttpResponder::Ticket {
  EventLoop& loop;
  std::weak_ptr<HttpServer::Impl*> server;
  std::uint64_t connection;
  std::uint64_t serial;
};

/// States, by what is waited for (the deadline that runs):
///   header -> body -> answer -> write -> (idle -> header ...) or linger -> gone
class HttpServer::Connection {
 public:
  Connection(Impl& server, std::uint64_t id, Fd fd);
  ~Connection();

  void on_ready(Interest ready);
  /// Does all that can be done now. False: the connection has ended.
  bool advance();
  void take_answer(std::uint64_t serial, HttpResponse response);

  /// Nothing of a request has arrived and nothing is unsent.
  bool idle() const {
    return wait_ == Wait::kIdle || (wait_ == Wait::kHeader && !parser_.started());
  }

  bool inside_handler() const { return inside_handler_; }

 private:
  enum class Wait : std::uint8_t { kNone, kIdle, kHeader, kBody, kAnswer, kWrite, kLinger };

  bool read_some();
  bool flush();
  bool linger();
  void wait(Wait what);
  void on_deadline();
  void queue(HttpResponse response, bool keep);
  void set_unsent(std::size_t bytes);

  std::size_t unsent() const { return out_.size() - sent_; }

  Impl& server_;
  const std::uint64_t id_;
  Fd fd_;
  codec::HttpRequestParser parser_;
  std::string in_;  ///< Read and not parsed yet; at most kReadBytes.
  std::string out_;
  std::size_t sent_ = 0;
  std::size_t counted_ = 0;  ///< Our share of stats.unsent_bytes.
  std::uint64_t serial_ = 0;
  std::size_t lingered_ = 0;
  codec::HttpRequest asked_;  ///< Only what an answer depends on: method, If-None-Match.
  bool keep_ = true;          ///< What the request under way allows.
  bool answering_ = false;    ///< The handler has the request.
  bool inside_handler_ = false;
  bool close_after_ = false;
  bool continued_ = false;
  bool eof_ = false;
  bool first_ = true;  ///< No request has been completed yet.
  Wait wait_ = Wait::kNone;
  WatchHandle watch_;
  TimerHandle deadline_;
  TimerHandle resume_;
};

HttpServer::Connection::Connection(Impl& server, std::uint64_t id, Fd fd)
    : server_(server),
      id_(id),
      fd_(std::move(fd)),
      parser_(server.options.limits) {
  watch_ =
      server_.loop.watch(fd_.get(), Interest::kRead, [this](Interest ready) { on_ready(ready); });
  wait(Wait::kHeader);  // A connection that never asks is not worth an idle deadline.
}

HttpServer::Connection::~Connection() {
  server_.stats.unsent_bytes -= counted_;
  watch_.reset();
}

void HttpServer::Connection::on_ready(Interest ready) {
  if (has(ready, Interest::kRead) && wait_ != Wait::kWrite && !read_some()) {
    return server_.remove(id_);
  }
  if (!advance()) server_.remove(id_);
}

bool HttpServer::Connection::read_some() {
  std::array<char, kReadBytes> buffer;
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
  if (n == 0) {
    eof_ = true;
    return true;
  }
  if (wait_ == Wait::kLinger) {
    lingered_ += static_cast<std::size_t>(n);
    return lingered_ <= kLingerBytes;
  }
  in_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

bool HttpServer::Connection::flush() {
  while (unsent() > 0) {
    const ssize_t n = ::send(fd_.get(), out_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        set_unsent(unsent());
        return true;
      }
      return false;
    }
    sent_ += static_cast<std::size_t>(n);
  }
  out_.clear();
  sent_ = 0;
  set_unsent(0);
  return true;
}

void HttpServer::Connection::set_unsent(std::size_t bytes) {
  server_.stats.unsent_bytes += bytes;
  server_.stats.unsent_bytes -= counted_;
  counted_ = bytes;
}

bool HttpServer::Connection::advance() {
  for (int handled = 0;;) {
    if (wait_ == Wait::kLinger) return !eof_;
    if (!flush()) return false;
    if (unsent() > 0) {
      wait(Wait::kWrite);
      return true;
    }
    if (answering_) {
      wait(Wait::kAnswer);
      return true;
    }
    if (close_after_) return linger();
    if (handled == kRequestsPerTurn) {
      watch_->set(Interest::kNone);
      resume_ = server_.loop.after(Duration{0}, [this] {
        if (!advance()) server_.remove(id_);
      });
      return true;
    }

    const std::size_t used = parser_.feed(in_);
    in_.erase(0, used);
    switch (parser_.status()) {
      case codec::HttpRequestParser::Status::kNeedMore:
        if (eof_) return false;
        if (parser_.expects_continue() && !continued_) {
          continued_ = true;
          out_ = "HTTP/1.1 100 Continue\r\n\r\n";
          continue;
        }
        if (parser_.in_body()) {
          wait(Wait::kBody);
        } else if (parser_.started() || first_) {
          wait(Wait::kHeader);
        } else if (server_.draining) {
          return false;
        } else {
          wait(Wait::kIdle);
        }
        return true;
      case codec::HttpRequestParser::Status::kRefused: {
        ++server_.stats.refused;
        const codec::HttpRefusal refusal = parser_.refusal();
        in_.clear();
        asked_ = {};
        queue(HttpResponse::problem(refusal.status, refusal.why), false);
        continue;
      }
      case codec::HttpRequestParser::Status::kComplete:
        break;
    }

    ++handled;
    ++server_.stats.requests;
    ++serial_;
    first_ = false;
    continued_ = false;
    wait_ = Wait::kNone;  // The next request has deadlines of its own.
    codec::HttpRequest request = parser_.take();
    keep_ = request.keep_alive;
    asked_ = {};
    asked_.method = request.method;
    asked_.minor_version = request.minor_version;
    if (const auto tag = request.header("if-none-match")) {
      asked_.headers.push_back({"if-none-match", std::string{*tag}});
    }
    answering_ = true;
    inside_handler_ = true;
    server_.handler(std::move(request),
                    HttpResponder{std::make_unique<HttpResponder::Ticket>(
                        HttpResponder::Ticket{server_.loop, server_.self, id_, serial_})});
    inside_handler_ = false;
  }
}

void HttpServer::Connection::take_answer(std::uint64_t serial, HttpResponse response) {
  if (!answering_ || serial != serial_) return;  // Its deadline has answered already.
  answering_ = false;
  queue(std::move(response), keep_ && !server_.draining && !eof_);
}

void HttpServer::Connection::queue(HttpResponse response, bool keep) {
  const HttpServerOptions& options = server_.options;
  if (response.body.size() > options.answer_bytes_max) {
    log::error("answer is too large", {{"bytes", response.body.size()}});
    response = HttpResponse::problem(500, "the answer is too large");
  }
  if (server_.stats.unsent_bytes + response.body.size() > options.unsent_bytes_max) {
    response = HttpResponse::problem(503, "too many answers wait for slow readers");
    response.headers.push_back({"Retry-After", "5"});
  }
  const bool cacheable =
      asked_.method == codec::HttpMethod::kGet || asked_.method == codec::HttpMethod::kHead;
  std::string etag;
  if (response.etag && response.status == 200 && cacheable) {
    etag = "\"" + to_hex(digest16(as_bytes(response.body))) + "\"";
    if (const auto tags = asked_.header("if-none-match"); tags && matches(*tags, etag)) {
      response.status = 304;
      response.body.clear();
    }
  }
  const bool bodiless = response.status == 204 || response.status == 304;

  out_ = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status,
                     http_phrase(response.status), server_.date());
  if (!bodiless) {
    if (!response.content_type.empty()) put_header(out_, "Content-Type", response.content_type);
    out_ += fmt::format("Content-Length: {}\r\n", response.body.size());
  }
  if (!etag.empty()) put_header(out_, "ETag", etag);
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!has_header(response, name)) put_header(out_, name, value);
  };
  add("Cache-Control", "no-store");
  add("X-Content-Type-Options", "nosniff");
  add("Referrer-Policy", "no-referrer");
  add("Content-Security-Policy", kDefaultPolicy);
  for (const Header& h : response.headers) put_header(out_, h.name, h.value);
  if (!keep) {
    out_ += "Connection: close\r\n";
  } else if (asked_.minor_version == 0) {
    out_ += "Connection: keep-alive\r\n";
  }
  out_ += "\r\n";
  if (!bodiless && asked_.method != codec::HttpMethod::kHead) out_ += response.body;
  set_unsent(out_.size());
  close_after_ = close_after_ || !keep;
}

bool HttpServer::Connection::linger() {
  if (eof_ || ::shutdown(fd_.get(), SHUT_WR) != 0) return false;
  in_.clear();
  wait(Wait::kLinger);
  return true;
}

void HttpServer::Connection::wait(Wait what) {
  const Interest interest = what == Wait::kWrite    ? Interest::kWrite
                            : what == Wait::kAnswer ? Interest::kNone
                                                    : Interest::kRead;
  watch_->set(interest);
  // The deadline of a phase runs from its beginning, however often bytes trickle in.
  if (what == wait_) return;
  wait_ = what;
  const HttpServerOptions& o = server_.options;
  Duration limit{0};
  switch (what) {
    case Wait::kNone:
      break;
    case Wait::kIdle:
      limit = o.idle_deadline;
      break;
    case Wait::kHeader:
      limit = o.header_deadline;
      break;
    case Wait::kBody:
      limit = o.body_deadline;
      break;
    case Wait::kAnswer:
      limit = o.answer_deadline;
      break;
    case Wait::kWrite:
      limit = o.write_grace +
              std::chrono::seconds{static_cast<std::int64_t>(unsent() / o.write_bytes_per_second)};
      break;
    case Wait::kLinger:
      limit = kLinger;
      break;
  }
  deadline_ = server_.loop.after(limit, [this] { on_deadline(); });
}

void HttpServer::Connection::on_deadline() {
  switch (wait_) {
    case Wait::kHeader:
    case Wait::kBody:
      ++server_.stats.timed_out;
      if (!parser_.started()) return server_.remove(id_);
      asked_ = {};
      queue(HttpResponse::problem(408, "the request took too long to arrive"), false);
      break;
    case Wait::kAnswer:
      ++server_.stats.timed_out;
      answering_ = false;
      queue(HttpResponse::problem(503, "the answer took too long"), false);
      break;
    case Wait::kWrite:
      ++server_.stats.timed_out;
      return server_.remove(id_);
    case Wait::kNone:
    case Wait::kIdle:
    case Wait::kLinger:
      return server_.remove(id_);
  }
  wait_ = Wait::kNone;
  if (!advance()) server_.remove(id_);
}

HttpServer::Impl::Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_)
    : loop(loop_),
      options(std::move(options_)),
      handler(std::move(handler_)),
      listener(std::move(listener_)),
      port(port_of(listener.get())) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
    const auto room = static_cast<std::size_t>(files.rlim_cur);
    const std::size_t left = room > kReservedDescriptors ? room - kReservedDescriptors : 0;
    options.connections_max = std::min(options.connections_max, std::max(left, kConnectionsMin));
  }
  CHECK(options.connections_max > 0);
  watch = loop.watch(listener.get(), Interest::kRead, [this](Interest) { on_acceptable(); });
}

HttpServer::Impl::~Impl() {
  self.reset();
  watch.reset();
  connections.clear();
}

void HttpServer::Impl::on_acceptable() {
  for (int i = 0; i < kAcceptsPerTurn && connections.size() < options.connections_max; ++i) {
    Fd fd{::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!fd) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The client would otherwise wait in the kernel's queue until somebody else leaves: use the
        // spare descriptor to turn it away, then look again later.
        spare.reset();
        Fd{::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)}.reset();
        spare = open_spare();
        pause_accepting("no descriptor is free");
        return;
      }
      break;  // Nothing there, or that client has gone already.
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (options.send_buffer_bytes > 0) {
      ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes,
                   sizeof options.send_buffer_bytes);
    }
    ++stats.accepted;
    const std::uint64_t id = next_id++;
    connections.emplace(id, std::make_unique<Connection>(*this, id, std::move(fd)));
  }
  update_accepting();
}

void HttpServer::Impl::update_accepting() {
  if (!watch || paused) return;
  const bool room = connections.size() < options.connections_max;
  if (!room && watch->interest() != Interest::kNone) {
    ++stats.accept_pauses;
    if (const auto left_out = warnings.pass("connections", loop.now().mono)) {
      log::warning("http connections are at their bound",
                   {{"bound", options.connections_max}, {"left_out", *left_out}});
    }
  }
  watch->set(room ? Interest::kRead : Interest::kNone);
}

void HttpServer::Impl::pause_accepting(const char* why) {
  ++stats.accept_pauses;
  paused = true;
  watch->set(Interest::kNone);
  if (const auto left_out = warnings.pass(why, loop.now().mono)) {
    log::warning("http accepting pauses", {{"because", why}, {"left_out", *left_out}});
  }
  accept_timer = loop.after(kAcceptPause, [this] {
    paused = false;
    update_accepting();
  });
}

void HttpServer::Impl::remove(std::uint64_t id) {
  connections.erase(id);
  update_accepting();
  if (draining && connections.empty()) {
    drain_timer = loop.after(Duration{0}, [this] { finish_drain(); });
  }
}

void HttpServer::Impl::answer(std::uint64_t id, std::uint64_t serial, HttpResponse response) {
  const auto it = connections.find(id);
  if (it == connections.end()) return;
  Connection& connection = *it->second;
  connection.take_answer(serial, std::move(response));
  // Inside the handler the connection goes on by itself when the handler returns.
  if (!connection.inside_handler() && !connection.advance()) remove(id);
}

void HttpServer::Impl::finish_drain() {
  connections.clear();
  if (!drained) return;
  const std::function<void()> done = std::move(drained);
  drained = nullptr;
  done();
}

const std::string& HttpServer::Impl::date() {
  const WallTime now = loop.now().wall;
  if (now.us / 1'000'000 != date_second) {
    date_second = now.us / 1'000'000;
    date_text = http_date(now);
  }
  return date_text;
}

Expected<std::unique_ptr<HttpServer>> HttpServer::open(EventLoop& loop, HttpServerOptions options,
                                                       Handler handler) {
  TRY_ASSIGN(Fd listener, listen_on(options.listen));
  return std::unique_ptr<HttpServer>{new HttpServer{
      std::make_unique<Impl>(loop, std::move(options), std::move(handler), std::move(listener))}};
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const { return impl_->port; }

HttpServerStats HttpServer::stats() const {
  HttpServerStats out = impl_->stats;
  out.open = impl_->connections.size();
  return out;
}

void HttpServer::drain(Duration grace, std::function<void()> done) {
  Impl& impl = *impl_;
  CHECK(!impl.draining);
  impl.draining = true;
  impl.drained = std::move(done);
  impl.accept_timer.reset();
  impl.watch.reset();
  impl.listener.reset();
  std::erase_if(impl.connections, [](const auto& entry) { return entry.second->idle(); });
  impl.drain_timer = impl.loop.after(impl.connections.empty() ? Duration{0} : grace,
                                     [i = &impl] { i->finish_drain(); });
}

// --- the responder ---

HttpResponder::HttpResponder(std::unique_ptr<Ticket> ticket)
    : ticket_(std::move(ticket)) {}

HttpResponder::HttpResponder(HttpResponder&& other) noexcept = default;

HttpResponder::~HttpResponder() {
  if (ticket_) {
    std::move(*this).post(HttpResponse::problem(503, "the request was dropped"));
  }
}

void HttpResponder::send(HttpResponse response) && {
  CHECK(ticket_);
  const std::unique_ptr<Ticket> ticket = std::move(ticket_);
  if (const auto server = ticket->server.lock()) {
    (*server)->answer(ticket->connection, ticket->serial, std::move(response));
  }
}

void HttpResponder::post(HttpResponse response) && {
  CHECK(ticket_);
  EventLoop& loop = ticket_->loop;
  // std::function wants a copyable closure.
  auto ticket = std::make_shared<Ticket>(*ticket_);
  ticket_.reset();
  loop.post([ticket, answer = std::make_shared<HttpResponse>(std::move(response))] {
    if (const auto server = ticket->server.lock()) {
      (*server)->answer(ticket->connection, ticket->serial, std::move(*answer));
    }
  });
}

}  // namespace tocsin::io

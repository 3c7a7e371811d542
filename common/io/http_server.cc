#include "common/io/http_server.h"

#include "common/base/check.h"
#include "common/base/digest.h"
#include "common/base/ip_address.h"
#include "common/io/fd.h"
#include "common/io/forwarded.h"
#include "common/io/http_head.h"
#include "common/io/log.h"
#include "common/io/tcp_listener.h"
#include "common/io/tls_stream.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unordered_map>

namespace tocsin::io {

namespace {

/// Also the most that one TLS record holds, so that OpenSSL keeps nothing back.
constexpr std::size_t kReadBytes = 16 * 1024;
/// A body up to here is copied behind its head and leaves in one piece.
constexpr std::size_t kJoinedBodyBytes = 16 * 1024;
/// A connection's buffer that has grown beyond is given back when it is empty.
constexpr std::size_t kKeptBufferBytes = 32 * 1024;
/// Connections taken, and requests of one connection answered, before others have their turn.
constexpr int kAcceptsPerTurn = 64;
constexpr int kRequestsPerTurn = 16;
/// After "too many open files": long enough not to spin, short enough that nobody notices.
constexpr Duration kAcceptPause = std::chrono::milliseconds{200};
/// After an answer that closes, what the client still sends is read and dropped for so long, or the
/// kernel would reset the connection and take the answer with it.
constexpr Duration kLingerFor = std::chrono::seconds{2};
/// What a client may still say after its last request, and while it is being streamed to.
constexpr std::size_t kLingerBytes = 1 << 20;
constexpr std::size_t kConnectionsMin = 16;

constexpr std::string_view kTooManyConnections =
    "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 5\r\n"
    "Connection: close\r\n\r\n";
/// The end of a chunked body.
constexpr std::string_view kLastChunk = "0\r\n\r\n";

Fd open_spare() { return Fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)}; }

/// Who counts as one client: an IPv4 address, or an IPv6 network of the size that one site gets.
std::string client_key(const IpAddress& address) {
  return std::string{address.bytes().substr(0, address.is_v4() ? 4 : 8)};
}

/// What a connection waits for: the deadline that runs.
enum class Wait : std::uint8_t {
  kNone,
  kIdle,
  kHeader,
  kBody,
  kAnswer,
  kLinger,
  kWrite,
  kStream,
};

/// Those before kWrite have a limit of their own, the same for every connection.
constexpr std::size_t kFixedWaits = static_cast<std::size_t>(Wait::kWrite);

/// What one read or write of a connection came to.
enum class Io : std::uint8_t { kMoved, kNotNow, kEnd, kBroken };

}  // namespace

// --- the server ---

struct HttpServer::Impl {
  /// Connections with the same limit, by their deadline: it is the order in which they came.
  struct Queue {
    Connection* first = nullptr;
    Connection* last = nullptr;
    Duration limit{0};
    TimerHandle timer;  ///< Armed at or before the first one's deadline.
  };

  Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_,
       std::shared_ptr<const TlsContext> tls_);
  ~Impl();

  void on_acceptable();
  void take(Fd fd, const IpAddress& peer);
  /// Accepts while there is room; waits otherwise.
  void update_accepting();
  void pause_accepting(const char* why);
  void remove(std::uint64_t id);
  /// Removes in a later turn, for callers that must not lose the connection under their feet.
  void doom(std::uint64_t id);
  Connection* find(std::uint64_t id, std::uint64_t serial);
  void answer(std::uint64_t id, std::uint64_t serial, HttpResponse response);
  void finish_drain();
  void arm(Queue& queue);
  void expire(Queue& queue);
  /// HS7: false when this turn has no work left for this connection.
  bool has_budget();
  void spend(std::size_t cost);
  void defer(std::uint64_t id);
  void run_deferred();
  const std::string& date();

  EventLoop& loop;
  HttpServerOptions options;
  Handler handler;
  HttpServerStats stats;
  Fd listener;
  Fd spare = open_spare();  ///< Given up for a moment to turn a client away when there is no other.
  std::uint16_t port = 0;
  /// What new connections get; older ones may still use what came before.
  std::shared_ptr<const TlsContext> tls;
  std::array<Queue, kFixedWaits> queues;
  std::unordered_map<std::string, std::size_t> per_client;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
  std::uint64_t next_id = 1;
  bool draining = false;
  bool paused = false;
  std::function<void()> drained;
  std::int64_t date_second = -1;
  std::string date_text;
  log::RateLimit warnings{std::chrono::minutes{1}};
  std::uint64_t turn = 0;
  std::size_t turn_cost = 0;
  bool running_deferred = false;
  bool starved = false;  ///< Somebody waits because a turn was used up: nobody overtakes.
  std::deque<std::uint64_t> deferred;  ///< Each connection at most once.
  std::vector<std::uint64_t> doomed;
  /// What responders hold: gone with the server.
  std::shared_ptr<Impl*> self = std::make_shared<Impl*>(this);
  WatchHandle watch;
  TimerHandle accept_timer;
  TimerHandle drain_timer;
  TimerHandle deferred_timer;
  TimerHandle doomed_timer;
};

/// States, by what is waited for:
///   header -> body -> answer -> write -> (idle -> header ...) or linger -> gone
///                     answer -> stream -> linger -> gone
class HttpServer::Connection {
 public:
  Connection(Impl& server, std::uint64_t id, Fd fd, const IpAddress& peer,
             std::unique_ptr<TlsStream> tls);
  ~Connection();

  void on_ready(Interest ready);
  /// The turn has come that HS7 made this connection wait for.
  void go_on();
  /// Does all that can be done now. False: the connection has ended.
  bool advance();
  void take_answer(HttpResponse response);
  std::unique_ptr<HttpStream> start_stream(HttpResponse head);
  void on_deadline();

  /// For the stream's owner.
  void stream_send(const HttpPiece& piece);
  void stream_drop_buffered();
  void stream_close();
  /// Nothing follows what is buffered; the owner is told, unless it is the one who says so.
  void end_stream();

  std::size_t stream_buffered() const { return stream_ ? stream_->buffered : 0; }

  bool streams() const { return stream_ != nullptr; }

  /// Nothing of a request has arrived and nothing is unsent.
  bool idle() const {
    return wait_ == Wait::kIdle || (wait_ == Wait::kHeader && !parser_.started());
  }

  bool answers(std::uint64_t serial) const { return answering_ && serial == serial_; }

  bool inside_handler() const { return inside_handler_; }

  const std::string& client() const { return client_; }

 private:
  friend struct HttpServer::Impl;

  struct Stream {
    HttpStream* owner = nullptr;  ///< Null once it has let go or was told of the end.
    /// From `first` on: not sent yet, the first one perhaps in part. A vector, because an idle
    /// stream should cost next to nothing.
    std::vector<HttpPiece> pieces;
    std::size_t first = 0;
    std::size_t offset = 0;  ///< Sent of the first piece.
    std::size_t buffered = 0;
    std::uint64_t sent = 0;
    std::uint64_t owed = 0;  ///< `sent` must have come so far when the deadline comes.
    bool chunked = true;
    bool ending = false;
    TimerHandle deadline;
  };

  std::string_view bytes_of(const HttpPiece& piece) const {
    return stream_->chunked ? std::string_view{*piece.framed_}
                            : std::string_view{*piece.framed_}.substr(piece.begin_, piece.size_);
  }

  Io read(std::span<char> into, std::size_t& moved);
  Io write(std::string_view head, std::string_view body, std::size_t& moved);
  bool shake_hands();
  bool read_some();
  bool flush();
  bool flush_stream();
  void watch_stream_rate();
  void set_stream_buffered(std::size_t bytes);
  void detach_stream();
  void cut_stream(const char* why);
  bool linger();
  void wait(Wait what);
  void unqueue();
  void queue(HttpResponse response, bool keep);
  void refuse(HttpResponse problem);
  void set_unsent(std::size_t bytes);
  void set_body(std::size_t bytes);
  void handle_request();

  std::size_t unsent() const { return out_.size() + body_.size() - sent_; }

  Impl& server_;
  const std::uint64_t id_;
  Fd fd_;
  std::unique_ptr<TlsStream> tls_;  ///< Null: plain.
  codec::HttpRequestParser parser_;
  std::string peer_;
  std::string client_;
  std::optional<IpAddress> proxy_;  ///< One of ours: its requests are others'.
  std::string in_;                  ///< Read and not parsed yet; at most kReadBytes.
  std::string out_;                 ///< Head, and small bodies.
  std::string body_;                ///< A large body, not copied.
  std::size_t sent_ = 0;
  std::size_t counted_ = 0;       ///< Our share of stats.unsent_bytes.
  std::size_t body_counted_ = 0;  ///< Our share of stats.body_bytes.
  std::uint64_t serial_ = 0;
  std::size_t lingered_ = 0;
  std::unique_ptr<Stream> stream_;
  // What the answer under way depends on of its request.
  codec::HttpMethod method_ = codec::HttpMethod::kGet;
  int minor_version_ = 1;
  std::string if_none_match_;
  bool keep_ = true;        ///< What the request under way allows.
  bool answering_ = false;  ///< The handler has the request.
  bool inside_handler_ = false;
  bool close_after_ = false;
  bool continued_ = false;
  bool eof_ = false;
  bool first_ = true;  ///< No request has been completed yet.
  bool deferred_ = false;
  bool doomed_ = false;
  bool secure_ = false;           ///< The handshake is complete, or there is none.
  bool tls_wants_write_ = false;  ///< OpenSSL has something of its own to say first.
  Wait wait_ = Wait::kNone;
  // The place in the queue of wait_.
  Connection* before_ = nullptr;
  Connection* behind_ = nullptr;
  MonoTime due_{};
  WatchHandle watch_;
  TimerHandle write_deadline_;
};

HttpServer::Connection::Connection(Impl& server, std::uint64_t id, Fd fd, const IpAddress& peer,
                                   std::unique_ptr<TlsStream> tls)
    : server_(server),
      id_(id),
      fd_(std::move(fd)),
      tls_(std::move(tls)),
      parser_(server.options.limits),
      peer_(peer.str()),
      client_(client_key(peer)),
      secure_(tls_ == nullptr) {
  if (is_trusted(server.options.trusted_proxies, peer)) proxy_ = peer;
  watch_ =
      server_.loop.watch(fd_.get(), Interest::kRead, [this](Interest ready) { on_ready(ready); });
  wait(Wait::kHeader);  // A connection that never asks is not worth an idle deadline.
}

HttpServer::Connection::~Connection() {
  set_unsent(0);
  set_body(0);
  if (stream_) {
    set_stream_buffered(0);
    detach_stream();
    --server_.stats.streams;
  }
  unqueue();
  watch_.reset();
}

// --- bytes ---

Io HttpServer::Connection::read(std::span<char> into, std::size_t& moved) {
  moved = 0;
  if (tls_ && wait_ != Wait::kLinger) {
    const TlsResult result = tls_->read(into);
    tls_wants_write_ = result.step == TlsStep::kWantWrite;
    moved = result.bytes;
    switch (result.step) {
      case TlsStep::kDone:
        return Io::kMoved;
      case TlsStep::kWantRead:
      case TlsStep::kWantWrite:
        return Io::kNotNow;
      case TlsStep::kClosed:
      case TlsStep::kCut:
        return Io::kEnd;
      case TlsStep::kReset:
      case TlsStep::kFailed:
        return Io::kBroken;
    }
  }
  const ssize_t n = ::recv(fd_.get(), into.data(), into.size(), 0);
  if (n < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Io::kNotNow : Io::kBroken;
  }
  moved = static_cast<std::size_t>(n);
  return n == 0 ? Io::kEnd : Io::kMoved;
}

Io HttpServer::Connection::write(std::string_view head, std::string_view body, std::size_t& moved) {
  moved = 0;
  if (tls_) {
    const TlsResult result = tls_->write(head.empty() ? body : head);
    moved = result.bytes;
    if (result.step == TlsStep::kDone) return Io::kMoved;
    const bool later = result.step == TlsStep::kWantRead || result.step == TlsStep::kWantWrite;
    return later ? Io::kNotNow : Io::kBroken;
  }
  ssize_t n = 0;
  if (body.empty() || head.empty()) {
    const std::string_view one = head.empty() ? body : head;
    n = ::send(fd_.get(), one.data(), one.size(), MSG_NOSIGNAL);
  } else {
    std::array<iovec, 2> parts{iovec{const_cast<char*>(head.data()), head.size()},
                               iovec{const_cast<char*>(body.data()), body.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  }
  if (n < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Io::kNotNow : Io::kBroken;
  }
  moved = static_cast<std::size_t>(n);
  return Io::kMoved;
}

bool HttpServer::Connection::shake_hands() {
  const TlsStep step = tls_->handshake();
  switch (step) {
    case TlsStep::kDone:
      secure_ = true;
      watch_->set(Interest::kRead);
      return true;
    case TlsStep::kWantRead:
      watch_->set(Interest::kRead);
      return true;
    case TlsStep::kWantWrite:
      watch_->set(Interest::kBoth);
      return true;
    case TlsStep::kClosed:
    case TlsStep::kCut:
    case TlsStep::kReset:
    case TlsStep::kFailed:
      break;
  }
  ++server_.stats.tls_failed;
  return false;
}

void HttpServer::Connection::on_ready(Interest ready) {
  if (!server_.has_budget()) {
    if (deferred_) return;
    deferred_ = true;
    watch_->set(Interest::kNone);
    return server_.defer(id_);
  }
  if (!secure_) {
    server_.spend(kRequestCost);  // A handshake is dear.
    if (!shake_hands()) return server_.remove(id_);
    if (!secure_) return;
  }
  const bool reads = has(ready, Interest::kRead) || tls_wants_write_;
  if (reads && in_.empty() && wait_ != Wait::kWrite && wait_ != Wait::kAnswer && !read_some()) {
    return server_.remove(id_);
  }
  if (!advance()) server_.remove(id_);
}

void HttpServer::Connection::go_on() {
  deferred_ = false;
  on_ready(Interest::kBoth);
}

bool HttpServer::Connection::read_some() {
  std::array<char, kReadBytes> buffer;
  std::size_t n = 0;
  switch (read(buffer, n)) {
    case Io::kNotNow:
      return true;
    case Io::kBroken:
      return false;
    case Io::kEnd:
      eof_ = true;
      return true;
    case Io::kMoved:
      break;
  }
  server_.spend(n);
  if (wait_ == Wait::kLinger || stream_) {
    lingered_ += n;
    return lingered_ <= kLingerBytes;
  }
  in_.append(buffer.data(), n);
  return true;
}

bool HttpServer::Connection::flush() {
  while (unsent() > 0) {
    const std::size_t head = std::min(sent_, out_.size());
    std::size_t n = 0;
    switch (write(std::string_view{out_}.substr(head), std::string_view{body_}.substr(sent_ - head),
                  n)) {
      case Io::kMoved:
        sent_ += n;
        break;
      case Io::kNotNow:
        set_unsent(unsent());
        return true;
      case Io::kEnd:
      case Io::kBroken:
        return false;
    }
  }
  if (sent_ == 0) return true;
  if (out_.capacity() > kKeptBufferBytes) {
    out_ = {};
  } else {
    out_.clear();
  }
  body_ = {};
  sent_ = 0;
  set_unsent(0);
  return true;
}

void HttpServer::Connection::set_unsent(std::size_t bytes) {
  server_.stats.unsent_bytes += bytes;
  server_.stats.unsent_bytes -= counted_;
  counted_ = bytes;
}

void HttpServer::Connection::set_body(std::size_t bytes) {
  server_.stats.body_bytes += bytes;
  server_.stats.body_bytes -= body_counted_;
  body_counted_ = bytes;
}

// --- requests and answers ---

bool HttpServer::Connection::advance() {
  for (int handled = 0;;) {
    if (doomed_) return false;
    if (wait_ == Wait::kLinger) return !eof_;
    if (!flush()) return false;
    if (unsent() > 0) {
      wait(Wait::kWrite);
      return true;
    }
    if (stream_) {
      if (eof_ || !flush_stream()) return false;
      if (stream_->ending && stream_->buffered == 0) return linger();
      wait(Wait::kStream);
      return true;
    }
    if (answering_) {
      wait(Wait::kAnswer);
      return true;
    }
    if (close_after_) return linger();
    if (handled == kRequestsPerTurn || !server_.has_budget()) {
      if (!deferred_) {
        deferred_ = true;
        watch_->set(Interest::kNone);
        server_.defer(id_);
      }
      return true;
    }

    const std::size_t used = parser_.feed(in_);
    if (used == in_.size()) {
      in_.clear();
    } else {
      in_.erase(0, used);
    }
    switch (parser_.status()) {
      case codec::HttpRequestParser::Status::kNeedMore:
        if (eof_) return false;
        if (parser_.expects_continue() && !continued_) {
          continued_ = true;
          out_ = "HTTP/1.1 100 Continue\r\n\r\n";
          continue;
        }
        if (parser_.in_body()) {
          set_body(parser_.body_bytes());
          if (server_.stats.body_bytes > server_.options.bodies_bytes_max) {
            refuse(HttpResponse::problem(503, "too many requests are arriving"));
            continue;
          }
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
        server_.spend(kRequestCost);
        const codec::HttpRefusal refusal = parser_.refusal();
        refuse(HttpResponse::problem(refusal.status, refusal.why));
        continue;
      }
      case codec::HttpRequestParser::Status::kComplete:
        break;
    }
    ++handled;
    handle_request();
  }
}

void HttpServer::Connection::handle_request() {
  server_.spend(kRequestCost);
  ++server_.stats.requests;
  ++serial_;
  first_ = false;
  continued_ = false;
  set_body(0);
  unqueue();
  wait_ = Wait::kNone;  // The next request has deadlines of its own.
  codec::HttpRequest request = parser_.take();
  request.peer =
      proxy_ ? client_of(request, *proxy_, server_.options.trusted_proxies).str() : peer_;
  keep_ = request.keep_alive;
  method_ = request.method;
  minor_version_ = request.minor_version;
  if_none_match_.clear();
  if (const auto tag = request.header("if-none-match")) if_none_match_ = *tag;
  answering_ = true;
  inside_handler_ = true;
  server_.handler(std::move(request), HttpResponder{server_.loop, server_.self, id_, serial_});
  inside_handler_ = false;
}

void HttpServer::Connection::take_answer(HttpResponse response) {
  answering_ = false;
  queue(std::move(response), keep_ && !server_.draining && !eof_);
}

void HttpServer::Connection::refuse(HttpResponse problem) {
  in_.clear();
  set_body(0);
  method_ = codec::HttpMethod::kGet;
  minor_version_ = 1;
  if_none_match_.clear();
  queue(std::move(problem), false);
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
  const bool cacheable = method_ == codec::HttpMethod::kGet || method_ == codec::HttpMethod::kHead;
  std::string etag;
  if (response.etag && response.status == 200 && cacheable) {
    etag = "\"" + to_hex(digest16(as_bytes(response.body))) + "\"";
    if (names_etag(if_none_match_, etag)) {
      response.status = 304;
      response.body.clear();
    }
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  append_head(out_, response,
              {.date = server_.date(),
               .etag = etag,
               .framing = bodiless ? HttpFraming::kNoBody : HttpFraming::kLength,
               .keep = keep,
               .minor_version = minor_version_});
  if (!bodiless && method_ != codec::HttpMethod::kHead) {
    if (response.body.size() <= kJoinedBodyBytes) {
      out_.append(response.body);
    } else {
      body_ = std::move(response.body);
    }
  }
  set_unsent(unsent());
  close_after_ = close_after_ || !keep;
}

bool HttpServer::Connection::linger() {
  if (stream_) {
    detach_stream();
    stream_.reset();
    --server_.stats.streams;
  }
  if (tls_ && secure_) tls_->say_goodbye();
  if (eof_ || ::shutdown(fd_.get(), SHUT_WR) != 0) return false;
  in_.clear();
  wait(Wait::kLinger);
  return true;
}

// --- streams ---

std::unique_ptr<HttpStream> HttpServer::Connection::start_stream(HttpResponse head) {
  if (server_.draining || server_.stats.streams >= server_.options.streams_max) {
    HttpResponse busy = HttpResponse::problem(503, "too many streams are open");
    busy.headers.push_back({"Retry-After", "5"});
    take_answer(std::move(busy));
    return nullptr;
  }
  if (eof_) {
    doomed_ = true;
    answering_ = false;
    return nullptr;
  }
  answering_ = false;
  auto stream = std::make_unique<Stream>();
  stream->chunked = minor_version_ == 1;
  append_head(out_, head,
              {.date = server_.date(),
               .etag = {},
               .framing = stream->chunked ? HttpFraming::kChunked : HttpFraming::kUntilClose,
               .keep = false,
               .minor_version = minor_version_});
  set_unsent(unsent());
  if (method_ == codec::HttpMethod::kHead) {
    close_after_ = true;
    return nullptr;
  }
  stream_ = std::move(stream);
  ++server_.stats.streams;
  // A stream lives for hours and needs none of this.
  in_ = {};
  lingered_ = 0;
  std::unique_ptr<HttpStream> owner{new HttpStream{server_.loop}};
  owner->connection_ = this;
  stream_->owner = owner.get();
  if (!head.body.empty()) stream_send(HttpPiece{head.body});
  return owner;
}

void HttpServer::Connection::stream_send(const HttpPiece& piece) {
  Stream& stream = *stream_;
  if (stream.ending || doomed_ || piece.size_ == 0) return;
  std::string_view rest = bytes_of(piece);
  // The head goes first, and what is buffered.
  if (unsent() == 0 && stream.buffered == 0 && !inside_handler_) {
    std::size_t n = 0;
    if (write({}, rest, n) == Io::kBroken) return cut_stream(nullptr);
    stream.sent += n;
    rest.remove_prefix(n);
    if (rest.empty()) return;
  }
  if (stream.buffered == 0) stream.offset = bytes_of(piece).size() - rest.size();
  stream.pieces.push_back(piece);
  set_stream_buffered(stream.buffered + rest.size());
  if (stream.buffered > server_.options.stream_bytes_max) return cut_stream("its reader is slow");
  if (server_.stats.stream_bytes > server_.options.streams_bytes_max) {
    return cut_stream("readers together are slow");
  }
  if (wait_ == Wait::kStream) wait(Wait::kStream);
}

bool HttpServer::Connection::flush_stream() {
  Stream& stream = *stream_;
  while (stream.buffered > 0) {
    const std::string_view rest = bytes_of(stream.pieces[stream.first]).substr(stream.offset);
    std::size_t n = 0;
    switch (write({}, rest, n)) {
      case Io::kNotNow:
        return true;
      case Io::kEnd:
      case Io::kBroken:
        return false;
      case Io::kMoved:
        break;
    }
    stream.sent += n;
    set_stream_buffered(stream.buffered - n);
    stream.offset += n;
    if (n < rest.size()) continue;
    stream.offset = 0;
    ++stream.first;
    if (stream.first == stream.pieces.size()) {
      stream.pieces = {};
      stream.first = 0;
    } else if (stream.first >= 64 && stream.first * 2 >= stream.pieces.size()) {
      stream.pieces.erase(stream.pieces.begin(),
                          stream.pieces.begin() + static_cast<std::ptrdiff_t>(stream.first));
      stream.first = 0;
    }
  }
  return true;
}

void HttpServer::Connection::set_stream_buffered(std::size_t bytes) {
  server_.stats.stream_bytes += bytes;
  server_.stats.stream_bytes -= stream_->buffered;
  stream_->buffered = bytes;
}

void HttpServer::Connection::watch_stream_rate() {
  Stream& stream = *stream_;
  if (stream.buffered == 0) {
    stream.deadline.reset();
    return;
  }
  if (stream.deadline) return;
  // What is buffered now must have been taken by then, whatever is buffered meanwhile.
  stream.owed = stream.sent + stream.buffered;
  const HttpServerOptions& o = server_.options;
  const Duration limit =
      o.write_grace +
      std::chrono::seconds{static_cast<std::int64_t>(stream.buffered / o.write_bytes_per_second)};
  stream.deadline = server_.loop.after(limit, [this] {
    Stream& late = *stream_;
    late.deadline.reset();
    if (late.sent >= late.owed) return watch_stream_rate();
    ++server_.stats.timed_out;
    ++server_.stats.streams_cut;
    server_.remove(id_);
  });
}

void HttpServer::Connection::stream_drop_buffered() {
  Stream& stream = *stream_;
  if (stream.buffered == 0) return;
  // A piece of which a part was sent must be sent whole, or the framing breaks; and OpenSSL may
  // have sealed the first one already.
  const std::size_t keep = stream.first + (stream.offset > 0 || tls_ ? 1 : 0);
  std::size_t dropped = 0;
  for (std::size_t i = keep; i < stream.pieces.size(); ++i) {
    dropped += bytes_of(stream.pieces[i]).size();
  }
  stream.pieces.erase(stream.pieces.begin() + static_cast<std::ptrdiff_t>(keep),
                      stream.pieces.end());
  set_stream_buffered(stream.buffered - dropped);
  stream.owed = std::min(stream.owed, stream.sent + stream.buffered);
}

void HttpServer::Connection::end_stream() {
  Stream& stream = *stream_;
  if (stream.ending) return;
  detach_stream();
  if (stream.chunked) {
    // Framing of its own: an empty piece would be skipped by stream_send.
    HttpPiece last;
    last.framed_ = std::make_shared<const std::string>(kLastChunk);
    last.size_ = kLastChunk.size();
    if (stream.buffered == 0) stream.offset = 0;
    stream.pieces.push_back(last);
    set_stream_buffered(stream.buffered + kLastChunk.size());
  }
  stream.ending = true;
}

void HttpServer::Connection::stream_close() {
  end_stream();
  if (inside_handler_ || advance()) return;
  doomed_ = true;
  server_.doom(id_);  // Whoever closes may be walking through all streams.
}

void HttpServer::Connection::detach_stream() {
  if (stream_->owner == nullptr) return;
  HttpStream* const owner = std::exchange(stream_->owner, nullptr);
  owner->ended();
}

void HttpServer::Connection::cut_stream(const char* why) {
  if (why != nullptr) {
    ++server_.stats.streams_cut;
    if (const auto left_out = server_.warnings.pass(why, server_.loop.now().mono)) {
      log::warning("http stream is cut",
                   {{"because", why}, {"buffered", stream_->buffered}, {"left_out", *left_out}});
    }
  }
  detach_stream();
  doomed_ = true;
  server_.doom(id_);
}

// --- waiting ---

void HttpServer::Connection::wait(Wait what) {
  Interest interest = what == Wait::kWrite    ? Interest::kWrite
                      : what == Wait::kAnswer ? Interest::kNone
                                              : Interest::kRead;
  if (what == Wait::kStream && stream_->buffered > 0) interest = Interest::kBoth;
  if (tls_wants_write_) interest = interest | Interest::kWrite;
  watch_->set(interest);
  if (what == Wait::kStream) watch_stream_rate();
  // The deadline of a phase runs from its beginning, however often bytes trickle in.
  if (what == wait_) return;
  unqueue();
  wait_ = what;
  if (what == Wait::kNone || what == Wait::kStream) return;
  if (what == Wait::kWrite) {
    const HttpServerOptions& o = server_.options;
    write_deadline_ = server_.loop.after(
        o.write_grace +
            std::chrono::seconds{static_cast<std::int64_t>(unsent() / o.write_bytes_per_second)},
        [this] { on_deadline(); });
    return;
  }
  Impl::Queue& queue = server_.queues.at(static_cast<std::size_t>(what));
  due_ = server_.loop.now().mono + queue.limit;
  before_ = queue.last;
  (queue.last == nullptr ? queue.first : queue.last->behind_) = this;
  queue.last = this;
  server_.arm(queue);
}

void HttpServer::Connection::unqueue() {
  write_deadline_.reset();
  if (wait_ == Wait::kNone || wait_ >= Wait::kWrite) return;
  Impl::Queue& queue = server_.queues.at(static_cast<std::size_t>(wait_));
  (before_ == nullptr ? queue.first : before_->behind_) = behind_;
  (behind_ == nullptr ? queue.last : behind_->before_) = before_;
  before_ = nullptr;
  behind_ = nullptr;
}

void HttpServer::Connection::on_deadline() {
  switch (wait_) {
    case Wait::kHeader:
    case Wait::kBody:
      ++server_.stats.timed_out;
      if (!parser_.started()) return server_.remove(id_);
      refuse(HttpResponse::problem(408, "the request took too long to arrive"));
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
    case Wait::kStream:
      return server_.remove(id_);
  }
  unqueue();
  wait_ = Wait::kNone;
  if (!advance()) server_.remove(id_);
}

void HttpServer::Impl::arm(Queue& queue) {
  if (queue.first == nullptr || (queue.timer && queue.timer->armed())) return;
  queue.timer = loop.at(queue.first->due_, [this, &queue] { expire(queue); });
}

void HttpServer::Impl::expire(Queue& queue) {
  const MonoTime now = loop.now().mono;
  // Each of these leaves the queue or joins it again at its end.
  const Connection* const last = queue.last;
  bool more = true;
  while (more && queue.first != nullptr && queue.first->due_ <= now) {
    more = queue.first != last;
    queue.first->on_deadline();
  }
  arm(queue);
}

bool HttpServer::Impl::has_budget() {
  if (turn != loop.turn()) {
    turn = loop.turn();
    turn_cost = 0;
  }
  // Who has waited comes first.
  if (turn_cost >= kTurnCost) starved = true;
  return turn_cost < kTurnCost && (running_deferred || !starved);
}

void HttpServer::Impl::spend(std::size_t cost) {
  turn_cost += cost;
  stats.turn_cost_max = std::max<std::uint64_t>(stats.turn_cost_max, turn_cost);
}

void HttpServer::Impl::defer(std::uint64_t id) {
  ++stats.deferred;
  deferred.push_back(id);
  if (!deferred_timer) deferred_timer = loop.after(Duration{0}, [this] { run_deferred(); });
}

void HttpServer::Impl::run_deferred() {
  deferred_timer.reset();
  running_deferred = true;
  for (std::size_t n = deferred.size(); n > 0 && has_budget(); --n) {
    const std::uint64_t id = deferred.front();
    deferred.pop_front();
    if (const auto it = connections.find(id); it != connections.end()) it->second->go_on();
  }
  running_deferred = false;
  starved = starved && !deferred.empty();
  if (!deferred.empty() && !deferred_timer) {
    deferred_timer = loop.after(Duration{0}, [this] { run_deferred(); });
  }
}

// --- accepting ---

HttpServer::Impl::Impl(EventLoop& loop_, HttpServerOptions options_, Handler handler_, Fd listener_,
                       std::shared_ptr<const TlsContext> tls_)
    : loop(loop_),
      options(std::move(options_)),
      handler(std::move(handler_)),
      listener(std::move(listener_)),
      port(local_port(listener.get())),
      tls(std::move(tls_)) {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
    const auto room = static_cast<std::size_t>(files.rlim_cur);
    const std::size_t left = room > kReservedDescriptors ? room - kReservedDescriptors : 0;
    options.connections_max = std::min(options.connections_max, std::max(left, kConnectionsMin));
  }
  CHECK(options.connections_max > 0);
  const auto limit = [this](Wait what) -> Duration& {
    return queues.at(static_cast<std::size_t>(what)).limit;
  };
  limit(Wait::kIdle) = options.idle_deadline;
  limit(Wait::kHeader) = options.header_deadline;
  limit(Wait::kBody) = options.body_deadline;
  limit(Wait::kAnswer) = options.answer_deadline;
  limit(Wait::kLinger) = kLingerFor;
  watch = loop.watch(listener.get(), Interest::kRead, [this](Interest) { on_acceptable(); });
}

HttpServer::Impl::~Impl() {
  self.reset();
  watch.reset();
  connections.clear();
}

void HttpServer::Impl::on_acceptable() {
  for (int i = 0; i < kAcceptsPerTurn && connections.size() < options.connections_max; ++i) {
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    Fd fd{::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size,
                    SOCK_NONBLOCK | SOCK_CLOEXEC)};
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
    if (const auto peer = address_of(from)) take(std::move(fd), *peer);
  }
  update_accepting();
}

void HttpServer::Impl::take(Fd fd, const IpAddress& peer) {
  ++stats.accepted;
  std::size_t& held = per_client[client_key(peer)];
  if (held >= options.connections_per_address && !is_trusted(options.trusted_proxies, peer)) {
    ++stats.turned_away;
    // Best effort: what it has sent already may turn this into a reset.
    if (!tls) {
      (void)::send(fd.get(), kTooManyConnections.data(), kTooManyConnections.size(),
                   MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    if (const auto left_out = warnings.pass("address", loop.now().mono)) {
      log::warning("http connections of one address are at their bound",
                   {{"address", peer.str()},
                    {"bound", options.connections_per_address},
                    {"left_out", *left_out}});
    }
    return;
  }
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (options.send_buffer_bytes > 0) {
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes,
                 sizeof options.send_buffer_bytes);
  }
  std::unique_ptr<TlsStream> stream;
  if (tls) {
    auto accepted = TlsStream::accept(tls, fd.get());
    if (!accepted) {
      ++stats.tls_failed;
      if (held == 0) per_client.erase(client_key(peer));
      return;
    }
    stream = *std::move(accepted);
  }
  ++held;
  const std::uint64_t id = next_id++;
  connections.emplace(
      id, std::make_unique<Connection>(*this, id, std::move(fd), peer, std::move(stream)));
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
  const auto it = connections.find(id);
  CHECK(it != connections.end());
  const auto held = per_client.find(it->second->client());
  if (--held->second == 0) per_client.erase(held);
  connections.erase(it);
  update_accepting();
  if (draining && connections.empty()) {
    drain_timer = loop.after(Duration{0}, [this] { finish_drain(); });
  }
}

void HttpServer::Impl::doom(std::uint64_t id) {
  doomed.push_back(id);
  if (doomed_timer) return;
  doomed_timer = loop.after(Duration{0}, [this] {
    doomed_timer.reset();
    for (const std::uint64_t each : std::exchange(doomed, {})) {
      if (connections.contains(each)) remove(each);
    }
  });
}

HttpServer::Connection* HttpServer::Impl::find(std::uint64_t id, std::uint64_t serial) {
  const auto it = connections.find(id);
  // Else its deadline has answered already.
  return it != connections.end() && it->second->answers(serial) ? it->second.get() : nullptr;
}

void HttpServer::Impl::answer(std::uint64_t id, std::uint64_t serial, HttpResponse response) {
  Connection* const connection = find(id, serial);
  if (connection == nullptr) return;
  connection->take_answer(std::move(response));
  // Inside the handler the connection goes on by itself when the handler returns.
  if (!connection->inside_handler() && !connection->advance()) remove(id);
}

void HttpServer::Impl::finish_drain() {
  connections.clear();
  per_client.clear();
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
  std::shared_ptr<const TlsContext> tls;
  if (options.tls) {
    TRY_ASSIGN(tls, TlsContext::server(options.tls->certificate, options.tls->key));
  }
  TRY_ASSIGN(Fd listener, listen_on(options.listen));
  return std::unique_ptr<HttpServer>{new HttpServer{std::make_unique<Impl>(
      loop, std::move(options), std::move(handler), std::move(listener), std::move(tls))}};
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

Expected<void> HttpServer::reload_tls() {
  const std::optional<HttpTlsFiles>& files = impl_->options.tls;
  if (!files) return fail(Errc::kUnsupported, "this server speaks no TLS");
  TRY_ASSIGN(impl_->tls, TlsContext::server(files->certificate, files->key));
  return {};
}

void HttpServer::drain(Duration grace, std::function<void()> done) {
  Impl& impl = *impl_;
  CHECK(!impl.draining);
  impl.draining = true;
  impl.drained = std::move(done);
  impl.accept_timer.reset();
  impl.watch.reset();
  impl.listener.reset();
  std::vector<std::uint64_t> idle;
  std::vector<std::uint64_t> streams;
  for (const auto& [id, connection] : impl.connections) {
    if (connection->streams()) {
      streams.push_back(id);
    } else if (connection->idle()) {
      idle.push_back(id);
    }
  }
  impl.drain_timer = impl.loop.after(impl.connections.empty() ? Duration{0} : grace,
                                     [i = &impl] { i->finish_drain(); });
  for (const std::uint64_t id : idle) impl.remove(id);
  for (const std::uint64_t id : streams) {
    Connection& connection = *impl.connections.at(id);
    connection.end_stream();
    if (!connection.inside_handler() && !connection.advance()) impl.remove(id);
  }
}

// --- pieces and streams ---

HttpPiece::HttpPiece(std::string_view bytes)
    : size_(bytes.size()) {
  std::string framed = fmt::format("{:x}\r\n", bytes.size());
  begin_ = framed.size();
  framed.append(bytes).append("\r\n");
  framed_ = std::make_shared<const std::string>(std::move(framed));
}

HttpStream::HttpStream(EventLoop& loop)
    : loop_(loop) {}

HttpStream::~HttpStream() { close(); }

void HttpStream::send(const HttpPiece& piece) {
  if (connection_ != nullptr) {
    static_cast<HttpServer::Connection*>(connection_)->stream_send(piece);
  }
}

std::size_t HttpStream::buffered() const {
  return connection_ == nullptr
             ? 0
             : static_cast<const HttpServer::Connection*>(connection_)->stream_buffered();
}

void HttpStream::drop_buffered() {
  if (connection_ != nullptr) {
    static_cast<HttpServer::Connection*>(connection_)->stream_drop_buffered();
  }
}

void HttpStream::close() {
  on_close_ = nullptr;
  notify_.reset();
  if (connection_ == nullptr) return;
  static_cast<HttpServer::Connection*>(std::exchange(connection_, nullptr))->stream_close();
}

void HttpStream::ended() {
  connection_ = nullptr;
  if (!on_close_) return;
  notify_ = loop_.after(Duration{0}, [this] {
    const std::function<void()> callback = std::move(on_close_);
    callback();  // May destroy this.
  });
}

// --- the responder ---

HttpResponder::HttpResponder(EventLoop& loop, std::weak_ptr<void> server, std::uint64_t connection,
                             std::uint64_t serial)
    : loop_(&loop),
      server_(std::move(server)),
      connection_(connection),
      serial_(serial) {}

HttpResponder::HttpResponder(HttpResponder&& other) noexcept
    : loop_(std::exchange(other.loop_, nullptr)),
      server_(std::move(other.server_)),
      connection_(other.connection_),
      serial_(other.serial_) {}

HttpResponder::~HttpResponder() {
  if (loop_ != nullptr) {
    std::move(*this).post(HttpResponse::problem(503, "the request was dropped"));
  }
}

void HttpResponder::send(HttpResponse response) && {
  CHECK(loop_ != nullptr);
  loop_ = nullptr;
  if (const auto server = server_.lock()) {
    (*static_cast<HttpServer::Impl**>(server.get()))
        ->answer(connection_, serial_, std::move(response));
  }
}

void HttpResponder::post(HttpResponse response) && {
  CHECK(loop_ != nullptr);
  // std::function wants a copyable closure.
  std::exchange(loop_, nullptr)
      ->post([server = std::move(server_), connection = connection_, serial = serial_,
              answer = std::make_shared<HttpResponse>(std::move(response))] {
        if (const auto alive = server.lock()) {
          (*static_cast<HttpServer::Impl**>(alive.get()))
              ->answer(connection, serial, std::move(*answer));
        }
      });
}

std::unique_ptr<HttpStream> HttpResponder::start_stream(HttpResponse head) && {
  CHECK(loop_ != nullptr);
  loop_ = nullptr;
  const auto alive = server_.lock();
  if (!alive) return nullptr;
  HttpServer::Impl& server = **static_cast<HttpServer::Impl**>(alive.get());
  HttpServer::Connection* const connection = server.find(connection_, serial_);
  if (connection == nullptr) return nullptr;
  std::unique_ptr<HttpStream> stream = connection->start_stream(std::move(head));
  if (!connection->inside_handler() && !connection->advance()) server.remove(connection_);
  return stream;
}

}  // namespace tocsin::io

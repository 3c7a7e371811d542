#pragma once
// Question answered here: who asks, and how does the answer get back?
//
// A small HTTP/1.1 server on the event loop: strict requests (codec::HttpRequestParser), answers
// with a length, streamed answers for events, keep-alive, pipelined requests answered in order,
// optional TLS. HTTP/2 belongs to a proxy in front.
//
// Specification
//  HS1 One request per connection is under way; the bytes behind it wait, unread. So answers keep
//      their order, and a client that does not read its answers is not read either.
//  HS2 Every wait ends: the TLS handshake and the header (and the first request of a connection) by
//      `header_deadline` however slowly they trickle, the body by `body_deadline`, the handler by
//      `answer_deadline` (503), a connection without a request by `idle_deadline`, and an answer
//      must be taken at `write_bytes_per_second` or better. Streams have no answer or idle
//      deadline, but what is buffered for one must be taken at that rate as well.
//  HS3 Every store is bounded: connections (at the bound a new one takes the place of the one that
//      has waited longest without a request under way; when all of them have one, the kernel's
//      queue holds the rest), connections of one address (a further one hears 429 and is closed;
//      over TLS it is closed), one answer per connection of at most `answer_bytes_max`, all unsent
//      answers together by `unsent_bytes_max` (503 in place of the answer), all bodies that are
//      arriving together by `bodies_bytes_max` (503).
//  HS4 Running out of descriptors pauses accepting; it never spins.
//  HS5 A refused request is answered with its status, then the connection is closed, gently enough
//      that the client can read the answer.
//  HS6 Streams: at most `streams_max` (503 beyond); what is buffered for one stream is bounded by
//      `stream_bytes_max` and for all together by `streams_bytes_max`: the stream that passes one
//      of them is closed. Its owner should look at HttpStream::buffered() and act before that.
//  HS7 One turn of the loop reads, parses and answers work of at most kTurnCost (bytes read, plus
//      kRequestCost for each request) beyond the request under way, whatever clients send; the rest
//      goes on in the next turn, in the order in which it came.

#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/base/time.h"
#include "common/codec/http_request.h"
#include "common/io/event_loop.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::io {

/// What a handler says. The server adds Content-Length, Date, Connection and the headers that keep
/// a browser from doing more than showing it; a header given here wins over the added one.
struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::string body;  ///< Also for HEAD: the server leaves it out and says its length.
  std::vector<Header> headers;
  bool etag = false;  ///< A digest of the body as ETag, and 304 when the client has it already.

  static HttpResponse text(int status, std::string body);
  static HttpResponse json(int status, std::string body);
  /// RFC 9457: the title is the status's phrase.
  static HttpResponse problem(int status, std::string_view detail);
};

/// "Not Found"; "Status 299" for one that has no name here.
std::string http_phrase(int status);

/// A piece of a streamed answer, framed once for all streams that get it. A value; copies share the
/// bytes.
class HttpPiece {
 public:
  explicit HttpPiece(std::string_view bytes);

  /// Without the framing.
  std::size_t size() const { return size_; }

 private:
  friend class HttpServer;

  HttpPiece() = default;

  /// Shared by all streams that have it still to send: an event for thousands of readers is kept
  /// once. Never changed.
  std::shared_ptr<const std::string> framed_;
  std::size_t begin_ = 0;  ///< Where the bytes start behind their chunk's size.
  std::size_t size_ = 0;
};

/// An answer whose body is sent bit by bit for as long as both sides want. On the loop's thread;
/// must be gone before the loop is. Destroying it ends the answer like close().
class HttpStream {
 public:
  ~HttpStream();
  HttpStream(const HttpStream&) = delete;
  HttpStream& operator=(const HttpStream&) = delete;

  /// Sends what the client takes now and buffers the rest. Never calls back. Does nothing once the
  /// stream is not open. Costs a system call, some 6 us: an owner of thousands spreads one event
  /// over several turns of the loop.
  void send(const HttpPiece& piece);

  void send(std::string_view bytes) { send(HttpPiece{bytes}); }

  /// Bytes that the client has not taken yet, framing included; the kernel holds some more.
  std::size_t buffered() const;

  /// Forgets the buffered pieces of which nothing was sent yet, so that a last word fits:
  /// drop_buffered(), send("event: resync..."), close().
  void drop_buffered();

  /// What is buffered is still sent, at the rate that HS2 asks for, then the answer ends.
  void close();

  /// False once closed by either side.
  bool open() const { return connection_ != nullptr; }

  /// Called at most once, in a later turn, when the stream has ended otherwise than by close(): the
  /// client has left or is too slow, a bound was passed, or the server drains or is gone. May
  /// destroy the stream.
  void on_close(std::function<void()> callback) { on_close_ = std::move(callback); }

 private:
  friend class HttpServer;
  explicit HttpStream(EventLoop& loop);
  /// The connection is gone.
  void ended();

  EventLoop& loop_;
  void* connection_ = nullptr;  ///< HttpServer::Connection; takes itself out.
  std::function<void()> on_close_;
  TimerHandle notify_;
};

/// The right to answer one request, once. Must be gone before the loop is.
class HttpResponder {
 public:
  HttpResponder(HttpResponder&& other) noexcept;
  HttpResponder& operator=(HttpResponder&&) = delete;
  /// Unanswered: the client hears 503.
  ~HttpResponder();

  /// On the loop's thread, also inside the handler.
  void send(HttpResponse response) &&;

  /// On the loop's thread, inside the handler: called at most once, from the loop, when the client
  /// closes its side or the connection breaks before there is an answer; whoever does work for it
  /// can stop then. Not over TLS, and not when the client has sent more behind its request.
  void on_gone(std::function<void()> callback);

  /// From any thread; arrives in a later turn.
  void post(HttpResponse response) &&;

  /// Answers with this head and a body that follows (chunked; to HTTP/1.0 until the connection
  /// closes). `head.body` is the beginning of the body. On the loop's thread, also inside the
  /// handler. Null when there is nothing to stream: the client has gone, asked by HEAD (and has its
  /// answer), or heard 503 because there are streams_max streams or the server drains.
  std::unique_ptr<HttpStream> start_stream(const HttpResponse& head) &&;

 private:
  friend class HttpServer;
  HttpResponder(EventLoop& loop, std::weak_ptr<void> server, std::uint64_t connection,
                std::uint64_t serial);

  EventLoop* loop_;             ///< Null once answered or moved from.
  std::weak_ptr<void> server_;  ///< HttpServer::Impl*; only looked at on the loop's thread.
  std::uint64_t connection_;
  std::uint64_t serial_;
};

/// Files of a TLS server; see TlsContext::server.
struct HttpTlsFiles {
  std::string certificate;
  std::string key;
};

struct HttpServerOptions {
  /// "127.0.0.1:7400" or "[::1]:0"; port 0 takes a free one.
  std::string listen;
  codec::HttpRequestLimits limits{};
  /// Lowered to half of what descriptors leave room for (descriptors.h): the agents' port has the
  /// other half; then streams_max to half of that, so that readers leave room for people.
  std::size_t connections_max = 1024;
  /// One IPv4 address or one IPv6 /64. Not for trusted_proxies.
  std::size_t connections_per_address = 256;
  /// What these say of whom they ask for is believed: HttpRequest::peer is their client (see
  /// client_of).
  std::vector<IpBlock> trusted_proxies{};
  Duration header_deadline = std::chrono::seconds{10};
  Duration body_deadline = std::chrono::seconds{30};
  Duration answer_deadline = std::chrono::seconds{30};
  Duration idle_deadline = std::chrono::seconds{75};
  Duration write_grace = std::chrono::seconds{20};  ///< Before the rate below counts.
  std::size_t write_bytes_per_second = 4 * 1024;
  std::size_t answer_bytes_max = std::size_t{8} << 20;
  std::size_t unsent_bytes_max = std::size_t{64} << 20;
  std::size_t bodies_bytes_max = std::size_t{64} << 20;
  std::size_t streams_max = 512;
  std::size_t stream_bytes_max = std::size_t{512} << 10;
  std::size_t streams_bytes_max = std::size_t{64} << 20;
  std::optional<HttpTlsFiles> tls;  ///< Speaks TLS only when set.
  /// Of the connections' sockets; 0 leaves it to the kernel. For tests of slow readers.
  int send_buffer_bytes = 0;
};

struct HttpServerStats {
  std::uint64_t accepted = 0;
  std::uint64_t open = 0;
  std::uint64_t requests = 0;  ///< Handed to the handler.
  std::uint64_t refused = 0;   ///< Answered by the parser's refusal.
  std::uint64_t timed_out = 0;
  std::uint64_t accept_pauses = 0;
  std::uint64_t displaced = 0;  ///< Closed at the bound to make room for a new one.
  std::uint64_t unsent_bytes = 0;
  std::uint64_t body_bytes = 0;     ///< Of requests that are arriving.
  std::uint64_t turned_away = 0;    ///< Their address had its connections already.
  std::uint64_t streams = 0;        ///< Open now.
  std::uint64_t stream_bytes = 0;   ///< Buffered for streams now.
  std::uint64_t streams_cut = 0;    ///< Closed at a bound or because the client was too slow.
  std::uint64_t tls_failed = 0;     ///< Handshakes that came to nothing.
  std::uint64_t deferred = 0;       ///< Times a connection waited for a later turn (HS7).
  std::uint64_t turn_cost_max = 0;  ///< The dearest turn (HS7).
};

/// One thread: the loop's.
class HttpServer {
 public:
  /// Runs on the loop. May answer at once or keep the responder.
  using Handler = std::function<void(codec::HttpRequest request, HttpResponder responder)>;

  static constexpr std::size_t kTurnCost = std::size_t{512} << 10;
  static constexpr std::size_t kRequestCost = 4 * 1024;

  /// Listens. kExists when the address is taken, with the address in the text; the errors of
  /// TlsContext::server.
  static Expected<std::unique_ptr<HttpServer>> open(EventLoop& loop, HttpServerOptions options,
                                                    Handler handler);
  /// Closes every connection at once.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

  HttpServerStats stats() const;

  /// Reads certificate and key anew for connections that come from now on; those that are open keep
  /// theirs. After an error everything is as before. kUnsupported without TLS.
  Expected<void> reload_tls();

  /// Stops listening, closes idle connections, ends streams after what is buffered for them, lets
  /// answers under way end (each closes its connection), and calls `done` once when none is left or
  /// after `grace`, never inside this call.
  void drain(Duration grace, std::function<void()> done);

 private:
  friend class HttpResponder;
  friend class HttpStream;
  class Connection;
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io

#pragma once
// Question answered here: who asks, and how does the answer get back?
//
// A small HTTP/1.1 server on the event loop: strict requests (codec::HttpRequestParser), answers
// with a length, keep-alive, pipelined requests answered in order. TLS and HTTP/2 belong to a proxy
// in front.
//
// Specification
//  HS1 One request per connection is under way; the bytes behind it wait, unread. So answers keep
//      their order, and a client that does not read its answers is not read either.
//  HS2 Every wait ends: the header (and the first request of a connection) by `header_deadline`
//      however slowly it trickles, the body by `body_deadline`, the handler by `answer_deadline`
//      (503), a connection without a request by `idle_deadline`, and an answer must be taken at
//      `write_bytes_per_second` or better.
//  HS3 Every store is bounded: connections (accepting stops at the bound, the kernel's queue holds
//      the rest), one answer per connection of at most `answer_bytes_max`, all unsent answers
//      together by `unsent_bytes_max` (503 in place of the answer).
//  HS4 Running out of descriptors pauses accepting; it never spins.
//  HS5 A refused request is answered with its status, then the connection is closed, gently enough
//      that the client can read the answer.

#include "common/base/expected.h"
#include "common/base/time.h"
#include "common/codec/http_request.h"
#include "common/io/event_loop.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
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

/// The right to answer one request, once. Must be gone before the loop is.
class HttpResponder {
 public:
  HttpResponder(HttpResponder&& other) noexcept;
  HttpResponder& operator=(HttpResponder&&) = delete;
  /// Unanswered: the client hears 503.
  ~HttpResponder();

  /// On the loop's thread, also inside the handler.
  void send(HttpResponse response) &&;

  /// From any thread; arrives in a later turn.
  void post(HttpResponse response) &&;

 private:
  friend class HttpServer;
  struct Ticket;
  explicit HttpResponder(std::unique_ptr<Ticket> ticket);

  std::unique_ptr<Ticket> ticket_;
};

struct HttpServerOptions {
  /// "127.0.0.1:7400" or "[::1]:0"; port 0 takes a free one.
  std::string listen;
  codec::HttpRequestLimits limits{};
  /// Lowered to what RLIMIT_NOFILE leaves beside kReservedDescriptors.
  std::size_t connections_max = 1024;
  Duration header_deadline = std::chrono::seconds{10};
  Duration body_deadline = std::chrono::seconds{30};
  Duration answer_deadline = std::chrono::seconds{30};
  Duration idle_deadline = std::chrono::seconds{75};
  Duration write_grace = std::chrono::seconds{20};  ///< Before the rate below counts.
  std::size_t write_bytes_per_second = 4 * 1024;
  std::size_t answer_bytes_max = std::size_t{8} << 20;
  std::size_t unsent_bytes_max = std::size_t{64} << 20;
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
  std::uint64_t unsent_bytes = 0;
};

/// One thread: the loop's.
class HttpServer {
 public:
  /// Runs on the loop. May answer at once or keep the responder.
  using Handler = std::function<void(codec::HttpRequest request, HttpResponder responder)>;

  /// Descriptors that connections never take: the store, the log and the agents need theirs.
  static constexpr std::size_t kReservedDescriptors = 128;

  /// Listens. kExists when the address is taken, with the address in the text.
  static Expected<std::unique_ptr<HttpServer>> open(EventLoop& loop, HttpServerOptions options,
                                                    Handler handler);
  /// Closes every connection at once.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;

  HttpServerStats stats() const;

  /// Stops listening, closes idle connections, lets answers under way end (each closes its
  /// connection), and calls `done` once when none is left or after `grace`, never inside this call.
  void drain(Duration grace, std::function<void()> done);

 private:
  friend class HttpResponder;
  class Connection;
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io

#pragma once
// Question answered here: what bytes ask for a URL over HTTP/1.1, and what did the server answer?
//
// The client's half of HTTP/1.1 without I/O: bytes in, values out. llhttp does the grammar in its
// strict mode; this file adds the limits and says in words what was wrong and where.

#include "common/base/expected.h"
#include "common/codec/url.h"
#include "common/model/monitor_spec.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::http1 {

struct Request {
  std::string_view method = "GET";
  const Url& url;
  std::string_view user_agent;
  const std::vector<Header>& headers;  ///< Win over ours of the same name, Host included.
  std::string_view body;
  bool keep_alive = false;     ///< Another request may follow on the connection.
  bool absolute_form = false;  ///< To a proxy (RFC 9112 section 3.2.2).
};

/// Ours are Host, User-Agent, Accept: */*, Accept-Encoding: identity and Connection: close (unless
/// `keep_alive`), because what is timed is one exchange on one connection. CONNECT names the URL's
/// host and port alone (RFC 9112 section 3.2.3). Refuses (kInvalid) a method or header that is
/// not a token, a value with CR, LF or NUL, and Content-Length, Transfer-Encoding or Connection
/// among the headers: those are ours to say.
Expected<std::string> encode_request(const Request& request);

/// Whether encode_request would refuse it, and why.
Expected<void> check_request(const Request& request);

struct ResponseLimits {
  std::size_t head_bytes = 64 * 1024;  ///< Names and values, all interim heads included.
  std::size_t headers = 100;
  std::size_t interim = 8;                        ///< 1xx responses before the final one.
  std::size_t body_bytes = 64 * 1024;             ///< Kept; the rest is counted and dropped.
  std::uint64_t body_counted = 16 * 1024 * 1024;  ///< The response counts as done here, cut.
};

struct Response {
  int status = 0;
  std::string version;          ///< "1.0" or "1.1", of http2 "2"; anything else is a fault.
  std::vector<Header> headers;  ///< Names in lower case, values without blanks at their ends.
  std::string body;
  std::uint64_t body_bytes = 0;  ///< Received, after chunked coding was taken off.
  bool body_cut = false;         ///< body is shorter than body_bytes, or the rest was not awaited.
  std::uint32_t interim = 0;

  /// The first value of a header by its lower-case name; null when there is none.
  const std::string* find(std::string_view name) const;

  friend bool operator==(const Response&, const Response&) = default;
};

enum class FaultKind : std::uint8_t {
  kProtocol,
  kHeadTooLarge,
  kTooManyInterim,
  kTruncated,
  kEmpty,
  kStreamReset,   ///< HTTP/2 only.
  kGoaway,        ///< HTTP/2 only.
  kWrongVersion,  ///< HTTP/2 only: the server answered with something else.
};

struct Fault {
  FaultKind kind = FaultKind::kProtocol;
  std::string text;  ///< For people, printable: "byte 27: Invalid header value char".

  friend bool operator==(const Fault&, const Fault&) = default;
};

}  // namespace tocsin::http1

namespace tocsin {

/// Requests and their responses on one connection, one after the other, whichever version of HTTP
/// they are spoken in. Bytes in, bytes out, no I/O.
class HttpExchange {
 public:
  enum class State : std::uint8_t { kHead, kBody, kDone, kFailed };

  virtual ~HttpExchange() = default;

  /// Begins the next exchange; the one before is kDone and reusable. Refuses (kInvalid) what
  /// http1::encode_request refuses. The request's views must last only for the call.
  virtual Expected<void> start(const http1::Request& request,
                               const http1::ResponseLimits& limits) = 0;

  /// What to write next; empty when there is nothing at the moment. Valid until the next call of
  /// anything but consume().
  virtual std::string_view pending() = 0;
  /// So many of those bytes were written.
  virtual void consume(std::size_t bytes) = 0;
  /// The whole request has been consumed.
  virtual bool request_sent() const = 0;

  virtual State feed(std::string_view bytes) = 0;
  /// The connection ended; a body without a declared length ends here.
  virtual State finish() = 0;

  /// The first byte of the response is there.
  virtual bool response_began() const = 0;
  /// What is known so far; complete once kDone.
  virtual const http1::Response& response() const = 0;
  virtual http1::Response take_response() = 0;
  /// Set when kFailed.
  virtual const std::optional<http1::Fault>& fault() const = 0;
  /// Once kDone: another exchange may follow.
  virtual bool reusable() const = 0;
};

}  // namespace tocsin

namespace tocsin::http1 {

/// One response. After kDone or kFailed nothing more is read; bytes after the end are ignored.
class ResponseParser {
 public:
  using State = HttpExchange::State;

  /// `head_request`: the request was HEAD, so no body follows whatever the head says.
  explicit ResponseParser(bool head_request, ResponseLimits limits = {});
  /// `connect_request`: the request was CONNECT, so no body follows a success.
  ResponseParser(bool head_request, bool connect_request, ResponseLimits limits);
  ResponseParser(ResponseParser&&) noexcept;
  ~ResponseParser();

  State feed(std::string_view bytes);

  /// The connection ended; a body without a declared length ends here.
  State finish();

  State state() const;

  /// Once kDone: the connection may carry another exchange, because the server did not say
  /// otherwise and the response's end was told by its framing.
  bool keeps_alive() const;

  /// What is known so far; complete once kDone. Stays valid with the parser.
  const Response& response() const;
  Response take_response();

  /// Set when kFailed.
  const std::optional<Fault>& fault() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// HTTP/1.1.
class Exchange final : public HttpExchange {
 public:
  Expected<void> start(const Request& request, const ResponseLimits& limits) override;
  std::string_view pending() override;

  void consume(std::size_t bytes) override { sent_ += bytes; }

  bool request_sent() const override { return sent_ == request_.size(); }

  State feed(std::string_view bytes) override;

  State finish() override { return parser_->finish(); }

  bool response_began() const override { return began_; }

  const Response& response() const override { return parser_->response(); }

  Response take_response() override { return parser_->take_response(); }

  const std::optional<Fault>& fault() const override { return parser_->fault(); }

  bool reusable() const override { return request_sent() && parser_->keeps_alive(); }

 private:
  std::string request_;
  std::size_t sent_ = 0;
  bool began_ = false;
  std::optional<ResponseParser> parser_;
};

}  // namespace tocsin::http1

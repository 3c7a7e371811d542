#pragma once
// Question answered here: which request did these bytes ask for, if they are one at all?
//
// A strict HTTP/1.1 request parser for our own server: bytes in, one HttpRequest or one
// HttpRefusal out. It does no I/O and holds at most one request.
//
// Specification
//  HR1 One request has exactly one reading. Whatever two parsers could read differently is refused:
//      a line that does not end in CR LF, a folded header, white space around a header's name, a
//      control character, a second Content-Length or Host, Transfer-Encoding beside Content-Length,
//      a length that is not plain digits, a chunk size that is not plain hexadecimal digits.
//  HR2 Everything has a bound (HttpRequestLimits); what passes it is refused with the status that
//      says so, before it is stored.
//  HR3 The path that handlers see is decoded once, has no dot segments, no encoded slash, no
//      control character, and is valid UTF-8.
//  HR4 After a refusal the connection is of no use: where the next request starts is not known.
//  HR5 Trailers are read, checked and dropped; one that frames, routes or authorizes is refused.
//  HR6 A refusal is the client's fault and says so: 4xx, also for a method, a version or a coding
//      that is not known here.
// Rationale
//  HR1 A proxy in front and a server behind it that disagree about where a request ends let one
//      user's bytes become another user's request (RFC 9112 section 11.2). llhttp, even compiled
//      strictly, folds headers and leaves Host and the path to its caller; with the checks that
//      this needs there is nothing left for it to do (ADR 12). It is the oracle of the fuzz target
//      instead: what passes here, llhttp must read alike or refuse.
//  HR6 RFC 9110 would have 501 and 505 there. A stranger could then fill our logs and the graphs of
//      a proxy in front with server errors at will; here a 5xx means that something is wrong with
//      us.

#include "common/model/monitor_spec.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::codec {

enum class HttpMethod : std::uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions };

const char* to_string(HttpMethod method);

struct HttpRequestLimits {
  std::size_t request_line_bytes = 8 * 1024;  ///< 414 beyond.
  std::size_t header_bytes = 32 * 1024;       ///< All header lines together; 431 beyond.
  std::size_t header_count = 100;             ///< 431 beyond.
  std::size_t body_bytes = 256 * 1024;        ///< 413 beyond.
  std::size_t chunk_line_bytes = 256;         ///< A chunk's size with its extensions; 400 beyond.
  std::size_t trailer_bytes = 4 * 1024;       ///< 431 beyond.
};

struct HttpRequest {
  HttpMethod method = HttpMethod::kGet;
  std::string path;             ///< See HR3; "*" only for OPTIONS.
  std::string query;            ///< After the question mark, as written; may be empty.
  std::string host;             ///< As written; empty only in HTTP/1.0.
  std::vector<Header> headers;  ///< In order, names in lower case, values trimmed.
  std::string body;             ///< Chunked coding removed; trailers are checked and dropped.
  int minor_version = 1;        ///< 0 or 1.
  bool keep_alive = true;
  std::string peer;  ///< The client's address without port: the server sets it, not the parser.

  /// The first value of that name (lower case); nothing when there is none.
  std::optional<std::string_view> header(std::string_view name) const;

  friend bool operator==(const HttpRequest&, const HttpRequest&) = default;
};

/// Why a request is not answered by a handler. `status` is what the client is told, `why` is a
/// constant phrase without bytes of the client.
struct HttpRefusal {
  int status = 400;
  std::string_view why;

  friend bool operator==(const HttpRefusal&, const HttpRefusal&) = default;
};

/// States: line -> headers -> (body | chunk size -> chunk data -> chunk end -> ... -> trailers) ->
/// complete; any of them -> refused.
class HttpRequestParser {
 public:
  enum class Status : std::uint8_t { kNeedMore, kComplete, kRefused };

  explicit HttpRequestParser(HttpRequestLimits limits = {});

  /// Takes bytes up to the end of one request and returns how many: fewer than given when the
  /// request is complete (the rest belongs to the next one) or refused.
  std::size_t feed(std::string_view bytes);

  Status status() const;

  /// Only when kRefused.
  const HttpRefusal& refusal() const { return refusal_; }

  /// Only when kComplete: the request; the parser is ready for the next one.
  HttpRequest take();

  /// Bytes of a request have arrived: the header deadline runs.
  bool started() const { return state_ != State::kRequestLine || !line_.empty(); }

  /// The header is complete and the body is arriving: the body's deadline runs.
  bool in_body() const {
    return state_ != State::kRequestLine && state_ != State::kHeaders &&
           status() == Status::kNeedMore;
  }

  /// Bytes of the body that are held so far.
  std::size_t body_bytes() const { return request_.body.size(); }

  /// The header is complete and the client waits for "100 Continue" before it sends the body. True
  /// until a byte of the body arrives.
  bool expects_continue() const { return expects_continue_; }

 private:
  enum class State : std::uint8_t {
    kRequestLine,
    kHeaders,
    kBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kComplete,
    kRefused
  };

  void refuse(int status, std::string_view why);
  std::size_t line_limit() const;
  void refuse_long_line();
  void on_line(std::string_view line);
  void on_request_line(std::string_view line);
  void on_target(std::string_view target);
  void on_header(std::string_view line);
  void on_headers_end();
  void on_framing();
  void on_chunk_size(std::string_view line);

  HttpRequestLimits limits_;
  State state_ = State::kRequestLine;
  HttpRequest request_;
  HttpRefusal refusal_;
  std::string line_;            ///< The line under way; bounded by line_limit().
  std::string authority_;       ///< Of an absolute target; must equal Host.
  std::size_t line_bytes_ = 0;  ///< Header or trailer bytes so far.
  std::uint64_t body_left_ = 0;
  bool leading_blank_ = false;  ///< One empty line before a request is allowed (RFC 9112 2.2).
  bool expects_continue_ = false;
};

/// Decodes and normalises an absolute path (HR3); nothing when it breaks a rule.
std::optional<std::string> normalise_path(std::string_view raw);

}  // namespace tocsin::codec

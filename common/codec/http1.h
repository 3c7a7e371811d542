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
};

/// Ours are Host, User-Agent, Accept: */*, Accept-Encoding: identity and Connection: close, because
/// what is timed is one exchange on one connection. Refuses (kInvalid) a method or header that is
/// not a token, a value with CR, LF or NUL, and Content-Length, Transfer-Encoding or Connection
/// among the headers: those are ours to say.
Expected<std::string> encode_request(const Request& request);

struct ResponseLimits {
  std::size_t head_bytes = 64 * 1024;  ///< Names and values, all interim heads included.
  std::size_t headers = 100;
  std::size_t interim = 8;                        ///< 1xx responses before the final one.
  std::size_t body_bytes = 64 * 1024;             ///< Kept; the rest is counted and dropped.
  std::uint64_t body_counted = 16 * 1024 * 1024;  ///< The response counts as done here, cut.
};

struct Response {
  int status = 0;
  std::string version;          ///< "1.0" or "1.1"; anything else is a fault.
  std::vector<Header> headers;  ///< Names in lower case, values without blanks at their ends.
  std::string body;
  std::uint64_t body_bytes = 0;  ///< Received, after chunked coding was taken off.
  bool body_cut = false;         ///< body is shorter than body_bytes, or the rest was not awaited.
  std::uint32_t interim = 0;

  /// The first value of a header by its lower-case name; null when there is none.
  const std::string* find(std::string_view name) const;

  friend bool operator==(const Response&, const Response&) = default;
};

enum class FaultKind : std::uint8_t { kProtocol, kHeadTooLarge, kTruncated, kEmpty };

struct Fault {
  FaultKind kind = FaultKind::kProtocol;
  std::string text;  ///< For people, printable: "byte 27: Invalid header value char".

  friend bool operator==(const Fault&, const Fault&) = default;
};

/// One response. After kDone or kFailed nothing more is read; bytes after the end are ignored.
class ResponseParser {
 public:
  enum class State : std::uint8_t { kHead, kBody, kDone, kFailed };

  /// `head_request`: the request was HEAD, so no body follows whatever the head says.
  explicit ResponseParser(bool head_request, ResponseLimits limits = {});
  ResponseParser(ResponseParser&&) noexcept;
  ~ResponseParser();

  State feed(std::string_view bytes);

  /// The connection ended; a body without a declared length ends here.
  State finish();

  State state() const;

  /// What is known so far; complete once kDone. Stays valid with the parser.
  const Response& response() const;
  Response take_response();

  /// Set when kFailed.
  const std::optional<Fault>& fault() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::http1

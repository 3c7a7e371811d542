#pragma once
// Question answered here: what bytes ask for a URL over HTTP/2, and what did the server answer?
//
// The client's half of RFC 9113 without I/O, on nghttp2: bytes in, values out. One request is under
// way at a time. nghttp2 does frames, HPACK, flow control and the rules of HTTP messages; this file
// adds the limits of http1::ResponseLimits and says in words what was wrong.
//
// Specification
//  - the preface, SETTINGS (no push, a window of kWindow, no larger header list than the limit) and
//    the request leave in one piece
//  - headers are those of http1::encode_request: names in lower case, Host as :authority, without
//    Connection and what else HTTP/2 forbids (RFC 9113 section 8.2.2)
//  - a response is complete with END_STREAM; a connection that ends before is truncated, or empty
//    when there was no response head
//  - bytes of HTTP/1 in answer to the preface are kWrongVersion

#include "common/codec/http1.h"

#include <memory>

namespace tocsin::http2 {

class Session final : public HttpExchange {
 public:
  static constexpr std::uint32_t kWindow = 1024 * 1024;  ///< Of the stream and of the connection.

  Session();
  ~Session() override;

  Expected<void> start(const http1::Request& request, const http1::ResponseLimits& limits) override;
  std::string_view pending() override;
  void consume(std::size_t bytes) override;
  bool request_sent() const override;
  State feed(std::string_view bytes) override;
  State finish() override;
  bool response_began() const override;
  const http1::Response& response() const override;
  http1::Response take_response() override;
  const std::optional<http1::Fault>& fault() const override;
  bool reusable() const override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::http2

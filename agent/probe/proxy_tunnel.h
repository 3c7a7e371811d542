#pragma once
// Question answered here: does the proxy open a tunnel to the server?
//
// CONNECT over HTTP/1.1 (RFC 9110 section 9.3.6): one request, one response head. What it says of
// whom: 2xx opens the tunnel; 502, 503 and 504 say that the server was not reached, which blames
// the server (http.proxy); everything else, a refusal or a demand for credentials, is between the
// agent and its own proxy (policy.proxy) and says nothing about the server.

#include "agent/probe/connection.h"
#include "common/codec/http1.h"
#include "common/model/observation.h"

#include <string>

namespace tocsin::agent {

class ProxyTunnel {
 public:
  enum class Step : std::uint8_t { kAgain, kOpen, kFailed };

  static constexpr std::size_t kHeadMax = 16 * 1024;

  /// `request` is a whole CONNECT request; `proxy` names the proxy in failures.
  ProxyTunnel(std::string request, std::string proxy);

  /// Writes and reads what can be now; kAgain has set the connection's interest. Reads not one byte
  /// behind the head: those belong to TLS.
  Step step(Connection& connection);

  /// Once kFailed.
  const Failure& failure() const { return failure_; }

 private:
  Step read_head(Connection& connection);
  Step judge(const http1::Response& response);
  Step fail(Reason reason, std::string text);

  std::string request_;
  std::string proxy_;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  http1::ResponseParser parser_;
  Failure failure_;
};

}  // namespace tocsin::agent

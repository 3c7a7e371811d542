#include "agent/probe/proxy_tunnel.h"

#include "common/base/strings.h"

namespace tocsin::agent {

ProxyTunnel::ProxyTunnel(std::string request, std::string proxy)
    : request_(std::move(request)),
      proxy_(std::move(proxy)),
      parser_(false, true, {.head_bytes = kHeadMax, .body_bytes = 0, .body_counted = 1}) {}

ProxyTunnel::Step ProxyTunnel::fail(Reason reason, std::string text) {
  failure_ = {reason, fmt::format("proxy {}: {}", proxy_, text)};
  return Step::kFailed;
}

ProxyTunnel::Step ProxyTunnel::step(Connection& connection) {
  while (sent_ < request_.size()) {
    const IoResult result = connection.write(std::string_view{request_}.substr(sent_));
    if (result.step == IoStep::kAgain) return Step::kAgain;
    if (result.step != IoStep::kDone) return fail(Reason::kPolicyProxy, result.text);
    sent_ += result.bytes;
  }
  connection.want(io::Interest::kRead);
  return read_head(connection);
}

ProxyTunnel::Step ProxyTunnel::read_head(Connection& connection) {
  for (;;) {
    // The server speaks TLS only after we do, so nothing can stand behind the head; a byte at a
    // time is a price that only tunnels pay.
    char byte = 0;
    const IoResult result = connection.read({&byte, 1});
    if (result.step == IoStep::kAgain) return Step::kAgain;
    if (result.step == IoStep::kEnd || result.step == IoStep::kCut) {
      return fail(Reason::kPolicyProxy, "it closed the connection instead of answering CONNECT");
    }
    if (result.step != IoStep::kDone) return fail(Reason::kPolicyProxy, result.text);
    if (++received_ > kHeadMax) return fail(Reason::kPolicyProxy, "its answer is too long");
    const auto state = parser_.feed({&byte, 1});
    if (state == http1::ResponseParser::State::kFailed) {
      return fail(Reason::kPolicyProxy, parser_.fault()->text);
    }
    if (state != http1::ResponseParser::State::kHead) return judge(parser_.response());
  }
}

ProxyTunnel::Step ProxyTunnel::judge(const http1::Response& response) {
  const int status = response.status;
  if (status >= 200 && status < 300) return Step::kOpen;
  const bool server = status == 502 || status == 503 || status == 504;
  return fail(server ? Reason::kHttpProxy : Reason::kPolicyProxy,
              fmt::format("it answered CONNECT with {}", status));
}

}  // namespace tocsin::agent

#pragma once
// Question answered here: what does a server answer to one HTTP request, redirects included?
//
//   kConnecting -> kSending -> kReceiving -> kDone
//        ^--------- redirect ------'
//
// Every hop resolves anew, is judged by the egress policy anew and has its own connection (unless
// the monitor wants an earlier one kept, see connection_store.h); phases add up over the hops and
// are kept for each, facts are those of the last response. What may follow a redirect is
// http_redirect.h's, what is secret is http_credentials.h's.
//
// With TLS, HTTP/2 and HTTP/1.1 are offered by ALPN and the server picks, unless the spec wants one
// of them. A body whose content is asserted is decoded (content_coding.h).

#include "agent/probe/connect_chain.h"
#include "agent/probe/http_credentials.h"
#include "agent/probe/http_redirect.h"
#include "agent/probe/probe.h"
#include "common/codec/cookie_jar.h"
#include "common/codec/http1.h"

#include <optional>

namespace tocsin::agent {

class HttpProbe final : public Probe, private ConnectOwner, private ReadyHandler {
 public:
  static constexpr std::size_t kBodyMax = 64 * 1024;
  static constexpr std::size_t kBodyMaxAsserted = 1024 * 1024;

  /// The spec's target is an HttpTarget.
  HttpProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~HttpProbe() override;

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kSending, kReceiving, kDone };

  void begin() override;
  Failure timed_out() const override;
  void stop() override;
  const Connection* connection() const override;

  void begin_hop();
  void add_cookies();
  void connect();
  http1::Request request();
  http1::ResponseLimits limits() const;
  bool take_kept();
  void on_connected(std::unique_ptr<Connection> connection) override;
  void on_connect_failed(Failure failure) override;
  void on_ready() override;
  void begin_exchange();
  void step_send();
  void step_receive();
  bool flush();
  void on_write_failed();
  void on_end(const IoResult& result);
  void on_fault();
  void on_response();
  void follow(const std::string& location);
  void keep_session();
  void take_facts();
  void give_back();
  void end_hop(const Phases& now);
  void fail(Failure failure);

  const HttpTarget& target_;
  State state_ = State::kIdle;
  HttpCredentials credentials_;
  HttpRequestPlan plan_;
  std::vector<Header> sent_headers_;  ///< The plan's, and credentials while at home.
  codec::CookieJar cookies_;          ///< Of this attempt's redirects.
  std::vector<HttpHop> hops_;
  Phases hop_began_;
  int hop_status_ = 0;
  std::uint32_t redirects_ = 0;
  bool asserted_;        ///< A condition looks at the body.
  bool reused_ = false;  ///< The exchange began on a kept connection.
  bool broken_ = false;  ///< Nothing more can be written; what the server said is still read.
  std::optional<MonoTime> verified_;        ///< When the certificate of the resumed session was.
  std::shared_ptr<io::Resolver> resolver_;  ///< Shared with the context, which may drop it.
  std::unique_ptr<ConnectChain> chain_;
  std::unique_ptr<Connection> connection_;
  std::unique_ptr<HttpExchange> exchange_;
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: what does a server answer to one HTTP request, redirects included?
//
//   kConnecting -> kSending -> kReceiving -> kDone
//        ^--------- redirect ------'
//
// Every hop resolves anew, is judged by the egress policy anew and has its own connection; phases
// add up over the hops, facts are those of the last response. A redirect from https to http is not
// followed. To another origin go only headers that carry no credentials.

#include "agent/probe/connect_chain.h"
#include "agent/probe/probe.h"
#include "common/codec/http1.h"
#include "common/codec/url.h"

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

  void begin_hop();
  void on_connected(std::unique_ptr<Connection> connection) override;
  void on_connect_failed(Failure failure) override;
  void on_ready() override;
  void step_send();
  void step_receive();
  void on_end(const IoResult& result);
  void on_response();
  void follow(const std::string& location);
  void take_facts();

  const HttpTarget& target_;
  State state_ = State::kIdle;
  Url url_;
  std::string method_;
  std::vector<Header> headers_;
  std::string body_;
  std::string request_;
  std::size_t sent_ = 0;
  std::uint32_t redirects_ = 0;
  std::unique_ptr<ConnectChain> chain_;
  std::unique_ptr<Connection> connection_;
  std::optional<http1::ResponseParser> parser_;
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: what does a name server answer to one question over TLS (RFC 7858)?
//
//   kIdle -> kConnecting -> kSending -> kReceiving -> kDone
//
// A connection of its own each time, so that the certificate is judged each time. The resolver is
// an address: nothing is resolved, and `dns` is 0.

#include "agent/probe/connect_chain.h"
#include "agent/probe/connection.h"
#include "agent/probe/probe.h"
#include "common/codec/dns_message.h"

#include <memory>
#include <string>

namespace tocsin::agent {

class DotProbe final : public Probe, private ConnectOwner, private ReadyHandler {
 public:
  /// The spec's target is a DnsTarget over TLS.
  DotProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~DotProbe() override;

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kSending, kReceiving, kDone };

  void begin() override;
  Failure timed_out() const override;
  void stop() override;
  const Connection* connection() const override;
  void on_connected(std::unique_ptr<Connection> connection) override;
  void on_connect_failed(Failure failure) override;
  void on_ready() override;
  void step_send();
  void step_receive();
  void on_message();

  const DnsTarget& target_;
  State state_ = State::kIdle;
  dns::Query query_;
  Bytes question_;  ///< With its two bytes of length.
  std::size_t sent_ = 0;
  Bytes answer_;  ///< What has come of it, at most 2 + 65,535 bytes.
  std::unique_ptr<ConnectChain> chain_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace tocsin::agent

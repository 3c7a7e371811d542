#pragma once
// Question answered here: does a server complete a TLS handshake, and what does its certificate
// say?
//
//   kConnecting -> kDone
//
// With `starttls` the handshake follows the protocol's own dialogue. The connection ends with the
// handshake: nothing is sent through it.

#include "agent/probe/connect_chain.h"
#include "agent/probe/probe.h"

namespace tocsin::agent {

class TlsProbe final : public Probe, private ConnectOwner {
 public:
  /// The spec's target is a TlsTarget.
  TlsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~TlsProbe() override;

 private:
  void begin() override;
  Failure timed_out() const override;
  void stop() override;
  const Connection* connection() const override;

  void on_connected(std::unique_ptr<Connection> connection) override;
  void on_connect_failed(Failure failure) override;

  const TlsTarget& target_;
  std::unique_ptr<ConnectChain> chain_;
};

}  // namespace tocsin::agent

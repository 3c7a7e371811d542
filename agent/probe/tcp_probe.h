#pragma once
// Question answered here: does a TCP port open, and does it say what it should?
//
//   kConnecting -> [kSending ->] [kReceiving ->] kDone

#include "agent/probe/connect_chain.h"
#include "agent/probe/probe.h"

namespace tocsin::agent {

class TcpProbe final : public Probe, private ConnectOwner, private ReadyHandler {
 public:
  /// The expected bytes must be among the first of the stream.
  static constexpr std::size_t kBannerMax = 1024;

  /// The spec's target is a TcpTarget.
  TcpProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~TcpProbe() override;

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
  void complete();
  std::string received() const;

  const TcpTarget& target_;
  State state_ = State::kIdle;
  std::size_t sent_ = 0;
  std::string banner_;
  std::unique_ptr<ConnectChain> chain_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace tocsin::agent

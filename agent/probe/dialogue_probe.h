#pragma once
// Question answered here: does a TCP server answer, line by line, as it should?
//
//   kConnecting -> (kHearing | kSending | kUpgrading)* -> kDone
//
// For callers with a Dialogue in their wishes; the TcpTarget says where, and what the certificate
// must be. A line ends with a line feed, and a carriage return before it is not part of it; what
// the server says last needs no end. What it said before TLS is forgotten when TLS begins.

#include "agent/probe/connect_chain.h"
#include "agent/probe/probe.h"

#include <string>

namespace tocsin::agent {

/// Failures of its own: tcp.closed, the server ended before a line matched; tcp.unexpected, a bound
/// of Dialogue was passed; tcp.timeout, tcp.reset.
class DialogueProbe final : public Probe, private ConnectOwner, private ReadyHandler {
 public:
  /// The spec's target is a TcpTarget.
  DialogueProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~DialogueProbe() override;

 private:
  enum class State : std::uint8_t { kIdle, kConnecting, kHearing, kSending, kUpgrading, kDone };

  void begin() override;
  Failure timed_out() const override;
  void stop() override;
  const Connection* connection() const override;

  void on_connected(std::unique_ptr<Connection> connection) override;
  void on_connect_failed(Failure failure) override;
  void on_ready() override;

  void begin_step();
  void hear();
  bool find_line();
  void on_end();
  void say(std::string line);
  void step_send();
  void upgrade_or_next();
  void begin_tls();
  void step_tls();
  void complete();

  const Dialogue& dialogue() const { return *wishes().dialogue; }

  const DialogueStep& step() const { return dialogue().steps[at_]; }

  const TcpTarget& target_;
  State state_ = State::kIdle;
  std::string host_;
  bool host_is_address_ = false;
  std::size_t at_ = 0;  ///< The step under way.
  std::string heard_;   ///< Not looked at yet.
  std::size_t heard_all_ = 0;
  std::string unsent_;
  bool said_ = false;   ///< Anything was sent.
  bool ended_ = false;  ///< The server will say no more.
  std::unique_ptr<ConnectChain> chain_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace tocsin::agent

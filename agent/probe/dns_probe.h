#pragma once
// Question answered here: what does a name server answer to one question?
//
//   kUdp -> [kTcp ->] kDone, or kTcp at once
//
// The exchange is the phase `wait`: nothing is resolved or connected for it that could be told
// apart. An answer with any rcode is an answer; what it means is the judge's business.

#include "agent/probe/probe.h"

namespace tocsin::agent {

class DnsProbe final : public Probe {
 public:
  static constexpr std::uint16_t kUdpSize = 1232;  ///< EDNS0; DNS flag day 2020.

  /// The spec's target is a DnsTarget.
  DnsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~DnsProbe() override;

 private:
  void begin() override;
  Failure timed_out() const override;
  void stop() override;

  void ask(bool tcp);
  void on_answer(bool tcp, io::DnsAnswer answer);

  const DnsTarget& target_;
  Duration timeout_;
  io::DnsServer server_;
  bool was_truncated_ = false;
  std::shared_ptr<io::DnsChannel> channel_;  ///< Shared with the context, which may drop it.
  std::unique_ptr<io::DnsExchange> exchange_;
};

}  // namespace tocsin::agent

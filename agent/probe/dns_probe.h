#pragma once
// Question answered here: what does a name server answer to one question?
//
//   kUdp -> [kTcp ->] kDone, or kTcp at once (over TLS: dot_probe.h)
//
// The exchange is the phase `wait`: nothing is resolved or connected for it that could be told
// apart. An answer with any rcode is an answer; what it means is the judge's business.

#include "agent/probe/probe.h"

namespace tocsin::agent {

/// EDNS0 payload size (DNS flag day 2020).
inline constexpr std::uint16_t kDnsUdpSize = 1232;

/// What is asked for: the target's name, or for a PTR of an address its name below arpa.
std::string question_name(const DnsTarget& target);

/// Nothing more can be asked after `answer`: its facts.
DnsFacts dns_facts(dns::Message answer, DnsTransport transport);

class DnsProbe final : public Probe {
 public:
  /// The spec's target is a DnsTarget over UDP or TCP.
  DnsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout);
  ~DnsProbe() override;

 private:
  void begin() override;
  Failure timed_out() const override;
  void stop() override;

  tl::expected<io::DnsServer, Failure> find_server() const;
  void ask(bool tcp);
  void on_answer(bool tcp, io::DnsAnswer answer);

  const DnsTarget& target_;
  std::string name_;  ///< What is asked for.
  Duration timeout_;
  io::DnsServer server_;
  bool was_truncated_ = false;
  std::shared_ptr<io::DnsChannel> channel_;  ///< Shared with the context, which may drop it.
  std::unique_ptr<io::DnsExchange> exchange_;
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: how do a DNS query's bytes reach a server and the answer's bytes come
// back?
//
// c-ares carries them (UDP or TCP, timeouts, matching of id, question and source); what they mean
// is common/codec/dns_message's. A channel serves one set of servers over one transport and is
// meant to be kept: a new one costs several times a query.

#include "common/base/bytes.h"
#include "common/base/expected.h"
#include "common/base/ip_address.h"
#include "common/base/time.h"
#include "common/codec/dns_message.h"
#include "common/io/event_loop.h"
#include "common/model/observation.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::io {

struct DnsServer {
  IpAddress address;
  std::uint16_t port = 53;

  /// "ADDRESS" or "ADDRESS:PORT"; IPv6 with a port stands in brackets.
  static Expected<DnsServer> parse(std::string_view text, std::uint16_t port = DnsTarget::kPort);

  std::string str() const { return address.with_port(port); }

  friend bool operator==(const DnsServer&, const DnsServer&) = default;
};

/// The servers of /etc/resolv.conf, in order; 127.0.0.1 when it names none.
Expected<std::vector<DnsServer>> system_dns_servers();

struct DnsChannelOptions {
  std::vector<DnsServer> servers;  ///< At least one; asked in order.
  bool tcp = false;
  /// Ask again over TCP when an answer was cut; false hands the cut answer out.
  bool tcp_when_truncated = true;
  Duration timeout = std::chrono::seconds{2};  ///< Per server and try.
  int tries = 1;
};

/// One question, with an id of its own.
struct DnsQuestion {
  std::string name;
  DnsType type = DnsType::kA;
  std::uint16_t udp_size = 0;  ///< EDNS0; 0: without.
  bool recursion = true;
  bool dnssec = false;
  std::uint16_t cls = 1;      ///< RFC 1035 section 3.2.4; 1: IN.
  bool all_sections = false;  ///< Keep authority and additional records too.
};

/// An unpredictable id for a question that is not asked here.
std::uint16_t random_dns_id();

/// Either a well-formed answer, whatever its rcode, or why there is none: dns.timeout, dns.refused
/// (nobody listens), dns.protocol (malformed), self.descriptors, self.memory, self.resolver.
using DnsAnswer = tl::expected<dns::Message, Failure>;

/// A question under way. Destroying it cancels; it may outlive the channel, and is then silent.
class DnsExchange {
 public:
  virtual ~DnsExchange() = default;
};

/// One thread: the loop's.
class DnsChannel {
 public:
  using Done = std::function<void(DnsAnswer)>;

  static Expected<std::unique_ptr<DnsChannel>> open(EventLoop& loop, DnsChannelOptions options);
  ~DnsChannel();

  /// `done` runs at most once, never inside this call, and may destroy the channel.
  [[nodiscard]] std::unique_ptr<DnsExchange> ask(const DnsQuestion& question, Done done);

 private:
  struct Impl;
  explicit DnsChannel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io

#pragma once
// Question answered here: what do all probes of one agent share?

#include "common/base/time.h"
#include "common/io/dns_channel.h"
#include "common/io/event_loop.h"
#include "common/io/resolver.h"
#include "common/io/tls_context.h"
#include "common/model/egress.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace tocsin::agent {

/// One thread: the loop's. Outlives every probe.
class ProbeContext {
 public:
  struct Options {
    EgressPolicy egress;
    std::string user_agent;
    std::string ca_path;
    std::vector<io::DnsServer> dns_servers;  ///< Empty: the system's.
    bool dns_cache = false;
    std::string hosts_path = "/etc/hosts";
    /// Load the roots now (100 ms) instead of within the first HTTPS check's `tls` phase.
    bool load_roots = true;
  };

  /// Other roots and named DNS servers kept at a time; beyond it all idle ones are dropped.
  static constexpr std::size_t kTlsContextsMax = 64;
  static constexpr std::size_t kDnsChannelsMax = 256;

  static Expected<std::unique_ptr<ProbeContext>> open(io::EventLoop& loop, Options options);

  io::EventLoop& loop() { return loop_; }

  io::Resolver& resolver() { return *resolver_; }

  const EgressPolicy& egress() const { return options_.egress; }

  const std::string& user_agent() const { return options_.user_agent; }

  /// The system's roots, loaded at the first use, or those of `ca_pem` when it is not empty.
  Expected<std::shared_ptr<const io::TlsContext>> tls(const std::string& ca_pem);

  /// The configured servers' first, or the system's.
  Expected<io::DnsServer> default_dns_server() const;

  /// A channel to one server that lets a query wait at least `timeout`. Kept for the next caller.
  Expected<std::shared_ptr<io::DnsChannel>> dns_channel(const io::DnsServer& server, bool tcp,
                                                        Duration timeout);

  /// For one read; its content is gone at the next.
  std::array<char, 32 * 1024>& scratch() { return scratch_; }

 private:
  ProbeContext(io::EventLoop& loop, Options options);

  io::EventLoop& loop_;
  Options options_;
  std::unique_ptr<io::Resolver> resolver_;
  std::shared_ptr<const io::TlsContext> system_roots_;  ///< Shared with the connections under way.
  std::map<std::string, std::shared_ptr<const io::TlsContext>> other_roots_;
  std::map<std::tuple<std::string, bool, std::int64_t>, std::shared_ptr<io::DnsChannel>> channels_;
  std::array<char, 32 * 1024> scratch_{};
};

}  // namespace tocsin::agent

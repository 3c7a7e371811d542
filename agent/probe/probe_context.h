#pragma once
// Question answered here: what do all probes of one agent share?

#include "agent/probe/connection_store.h"
#include "agent/probe/proxy_settings.h"
#include "agent/probe/secret_store.h"
#include "common/base/time.h"
#include "common/io/dns_channel.h"
#include "common/io/event_loop.h"
#include "common/io/resolver.h"
#include "common/io/secret.h"
#include "common/io/tls_context.h"
#include "common/io/tls_identity.h"
#include "common/model/egress.h"
#include "common/model/monitor_spec.h"

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
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
    std::string secrets_dir = {};
    const SecretStore* stored = nullptr;  ///< Outlives the context; null: there are none.
    std::vector<ProxySettings> proxies = {};
  };

  /// Other roots and named DNS servers kept at a time; beyond it all idle ones are dropped.
  static constexpr std::size_t kTlsContextsMax = 64;
  static constexpr std::size_t kDnsChannelsMax = 256;
  /// Resolvers that monitors name and client certificates kept at a time; beyond it all are dropped
  /// that nothing uses.
  static constexpr std::size_t kResolversMax = 64;
  static constexpr std::size_t kIdentitiesMax = 256;

  static Expected<std::unique_ptr<ProbeContext>> open(io::EventLoop& loop, Options options);

  io::EventLoop& loop() { return loop_; }

  io::Resolver& resolver() { return *resolver_; }

  const EgressPolicy& egress() const { return options_.egress; }

  const std::string& user_agent() const { return options_.user_agent; }

  /// The system's roots, loaded at the first use, or those of `ca_pem` when it is not empty.
  Expected<std::shared_ptr<const io::TlsContext>> tls(std::string_view ca_pem);

  /// The first of the configured servers, or else of the system's, that has such an address.
  Expected<io::DnsServer> default_dns_server(IpFamily family) const;

  /// A channel to one server that lets a query wait at least `timeout`. Kept for the next caller.
  Expected<std::shared_ptr<io::DnsChannel>> dns_channel(const io::DnsServer& server, bool tcp,
                                                        Duration timeout);

  /// One that asks this server, for monitors that name it. Kept for the next caller; hold it while
  /// it is used.
  Expected<std::shared_ptr<io::Resolver>> resolver_at(const io::DnsServer& server);

  /// Without a line break at its end. A file is read from the disk at each call.
  Expected<io::Secret> secret(const SecretRef& ref) const;

  /// The certificate and key of these secrets; `key` may be empty. Both are asked for at each call,
  /// decoded again only when they have changed.
  Expected<std::shared_ptr<const io::TlsIdentity>> identity(const SecretRef& certificate,
                                                            const SecretRef& key);

  /// By its name in the agent's file; null: there is none. Valid with the context.
  const ProxySettings* proxy(std::string_view name) const;

  /// What earlier attempts of monitors left for later ones, on their wish.
  ConnectionStore& kept() { return kept_; }

  /// For one read; its content is gone at the next.
  std::array<char, 32 * 1024>& scratch() { return scratch_; }

 private:
  ProbeContext(io::EventLoop& loop, Options options);

  io::EventLoop& loop_;
  Options options_;
  std::unique_ptr<io::Resolver> resolver_;
  std::shared_ptr<const io::TlsContext> system_roots_;  ///< Shared with the connections under way.
  std::map<std::string, std::shared_ptr<const io::TlsContext>, std::less<>> other_roots_;
  std::map<std::tuple<std::string, bool, std::int64_t>, std::shared_ptr<io::DnsChannel>> channels_;

  struct Identity {
    io::Secret certificate_pem;
    io::Secret key_pem;
    std::shared_ptr<const io::TlsIdentity> made;  ///< Shared with the connections under way.
  };

  std::map<std::string, std::shared_ptr<io::Resolver>> resolvers_;
  std::map<std::pair<std::string, std::string>, Identity> identities_;
  ConnectionStore kept_;
  std::array<char, 32 * 1024> scratch_{};
};

}  // namespace tocsin::agent

#pragma once
// Question answered here: how are attempts of every kind made on one loop?
//
// Implements ProbeRunner with raw non-blocking sockets. Each attempt resolves, connects and speaks
// afresh; nothing is kept between attempts but the resolver's socket and the TLS settings, and what
// a monitor explicitly wants kept (connection_store.h).

#include "agent/ports/probe_runner.h"
#include "agent/probe/probe_wishes.h"
#include "agent/probe/proxy_settings.h"
#include "common/io/dns_channel.h"
#include "common/io/event_loop.h"
#include "common/io/resolver.h"
#include "common/model/egress.h"

#include <memory>
#include <string>
#include <vector>

namespace tocsin::agent {

class ProbeContext;
class SecretStore;

struct ProbePoolOptions {
  EgressPolicy egress;
  std::string region;  ///< Told to targets in the User-Agent.
  std::string ca_path = "/etc/ssl/certs/ca-certificates.crt";
  std::vector<io::DnsServer> dns_servers;  ///< Empty: those of /etc/resolv.conf.
  bool dns_cache = false;                  ///< Off: each attempt resolves afresh.
  std::string hosts_path = "/etc/hosts";
  bool load_roots = true;              ///< At open, not within the first HTTPS check.
  std::string secrets_dir;             ///< Where the files are that monitors name; empty: nowhere.
  std::vector<ProxySettings> proxies;  ///< That monitors may name.
  /// Secrets of the collector; outlives the pool. Null: there are none.
  const SecretStore* stored = nullptr;
};

/// One thread: the loop's. Every handle must be destroyed before the pool. The process ignores
/// SIGPIPE.
class ProbePool final : public ProbeRunner {
 public:
  /// The loop outlives the pool.
  static Expected<std::unique_ptr<ProbePool>> open(io::EventLoop& loop, ProbePoolOptions options);
  ~ProbePool() override;

  std::unique_ptr<ProbeHandle> start(std::shared_ptr<const ProbeSpec> spec, Duration timeout,
                                     Done done) override;

  /// The same for a caller with wishes of its own; with a dialogue the target is a TcpTarget.
  std::unique_ptr<ProbeHandle> start(std::shared_ptr<const ProbeSpec> spec, Duration timeout,
                                     ProbeWishes wishes, Done done);

  using Looked = std::function<void(io::ResolveResult)>;

  /// The addresses of a host name, as a probe would find them; `done` as of start(). Nobody but the
  /// agent's resolvers is asked, and what may be connected to is not judged here.
  std::unique_ptr<ProbeHandle> look_up(const std::string& host, IpFamily family, Looked done);

 private:
  explicit ProbePool(std::unique_ptr<ProbeContext> context);
  std::unique_ptr<ProbeContext> context_;
};

/// "tocsin/VERSION (+https://tocsin.example; REGION)".
std::string user_agent_of(const std::string& region);

}  // namespace tocsin::agent

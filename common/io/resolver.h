#pragma once
// Question answered here: which addresses does this host name have?
//
// /etc/hosts first (re-read when it changes), then DNS for A and AAAA. Names are taken as they are:
// no search domains. IPv4 addresses come first; a monitor that wants IPv6 says so by its family.
// "localhost" and names below it never leave the machine (RFC 6761).

#include "common/base/ip_address.h"
#include "common/io/dns_channel.h"
#include "common/model/monitor_spec.h"

#include <optional>
#include <string>
#include <vector>

namespace tocsin::io {

struct ResolverOptions {
  std::vector<DnsServer> servers;  ///< Empty: those of /etc/resolv.conf, re-read when it changes.
  std::string hosts_path = "/etc/hosts";
  std::string resolv_conf_path = "/etc/resolv.conf";
  /// Keeps answers for their TTL, at most kCacheMax. Checks resolve fresh, so it is off by default.
  bool cache = false;
  Duration timeout = std::chrono::seconds{2};  ///< Per server; each is tried twice.
};

struct Resolution {
  static constexpr std::size_t kAddressesMax = 16;

  std::vector<IpAddress> addresses;  ///< 1 to kAddressesMax; further ones are dropped.
  bool cached = false;               ///< No query was sent: the hosts file or the cache.

  friend bool operator==(const Resolution&, const Resolution&) = default;
};

/// dns.nxdomain, dns.servfail, dns.not_allowed, dns.rcode, dns.nodata, dns.timeout, dns.protocol;
/// self.resolver when the system's own resolver is not there; self.descriptors, self.memory.
using ResolveResult = tl::expected<Resolution, Failure>;

/// Destroying it cancels. It must not outlive the resolver.
class ResolveHandle {
 public:
  virtual ~ResolveHandle() = default;
};

/// One thread: the loop's.
class Resolver {
 public:
  using Done = std::function<void(ResolveResult)>;

  static constexpr Duration kCacheMax = std::chrono::seconds{60};
  static constexpr std::size_t kCacheEntriesMax = 10'000;  ///< Beyond it nothing new is kept.
  /// How long the second family may lag behind the first that has addresses.
  static constexpr Duration kFamilyLag = std::chrono::milliseconds{50};

  static Expected<std::unique_ptr<Resolver>> open(EventLoop& loop, ResolverOptions options);
  ~Resolver();

  /// What the hosts file or the cache knows, without a query.
  std::optional<Resolution> find(const std::string& host, IpFamily family);

  /// Asks DNS, whatever find() says. `done` runs at most once, never inside this call, and may
  /// destroy the handle.
  [[nodiscard]] std::unique_ptr<ResolveHandle> resolve(const std::string& host, IpFamily family,
                                                       Done done);

 private:
  struct Impl;
  explicit Resolver(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::io

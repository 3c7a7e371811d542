#include "agent/probe/probe_context.h"

#include "common/base/strings.h"
#include "common/io/secret_file.h"

#include <algorithm>

namespace tocsin::agent {

ProbeContext::ProbeContext(io::EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)),
      kept_(loop) {}

Expected<std::unique_ptr<ProbeContext>> ProbeContext::open(io::EventLoop& loop, Options options) {
  std::unique_ptr<ProbeContext> out{new ProbeContext{loop, std::move(options)}};
  io::ResolverOptions resolver;
  resolver.servers = out->options_.dns_servers;
  resolver.hosts_path = out->options_.hosts_path;
  resolver.cache = out->options_.dns_cache;
  TRY_ASSIGN(out->resolver_, io::Resolver::open(loop, std::move(resolver)));
  // Without roots only HTTPS checks fail, each with the reason.
  if (out->options_.load_roots) (void)out->tls({});
  return out;
}

Expected<std::shared_ptr<const io::TlsContext>> ProbeContext::tls(std::string_view ca_pem) {
  if (ca_pem.empty()) {
    if (system_roots_ == nullptr) {
      TRY_ASSIGN(system_roots_, io::TlsContext::from_file(options_.ca_path));
    }
    return system_roots_;
  }
  const auto known = other_roots_.find(ca_pem);
  if (known != other_roots_.end()) return known->second;
  std::string pem{ca_pem};
  TRY_ASSIGN(std::shared_ptr<const io::TlsContext> made, io::TlsContext::from_pem(pem));
  if (other_roots_.size() >= kTlsContextsMax) other_roots_.clear();
  other_roots_.emplace(std::move(pem), made);
  return made;
}

Expected<io::DnsServer> ProbeContext::default_dns_server(IpFamily family) const {
  std::vector<io::DnsServer> servers = options_.dns_servers;
  if (servers.empty()) {
    TRY_ASSIGN(servers, io::system_dns_servers());
  }
  for (const io::DnsServer& server : servers) {
    if (family == IpFamily::kAny || (family == IpFamily::kV4) == server.address.is_v4()) {
      return server;
    }
  }
  return fail(Errc::kNotFound, "no DNS server{} is configured",
              family == IpFamily::kAny  ? ""
              : family == IpFamily::kV4 ? " with an IPv4 address"
                                        : " with an IPv6 address");
}

Expected<std::shared_ptr<io::DnsChannel>> ProbeContext::dns_channel(const io::DnsServer& server,
                                                                    bool tcp, Duration timeout) {
  // A power of two of seconds, so that monitors with like timeouts share a channel.
  std::int64_t seconds = 1;
  while (std::chrono::seconds{seconds} < timeout && seconds < 128) seconds *= 2;
  const std::tuple key{server.str(), tcp, seconds};
  const auto known = channels_.find(key);
  if (known != channels_.end()) return known->second;
  TRY_ASSIGN(std::shared_ptr<io::DnsChannel> made,
             io::DnsChannel::open(loop_, {.servers = {server},
                                          .tcp = tcp,
                                          .tcp_when_truncated = false,
                                          .timeout = std::chrono::seconds{seconds},
                                          .tries = 1}));
  if (channels_.size() >= kDnsChannelsMax) {
    std::erase_if(channels_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  channels_.emplace(key, made);
  return made;
}

Expected<std::shared_ptr<io::Resolver>> ProbeContext::resolver_at(const io::DnsServer& server) {
  const std::string key = server.str();
  const auto known = resolvers_.find(key);
  if (known != resolvers_.end()) return known->second;
  io::ResolverOptions options;
  options.servers = {server};
  options.hosts_path = {};  // Whoever names a server wants to hear what that server says.
  TRY_ASSIGN(std::shared_ptr<io::Resolver> made, io::Resolver::open(loop_, std::move(options)));
  if (resolvers_.size() >= kResolversMax) {
    std::erase_if(resolvers_, [](const auto& entry) { return entry.second.use_count() == 1; });
  }
  resolvers_.emplace(key, made);
  return made;
}

Expected<io::Secret> ProbeContext::secret(const SecretRef& ref) const {
  std::string text;
  if (ref.kind == SecretRef::Kind::kStored) {
    if (options_.stored == nullptr) {
      return fail(Errc::kNotFound, "{}: only a running agent has secrets of the collector",
                  describe(ref));
    }
    TRY_ASSIGN(const io::Secret stored, options_.stored->open(ref.name));
    text = stored.reveal();
  } else if (options_.secrets_dir.empty()) {
    return fail(Errc::kNotFound, "{}: no secrets_dir was given", describe(ref));
  } else {
    TRY_ASSIGN(text, io::read_secret_file(options_.secrets_dir, ref.name));
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return io::Secret{std::move(text)};
}

Expected<std::shared_ptr<const io::TlsIdentity>> ProbeContext::identity(
    const SecretRef& certificate_ref, const SecretRef& key_ref) {
  TRY_ASSIGN(io::Secret certificate, secret(certificate_ref));
  io::Secret key;
  if (!key_ref.empty()) {
    TRY_ASSIGN(key, secret(key_ref));
  }
  const std::pair name{describe(certificate_ref), describe(key_ref)};
  const auto known = identities_.find(name);
  if (known != identities_.end() &&
      known->second.certificate_pem.reveal() == certificate.reveal() &&
      known->second.key_pem.reveal() == key.reveal()) {
    return known->second.made;
  }
  auto made = io::TlsIdentity::from_pem(certificate.reveal(), key.reveal());
  if (!made) {
    return fail(made.error().code, "{}: {}", describe(key_ref.empty() ? certificate_ref : key_ref),
                made.error().text);
  }
  if (identities_.size() >= kIdentitiesMax) identities_.clear();
  identities_[name] = {std::move(certificate), std::move(key), *made};
  return *std::move(made);
}

const ProxySettings* ProbeContext::proxy(std::string_view name) const {
  const auto at = std::find_if(options_.proxies.begin(), options_.proxies.end(),
                               [&](const ProxySettings& p) { return p.name == name; });
  return at == options_.proxies.end() ? nullptr : &*at;
}

}  // namespace tocsin::agent

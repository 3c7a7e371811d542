#include "agent/probe/probe_context.h"

namespace tocsin::agent {

ProbeContext::ProbeContext(io::EventLoop& loop, Options options)
    : loop_(loop),
      options_(std::move(options)) {}

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

Expected<std::shared_ptr<const io::TlsContext>> ProbeContext::tls(const std::string& ca_pem) {
  if (ca_pem.empty()) {
    if (system_roots_ == nullptr) {
      TRY_ASSIGN(system_roots_, io::TlsContext::from_file(options_.ca_path));
    }
    return system_roots_;
  }
  const auto known = other_roots_.find(ca_pem);
  if (known != other_roots_.end()) return known->second;
  TRY_ASSIGN(std::shared_ptr<const io::TlsContext> made, io::TlsContext::from_pem(ca_pem));
  if (other_roots_.size() >= kTlsContextsMax) other_roots_.clear();
  other_roots_.emplace(ca_pem, made);
  return made;
}

Expected<io::DnsServer> ProbeContext::default_dns_server() const {
  if (!options_.dns_servers.empty()) return options_.dns_servers.front();
  TRY_ASSIGN(const auto servers, io::system_dns_servers());
  if (servers.empty()) return fail(Errc::kNotFound, "/etc/resolv.conf names no server");
  return servers.front();
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

}  // namespace tocsin::agent

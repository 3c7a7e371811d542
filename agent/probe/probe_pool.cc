#include "agent/probe/probe_pool.h"

#include "agent/probe/dns_probe.h"
#include "agent/probe/dot_probe.h"
#include "agent/probe/http_probe.h"
#include "agent/probe/probe_context.h"
#include "agent/probe/tcp_probe.h"
#include "agent/probe/tls_probe.h"
#include "common/io/build_info.h"

namespace tocsin::agent {

namespace {

std::unique_ptr<Probe> make_probe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec,
                                  Duration timeout) {
  if (std::holds_alternative<HttpTarget>(spec->target)) {
    return std::make_unique<HttpProbe>(context, std::move(spec), timeout);
  }
  if (std::holds_alternative<TcpTarget>(spec->target)) {
    return std::make_unique<TcpProbe>(context, std::move(spec), timeout);
  }
  if (std::holds_alternative<TlsTarget>(spec->target)) {
    return std::make_unique<TlsProbe>(context, std::move(spec), timeout);
  }
  if (std::get<DnsTarget>(spec->target).transport == DnsTransport::kTls) {
    return std::make_unique<DotProbe>(context, std::move(spec), timeout);
  }
  return std::make_unique<DnsProbe>(context, std::move(spec), timeout);
}

}  // namespace

std::string user_agent_of(const std::string& region) {
  return fmt::format("tocsin/{} (+https://tocsin.example; {})", io::version(), region);
}

ProbePool::ProbePool(std::unique_ptr<ProbeContext> context)
    : context_(std::move(context)) {}

ProbePool::~ProbePool() = default;

Expected<std::unique_ptr<ProbePool>> ProbePool::open(io::EventLoop& loop,
                                                     ProbePoolOptions options) {
  TRY_ASSIGN(auto context, ProbeContext::open(loop, {.egress = std::move(options.egress),
                                                     .user_agent = user_agent_of(options.region),
                                                     .ca_path = std::move(options.ca_path),
                                                     .dns_servers = std::move(options.dns_servers),
                                                     .dns_cache = options.dns_cache,
                                                     .hosts_path = std::move(options.hosts_path),
                                                     .load_roots = options.load_roots,
                                                     .secrets_dir = std::move(options.secrets_dir),
                                                     .proxies = std::move(options.proxies)}));
  return std::unique_ptr<ProbePool>{new ProbePool{std::move(context)}};
}

std::unique_ptr<ProbeHandle> ProbePool::start(std::shared_ptr<const ProbeSpec> spec,
                                              Duration timeout, Done done) {
  auto probe = make_probe(*context_, std::move(spec), timeout);
  probe->start(std::move(done));
  return probe;
}

}  // namespace tocsin::agent

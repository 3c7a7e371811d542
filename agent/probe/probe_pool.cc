#include "agent/probe/probe_pool.h"

#include "agent/probe/dialogue_probe.h"
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

/// A lookup under way.
class Lookup final : public ProbeHandle {
 public:
  Lookup(ProbeContext& context, const std::string& host, IpFamily family, ProbePool::Looked done) {
    if (auto known = context.resolver().find(host, family)) {
      timer_ = context.loop().after(
          Duration{0}, [known = *std::move(known), done = std::move(done)] { done(known); });
      return;
    }
    resolving_ = context.resolver().resolve(host, family, std::move(done));
  }

 private:
  io::TimerHandle timer_;
  std::unique_ptr<io::ResolveHandle> resolving_;
};

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
                                                     .stored = options.stored,
                                                     .proxies = std::move(options.proxies)}));
  return std::unique_ptr<ProbePool>{new ProbePool{std::move(context)}};
}

std::unique_ptr<ProbeHandle> ProbePool::start(std::shared_ptr<const ProbeSpec> spec,
                                              Duration timeout, Done done) {
  auto probe = make_probe(*context_, std::move(spec), timeout);
  probe->start(std::move(done));
  return probe;
}

std::unique_ptr<ProbeHandle> ProbePool::start(std::shared_ptr<const ProbeSpec> spec,
                                              Duration timeout, ProbeWishes wishes, Done done) {
  std::unique_ptr<Probe> probe;
  if (wishes.dialogue) {
    probe = std::make_unique<DialogueProbe>(*context_, std::move(spec), timeout);
  } else {
    probe = make_probe(*context_, std::move(spec), timeout);
  }
  probe->set_wishes(std::move(wishes));
  probe->start(std::move(done));
  return probe;
}

std::unique_ptr<ProbeHandle> ProbePool::look_up(const std::string& host, IpFamily family,
                                                Looked done) {
  return std::make_unique<Lookup>(*context_, host, family, std::move(done));
}

}  // namespace tocsin::agent

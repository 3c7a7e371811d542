#include "agent/probe/dns_probe.h"

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace tocsin::agent {

std::string question_name(const DnsTarget& target) {
  if (target.type == DnsType::kPtr) {
    if (const auto address = IpAddress::parse(target.name)) return dns::reverse_name(*address);
  }
  return target.name;
}

DnsFacts dns_facts(dns::Message answer, DnsTransport transport) {
  DnsFacts out;
  out.rcode = dns::rcode_name(answer.rcode);
  out.authoritative = answer.authoritative;
  out.authentic_data = answer.authentic_data;
  out.recursion_available = answer.recursion_available;
  out.transport = transport;
  out.answers = std::move(answer.answers);
  out.count = answer.count;
  out.authorities = std::move(answer.authorities);
  out.additionals = std::move(answer.additionals);
  out.answers_total = answer.answers_total;
  out.authorities_total = answer.authorities_total;
  out.additionals_total = answer.additionals_total;
  return out;
}

DnsProbe::DnsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<DnsTarget>(this->spec().target)),
      name_(question_name(target_)),
      timeout_(timeout) {}

DnsProbe::~DnsProbe() = default;

tl::expected<io::DnsServer, Failure> DnsProbe::find_server() const {
  if (target_.resolver.empty()) {
    // The agent's owner configured it: the egress policy is about what monitors ask for.
    const auto server = context().default_dns_server(spec().family);
    if (!server) return tl::unexpected{Failure{Reason::kSelfResolver, server.error().text}};
    return *server;
  }
  const auto server = io::DnsServer::parse(target_.resolver);
  if (!server) return tl::unexpected{Failure{Reason::kPolicyUnsupported, server.error().text}};
  const auto allowed = context().egress().allows(server->address);
  if (!allowed) return tl::unexpected{Failure{Reason::kPolicyDeniedAddress, allowed.error().text}};
  return *server;
}

void DnsProbe::begin() {
  phases().enter(Phase::kWait, latency_clock());
  auto server = find_server();
  if (!server) return finish(std::move(server).error());
  server_ = *server;
  seen().dns_cached = true;  // No name had to be resolved to reach the server.
  seen().remote = server_.str();
  ask(target_.transport == DnsTransport::kTcp);
}

void DnsProbe::ask(bool tcp) {
  auto channel = context().dns_channel(server_, tcp, timeout_);
  if (!channel) return finish(Failure{Reason::kSelfResolver, channel.error().text});
  channel_ = *std::move(channel);
  exchange_ =
      channel_->ask({.name = name_,
                     .type = target_.type,
                     .udp_size = wishes().dns.all_sections ? std::uint16_t{0} : kDnsUdpSize,
                     .recursion = target_.recursion,
                     .dnssec = target_.dnssec,
                     .cls = wishes().dns.cls,
                     .all_sections = wishes().dns.all_sections},
                    [this, tcp](io::DnsAnswer answer) { on_answer(tcp, std::move(answer)); });
}

void DnsProbe::on_answer(bool tcp, io::DnsAnswer answer) {
  if (!answer) {
    if (!was_truncated_) return finish(std::move(answer).error());
    return finish(Failure{Reason::kDnsTruncated, fmt::format("the UDP answer was cut; over TCP: {}",
                                                             answer.error().detail)});
  }
  if (answer->truncated && !tcp) {
    was_truncated_ = true;
    return ask(true);
  }
  if (answer->truncated) {
    return finish(Failure{Reason::kDnsTruncated,
                          fmt::format("{} cut its answer over TCP too", server_.str())});
  }
  DnsFacts facts = dns_facts(*std::move(answer), tcp ? DnsTransport::kTcp : DnsTransport::kUdp);
  facts.truncated_udp = was_truncated_;
  seen().dns = std::move(facts);
  finish(std::nullopt);
}

void DnsProbe::stop() {
  exchange_.reset();
  channel_.reset();
}

Failure DnsProbe::timed_out() const {
  return {was_truncated_ ? Reason::kDnsTruncated : Reason::kDnsTimeout,
          fmt::format("{} did not answer in time{}", server_.str(),
                      was_truncated_ ? " over TCP after its UDP answer was cut" : "")};
}

}  // namespace tocsin::agent

#include "agent/probe/dns_probe.h"

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace tocsin::agent {

DnsProbe::DnsProbe(ProbeContext& context, std::shared_ptr<const ProbeSpec> spec, Duration timeout)
    : Probe(context, std::move(spec), timeout),
      target_(std::get<DnsTarget>(this->spec().target)),
      timeout_(timeout) {}

DnsProbe::~DnsProbe() = default;

void DnsProbe::begin() {
  phases().enter(Phase::kWait, latency_clock());
  if (target_.resolver.empty()) {
    // The agent's owner configured it: the egress policy is about what monitors ask for.
    const auto server = context().default_dns_server();
    if (!server) return finish(Failure{Reason::kSelfResolver, server.error().text});
    server_ = *server;
  } else {
    const auto server = io::DnsServer::parse(target_.resolver);
    if (!server) return finish(Failure{Reason::kPolicyUnsupported, server.error().text});
    const auto allowed = context().egress().allows(server->address);
    if (!allowed) return finish(Failure{Reason::kPolicyDeniedAddress, allowed.error().text});
    server_ = *server;
  }
  seen().dns_cached = true;  // No name had to be resolved to reach the server.
  seen().remote = server_.str();
  ask(target_.tcp);
}

void DnsProbe::ask(bool tcp) {
  auto channel = context().dns_channel(server_, tcp, timeout_);
  if (!channel) return finish(Failure{Reason::kSelfResolver, channel.error().text});
  channel_ = *std::move(channel);
  exchange_ =
      channel_->ask({.name = target_.name, .type = target_.type, .udp_size = kUdpSize},
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
  DnsFacts facts;
  facts.rcode = dns::rcode_name(answer->rcode);
  facts.authoritative = answer->authoritative;
  facts.authentic_data = answer->authentic_data;
  facts.recursion_available = answer->recursion_available;
  facts.truncated_udp = was_truncated_;
  facts.answers = std::move(answer->answers);
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

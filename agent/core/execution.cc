#include "agent/core/execution.h"

#include "agent/core/judge.h"
#include "common/base/check.h"
#include "common/base/hash.h"

#include <algorithm>

namespace tocsin::agent {

namespace {

std::uint32_t to_u32(Duration d) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(d.count(), 0, UINT32_MAX));
}

}  // namespace

void Execution::record(const Observation& observation, WallTime wall) {
  CHECK(series->evaluator.has_value());
  Finding finding = series->evaluator->judge(observation, wall);
  const bool failed = finding.outcome == Outcome::kDown || finding.outcome == Outcome::kNoData;
  const bool first_failure =
      failed && std::none_of(attempts.begin(), attempts.end(),
                             [](const Attempt& a) { return !a.excerpt.empty() || a.tls; });
  attempts.push_back(make_attempt(series->spec(), observation, std::move(finding),
                                  attempt_began - began, first_failure));
}

CheckResult Execution::result(const ClockTrust& clock, MonoTime now) const {
  CheckResult out;
  out.series = series->assigned.series;
  out.kind = kind;
  out.spec_rev = series->assigned.spec_rev;
  out.config_version = series->config_version;
  out.slot = slot;
  if (kind == ResultKind::kScheduled) out.tick = out.tick_last = tick;
  out.queue_us = to_u32(late);
  out.duration_us = to_u32(now - began);
  out.request = request;
  out.attempts = attempts;
  out.clock = clock;
  if (attempts.empty()) {
    out.outcome = Outcome::kNoData;
    out.reason = Reason::kPolicyUnsupported;
    return out;
  }
  out.outcome = attempts.back().finding.outcome;
  out.reason = attempts.back().finding.reason;
  if (out.recovered() && out.outcome == Outcome::kUp) out.reason = attempts.front().finding.reason;
  return out;
}

std::uint64_t target_key(const Target& target) {
  if (const auto* http = std::get_if<HttpTarget>(&target)) {
    std::string_view url = http->url;
    const bool tls = url.starts_with("https:");
    const std::size_t at = url.find("://");
    if (at != std::string_view::npos) url.remove_prefix(at + 3);
    const std::string_view authority = url.substr(0, url.find_first_of("/?#"));
    const bool port = authority.rfind(':') != std::string_view::npos && authority.back() != ']';
    return fnv1a64(port ? "" : tls ? ":443" : ":80", fnv1a64(authority));
  }
  if (const auto* tcp = std::get_if<TcpTarget>(&target)) {
    return fnv1a64(fmt::format("{}:{}", tcp->host, tcp->port));
  }
  if (const auto* tls = std::get_if<TlsTarget>(&target)) {
    return fnv1a64(fmt::format("{}:{}", tls->host, tls->port));
  }
  return fnv1a64("dns " + std::get<DnsTarget>(target).resolver);
}

bool asks_own_resolver(const Target& target) {
  if (const auto* http = std::get_if<HttpTarget>(&target)) return http->resolver.empty();
  if (const auto* dns = std::get_if<DnsTarget>(&target)) return dns->resolver.empty();
  return true;
}

}  // namespace tocsin::agent

#include "agent/app/check_command.h"

#include "agent/app/check_report.h"
#include "agent/app/check_request.h"
#include "agent/probe/probe_pool.h"
#include "common/assert/evaluator.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/io/event_loop.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace tocsin::agent {

namespace {

int exit_status(Outcome outcome) {
  switch (outcome) {
    case Outcome::kUp:
      return kCheckUp;
    case Outcome::kDegraded:
      return kCheckDegraded;
    case Outcome::kDown:
      return kCheckDown;
    case Outcome::kNoData:
    case Outcome::kMissed:
      return kCheckImpossible;
  }
  return kCheckImpossible;
}

bool terminal_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string lower = to_lower(value);
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

/// Whether the system's roots are of use.
bool speaks_tls(const Target& target) {
  if (const auto* http = std::get_if<HttpTarget>(&target)) {
    return http->url.starts_with("https://") && http->ca_pem.empty();
  }
  if (const auto* tcp = std::get_if<TcpTarget>(&target)) {
    return tcp->starttls != StartTls::kNone && tcp->ca_pem.empty();
  }
  if (const auto* dns = std::get_if<DnsTarget>(&target)) {
    return dns->transport == DnsTransport::kTls && dns->ca_pem.empty();
  }
  const auto* tls = std::get_if<TlsTarget>(&target);
  return tls != nullptr && tls->ca_pem.empty();
}

Expected<Observation> observe(io::EventLoop& loop, const CheckRequest& request) {
  TRY_ASSIGN(auto egress, EgressPolicy::parse("private", {"0.0.0.0/0", "::/0"}, {}));
  const auto* http = std::get_if<HttpTarget>(&request.spec.target);
  ProbePoolOptions options;
  options.egress = std::move(egress);
  options.region = "check";
  if (request.resolver) options.dns_servers = {*request.resolver};
  if (request.proxy) options.proxies = {*request.proxy};
  options.secrets_dir = request.secrets_dir;
  options.load_roots = speaks_tls(request.spec.target);
  TRY_ASSIGN(const auto pool, ProbePool::open(loop, std::move(options)));
  const auto attempt = [&] {
    std::optional<Observation> result;
    const auto handle =
        pool->start(std::make_shared<const ProbeSpec>(request.spec), request.spec.timeout,
                    [&result](Observation seen) { result = std::move(seen); });
    while (!result) loop.run_once();
    return *std::move(result);
  };
  // What is resumed or reused must have been left by somebody.
  if (http != nullptr && http->connection != ConnectionMode::kCold) attempt();
  return attempt();
}

int could_not(const Error& error) {
  fmt::print(stderr, "tocsin-agent check: {}\n", error.text);
  return kCheckImpossible;
}

}  // namespace

int run_check_command(const std::vector<std::string>& words) {
  const auto request = parse_check_request(words);
  if (!request) return could_not(request.error());
  if (request->help) {
    fmt::print("{}", check_usage());
    return kCheckUp;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const auto evaluator = assertion::Evaluator::compile(request->spec);
  if (!evaluator) return could_not(evaluator.error());
  SystemClock clock;
  io::EventLoop loop{clock};
  const auto seen = observe(loop, *request);
  if (!seen) return could_not(seen.error());
  const WallTime now = clock.now().wall;
  const Finding finding = evaluator->judge(*seen, now);
  fmt::print("{}", request->json
                       ? render_json(request->spec, *seen, finding, now)
                       : render_report(request->spec, *seen, finding, now, terminal_is_utf8()));
  return exit_status(finding.outcome);
}

}  // namespace tocsin::agent

#include "agent/app/check_command.h"

#include "agent/app/check_report.h"
#include "agent/app/check_request.h"
#include "agent/core/judge.h"
#include "agent/core/retry.h"
#include "agent/probe/probe_pool.h"
#include "common/assert/evaluator.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/strings.h"
#include "common/io/event_loop.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <vector>

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

struct Run {
  std::vector<Attempt> attempts;  ///< At least one.
  Observation last;               ///< Of the last attempt.
};

/// One attempt after the other until one passes or there are no more.
Expected<Run> run_attempts(io::EventLoop& loop, Clock& clock, const CheckRequest& request,
                           const assertion::Evaluator& evaluator) {
  TRY_ASSIGN(auto egress, EgressPolicy::parse("private", {"0.0.0.0/0", "::/0"}, {}));
  ProbePoolOptions options;
  options.egress = std::move(egress);
  options.region = "check";
  if (request.resolver) options.dns_servers = {*request.resolver};
  if (request.proxy) options.proxies = {*request.proxy};
  options.secrets_dir = request.secrets_dir;
  options.load_roots = speaks_tls(request.spec.target);
  TRY_ASSIGN(const auto pool, ProbePool::open(loop, std::move(options)));
  const auto spec = std::make_shared<const ProbeSpec>(request.spec);
  const auto attempt = [&] {
    std::optional<Observation> seen;
    const auto handle =
        pool->start(spec, spec->timeout, [&seen](Observation o) { seen = std::move(o); });
    while (!seen) loop.run_once();
    return *std::move(seen);
  };
  // What is resumed or reused must have been left by somebody.
  const auto* http = std::get_if<HttpTarget>(&spec->target);
  if (http != nullptr && http->connection != ConnectionMode::kCold) attempt();
  const MonoTime began = clock.now().mono;
  Run out;
  for (;;) {
    const Duration offset = clock.now().mono - began;
    Observation seen = attempt();
    Finding finding = evaluator.judge(seen, clock.now().wall);
    const bool passed = exit_status(finding.outcome) < kCheckDown;
    out.attempts.push_back(make_attempt(*spec, seen, std::move(finding), offset, !passed));
    out.last = std::move(seen);
    // No slot ends here, so only the number of attempts and the kind of failure count.
    const auto next = plan_retry(*spec, out.attempts, MonoTime{INT64_MAX}, clock.now().mono);
    const auto* again = std::get_if<RetryAt>(&next);
    if (again == nullptr) return out;
    bool due = false;
    const auto timer = loop.at(again->at, [&due] { due = true; });
    while (!due) loop.run_once();
  }
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
  const auto run = run_attempts(loop, clock, *request, *evaluator);
  if (!run) return could_not(run.error());
  const WallTime now = clock.now().wall;
  const Finding& finding = run->attempts.back().finding;
  const std::vector<Attempt> earlier{run->attempts.begin(), std::prev(run->attempts.end())};
  fmt::print("{}", request->json
                       ? render_json(request->spec, run->last, finding, now, run->attempts)
                       : render_report(request->spec, run->last, finding, now, terminal_is_utf8(),
                                       earlier));
  return exit_status(finding.outcome);
}

}  // namespace tocsin::agent

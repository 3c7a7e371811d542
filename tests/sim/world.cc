#include "tests/sim/world.h"

#include "common/base/hash.h"
#include "tests/sim/oracle.h"
#include "tests/sim/order.h"

#include <algorithm>
#include <array>

namespace tocsin::sim {

using namespace std::chrono_literals;

namespace {

constexpr std::array kSecrets{"door", "gate"};

template <class Id>
Id an_id(Rng& rng) {
  Id id;
  for (std::uint8_t& b : id.bytes) b = static_cast<std::uint8_t>(rng.next());
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x70);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

}  // namespace

const char* to_string(Weather weather) {
  switch (weather) {
    case Weather::kQuiet:
      return "quiet";
    case Weather::kModerate:
      return "moderate";
    case Weather::kBrutal:
      return "brutal";
  }
  return "?";
}

World::World(Plan p)
    : plan(p),
      rng(p.seed),
      collector(*this) {
  oracle = std::make_unique<Oracle>(*this);
  const double die = rng.unit();
  weather = die < 0.2 ? Weather::kQuiet : die < 0.8 ? Weather::kModerate : Weather::kBrutal;
}

World::~World() = default;

bool World::fails(const AgentNode&, const MonitorId& monitor) const {
  const auto at = targets.find(monitor);
  return at != targets.end() && !healed && at->second.fails(timeline.now());
}

Reason World::reason_of(const MonitorId& monitor) const { return targets.at(monitor).reason; }

void World::note(std::string_view what, std::uint64_t value) {
  std::uint64_t h = fnv1a64(what, report.trace_digest ^ kFnvOffset);
  h ^= splitmix64(value + static_cast<std::uint64_t>(timeline.now().count()));
  report.trace_digest = h;
}

void World::note_bytes(ByteSpan bytes) { note("bytes", crc32c(bytes)); }

void World::violate(std::string invariant, std::string text) {
  if (report.violations.size() >= 20) return;
  if (plan.trace) {
    fmt::print("{:>12} VIOLATION {}: {}\n", format_duration(timeline.now()), invariant, text);
  }
  report.violations.push_back({std::move(invariant), std::move(text), timeline.now()});
}

void World::set_up() {
  const int regions = static_cast<int>(rng.between(2, 3));
  static constexpr const char* kRegions[] = {"ber", "fra", "nyc"};
  for (int r = 0; r < regions; ++r) edit_.regions.push_back({kRegions[r], kRegions[r]});
  collector::ChannelSpec hook;
  hook.id = an_id<ChannelId>(rng);
  hook.key = "hook";
  hook.url = "http://127.0.0.1/hook";
  collector::ChannelSpec second = hook;
  second.id = an_id<ChannelId>(rng);
  second.key = "second";
  collector::ChannelSpec last = hook;
  last.id = an_id<ChannelId>(rng);
  last.key = "last";
  edit_.channels = {hook, second, last};
  collector::PolicySpec policy;
  policy.id = an_id<PolicyId>(rng);
  policy.key = "web";
  policy.repeat = static_cast<int>(rng.between(0, 1));
  policy.steps = {{0s, {{"hook"}}}, {3min, {{"hook"}, {"second"}}}};
  policy.fallback = collector::NotifyTarget{"last"};
  edit_.policies = {policy};
  collector::ServiceSpec service;
  service.id = an_id<ServiceId>(rng);
  service.key = "shop";
  service.name = "Shop";
  service.policy = "web";
  collector::ServiceSpec system = service;
  system.id = an_id<ServiceId>(rng);
  system.key = "system";
  system.name = "System";
  edit_.services = {service, system};
  static constexpr int kIntervals[] = {10, 30, 30, 60};
  for (int m = 0; m < 4; ++m) {
    MonitorSpec spec;
    spec.id = an_id<MonitorId>(rng);
    spec.key = fmt::format("m{}", m);
    spec.name = spec.key;
    HttpTarget target{.url = "http://target/" + spec.id.str()};
    // Two that share a secret, one that names another, one without.
    if (m < 3)
      target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::stored(kSecrets[m < 2 ? 0 : 1])};
    spec.probe.target = std::move(target);
    spec.probe.interval = std::chrono::seconds{kIntervals[m]};
    spec.probe.timeout = std::chrono::seconds{2};
    spec.probe.retry = {static_cast<int>(rng.between(0, 3)),
                        default_retry_delay(spec.probe.interval), true};
    spec.confirm = rng.chance(0.7);
    spec.service = "shop";
    edit_.monitors.push_back(spec);
  }
  collector.start();
  collector.post(collector::ApplyCatalog{edit_, "sim"});
  for (int r = 0; r < regions; ++r) {
    const int n = rng.chance(0.3) ? 2 : 1;
    for (int a = 0; a < n; ++a) {
      const auto id = an_id<AgentId>(rng);
      collector::EnrolmentRow enrolment;
      enrolment.id = an_id<EnrolmentId>(rng);
      enrolment.region = kRegions[r];
      enrolment.public_key = std::string(40, static_cast<char>('a' + agents.size()));
      enrolment.expires_at = truth() + 24h;
      collector.post(collector::AddEnrolment{enrolment, "sim"});
      Enrol enrol;
      enrol.public_key = std::string(40, static_cast<char>('A' + agents.size()));
      collector.post(collector::EnrolAgent{enrolment.id, collector::SessionId{0}, id, enrol});
      agents.push_back(std::make_unique<AgentNode>(*this, agents.size(), id, kRegions[r]));
      AgentNode& node = *agents.back();
      node.clock_offset = rng.between(Duration{-1500ms}, Duration{1500ms});
      node.clock_drift = (rng.unit() - 0.5) * 2e-4;
      timeline.after(rng.between(Duration{1s}, Duration{5s}), [&node] { node.start(); });
    }
  }
}

void World::plan_targets() {
  static constexpr Reason kReasons[] = {Reason::kConnectRefused, Reason::kConnectTimeout,
                                        Reason::kAssertStatus};
  for (const MonitorSpec& spec : edit_.monitors) {
    TargetTruth truth_of;
    truth_of.reason = kReasons[rng.below(3)];
    Duration t = rng.between(Duration{2min}, Duration{40min});
    while (t < plan.length) {
      const Duration lasts = rng.between(Duration{20s}, Duration{15min});
      truth_of.down.push_back({t, t + lasts});
      t += lasts + rng.between(Duration{1min}, Duration{60min});
    }
    targets[spec.id] = truth_of;
  }
}

void World::plan_faults() {
  if (weather == Weather::kQuiet) return;
  const Duration gap_max = weather == Weather::kBrutal ? Duration{3min} : Duration{15min};
  Duration t = 3min;
  while (t < plan.length) {
    timeline.at(t, [this] { fault(); });
    t += rng.between(Duration{5s}, gap_max);
  }
}

/// One misfortune.
void World::fault() {
  last_fault = timeline.now();
  AgentNode& a = *agents[rng.below(agents.size())];
  const auto later = [&](Duration low, Duration high, Timeline::Action action) {
    const Duration d = rng.between(low, high);
    timeline.after(d, [this, action = std::move(action)] {
      last_fault = timeline.now();
      if (!healed) action();
    });
  };
  switch (rng.below(12)) {
    case 0:
    case 1:
      count("agent_kill");
      a.stop(false);
      later(200ms, 30s, [&a] {
        if (!a.running()) a.start();
      });
      return;
    case 2:
      count("agent_power_cut");
      a.stop(true);
      later(1s, 60s, [&a] {
        if (!a.running()) a.start();
      });
      return;
    case 3:
      count("network_cut");
      a.network_cut = true;
      later(1s, 4min, [&a] { a.network_cut = false; });
      break;
    case 4:
      count("link_cut");
      a.link_cut = true;
      later(1s, 12min, [&a] { a.link_cut = false; });
      break;
    case 5:
      count("collector_kill");
      collector.stop();
      timeline.after(rng.between(Duration{200ms}, Duration{20s}), [this] {
        if (!collector.running()) collector.start();
      });
      return;
    case 6:
      collector.crash_before_commit = true;
      return;
    case 7:
      collector.crash_after_commit = true;
      return;
    case 8:
      count("slow_disk");
      a.slow_disk = true;
      later(5s, 2min, [&a] { a.slow_disk = false; });
      return;
    case 9: {
      count("clock_step");
      const Duration by = rng.between(Duration{-90s}, Duration{90s});
      a.step_clock(by);
      later(10s, 5min, [&a, by] { a.step_clock(-by); });
      return;
    }
    case 10:
      count("provider_down");
      provider_down = {timeline.now(),
                       timeline.now() + rng.between(Duration{10s}, Duration{10min})};
      return;
    default:
      if (weather != Weather::kBrutal) return;
      count("state_restored");
      {
        // The state directory comes back from a copy taken a while ago.
        const auto copy = a.disk;
        const auto cache = a.cache;
        later(10s, 3min, [this, &a, copy, cache] {
          a.stop(false);
          a.disk = copy;
          a.cache = cache;
          state_lost = true;
          timeline.after(1s, [&a] {
            if (!a.running()) a.start();
          });
        });
      }
      return;
  }
  // A cut connection is noticed late, by the heartbeats of the transport.
  if (a.connection) {
    timeline.after(rng.between(Duration{100ms}, Duration{15s}), [&a, c = a.connection->id] {
      if (a.network_cut || a.link_cut) a.link_lost(c, "no heartbeat");
    });
  }
}

void World::people() {
  if (healed) return;
  timeline.after(rng.between(Duration{30s}, Duration{10min}), [this] { people(); });
  collector::Engine* engine = collector.engine();
  if (engine == nullptr) return;
  const auto view = engine->view(collector.now().wall);
  if (!view.open_incidents.empty() && rng.chance(0.4)) {
    const auto& incident = view.open_incidents[rng.below(view.open_incidents.size())];
    count("acknowledged");
    collector.post(collector::AcknowledgeIncident{incident.id, "ann"});
    return;
  }
  MonitorSpec& spec = edit_.monitors[rng.below(edit_.monitors.size())];
  switch (rng.below(5)) {
    case 0:
      spec.name += ".";
      break;
    case 1:
      spec.probe.interval = spec.probe.interval == 30s ? 20s : 30s;
      break;
    case 2:
      spec.paused = !spec.paused;
      break;
    case 3:
      count("secret_set");
      collector.post(collector::PutSecret{
          kSecrets[rng.below(kSecrets.size())], fmt::format("box-{}", rng.next()), {}, "ann"});
      return;
    default:
      return;
  }
  count("edited");
  last_fault = timeline.now();
  collector.post(collector::ApplyCatalog{edit_, "ann"});
}

void World::heal() {
  healed = true;
  for (const auto& a : agents) {
    a->network_cut = a->link_cut = a->slow_disk = false;
    if (!a->running()) a->start();
  }
  provider_down = {};
  collector.crash_after_commit = collector.crash_before_commit = false;
  if (!collector.running()) collector.start();
  for (MonitorSpec& spec : edit_.monitors) spec.paused = false;
  collector.post(collector::ApplyCatalog{edit_, "sim"});
}

Report World::run() {
  set_up();
  plan_targets();
  plan_faults();
  timeline.after(1min, [this] { people(); });
  for (Duration t = 10s; t < plan.length + 10min; t += 10s) {
    timeline.at(t, [this] { oracle->sample(); });
  }
  timeline.run_until(plan.length);
  heal();
  timeline.run_until(plan.length + 10min);
  oracle->finish();
  check_order(*this);
  report.steps = timeline.steps();
  note("end", report.steps);
  return report;
}

}  // namespace tocsin::sim

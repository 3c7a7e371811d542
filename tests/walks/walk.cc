#include "tests/walks/walk.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "tests/support/engine_rig.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>

namespace tocsin::test {

using namespace collector;

namespace {

constexpr Duration kSettleFirst = 2min;  // Agents are up this long before 00:00.
constexpr Duration kQuickAttempt = 20ms;

/// What a region sees of a target.
struct Seen {
  enum class Kind { kOutcome, kMissed, kSilent } kind = Kind::kOutcome;
  Outcome outcome = Outcome::kUp;
  Reason reason = Reason::kNone;
  int attempts = 1;
};

/// A simulated agent around the rig's: what it sees, what it has not been able to send.
struct Place {
  std::size_t agent = 0;
  std::string region;
  bool dead = true;                  ///< No process.
  bool cut = false;                  ///< It runs and spools; nothing gets through.
  std::map<std::string, Seen> sees;  ///< By monitor key.
  std::map<SeriesId, std::uint32_t> next_tick;
  std::vector<CheckResult> spool;
  std::vector<CheckResult> sent;  ///< The last ones, for `resends`.
};

struct Pending {
  MonoTime at;
  std::uint64_t order = 0;
  std::function<void()> act;
};

std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> out;
  std::string word;
  bool quoted = false;
  int depth = 0;
  for (const char c : line) {
    if (c == '#' && !quoted) break;
    if (c == '"') quoted = !quoted;
    if (!quoted && (c == '(' || c == ')')) depth += c == '(' ? 1 : -1;
    if (!quoted && depth == 0 && (c == ' ' || c == '\t' || c == ',')) {
      if (!word.empty()) out.push_back(word);
      word.clear();
      if (c == ',') out.emplace_back(",");
      continue;
    }
    word += c;
  }
  if (!word.empty()) out.push_back(word);
  return out;
}

std::string unquoted(const std::string& s) {
  return s.size() >= 2 && s.front() == '"' ? s.substr(1, s.size() - 2) : s;
}

class Runner {
 public:
  explicit Runner(bool trace)
      : trace_(trace) {}

  Expected<void> run(const std::string& path) {
    std::ifstream in{path};
    if (!in) return fail(Errc::kNotFound, "{}: cannot be read", path);
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      line_ = number;
      words_ = words_of(line);
      next_ = 0;
      if (words_.empty()) continue;
      if (auto done = statement(); !done) {
        return fail(done.error().code, "{}:{}: {}", path, number, done.error().text);
      }
      if (!rig_.trouble.empty()) {
        return fail(Errc::kCorrupt, "{}:{}: {}", path, number, rig_.trouble.front());
      }
    }
    return {};
  }

 private:
  // --- reading ---
  bool at_end() const { return next_ >= words_.size(); }

  std::string word() { return at_end() ? std::string{} : words_[next_++]; }

  std::string peek() const { return at_end() ? std::string{} : words_[next_]; }

  bool take(std::string_view w) {
    if (peek() != w) return false;
    ++next_;
    return true;
  }

  static Expected<Duration> clock_time(const std::string& text) {
    Duration total{0};
    for (const std::string_view part : split(text, ':')) {
      int n = 0;
      if (part.empty()) return fail(Errc::kInvalid, "'{}': expected MM:SS or HH:MM:SS", text);
      for (const char c : part) {
        if (c < '0' || c > '9') return fail(Errc::kInvalid, "'{}': expected MM:SS", text);
        n = n * 10 + (c - '0');
      }
      total = total * 60 + std::chrono::seconds{n};
    }
    return total;
  }

  Expected<void> statement() {
    const std::string verb = word();
    if (verb == "monitor") return monitor();
    if (verb == "policy") return policy(word());
    if (verb == "user") return user(word());
    if (verb == "system") {  // system policy KEY
      if (!take("policy")) return fail(Errc::kInvalid, "expected 'system policy KEY'");
      edit_.services.push_back(a_service("system", word()));
      return {};
    }
    if (verb == "at") return at_line();
    return fail(Errc::kInvalid, "'{}': expected monitor, policy, user, system or at", verb);
  }

  /// user KEY: mail, sms   or   user KEY: 0m mail, 10m sms [for high|low]
  Expected<void> user(std::string key) {
    if (!key.empty() && key.back() == ':') key.pop_back();
    UserSpec spec;
    spec.id = an_id<UserId>(0x0500 + edit_.users.size());
    spec.key = spec.name = key;
    spec.role = edit_.users.empty() ? Role::kAdmin : Role::kResponder;
    while (!at_end()) {
      if (take(",")) continue;
      std::string contact = word();
      if (const auto delay = parse_duration(contact)) {
        contact = word();
        NotificationRule rule;
        rule.id = an_id<NotificationRuleId>(spec.rules.size() + 1);
        rule.contact = contact;
        rule.delay = *delay;
        if (take("for")) rule.urgency = word() == "high" ? Urgency::kHigh : Urgency::kLow;
        spec.rules.push_back(rule);
      }
      const bool known = std::any_of(spec.contacts.begin(), spec.contacts.end(),
                                     [&](const ContactMethod& c) { return c.key == contact; });
      if (known) continue;
      ContactMethod method;
      method.id = an_id<ContactMethodId>(0x0600 + 32 * edit_.users.size() + spec.contacts.size());
      method.key = contact;
      method.type = ChannelType::kEmail;
      method.to = contact + "." + key + "@example.com";
      spec.contacts.push_back(method);
    }
    edit_.users.push_back(spec);
    return {};
  }

  /// policy KEY: 0m primary, 15m @ann and secondary [repeat N] [fallback CHANNEL]
  Expected<void> policy(std::string key) {
    if (!key.empty() && key.back() == ':') key.pop_back();
    PolicySpec spec = a_policy(key, {});
    const auto channel = [&](const std::string& name) {
      if (name.starts_with('@')) return NotifyTarget{"", name.substr(1)};
      const bool known = std::any_of(edit_.channels.begin(), edit_.channels.end(),
                                     [&](const ChannelSpec& c) { return c.key == name; });
      if (!known) edit_.channels.push_back(a_channel(name));
      return NotifyTarget{name};
    };
    while (!at_end()) {
      if (take(",")) continue;
      if (take("repeat")) {
        spec.repeat = std::stoi(word());
      } else if (take("fallback")) {
        spec.fallback = channel(word());
      } else {
        TRY_ASSIGN(const Duration delay, parse_duration(word()));
        EscalationStep step{delay, {channel(word())}};
        while (take("and")) step.notify.push_back(channel(word()));
        spec.steps.push_back(std::move(step));
      }
    }
    edit_.policies.push_back(spec);
    edit_.services.push_back(a_service("for-" + key, key));
    return {};
  }

  Expected<QuorumRule> quorum_rule(const std::string& text) {
    if (text == "majority") return QuorumRule{QuorumKind::kMajority, 0};
    if (text == "any") return QuorumRule{QuorumKind::kAny, 0};
    if (text == "all") return QuorumRule{QuorumKind::kAll, 0};
    if (text.size() == 1 && text[0] >= '1' && text[0] <= '9') {
      return QuorumRule{QuorumKind::kNumber, text[0] - '0'};
    }
    return fail(Errc::kInvalid, "quorum '{}': expected majority, any, all or a number", text);
  }

  /// Options shared by `monitor KEY ...` and `edit KEY ...`.
  Expected<void> options(MonitorSpec& spec) {
    while (!at_end()) {
      if (peek() == "," || peek() == "expect") break;
      const std::string option = word();
      if (option == "every") {
        TRY_ASSIGN(const Duration every, parse_duration(word()));
        spec.probe.interval = every;
        spec.probe.timeout = default_timeout(every);
        spec.probe.retry.delay = default_retry_delay(every);
      } else if (option == "timeout") {
        TRY_ASSIGN(spec.probe.timeout, parse_duration(word()));
      } else if (option == "retries") {
        spec.probe.retry.retries = std::stoi(word());
      } else if (option == "open_after") {
        spec.open_after = std::stoi(word());
      } else if (option == "close_after") {
        spec.close_after = std::stoi(word());
      } else if (option == "confirm") {
        spec.confirm = word() != "no";
      } else if (option == "page_on") {
        spec.page_on_degraded = word() == "degraded";
      } else if (option == "quorum") {
        TRY_ASSIGN(spec.quorum, quorum_rule(word()));
      } else if (option == "regions") {
        spec.regions.clear();
        static const std::set<std::string> kStop{"quorum",     "policy",  "confirm",
                                                 "open_after", "every",   "close_after",
                                                 "page_on",    "timeout", "retries"};
        while (!at_end() && !kStop.contains(peek()) && peek() != "," && peek() != "expect") {
          const std::string key = word();
          spec.regions.push_back(key);
          const bool known = std::any_of(edit_.regions.begin(), edit_.regions.end(),
                                         [&](const RegionSpec& r) { return r.key == key; });
          if (!known) edit_.regions.push_back(a_region(key));
        }
      } else if (option == "policy") {
        std::string key = word();
        if (key.back() == ':') {
          key.pop_back();
          TRY(policy(key));
        }
        spec.service = "for-" + key;
      } else {
        return fail(Errc::kInvalid, "'{}': no option of a monitor", option);
      }
    }
    return {};
  }

  Expected<void> monitor() {
    const std::string key = word();
    MonitorSpec spec = a_monitor(key).build();
    TRY(options(spec));
    edit_.monitors.push_back(spec);
    return {};
  }

  Expected<void> at_line() {
    TRY_ASSIGN(const Duration t, clock_time(word()));
    if (!begun_) begin();
    if (t < story()) return fail(Errc::kInvalid, "the story is at {} already", clock(story()));
    since_ = story();
    run_to(t);
    while (!at_end()) {
      if (take(",")) continue;
      if (take("expect")) return expectations();
      TRY(action());
    }
    return {};
  }

  // --- the world ---
  Duration story() const { return rig_.now().mono - zero_; }

  static std::string clock(Duration d) {
    const auto s = std::chrono::duration_cast<std::chrono::seconds>(d).count();
    return fmt::format("{:02}:{:02}", s / 60, s % 60);
  }

  void say(const std::string& text) const {
    if (trace_)
      fmt::print("  {:>8.3f}s  {}\n", std::chrono::duration<double>(story()).count(), text);
  }

  void begin() {
    begun_ = true;
    // 00:00 stands on a whole minute, so that slots fall alike in every run.
    apply();
    for (const RegionSpec& region : edit_.regions) add_place(region.key);
    rig_.advance(kSettleFirst);
    zero_ = rig_.now().mono;
  }

  void add_place(const std::string& region) {
    Place place;
    place.region = region;
    place.agent = rig_.agents();
    rig_.add_agent(region);
    place.dead = false;
    places_.push_back(std::move(place));
  }

  RigAgent& agent_of(const Place& place) { return rig_.agent(place.agent); }

  Place* place_in(const std::string& region) {
    for (Place& place : places_) {
      if (place.region == region) return &place;
    }
    return nullptr;
  }

  void later(Duration d, std::function<void()> act) {
    pending_.push_back({rig_.now().mono + d, ++order_, std::move(act)});
  }

  /// When the next slot of any series is due, for places whose process runs.
  std::optional<MonoTime> next_slot() {
    std::optional<MonoTime> best;
    for (Place& place : places_) {
      if (place.dead) continue;
      for (const auto& [series, assigned] : agent_of(place).assigned) {
        if (!place.sees.contains(assigned.key)) continue;
        const std::uint32_t tick = tick_for(place, assigned);
        const MonoTime at =
            rig_.now().mono + std::max(Duration{0}, assigned.grid.slot(tick) - rig_.now().wall);
        if (!best || at < *best) best = at;
      }
    }
    return best;
  }

  std::uint32_t tick_for(Place& place, const AssignedSeries& assigned) {
    const std::uint32_t now = assigned.grid.tick_at_or_after(rig_.now().wall);
    std::uint32_t& next = place.next_tick.try_emplace(assigned.series, now).first->second;
    return next;
  }

  void check(std::size_t index, const AssignedSeries& assigned, std::uint32_t tick) {
    Place& place = places_[index];
    const Seen seen = place.sees.at(assigned.key);
    CheckResult result = made(place, assigned, seen);
    result.tick = result.tick_last = tick;
    result.slot = assigned.grid.slot(tick);
    if (seen.kind == Seen::Kind::kMissed) {
      result.kind = ResultKind::kMissed;
      result.missed = MissedCause::kOverload;
      result.outcome = Outcome::kMissed;
      result.attempts.clear();
    }
    if (seen.outcome == Outcome::kDown && seen.attempts > 1 && assigned.confirm && !place.cut) {
      later(attempt_time(assigned.spec, seen), [this, index, assigned, tick, seen] {
        RigAgent& agent = agent_of(places_[index]);
        if (!agent.connected) return;
        rig_.step(AgentSuspicion{
            agent.id, agent.session, {assigned.series, tick, assigned.spec_rev, seen.reason}});
        answer_requests();
      });
    }
    later(check_time(assigned.spec, seen), [this, index, result] { deliver(index, result); });
  }

  static Duration attempt_time(const ProbeSpec& spec, const Seen& seen) {
    const bool hangs = to_string(seen.reason).ends_with(".timeout");
    return hangs ? spec.timeout : kQuickAttempt;
  }

  static Duration check_time(const ProbeSpec& spec, const Seen& seen) {
    return attempt_time(spec, seen) * seen.attempts + spec.retry.delay * (seen.attempts - 1);
  }

  CheckResult made(const Place& place, const AssignedSeries& assigned, const Seen& seen) {
    (void)place;
    CheckResult result = rig_.result_at(assigned.series, 0, seen.outcome);
    result.spec_rev = assigned.spec_rev;
    result.reason = seen.reason;
    Attempt attempt;
    attempt.finding = {seen.outcome, seen.reason, std::string{explain(seen.reason)}};
    result.attempts.assign(static_cast<std::size_t>(seen.attempts), attempt);
    return result;
  }

  void deliver(std::size_t index, const CheckResult& result) {
    Place& place = places_[index];
    if (place.dead) return;
    place.spool.push_back(result);
    drain(place);
  }

  void drain(Place& place) {
    if (place.cut || place.dead || place.spool.empty() || !agent_of(place).connected) return;
    const std::vector<CheckResult> sent = std::move(place.spool);
    place.spool.clear();
    place.sent = sent;
    for (const CheckResult& result : sent) {
      say(fmt::format("{} sends {} {}", place.region, to_string(result.outcome),
                      to_string(result.reason)));
    }
    rig_.send(agent_of(place), sent);
    answer_requests();
  }

  /// Confirm runs asked for are made at once.
  void answer_requests() {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      RigAgent& agent = agent_of(places_[i]);
      const std::vector<RunRequest> asked = std::move(agent.asked);
      agent.asked.clear();
      for (const RunRequest& request : asked) {
        const auto it = agent.assigned.find(request.series);
        if (it == agent.assigned.end() || !places_[i].sees.contains(it->second.key)) continue;
        const Seen seen = places_[i].sees.at(it->second.key);
        say(fmt::format("{} is asked to confirm", places_[i].region));
        CheckResult result = made(places_[i], it->second, seen);
        result.kind = request.kind;
        result.tick = result.tick_last = 0;
        result.request = request.request;
        result.slot = rig_.now().wall;
        later(check_time(it->second.spec, seen), [this, i, result] { deliver(i, result); });
      }
    }
  }

  /// Does everything due up to story time `t`; calls `after_each` when something happened.
  void run_to(Duration t, const std::function<bool()>& done = {}) {
    const MonoTime end = zero_ + t;
    while (true) {
      MonoTime next = rig_.engine().next_wakeup(rig_.now());
      for (const Pending& p : pending_) next = std::min(next, p.at);
      if (const auto slot = next_slot()) next = std::min(next, *slot);
      for (const OutboxRow& row : rig_.outbox) {  // A person's rule makes its moment.
        if (row.due > rig_.now().wall) {
          next = std::min(next, rig_.now().mono + (row.due - rig_.now().wall));
        }
      }
      next = std::max(next, rig_.now().mono);
      if (next > end) break;
      rig_.advance(next - rig_.now().mono);
      for (std::size_t i = 0; i < places_.size(); ++i) {
        if (places_[i].dead) continue;
        const auto assigned = agent_of(places_[i]).assigned;
        for (const auto& [series, what] : assigned) {
          if (!places_[i].sees.contains(what.key)) continue;
          const std::uint32_t tick = tick_for(places_[i], what);
          if (what.grid.slot(tick) > rig_.now().wall) continue;
          places_[i].next_tick[series] = tick + 1;
          check(i, what, tick);
        }
      }
      while (true) {
        const auto due = std::min_element(
            pending_.begin(), pending_.end(), [](const Pending& a, const Pending& b) {
              return std::pair{a.at, a.order} < std::pair{b.at, b.order};
            });
        if (due == pending_.end() || due->at > rig_.now().mono) break;
        const auto act = std::move(due->act);
        pending_.erase(due);
        act();
      }
      if (done && done()) return;
    }
    if (rig_.now().mono < end) rig_.advance(end - rig_.now().mono);
  }

  // --- actions ---
  void wake(Place& place) {
    if (place.dead) {
      place.dead = false;
      place.next_tick.clear();
      RigAgent& agent = agent_of(place);
      ++agent.stream.epoch;
      agent.seq = 0;
      agent.digest = {};
      agent.epoch = 0;
      agent.assigned.clear();
      agent.boot[15] = static_cast<std::uint8_t>(agent.boot[15] + 1);
    }
    if (!place.cut && !agent_of(place).connected) {
      rig_.connect(agent_of(place));
      drain(place);
    }
  }

  Expected<void> sees(Place& place) {
    std::string what = word();
    std::string monitor;
    if (std::any_of(edit_.monitors.begin(), edit_.monitors.end(),
                    [&](const MonitorSpec& m) { return m.key == what; })) {
      monitor = what;
      what = word();
    }
    if (what == "silent") {  // The process is gone, and its connection silently with it.
      place.dead = true;
      agent_of(place).connected = false;
      return {};
    }
    if (what == "cut") {
      place.cut = true;
      agent_of(place).connected = false;
      return {};
    }
    if (what == "closes") {
      place.cut = true;
      rig_.disconnect(agent_of(place));
      return {};
    }
    if (what == "back") {
      place.cut = false;
      wake(place);
      return {};
    }
    if (what == "goodbye") {
      rig_.goodbye(agent_of(place));
      place.dead = true;
      return {};
    }
    if (what == "blind" || what == "suspect" || what == "healthy") {
      agent_of(place).health = what == "blind"     ? AgentHealth::kBlind
                               : what == "suspect" ? AgentHealth::kSuspect
                                                   : AgentHealth::kHealthy;
      rig_.beat(agent_of(place));
      return {};
    }
    if (what == "resends") {  // The same results again, in a new stream.
      RigAgent& agent = agent_of(place);
      ++agent.stream.epoch;
      agent.seq = 0;
      agent.digest = {};
      rig_.send(agent, place.sent);
      return {};
    }
    if (what == "cloned") {  // A second process says Hello, then the first again.
      RigAgent twin = agent_of(place);
      twin.boot[0] ^= 0xff;
      rig_.connect(twin);
      rig_.connect(agent_of(place));
      return {};
    }
    Seen seen;
    const std::size_t open = what.find('(');
    const std::string name = what.substr(0, open);
    if (open != std::string::npos) {
      const std::string reason = what.substr(open + 1, what.size() - open - 2);
      const auto known = reason_from_name(reason);
      if (!known) return fail(Errc::kInvalid, "'{}': no such reason", reason);
      seen.reason = *known;
    }
    if (name == "up") {
      seen.outcome = Outcome::kUp;
    } else if (name == "degraded") {
      seen.outcome = Outcome::kDegraded;
    } else if (name == "down") {
      seen.outcome = Outcome::kDown;
      if (seen.reason == Reason::kNone) seen.reason = Reason::kConnectRefused;
    } else if (name == "no_data") {
      seen.outcome = Outcome::kNoData;
      if (seen.reason == Reason::kNone) seen.reason = Reason::kSelfResolver;
    } else if (name == "missed") {
      seen.kind = Seen::Kind::kMissed;
    } else {
      return fail(Errc::kInvalid,
                  "'{}': a region can be up, degraded, down(REASON), no_data, "
                  "missed, silent, cut, closes, back, goodbye, blind, suspect, "
                  "healthy, resends or cloned",
                  what);
    }
    if (!peek().empty() && peek()[0] == 'x' && peek().size() > 1) {
      seen.attempts = std::stoi(word().substr(1));
    }
    for (const MonitorSpec& m : edit_.monitors) {
      if (monitor.empty() || m.key == monitor) place.sees[m.key] = seen;
    }
    if (!place.cut) wake(place);
    return {};
  }

  Expected<void> action() {
    const std::string verb = word();
    if (verb == "every" || verb == "all") {  // all up
      const std::size_t mark = next_;
      for (Place& place : places_) {
        next_ = mark;
        TRY(sees(place));
      }
      return {};
    }
    if (Place* place = place_in(verb)) return sees(*place);
    if (verb == "ack" || verb == "resolve") {
      if (!take("by")) return fail(Errc::kInvalid, "expected '{} by WHO'", verb);
      const std::string who = word();
      const auto open = rig_.open_incidents();
      if (open.empty()) return fail(Errc::kNotFound, "{}: no incident is open", verb);
      const auto& users = rig_.engine().catalog().users;
      const std::string user = users.contains(who) ? who : std::string{};
      const Decision d = verb == "ack" ? rig_.step(AcknowledgeIncident{open.front().id, who, user})
                                       : rig_.step(ResolveIncident{open.front().id, who});
      if (d.reply && d.reply->error) return tl::unexpected{*d.reply->error};
      return {};
    }
    if (verb == "watch") {  // watch by WHO
      if (!take("by")) return fail(Errc::kInvalid, "expected 'watch by WHO'");
      const std::string who = word();
      const auto open = rig_.open_incidents();
      if (open.empty()) return fail(Errc::kNotFound, "watch: no incident is open");
      const Decision d = rig_.step(WatchIncident{open.front().id, who, true, who});
      if (d.reply && d.reply->error) return tl::unexpected{*d.reply->error};
      return {};
    }
    if (verb == "undeliverable") {  // undeliverable DESTINATION [for good]
      const std::string to = word();
      const bool dead = take("for") && take("good");
      const auto last = std::find_if(rig_.outbox.rbegin(), rig_.outbox.rend(), [&](const auto& o) {
        return o.channel == to && o.kind == NotificationKind::kTrigger;
      });
      if (last == rig_.outbox.rend()) return fail(Errc::kNotFound, "nothing was sent to {}", to);
      rig_.step(DeliveryTrouble{last->id, last->incident, to, last->user, last->more_contacts, dead,
                                "as the walk says"});
      return {};
    }
    if (verb == "pause" || verb == "resume" || verb == "edit") {
      const std::string key = word();
      for (MonitorSpec& spec : edit_.monitors) {
        if (spec.key != key) continue;
        if (verb == "edit") {
          TRY(options(spec));
        } else {
          spec.paused = verb == "pause";
        }
        apply();
        return {};
      }
      return fail(Errc::kNotFound, "{}: no monitor '{}'", verb, key);
    }
    if (verb == "delete") {
      const std::string key = word();
      std::erase_if(edit_.monitors, [&](const MonitorSpec& m) { return m.key == key; });
      apply();
      return {};
    }
    if (verb == "drop") {  // drop channel KEY: policies keep their copy in open incidents
      if (!take("channel")) return fail(Errc::kInvalid, "expected 'drop channel KEY'");
      const std::string key = word();
      std::erase_if(edit_.channels, [&](const ChannelSpec& c) { return c.key == key; });
      for (PolicySpec& policy : edit_.policies) {
        for (EscalationStep& step : policy.steps) {
          std::erase_if(step.notify, [&](const NotifyTarget& t) { return t.channel == key; });
        }
        std::erase_if(policy.steps, [](const EscalationStep& s) { return s.notify.empty(); });
      }
      apply();
      return {};
    }
    if (verb == "restart") {
      if (!take("collector")) return fail(Errc::kInvalid, "expected 'restart collector'");
      std::vector<std::size_t> up;
      for (const Place& place : places_) {
        if (agent_of(place).connected) up.push_back(place.agent);
      }
      rig_.restart();
      for (const std::size_t agent : up) rig_.connect(rig_.agent(agent));
      return {};
    }
    if (verb == "second") {  // second agent in REGION
      if (!take("agent") || !take("in"))
        return fail(Errc::kInvalid, "expected 'second agent in R'");
      const std::string region = word();
      const std::map<std::string, Seen> seen = place_in(region)->sees;
      add_place(region);
      places_.back().sees = seen;
      return {};
    }
    return fail(Errc::kInvalid, "'{}': neither a region nor something that happens", verb);
  }

  void apply() {
    CatalogEdit edit = edit_;
    edit.prune = true;
    edit.origin = Origin::kFile;
    rig_.define(edit);
  }

  // --- expectations ---
  struct Item {
    std::string text;
    std::function<bool()> holds;
    std::function<std::string()> actual;
  };

  WallTime wall_of(Duration story_time) const { return rig_.now().wall - (story() - story_time); }

  /// A message is heard when it is due and was not called off before; a resolve only where a
  /// trigger or an update was heard, or by those who watch (ST4 of the store).
  bool heard(const OutboxRow& row) const {
    if (row.due > rig_.now().wall || rig_.called_off.contains(row.id)) return false;
    if (row.kind != NotificationKind::kResolve || row.step == kWatchingStep) return true;
    return std::any_of(rig_.outbox.begin(), rig_.outbox.end(), [&](const OutboxRow& other) {
      return other.incident == row.incident && other.channel == row.channel &&
             other.kind != NotificationKind::kResolve && heard(other);
    });
  }

  std::vector<OutboxRow> messages_since(NotificationKind kind, Duration since) const {
    std::vector<OutboxRow> out;
    for (const OutboxRow& row : rig_.outbox) {
      if (row.kind == kind && row.due >= wall_of(since) && heard(row)) out.push_back(row);
    }
    return out;
  }

  std::string all_messages() const {
    std::string out = "messages:";
    for (const OutboxRow& row : rig_.outbox) {
      out += fmt::format(" {} {}({}, \"{}\"){}", clock(story() - (rig_.now().wall - row.due)),
                         to_string(row.kind), row.channel, row.content.step_because,
                         heard(row) ? "" : " not heard");
    }
    return out;
  }

  Item page(NotificationKind kind, const std::string& channel) {
    std::string because;
    if (take("because")) because = unquoted(word());
    const Duration since = since_;
    return {fmt::format("{}({}) {}", to_string(kind), channel, because),
            [this, kind, channel, because, since] {
              const auto found = messages_since(kind, since);
              return std::any_of(found.begin(), found.end(), [&](const OutboxRow& row) {
                return row.channel == channel &&
                       (because.empty() || row.content.step_because == because);
              });
            },
            [this] { return all_messages(); }};
  }

  Item status(const std::string& key, const std::string& want) {
    return {fmt::format("{} {}", key, want),
            [this, key, want] { return want == to_string(rig_.state_of(key).status); },
            [this, key] {
              const MonitorStateRow state = rig_.state_of(key);
              return fmt::format("{} is {}: {}", key, to_string(state.status), state.because);
            }};
  }

  Expected<Item> incident(Duration since) {
    const auto describe = [this] {
      std::string out = "incidents:";
      for (const IncidentRow& i : rig_.incidents()) {
        out += fmt::format(" INC-{} {} ({}, began {})", i.number, i.title, to_string(i.state),
                           clock(story() - (rig_.now().wall - i.started_at)));
      }
      return out;
    };
    const std::string what = word();
    const auto any = [this](const std::function<bool(const IncidentRow&)>& f) {
      const auto all = rig_.incidents();
      return std::any_of(all.begin(), all.end(), f);
    };
    if (what == "opened") {
      return Item{"incident opened",
                  [this, any, since] {
                    return any([&](const IncidentRow& i) {
                      return i.kind == IncidentKind::kMonitor && i.opened_at >= wall_of(since);
                    });
                  },
                  describe};
    }
    if (what == "resolved") {
      std::string because;
      if (take("because")) because = unquoted(word());
      return Item{"incident resolved " + because,
                  [this, any, since, because] {
                    return any([&](const IncidentRow& i) {
                      return i.resolved_at && *i.resolved_at >= wall_of(since) &&
                             i.resolved_because.find(because) != std::string::npos;
                    });
                  },
                  describe};
    }
    if (what == "began") {
      TRY_ASSIGN(const Duration by, clock_time(word()));
      return Item{"incident began by " + clock(by),
                  [this, any, by] {
                    return any([&](const IncidentRow& i) {
                      return i.kind == IncidentKind::kMonitor && i.started_at <= wall_of(by) &&
                             i.started_at >= wall_of(by) - 1min;
                    });
                  },
                  describe};
    }
    if (!what.empty() && what.front() == '"') {  // "monitoring impaired" nyc on system
      const std::string title = unquoted(what);
      const std::string region = word();
      if (take("on")) word();
      return Item{fmt::format("incident \"{}\" {}", title, region),
                  [this, any, title, region, since] {
                    return any([&](const IncidentRow& i) {
                      return i.region == region && i.title.starts_with(title) &&
                             i.service == "system" && i.opened_at >= wall_of(since);
                    });
                  },
                  describe};
    }
    return fail(Errc::kInvalid, "incident '{}': expected opened, resolved, began or \"title\"",
                what);
  }

  Item none_since(const std::string& what, Duration since) {
    if (what == "page") {
      return {"no page",
              [this, since] { return messages_since(NotificationKind::kTrigger, since).empty(); },
              [this] { return all_messages(); }};
    }
    if (what == "resolve") {
      return {"no resolve",
              [this, since] { return messages_since(NotificationKind::kResolve, since).empty(); },
              [this] { return all_messages(); }};
    }
    return {"no incident", [this] { return rig_.open_incidents().empty(); },
            [this] {
              return rig_.open_incidents().empty() ? "none" : rig_.open_incidents().front().title;
            }};
  }

  Expected<Item> item() {
    const std::string first = word();
    if (first == "incident") return incident(since_);
    if (first == "no") return none_since(word(), since_);
    if (first == "notice") {
      const std::string text = unquoted(word());
      const Duration since = since_;
      return Item{
          "notice " + text,
          [this, text, since] {
            return std::any_of(rig_.notices.begin(), rig_.notices.end(), [&](const auto& n) {
              return n.first >= wall_of(since) &&
                     (n.second.code + " " + n.second.text).find(text) != std::string::npos;
            });
          },
          [this] {
            std::string out = "notices:";
            for (const auto& [at, n] : rig_.notices) out += "\n    " + n.text;
            return out;
          }};
    }
    if (first == "because") {  // because KEY "text": of its state
      const std::string key = word();
      const std::string text = unquoted(word());
      Item out = status(key, "");
      out.text = fmt::format("because {} \"{}\"", key, text);
      out.holds = [this, key, text] {
        return rig_.state_of(key).because.find(text) != std::string::npos;
      };
      return out;
    }
    if (first == "history") {  // history KEY was STATUS at MM:SS
      const std::string key = word();
      take("was");
      const std::string want = word();
      take("at");
      TRY_ASSIGN(const Duration when, clock_time(word()));
      const auto status_then = [this, key, when] {
        MonitorStatus status = MonitorStatus::kNew;
        for (const VerdictRow& row : rig_.history_of(key)) {
          if (row.at <= wall_of(when)) status = row.status;
        }
        return std::string{to_string(status)};
      };
      return Item{fmt::format("history {} was {} at {}", key, want, clock(when)),
                  [status_then, want] { return status_then() == want; }, status_then};
    }
    if (first == "pages" || first == "resolves") {
      const auto n = static_cast<std::size_t>(std::stoi(word()));
      const auto kind = first == "pages" ? NotificationKind::kTrigger : NotificationKind::kResolve;
      return Item{fmt::format("{} {} in all", first, n),
                  [this, kind, n] { return messages_since(kind, Duration{-1h}).size() == n; },
                  [this] { return all_messages(); }};
    }
    if (first.starts_with("page(")) {
      return page(NotificationKind::kTrigger, first.substr(5, first.size() - 6));
    }
    if (first.starts_with("update(")) {
      return page(NotificationKind::kUpdate, first.substr(7, first.size() - 8));
    }
    if (first.starts_with("resolve(")) {
      return page(NotificationKind::kResolve, first.substr(8, first.size() - 9));
    }
    if (first == "resolve") {  // resolve to every destination paged
      while (!at_end() && peek() != ",") word();
      const Duration since = since_;
      return Item{
          "resolve to every destination paged",
          [this, since] {
            std::set<std::string> paged;
            std::set<std::string> told;
            const auto resolved = messages_since(NotificationKind::kResolve, since);
            for (const OutboxRow& r : resolved) {
              told.insert(r.channel);
              for (const OutboxRow& t : rig_.outbox) {
                if (t.kind == NotificationKind::kTrigger && t.incident == r.incident && heard(t)) {
                  paged.insert(t.channel);
                }
              }
            }
            return !told.empty() && paged == told;
          },
          [this] { return all_messages(); }};
    }
    if (first == "cloned") {
      const std::string region = word();
      return Item{"cloned " + region,
                  [this, region] { return rig_.agent_rows.at(rig_.agent_in(region).id).cloned; },
                  [] { return std::string{"it is not marked"}; }};
    }
    if (first == "stored" || first == "duplicates" || first == "refused") {
      const std::string region = word();
      const auto want = static_cast<std::uint64_t>(std::stoi(word()));
      const auto count = [this, region, first] {
        const AgentRow& row = rig_.agent_rows.at(rig_.agent_in(region).id);
        if (first == "stored") return row.results_stored;
        if (first == "duplicates") return row.refused_duplicate;
        return row.refused_unassigned + row.refused_future + row.refused_too_old;
      };
      return Item{fmt::format("{} {} {}", first, region, want),
                  [count, want] { return count() == want; },
                  [count] { return fmt::format("{}", count()); }};
    }
    return status(first, word());
  }

  Expected<void> expectations() {
    std::optional<Duration> by;
    bool always = false;
    if (take("by")) {
      TRY_ASSIGN(by, clock_time(word()));
    } else if (take("until")) {
      TRY_ASSIGN(by, clock_time(word()));
      always = true;
    }
    std::vector<Item> items;
    while (!at_end()) {
      if (take(",")) continue;
      TRY_ASSIGN(Item one, item());
      items.push_back(std::move(one));
    }
    const auto broken = [&]() -> const Item* {
      for (const Item& i : items) {
        if (!i.holds()) return &i;
      }
      return nullptr;
    };
    const Item* wrong = broken();
    if (always) {
      while (wrong == nullptr && story() < *by) {
        run_to(*by, [&] { return (wrong = broken()) != nullptr; });
      }
      if (wrong != nullptr) {
        return fail(Errc::kInvalid, "expected until {}: {}; at {}: {}", clock(*by), wrong->text,
                    clock(story()), wrong->actual());
      }
      return {};
    }
    if (by) {
      if (wrong == nullptr) {
        return fail(Errc::kInvalid, "holds before anything happened: {}", items.front().text);
      }
      run_to(*by, [&] { return (wrong = broken()) == nullptr; });
      wrong = broken();
    }
    if (wrong != nullptr) {
      return fail(Errc::kInvalid, "expected {}; at {}: {}", wrong->text, clock(story()),
                  wrong->actual());
    }
    return {};
  }

  EngineRig rig_;
  bool trace_ = false;
  bool begun_ = false;
  CatalogEdit edit_;
  MonoTime zero_;
  Duration since_{0};
  std::vector<Place> places_;
  std::vector<Pending> pending_;
  std::uint64_t order_ = 0;
  int line_ = 0;
  std::vector<std::string> words_;
  std::size_t next_ = 0;
};

}  // namespace

Expected<void> run_walk(const std::string& path, bool trace) { return Runner{trace}.run(path); }

}  // namespace tocsin::test

#include "agent/core/conductor.h"

#include "agent/core/clock_estimate.h"
#include "agent/core/execution.h"
#include "agent/core/scheduler.h"
#include "agent/core/self_health.h"
#include "agent/core/send_window.h"
#include "agent/core/start_batches.h"
#include "common/base/check.h"

#include <algorithm>
#include <list>
#include <map>
#include <set>
#include <utility>

namespace tocsin::agent {

namespace {

constexpr std::size_t kFramesPerStep = 64;
/// A collector that has not answered a heartbeat for this long is not there (half-open
/// connections).
constexpr Duration kSilenceMax = std::chrono::seconds{9};
/// A wake-up that comes this much later than asked for: the machine or the process stood still.
constexpr Duration kStandstill = std::chrono::seconds{2};
constexpr int kMalformedMax = 3;
/// What the lateness in a heartbeat is of: so long, and as long again before.
constexpr Duration kLatenessFor = std::chrono::seconds{60};
/// Series of one agent; a collector that sends more is not followed.
constexpr std::size_t kAssignmentMax = 1'000'000;

bool is_dns(Reason reason) {
  const auto value = static_cast<std::uint16_t>(reason);
  return value >= 100 && value < 200;
}

/// An answer that only a resolver gives which can look names up.
bool is_useful(const DnsFacts& dns) { return dns.rcode == "NOERROR" || dns.rcode == "NXDOMAIN"; }

}  // namespace

struct Conductor::Impl {
  Impl(Options o, const SpoolView& view, Now now)
      : options(std::move(o)),
        spool(view),
        scheduler(options.max_in_flight),
        window(view),
        health(options.anchors.size()),
        generated(options.generated_before),
        last_now(now),
        last_take(now) {
    CHECK(options.anchors.size() <= kAnchorsMax);
    for (std::size_t i = 0; i < options.anchors.size(); ++i) {
      const ProbeSpec& spec = options.anchors[i].spec;
      const std::int64_t share = spec.interval.count() * static_cast<std::int64_t>(i) /
                                 static_cast<std::int64_t>(options.anchors.size());
      looks.push_back({.spec = std::make_shared<const ProbeSpec>(spec),
                       .stats = {.name = options.anchors[i].name},
                       .next = now.mono + Duration{share}});
    }
    // The last one is no anchor: the question that tells whether our resolver works.
    ProbeSpec question;
    question.target = DnsTarget{.name = ".", .type = DnsType::kNs};
    question.timeout = SelfHealth::kProof;
    looks.push_back({.spec = std::make_shared<const ProbeSpec>(std::move(question))});
  }

  using Out = std::vector<AgentCommand>;

  // --- events ---
  void on(const Wake&, Now, Out&) {}

  void on(const AttemptDone& e, Now now, Out& out);
  void on(const LinkUp&, Now now, Out& out);
  void on(const LinkDown& e, Now now, Out& out);
  void on(const MessageArrived& e, Now now, Out& out);

  void on(const SpoolSynced& e, Now, Out&) { window.synced(e.frame); }

  void on(const SpoolReplaced& e, Now, Out&) { window.replaced(e.gap); }

  void on(const SpoolRestreamed& e, Now, Out&);
  void on(const ClockStepped& e, Now, Out& out);
  void on(const SelfMeasured& e, Now, Out&);
  void on(const Drain& e, Now, Out& out);

  // --- messages ---
  void got(const Welcome& m, Now now, Out& out);
  void got(const Ack& m, Now now, Out& out);
  void got(const Nack& m, Now now, Out& out);
  void got(const Assignment& piece, Now now, Out& out);
  void apply(const Assignment& m, Now now, Out& out);
  void got(const RunRequest& m, Now now, Out& out);
  void got(const HeartbeatReply& m, Now now, Out& out);
  void got(const Refused& m, Now now, Out& out);

  void got(const Enrolled&, Now, Out&) { ++stats.messages_ignored; }

  // --- time ---
  void advance(Now now, Out& out);
  void run_timers(Now now, Out& out);
  void start_due(Now now, Out& out);
  void keep_link(Now now, Out& out);
  void send_frames(Now now, Out& out);
  void confirm_applied(Out& out);

  // --- of ourselves ---
  void start_looks(Now now, Out& out);
  void look_ended(std::size_t index, const Observation& seen, Now now, Out& out);
  void ask_for_proof(const SelfHealth::Failed& failed, Now now, Out& out);
  void weigh_health(Now now, Out& out);
  void told_by(Execution& run, const Observation& seen, Now now);

  static SelfHealth::Failed failure_of(const Execution& run) {
    return {run.attempts.back().finding.reason, run.series->asks_resolver, run.proof_since};
  }

  // --- one check ---
  void start_asked(Now now, Out& out);
  bool has_place(const RunnableSeries& s, std::uint32_t most) const;
  void begin(Execution run, Now now, Out& out);
  void start_attempt(Execution& run, Now now, Out& out);
  void attempt_ended(Execution& run, Now now, Out& out);
  /// `ours` is kNone, or why an outcome of down says nothing of the target.
  void finish(RunId id, Reason ours, Now now, Out& out);
  void settle_proving(Now now, Out& out);
  void emit(CheckResult result, std::uint16_t shard, bool urgent, Out& out);
  void report_missed(const MissedRun& missed, Now now, Out& out);

  void send(AgentMessage message, Out& out) {
    if (welcomed || std::holds_alternative<Hello>(message)) {
      out.emplace_back(SendMessage{std::move(message)});
    }
  }

  void say_hello(Now now, Out& out);
  void beat(Now now, Out& out);
  void drop_link(std::string why, MonoTime not_before, Out& out);
  void fork(std::vector<StreamId> streams, Out& out);
  void take_secrets(const Assignment& m);
  std::shared_ptr<const RunnableSeries> make_runnable(const AssignedSeries& assigned) const;

  /// An anchor, or the question to our resolver. Looks take no place of a check.
  struct Look {
    std::shared_ptr<const ProbeSpec> spec;  ///< Shared with the attempt under way.
    AgentStats::AnchorStats stats = {};
    MonoTime next = MonoTime::never();
    MonoTime began = {};
    RunId run{};  ///< Of the look under way; 0: none is.
  };

  Options options;
  const SpoolView& spool;
  Scheduler scheduler;
  SendWindow window;
  SelfHealth health;
  std::vector<Look> looks;  ///< Of the anchors, in their order; then the question.
  ClockEstimate clock;

  std::map<SeriesId, std::shared_ptr<const RunnableSeries>> series;
  std::map<SeriesId, Outcome> last_outcome;
  std::uint64_t assignment_epoch = 0;
  std::uint64_t config_version = 0;
  std::map<std::string, AssignedSecret> secrets;
  Assignment pieces;  ///< Of an assignment whose last piece has not come; dropped with the link.
  std::set<RunId> ending;  ///< Runs of dropped series; ConfigApplied waits for them.
  bool applied_pending = false;

  std::map<RunId, Execution> runs;
  std::set<std::pair<MonoTime, RunId>> timers;
  std::set<RunId> proving;
  std::map<std::uint64_t, std::uint32_t> per_target;
  std::uint64_t next_run = 1;
  std::uint32_t asked_in_flight = 0;  ///< Confirm runs and runs now.

  /// A run that somebody asked for and that has no place yet.
  struct Asked {
    RunRequest request;
    Now at;
  };

  std::list<Asked> asked;  ///< In the order asked; at most kAskedMax.

  /// For the heartbeat: of this minute and the one before.
  Latencies lateness;
  Latencies lateness_before;
  MonoTime lateness_since;

  bool link_up = false;
  bool welcomed = false;
  bool draining = false;
  bool goodbye_said = false;
  std::string drain_why;
  Duration heartbeat_every = std::chrono::seconds{3};
  MonoTime next_heartbeat = MonoTime::never();
  MonoTime last_answer;
  std::uint64_t heartbeat_number = 0;
  std::map<StreamId, int> malformed;
  bool more_to_send = false;

  std::uint64_t generated;
  std::uint64_t generated_when_measured = 0;
  SelfMeasured measured;
  AgentStats stats;
  Now last_now;
  MonoTime expected_wake = MonoTime::never();
  StartBatches batches;
  Now last_take;  ///< When the scheduler was last asked what is due.
  bool ended_since_take = false;
  bool stood_still = false;
};

// --- events ---

void Conductor::Impl::on(const AttemptDone& e, Now now, Out& out) {
  const auto at = runs.find(e.run);
  if (at == runs.end()) {
    for (std::size_t i = 0; i < looks.size(); ++i) {
      if (looks[i].run == e.run && e.run != RunId{}) return look_ended(i, e.observation, now, out);
    }
    return;
  }
  Execution& run = at->second;
  if (run.state != Execution::State::kAttempting || run.attempts.size() + 1 != e.attempt) return;
  run.record(e.observation, clock.corrected(now.wall));
  run.proof_since = std::max(run.attempt_began, now.mono - SelfHealth::kProof);
  told_by(run, e.observation, now);
  attempt_ended(run, now, out);
}

void Conductor::Impl::on(const LinkUp&, Now now, Out& out) {
  link_up = true;
  welcomed = false;
  pieces = Assignment{};
  window.link_down();
  last_answer = now.mono;
  if (!draining) say_hello(now, out);
}

void Conductor::Impl::on(const LinkDown& e, Now, Out& out) {
  if (welcomed) {
    out.emplace_back(Notice{NoticeLevel::kWarning, "link_down", e.why});
  }
  link_up = welcomed = false;
  next_heartbeat = MonoTime::never();
  window.link_down();
}

void Conductor::Impl::on(const MessageArrived& e, Now now, Out& out) {
  last_answer = now.mono;
  std::visit([&](const auto& m) { got(m, now, out); }, e.message);
}

void Conductor::Impl::on(const SpoolRestreamed& e, Now, Out&) {
  for (const StreamId& id : e.old_streams) {
    window.forget(id);
    malformed.erase(id);
  }
}

void Conductor::Impl::on(const ClockStepped& e, Now now, Out& out) {
  clock.stepped(e.by);
  health.clock(clock.trust());
  stood_still = true;
  if (e.by < Duration::zero()) scheduler.clock_set_back(now.wall);
  batches = {};  // What is due is another thing now.
  out.emplace_back(Notice{NoticeLevel::kWarning, "clock_step",
                          fmt::format("the wall clock jumped by {}", format_duration(e.by))});
  weigh_health(now, out);
}

void Conductor::Impl::on(const SelfMeasured& e, Now now, Out& out) {
  measured = e;
  generated_when_measured = generated;
  health.descriptors(e.descriptors_short);
  weigh_health(now, out);
}

void Conductor::Impl::on(const Drain& e, Now, Out& out) {
  draining = true;
  drain_why = e.why;
  // Checks under way end with the attempt they are at: their slot is not lost.
  for (auto& [id, run] : runs) {
    if (run.state == Execution::State::kWaiting) timers.insert({last_now.mono, id});
  }
  out.emplace_back(Notice{NoticeLevel::kInfo, "draining", e.why});
}

// --- messages ---

void Conductor::Impl::say_hello(Now now, Out& out) {
  Hello hello;
  hello.capabilities = options.capabilities;
  hello.version = options.version;
  hello.host = options.host;
  hello.boot = options.boot;
  hello.streams = spool.offers();
  if (hello.streams.size() > Hello::kMaxStreams) {
    hello.streams.erase(hello.streams.begin(),
                        hello.streams.end() - static_cast<std::ptrdiff_t>(Hello::kMaxStreams));
  }
  hello.assignment_epoch = assignment_epoch;
  hello.wall = now.wall;
  send(std::move(hello), out);
}

void Conductor::Impl::beat(Now now, Out& out) {
  if (!welcomed) return;
  Heartbeat beat;
  beat.number = ++heartbeat_number;
  beat.wall = now.wall;
  beat.health = health.state();
  beat.self_fault = health.fault();
  beat.monitors = static_cast<std::uint32_t>(series.size());
  beat.in_flight = static_cast<std::uint32_t>(runs.size());
  beat.generated = generated_when_measured;
  beat.in_spool = measured.results_in_spool;
  beat.gapped = measured.results_gapped;
  beat.spool_bytes = measured.spool_bytes;
  beat.spool_bytes_max = measured.spool_bytes_max;
  beat.clock = clock.trust();
  if (now.mono - lateness_since >= kLatenessFor) {
    lateness_before = std::exchange(lateness, {});
    lateness_since = now.mono;
  }
  Latencies recent = lateness_before;
  recent += lateness;
  beat.lateness_p99_ms =
      static_cast<std::uint32_t>(recent.kept_to(0.99) / std::chrono::milliseconds{1});
  send(beat, out);
  next_heartbeat = now.mono + heartbeat_every;
}

void Conductor::Impl::drop_link(std::string why, MonoTime not_before, Out& out) {
  out.emplace_back(Notice{NoticeLevel::kWarning, "link_dropped", why});
  out.emplace_back(DropLink{std::move(why), not_before});
  link_up = welcomed = false;
  next_heartbeat = MonoTime::never();
  window.link_down();
}

void Conductor::Impl::fork(std::vector<StreamId> streams, Out& out) {
  if (streams.empty()) return;
  ++stats.forks;
  for (const StreamId& id : streams) {
    window.forget(id);
    out.emplace_back(Notice{
        NoticeLevel::kError, "fork_detected",
        fmt::format("stream {}: the collector has committed something else than this agent holds; "
                    "was the state directory restored from a copy, or does it run twice? Its "
                    "unacknowledged results are written to a new stream",
                    to_string(id))});
  }
  out.emplace_back(RestreamFrames{std::move(streams)});
}

void Conductor::Impl::got(const Welcome& m, Now now, Out& out) {
  welcomed = true;
  heartbeat_every = m.heartbeat;
  fork(window.welcome(m.streams, now.mono), out);
  for (const StreamAck& ack : m.streams) {
    const std::uint64_t acked = window.acked(ack.stream);
    if (acked > 0) out.emplace_back(ReleaseFrames{ack.stream, acked});
  }
  out.emplace_back(Notice{NoticeLevel::kInfo, "link_up",
                          fmt::format("the collector welcomed region {}", m.region)});
  beat(now, out);
  applied_pending = assignment_epoch > 0;
}

void Conductor::Impl::got(const Ack& m, Now now, Out& out) {
  switch (window.acknowledge(m.stream, now.mono)) {
    case AckVerdict::kGood:
      ++stats.frames_acked;
      out.emplace_back(ReleaseFrames{m.stream.stream, m.stream.high_water});
      return;
    case AckVerdict::kFork:
      return fork({m.stream.stream}, out);
    case AckVerdict::kStale:
    case AckVerdict::kUnknownStream:
      ++stats.messages_ignored;
      return;
  }
}

void Conductor::Impl::got(const Nack& m, Now now, Out& out) {
  const StreamId& id = m.stream.stream;
  if (m.code == NackCode::kBusy) {
    window.rewind(id);
    window.hold(id, now.mono + std::max<Duration>(m.retry_after, std::chrono::milliseconds{100}));
    return;
  }
  const AckVerdict verdict = window.acknowledge(m.stream, now.mono);
  if (verdict == AckVerdict::kFork) return fork({id}, out);
  if (verdict == AckVerdict::kUnknownStream) return;
  if (verdict == AckVerdict::kGood && m.stream.high_water > 0) {
    out.emplace_back(ReleaseFrames{id, m.stream.high_water});
  }
  if (m.code == NackCode::kMalformed && ++malformed[id] >= kMalformedMax) return fork({id}, out);
  window.rewind(id);
  window.hold(id, now.mono + std::chrono::milliseconds{100});
}

std::shared_ptr<const RunnableSeries> Conductor::Impl::make_runnable(
    const AssignedSeries& assigned) const {
  auto out = std::make_shared<RunnableSeries>();
  out->assigned = assigned;
  auto evaluator = assertion::Evaluator::compile(assigned.spec);
  if (!assigned.unreadable.empty()) {
    out->cannot = assigned.unreadable;
  } else if (evaluator) {
    out->evaluator = *std::move(evaluator);
  } else {
    out->cannot = evaluator.error().text;
  }
  out->target = target_key(assigned.spec.target);
  out->asks_resolver = asks_own_resolver(assigned.spec.target);
  out->config_version = config_version;
  return out;
}

void Conductor::Impl::got(const Assignment& piece, Now now, Out& out) {
  // Pieces that are not of one assignment never mix: another base or epoch begins anew.
  if (pieces.base != piece.base || pieces.epoch != piece.epoch) pieces = Assignment{};
  const bool began = !pieces.put.empty() || !pieces.drop.empty() || !pieces.secrets.empty();
  if (piece.more || began) {
    pieces.base = piece.base;
    pieces.epoch = piece.epoch;
    pieces.config_version = piece.config_version;
    pieces.put.insert(pieces.put.end(), piece.put.begin(), piece.put.end());
    pieces.drop.insert(pieces.drop.end(), piece.drop.begin(), piece.drop.end());
    pieces.secrets.insert(pieces.secrets.end(), piece.secrets.begin(), piece.secrets.end());
    if (pieces.put.size() + pieces.drop.size() + pieces.secrets.size() > kAssignmentMax) {
      pieces = Assignment{};
      out.emplace_back(Notice{NoticeLevel::kError, "assignment_too_large",
                              fmt::format("more than {} series for one agent; start more agents in "
                                          "this region",
                                          kAssignmentMax)});
      return;
    }
    if (piece.more) return;
    const Assignment whole = std::exchange(pieces, Assignment{});
    return apply(whole, now, out);
  }
  apply(piece, now, out);
}

void Conductor::Impl::apply(const Assignment& m, Now now, Out& out) {
  if (m.base != 0 && m.base != assignment_epoch) {
    send(AssignmentWanted{assignment_epoch}, out);
    return;
  }
  if (m.epoch == assignment_epoch && m.base == 0 && assignment_epoch != 0) {
    applied_pending = true;
    return;
  }
  config_version = m.config_version;
  std::set<SeriesId> gone(m.drop.begin(), m.drop.end());
  if (m.base == 0) {
    for (const auto& [id, s] : series) gone.insert(id);
    for (const AssignedSeries& s : m.put) gone.erase(s.series);
  }
  for (const SeriesId id : gone) {
    series.erase(id);
    last_outcome.erase(id);
    scheduler.drop(id);
    for (const auto& [run_id, run] : runs) {
      if (run.series->assigned.series == id) ending.insert(run_id);
    }
  }
  const Duration ahead = options.slots_done - now.wall;
  const bool done_ahead = ahead > Duration::zero() && ahead <= kSlotsDoneMax;
  const WallTime first = done_ahead ? options.slots_done + std::chrono::milliseconds{1} : now.wall;
  for (const AssignedSeries& assigned : m.put) {
    auto runnable = make_runnable(assigned);
    if (!runnable->cannot.empty()) {
      out.emplace_back(Notice{NoticeLevel::kError, "spec_unsupported",
                              fmt::format("monitor {}: {}", assigned.key, runnable->cannot)});
    }
    if (!scheduler.put(assigned.series, assigned.grid, first)) {
      out.emplace_back(
          Notice{NoticeLevel::kError, "too_many_intervals",
                 fmt::format("monitor {}: more than {} distinct intervals; it is not run",
                             assigned.key, Scheduler::kQueuesMax)});
      continue;
    }
    series[assigned.series] = std::move(runnable);
  }
  take_secrets(m);
  assignment_epoch = m.epoch;
  applied_pending = true;
  out.emplace_back(AssignmentChanged{assignment_epoch});
}

/// After its series were taken: what none of them names any more goes.
void Conductor::Impl::take_secrets(const Assignment& m) {
  if (secrets.empty() && m.secrets.empty()) return;
  if (m.base == 0) secrets.clear();
  for (const AssignedSecret& secret : m.secrets) secrets[secret.name] = secret;
  std::set<std::string> named;
  for (const auto& [id, s] : series) {
    for (std::string& name : stored_secrets(s->assigned.spec.target)) named.insert(std::move(name));
  }
  std::erase_if(secrets, [&](const auto& entry) { return !named.contains(entry.first); });
}

void Conductor::Impl::got(const RunRequest& m, Now now, Out& /*out*/) {
  const auto at = series.find(m.series);
  const bool confirm = m.kind == ResultKind::kConfirm;
  const bool refused = at == series.end() || draining || !at->second->evaluator ||
                       at->second->assigned.spec_rev != m.spec_rev ||
                       (confirm && health.state() != AgentHealth::kHealthy) ||
                       asked.size() == Conductor::kAskedMax;
  if (refused) {
    ++stats.messages_ignored;
    return;
  }
  asked.push_back({m, now});  // advance() starts it if there is a place.
}

bool Conductor::Impl::has_place(const RunnableSeries& s, std::uint32_t most) const {
  const auto busy = per_target.find(s.target);
  return busy == per_target.end() || busy->second < most;
}

/// Runs that somebody asked for: in the order asked, at most a tenth of the budget, and at a target
/// at most half of its places (rounded up), so that neither a hand on the button nor a storm of
/// confirmations takes the slots of scheduled checks.
void Conductor::Impl::start_asked(Now now, Out& out) {
  const std::uint32_t runs_max = std::max(options.max_in_flight / 10, 1U);
  const std::uint32_t places = (options.max_in_flight_per_target + 1) / 2;
  for (auto one = asked.begin(); one != asked.end();) {
    const auto at = series.find(one->request.series);
    const bool useless = at == series.end() ||
                         at->second->assigned.spec_rev != one->request.spec_rev ||
                         now.mono - one->at.mono > Conductor::kAskedWait;
    if (useless) {
      ++stats.messages_ignored;
      one = asked.erase(one);
      continue;
    }
    if (asked_in_flight >= runs_max || !has_place(*at->second, places)) {
      ++one;
      continue;
    }
    Execution run;
    run.series = at->second;
    run.kind = one->request.kind;
    run.slot = one->at.wall;
    run.late = now.mono - one->at.mono;
    run.request = one->request.request;
    run.slot_end = now.mono + at->second->spec().interval;
    run.suspicion_sent = true;
    ++asked_in_flight;
    if (run.kind == ResultKind::kConfirm) ++stats.confirms;
    one = asked.erase(one);
    begin(std::move(run), now, out);
  }
}

void Conductor::Impl::got(const HeartbeatReply& m, Now now, Out& out) {
  clock.sample(m.t1, m.t2, m.t3, now.wall);
  health.clock(clock.trust());
  health.collector_answered(now.mono);
  weigh_health(now, out);
  settle_proving(now, out);
}

void Conductor::Impl::got(const Refused& m, Now now, Out& out) {
  const std::string why =
      fmt::format("the collector refused this agent ({}): {}", to_string(m.code), m.text);
  switch (m.code) {
    case RefusalCode::kNoSession:
      welcomed = false;
      window.link_down();
      next_heartbeat = MonoTime::never();
      if (!draining) say_hello(now, out);
      return;
    case RefusalCode::kVersion:
    case RefusalCode::kRevoked:
    case RefusalCode::kEnrolment:
    case RefusalCode::kCloned:
      out.emplace_back(Notice{NoticeLevel::kError, "refused", why});
      return drop_link(why, now.mono + std::chrono::seconds{30}, out);
  }
}

// --- of ourselves ---

void Conductor::Impl::start_looks(Now now, Out& out) {
  for (Look& look : looks) {
    if (look.run != RunId{} || look.next > now.mono) continue;
    look.run = RunId{next_run++};
    look.began = now.mono;
    look.next = &look == &looks.back() ? MonoTime::never() : now.mono + look.spec->interval;
    out.emplace_back(StartAttempt{look.run, 1, look.spec, look.spec->timeout});
  }
}

void Conductor::Impl::look_ended(std::size_t index, const Observation& seen, Now now, Out& out) {
  Look& look = looks[index];
  look.run = RunId{};
  ++look.stats.looks;
  if (seen.failure) ++look.stats.failed;
  if (index + 1 == looks.size()) {
    if (seen.dns) {
      health.resolver_answered(is_useful(*seen.dns), now.mono);
    }
  } else {
    health.anchor_looked(index, !seen.failure, now.mono);
    weigh_health(now, out);
  }
  if (!seen.failure) settle_proving(now, out);
}

/// Everybody whose answer would settle the matter, each no more often than his bound says.
void Conductor::Impl::ask_for_proof(const SelfHealth::Failed& failed, Now now, Out& out) {
  const MonoTime last_beat = next_heartbeat - heartbeat_every;
  if (proving.size() == 1 || now.mono - last_beat >= kLookEvery) beat(now, out);
  for (Look& look : looks) {
    if (&look == &looks.back() && !health.wants_resolver_proof(failed)) continue;
    look.next = std::min(look.next, std::max(now.mono, look.began + kLookEvery));
  }
}

void Conductor::Impl::weigh_health(Now now, Out& out) {
  const AgentHealth before = health.state();
  if (!health.update(now.mono)) return;
  const AgentHealth state = health.state();
  out.emplace_back(Notice{
      state == AgentHealth::kHealthy ? NoticeLevel::kInfo : NoticeLevel::kWarning, "health_changed",
      fmt::format("{} -> {} ({}): {}", to_string(before), to_string(state),
                  to_string(health.fault()), health.evidence(now.mono))});
  beat(now, out);
}

/// What an attempt says of our resolver, our descriptors and our clock.
void Conductor::Impl::told_by(Execution& run, const Observation& seen, Now now) {
  Finding& finding = run.attempts.back().finding;
  if (run.series->asks_resolver) {
    if (seen.dns) {
      health.resolver_answered(is_useful(*seen.dns), now.mono);
    } else if (!seen.dns_cached && seen.failure && is_dns(seen.failure->reason)) {
      const Reason reason = seen.failure->reason;
      if (reason != Reason::kDnsTimeout && reason != Reason::kDnsRefused) {
        health.resolver_answered(reason == Reason::kDnsNxdomain || reason == Reason::kDnsNodata,
                                 now.mono);
      }
    } else if (!seen.dns_cached && !seen.remote.empty()) {
      health.resolver_answered(true, now.mono);
    }
  }
  // Libraries call it otherwise when they get no descriptor.
  if (measured.descriptors_short &&
      (finding.reason == Reason::kSelfResolver || finding.reason == Reason::kSelfUplink ||
       finding.reason == Reason::kSelfInternal)) {
    finding.reason = Reason::kSelfDescriptors;
  }
  if (seen.tls && is_fault_of_clock(finding.reason, *seen.tls, now.wall, clock.trust())) {
    finding.outcome = Outcome::kNoData;
    finding.reason = Reason::kSelfClock;
  }
}

// --- one check ---

void Conductor::Impl::begin(Execution run, Now now, Out& out) {
  run.id = RunId{next_run++};
  run.began = now.mono;
  ++per_target[run.series->target];
  const RunId id = run.id;
  Execution& placed = runs.emplace(id, std::move(run)).first->second;
  if (!placed.series->evaluator) {
    finish(id, Reason::kNone, now, out);
    return;
  }
  start_attempt(placed, now, out);
}

void Conductor::Impl::start_attempt(Execution& run, Now now, Out& out) {
  run.state = Execution::State::kAttempting;
  run.attempt_began = now.mono;
  ++stats.attempts;
  out.emplace_back(StartAttempt{run.id, static_cast<std::uint32_t>(run.attempts.size() + 1),
                                std::shared_ptr<const ProbeSpec>(run.series, &run.series->spec()),
                                run.series->spec().timeout});
}

void Conductor::Impl::attempt_ended(Execution& run, Now now, Out& out) {
  const ProbeSpec& spec = run.series->spec();
  const Finding& last = run.attempts.back().finding;
  const bool failed = last.outcome == Outcome::kDown || last.outcome == Outcome::kNoData;
  if (failed && last.outcome == Outcome::kDown && !run.suspicion_sent &&
      run.series->assigned.confirm && health.state() != AgentHealth::kBlind) {
    run.suspicion_sent = true;
    const auto before = last_outcome.find(run.series->assigned.series);
    if (before == last_outcome.end() || before->second != Outcome::kDown) {
      ++stats.suspicions;
      send(Suspicion{run.series->assigned.series, run.tick, run.series->assigned.spec_rev,
                     last.reason},
           out);
    }
  }
  const auto plan = plan_retry(spec, run.attempts, run.slot_end, now.mono);
  if (const auto* retry = std::get_if<RetryAt>(&plan); retry != nullptr && !draining) {
    run.state = Execution::State::kWaiting;
    run.wake = retry->at;
    timers.insert({run.wake, run.id});
    return;
  }
  if (last.outcome == Outcome::kDown) {
    const SelfHealth::Failed failure = failure_of(run);
    switch (health.blame(failure)) {
      case SelfHealth::Blame::kTarget:
      case SelfHealth::Blame::kOurs:
        break;
      case SelfHealth::Blame::kUnproven:
        run.state = Execution::State::kProving;
        // Not into the lateness of the next slot, or the wait itself would miss it.
        run.wake = std::min(now.mono + SelfHealth::kProof,
                            std::max(run.slot_end, now.mono + SelfHealth::kProofMin));
        timers.insert({run.wake, run.id});
        proving.insert(run.id);
        ask_for_proof(failure, now, out);
        return;
    }
  }
  finish(run.id, Reason::kNone, now, out);
}

/// Somebody answered: the checks that waited for a proof of our own network may have one now.
void Conductor::Impl::settle_proving(Now now, Out& out) {
  const std::vector<RunId> waiting(proving.begin(), proving.end());
  for (const RunId id : waiting) {
    const auto at = runs.find(id);
    if (at == runs.end()) continue;  // Ended by one that was settled before it in this loop.
    const Execution& run = at->second;
    if (health.blame(failure_of(run)) == SelfHealth::Blame::kTarget) {
      finish(id, Reason::kNone, now, out);
    }
  }
}

void Conductor::Impl::finish(RunId id, Reason ours, Now now, Out& out) {
  const auto node = runs.extract(id);
  CHECK(!node.empty());
  ended_since_take = true;
  const Execution& run = node.mapped();
  timers.erase({run.wake, id});
  proving.erase(id);
  ending.erase(id);
  const auto target = per_target.find(run.series->target);
  if (--target->second == 0) per_target.erase(target);
  if (run.kind != ResultKind::kScheduled) --asked_in_flight;

  CheckResult result = run.result(clock.trust(), now.mono);
  if (ours != Reason::kNone) {
    result.outcome = Outcome::kNoData;
    result.reason = ours;
  }
  health.checked(run.series->target, result.outcome, result.reason, now.mono);
  // What the evidence was must not depend on the state, or the state would feed itself.
  if (result.outcome == Outcome::kNoData || health.state() == AgentHealth::kBlind) {
    weigh_health(now, out);
  }
  if (result.outcome == Outcome::kDown && health.state() == AgentHealth::kBlind) {
    result.outcome = Outcome::kNoData;
    result.reason = health.fault();
  }
  if (result.outcome == Outcome::kNoData) ++stats.no_data[result.reason];
  if (result.recovered()) ++stats.recovered;
  const SeriesId id_of_series = result.series;
  bool urgent = result.outcome == Outcome::kDown || result.outcome == Outcome::kNoData ||
                result.kind != ResultKind::kScheduled;
  if (result.kind == ResultKind::kScheduled) {
    scheduler.finished(id_of_series, run.tick, now.wall);
    const auto before = last_outcome.find(id_of_series);
    if (before != last_outcome.end() && before->second != result.outcome) urgent = true;
    if (series.contains(id_of_series)) last_outcome[id_of_series] = result.outcome;
  }
  const Outcome outcome = result.outcome;
  emit(std::move(result), run.series->assigned.shard, urgent, out);
  if (!proving.empty() && outcome != Outcome::kNoData) settle_proving(now, out);
}

void Conductor::Impl::emit(CheckResult result, std::uint16_t shard, bool urgent, Out& out) {
  generated += result.weight();
  stats.results[static_cast<std::size_t>(result.outcome)] += result.weight();
  const StreamClass cls = urgent ? StreamClass::kAlert : StreamClass::kRoutine;
  out.emplace_back(SpoolResult{cls, shard, std::move(result), urgent});
}

void Conductor::Impl::report_missed(const MissedRun& missed, Now, Out& out) {
  const RunnableSeries& s = *series.at(missed.series);
  CheckResult result;
  result.series = missed.series;
  result.kind = ResultKind::kMissed;
  result.tick = missed.first;
  result.tick_last = missed.last;
  result.spec_rev = s.assigned.spec_rev;
  result.config_version = s.config_version;
  result.slot = s.assigned.grid.slot(missed.first);
  result.outcome = Outcome::kMissed;
  result.missed = missed.cause;
  result.clock = clock.trust();
  emit(std::move(result), s.assigned.shard, false, out);
}

// --- time ---

void Conductor::Impl::run_timers(Now now, Out& out) {
  while (!timers.empty() && timers.begin()->first <= now.mono) {
    const RunId id = timers.begin()->second;
    timers.erase(timers.begin());
    const auto at = runs.find(id);
    if (at == runs.end()) continue;
    Execution& run = at->second;
    switch (run.state) {
      case Execution::State::kWaiting:
        if (draining) {
          finish(id, Reason::kNone, now, out);
        } else {
          start_attempt(run, now, out);
        }
        break;
      case Execution::State::kProving:
        finish(id, health.unproven(failure_of(run)), now, out);
        break;
      case Execution::State::kAttempting:
        break;
    }
  }
}

void Conductor::Impl::start_due(Now now, Out& out) {
  std::vector<DueSlot> due;
  std::vector<MissedRun> missed;
  scheduler.take_due(now.wall, stood_still, due, missed);
  last_take = now;
  ended_since_take = false;
  stood_still = false;
  for (const MissedRun& run : missed) report_missed(run, now, out);
  std::size_t began = 0;
  for (const DueSlot& slot : due) {
    const std::shared_ptr<const RunnableSeries>& s = series.at(slot.series);
    if (!has_place(*s, options.max_in_flight_per_target)) {
      scheduler.deferred(slot);
      continue;
    }
    lateness.add(slot.late);
    Execution run;
    run.series = s;
    run.tick = slot.tick;
    run.slot = slot.slot;
    run.late = slot.late;
    run.slot_end = now.mono + (s->assigned.grid.slot(slot.tick + 1) - now.wall);
    begin(std::move(run), now, out);
    ++began;
  }
  batches.began(began, now.mono);
}

void Conductor::Impl::keep_link(Now now, Out& out) {
  if (!link_up) return;
  if (now.mono - last_answer > kSilenceMax) {
    return drop_link("the collector has not answered for 9s", now.mono, out);
  }
  if (!welcomed) return;
  if (now.mono >= next_heartbeat) beat(now, out);
  if (!window.overdue(now.mono)) {
    return drop_link("frames sent twice are not acknowledged", now.mono, out);
  }
}

void Conductor::Impl::send_frames(Now now, Out& out) {
  more_to_send = false;
  if (!welcomed) return;
  const std::vector<FrameRef> frames = window.take(kFramesPerStep, now.mono);
  for (const FrameRef& frame : frames) out.emplace_back(SendFrame{frame});
  stats.frames_sent += frames.size();
  more_to_send = frames.size() == kFramesPerStep;
}

void Conductor::Impl::confirm_applied(Out& out) {
  if (!applied_pending || !welcomed || !ending.empty()) return;
  applied_pending = false;
  send(ConfigApplied{assignment_epoch}, out);
}

void Conductor::Impl::advance(Now now, Out& out) {
  if (now.mono > expected_wake && now.mono - expected_wake > kStandstill) stood_still = true;
  run_timers(now, out);
  if (draining) asked.clear();
  start_asked(now, out);
  if (!draining && now.mono >= batches.not_before()) start_due(now, out);
  if (!draining || !proving.empty()) start_looks(now, out);
  keep_link(now, out);
  confirm_applied(out);
  send_frames(now, out);
  if (draining && !goodbye_said && welcomed && runs.empty() && window.unacked_bytes() == 0 &&
      !more_to_send) {
    goodbye_said = true;
    send(Goodbye{drain_why}, out);
  }
  last_now = now;
}

// --- interface ---

Conductor::Conductor(Options options, const SpoolView& spool, Now now)
    : impl_(std::make_unique<Impl>(std::move(options), spool, now)) {}

Conductor::~Conductor() = default;

void Conductor::step(const AgentEvent& event, Now now, std::vector<AgentCommand>& out) {
  std::visit([&](const auto& e) { impl_->on(e, now, out); }, event);
  impl_->advance(now, out);
  impl_->expected_wake = next_wakeup();
}

MonoTime Conductor::next_wakeup() const {
  const Impl& i = *impl_;
  if (i.more_to_send) return i.last_now.mono;
  MonoTime next = i.window.next_deadline();
  if (!i.timers.empty()) next = std::min(next, i.timers.begin()->first);
  if (!i.draining) {
    const WallTime due = i.scheduler.next_due(i.last_take.wall);
    if (due != WallTime::never()) {
      const MonoTime at = i.last_take.mono + (due - i.last_take.wall);
      next = std::min(next, std::max(at, i.batches.not_before()));
    }
    // An end may have made room for what was due already.
    if (i.ended_since_take && i.scheduler.has_due(i.last_now.wall)) {
      next = std::min(next, i.batches.not_before());
    }
  }
  if (!i.draining || !i.proving.empty()) {
    for (const Impl::Look& look : i.looks) {
      if (look.run == RunId{}) next = std::min(next, look.next);
    }
  }
  if (!i.asked.empty()) next = std::min(next, i.asked.front().at.mono + kAskedWait + Duration{1});
  if (i.link_up) {
    next = std::min(next, i.last_answer + kSilenceMax + Duration{1});
    if (i.welcomed) next = std::min(next, i.next_heartbeat);
  }
  return next;
}

bool Conductor::idle() const { return impl_->runs.empty(); }

AgentStats Conductor::stats() {
  AgentStats out = impl_->stats;
  for (const Scheduler::QueueStats& q : impl_->scheduler.stats()) {
    out.queues.push_back(
        {q.interval, q.series, q.in_flight, q.started, q.missed, q.lateness_max, q.lateness});
  }
  out.generated = impl_->generated;
  out.unacked_bytes = impl_->window.unacked_bytes();
  out.ack_latencies = impl_->window.ack_latencies();
  out.linked = impl_->welcomed;
  out.health = impl_->health.state();
  out.fault = impl_->health.fault();
  for (std::size_t i = 0; i < impl_->health.anchors().size(); ++i) {
    AgentStats::AnchorStats anchor = impl_->looks[i].stats;
    anchor.answers = anchor.looks > 0 && impl_->health.anchors()[i].failed_looks == 0;
    anchor.counts = impl_->health.anchors()[i].counts;
    out.anchors.push_back(std::move(anchor));
  }
  out.assignment_epoch = impl_->assignment_epoch;
  return out;
}

Assignment Conductor::assignment() const {
  Assignment out;
  out.epoch = impl_->assignment_epoch;
  out.config_version = impl_->config_version;
  for (const auto& [id, s] : impl_->series) out.put.push_back(s->assigned);
  for (const auto& [name, secret] : impl_->secrets) out.secrets.push_back(secret);
  return out;
}

const std::map<std::string, AssignedSecret>& Conductor::secrets() const { return impl_->secrets; }

}  // namespace tocsin::agent

#include "collector/core/checkpoint.h"
#include "collector/core/transition.h"
#include "common/base/check.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

Voter voter_of(const State& s, const MonitorTable& monitor, const SeriesState& series) {
  Voter voter;
  RunRule rule = monitor.rule;
  rule.interval_ms = series.row.grid.interval_ms;
  voter.spans = series.log.spans(rule);
  voter.blind = s.regions[series.region].blind;
  voter.interval_ms = rule.interval_ms;
  voter.fresh_ms = monitor.fresh.count() / 1000;
  return voter;
}

VerdictPoint point_of(const KeptVerdict& kept) {
  const VerdictRow& row = kept.row;
  return {row.at.ms(), row.status, {row.n, row.k, row.down, row.up, row.degraded}, kept.failing};
}

bool fails(const MonitorTable& monitor, MonitorStatus status) {
  return status == MonitorStatus::kDown ||
         (status == MonitorStatus::kDegraded && monitor.entry->spec.page_on_degraded);
}

/// One monitor's fold with what is needed to write about it.
struct Assessment {
  FoldInput input;
  std::vector<VerdictPoint> points;
  std::vector<std::pair<std::string, Abstention>> abstained;  ///< At now.
};

Assessment fold(const Transition& t, const MonitorTable& monitor, std::int64_t from_ms) {
  Assessment a;
  FoldInput& in = a.input;
  in.k = monitor.k;
  in.degraded_fails = monitor.entry->spec.page_on_degraded;
  in.now_ms = t.wall_ms();
  in.from_ms = std::max(from_ms, monitor.rules_since.ms());
  if (monitor.kept.size() >= MonitorTable::kKeptMax) {
    in.from_ms = std::max(in.from_ms, monitor.kept.front().row.at.ms() + 1);
  }
  for (const KeptVerdict& kept : monitor.kept) {
    if (kept.row.at.ms() < in.from_ms) in.before = point_of(kept);
  }
  const std::int64_t fresh_ms = monitor.fresh.count() / 1000;
  in.stays.push_back({monitor.afresh_since.ms(), monitor.afresh_since.ms() + fresh_ms});
  if (t.s.settling) in.stays.push_back({t.s.quiet_since.ms(), INT64_MAX});
  for (const SeriesId id : monitor.series) {
    in.voters.push_back(voter_of(t.s, monitor, t.s.at(id)));
    const SeriesState& series = t.s.at(id);
    const Abstention why = abstention(in.voters.back(), series.log.tip(), series.distrusted,
                                      series.old_spec, in.now_ms);
    if (why != Abstention::kNone) a.abstained.emplace_back(series.row.region, why);
  }
  a.points = fold_history(in);
  return a;
}

std::vector<Vote> votes_at(const State& s, const MonitorTable& monitor, const FoldInput& in,
                           std::int64_t at_ms) {
  std::vector<Vote> votes;
  for (std::size_t i = 0; i < monitor.series.size(); ++i) {
    const BallotAt now = ballot_at(in.voters[i], at_ms, in.now_ms);
    if (now.ballot == Ballot::kNone) continue;
    const SeriesState& series = s.at(monitor.series[i]);
    const SlotGrid& grid = series.row.grid;
    Vote vote;
    vote.region = series.row.region;
    vote.series = monitor.series[i];
    vote.slot = WallTime::from_ms(now.slot_ms);
    const std::uint32_t tick = grid.tick_at_or_before(vote.slot);
    vote.tick = grid.slot(tick) == vote.slot ? tick : 0;
    vote.outcome = now.ballot == Ballot::kDown       ? Outcome::kDown
                   : now.ballot == Ballot::kDegraded ? Outcome::kDegraded
                                                     : Outcome::kUp;
    if (now.ballot == Ballot::kDown && series.failing) {
      vote.reason = series.failing->reason;
      if (!series.failing->attempts.empty()) {
        vote.detail = series.failing->attempts.back().finding.detail;
      }
    }
    votes.push_back(std::move(vote));
  }
  return votes;
}

void trim_kept(const Transition& t, MonitorTable& monitor) {
  while (monitor.kept.size() > MonitorTable::kKeptMax ||
         (monitor.kept.size() > 1 && monitor.kept[1].row.at < t.wall() - MonitorTable::kKeptFor)) {
    monitor.kept.pop_front();
  }
}

/// Rows that no longer hold are marked, new ones are appended. True when something changed.
bool rewrite(Transition& t, MonitorTable& monitor, const Assessment& a, bool late) {
  auto kept = std::find_if(monitor.kept.begin(), monitor.kept.end(),
                           [&](const KeptVerdict& k) { return k.row.at.ms() >= a.input.from_ms; });
  auto point = a.points.begin();
  while (kept != monitor.kept.end() && point != a.points.end() && point_of(*kept) == *point) {
    ++kept;
    ++point;
  }
  if (kept == monitor.kept.end() && point == a.points.end()) return false;
  for (auto it = kept; it != monitor.kept.end(); ++it) {
    it->row.replaced = true;
    t.row(it->row);
  }
  monitor.kept.erase(kept, monitor.kept.end());
  for (; point != a.points.end(); ++point) {
    const bool last = std::next(point) == a.points.end();
    VerdictRow row;
    row.monitor = monitor.id;
    row.seq = ++monitor.last_seq;
    row.at = WallTime::from_ms(point->at_ms);
    row.status = point->status;
    row.n = point->tally.n;
    row.k = point->tally.k;
    row.down = point->tally.down;
    row.up = point->tally.up;
    row.degraded = point->tally.degraded;
    row.because =
        because(point->tally, point->status, last ? a.abstained : decltype(a.abstained){});
    row.votes = votes_at(t.s, monitor, a.input, point->at_ms);
    row.late = late;
    t.row(row);
    ++t.s.stats.verdicts;
    monitor.kept.push_back({std::move(row), point->failing});
  }
  return true;
}

/// Where the present failing run of the fold began: the slot of its first failing vote that is near
/// enough to it to be the same outage.
WallTime failing_start(const State& s, const MonitorTable& monitor) {
  CHECK(!monitor.kept.empty());
  auto first = monitor.kept.rbegin();
  for (auto it = monitor.kept.rbegin(); it != monitor.kept.rend() && it->failing; ++it) first = it;
  const std::int64_t decided = first->row.at.ms();
  const std::int64_t reach = decided - monitor.fresh.count() / 1000 * monitor.rule.open_after;
  std::int64_t start = decided;
  for (const SeriesId id : monitor.series) {
    const auto since = s.at(id).log.failing_since(decided);
    if (since && *since >= reach) start = std::min(start, *since);
  }
  return WallTime::from_ms(start);
}

void open_for(Transition& t, MonitorTable& monitor, const Assessment& a) {
  const MonitorSpec& spec = monitor.entry->spec;
  const VerdictRow& verdict = monitor.kept.back().row;
  IncidentRow fresh;
  fresh.id = IncidentId{t.mint()};
  fresh.kind = IncidentKind::kMonitor;
  fresh.monitor = monitor.id;
  fresh.monitor_key = spec.key;
  fresh.service = spec.service;
  fresh.title =
      fmt::format("{} is {}", spec.name.empty() ? spec.key : spec.name, to_string(verdict.status));
  fresh.because = verdict.because;
  fresh.started_at = failing_start(t.s, monitor);
  fresh.votes = votes_at(t.s, monitor, a.input, INT64_MAX);
  for (std::size_t i = 0; i < monitor.series.size(); ++i) {
    const SeriesState& series = t.s.at(monitor.series[i]);
    if (series.counted == Ballot::kDown && series.failing) {
      fresh.evidence.push_back(*series.failing);
    }
  }
  if (!fresh.evidence.empty() && fresh.evidence.front().reason != Reason::kNone) {
    const Reason reason = fresh.evidence.front().reason;
    fresh.because += fmt::format(": {} ({})", to_string(reason), explain(reason));
  }
  monitor.state.incident = fresh.id;
  open(t, std::move(fresh));
}

int majority_of(const MonitorTable& monitor) {
  return static_cast<int>(monitor.series.size()) / 2 + 1;
}

bool passes(MonitorStatus status) {
  return status == MonitorStatus::kUp || status == MonitorStatus::kDegraded;
}

/// The newest verdict, or unknown where it is up by fewer votes than an open incident demands (Q5):
/// late results may have taken the outage out of the history, and still a minority closes nothing.
MonitorStatus live_status(const MonitorTable& monitor) {
  const VerdictRow& tip = monitor.kept.back().row;
  if (!monitor.state.incident || !passes(tip.status)) return tip.status;
  const Tally tally{tip.n, tip.k, tip.down, tip.up, tip.degraded};
  return passes(decide(tally, true)) ? tip.status : MonitorStatus::kUnknown;
}

/// The live status changes with the verdict, and with the incident where it held the verdict back.
void set_live_status(const Transition& t, MonitorTable& monitor, bool changed) {
  MonitorStateRow& state = monitor.state;
  if (monitor.kept.empty()) return;
  const VerdictRow& tip = monitor.kept.back().row;
  const bool held_back =
      state.verdict_seq == tip.seq && state.status == MonitorStatus::kUnknown && passes(tip.status);
  if (!changed && !held_back) return;
  const MonitorStatus live = live_status(monitor);
  const MonitorStateRow was = state;
  state.status = live;
  state.verdict_seq = tip.seq;
  if (live != tip.status) {
    state.because = tip.because + "; too few to end the incident";
    if (was.status != live) state.since = t.wall();
    return;
  }
  state.because = tip.because;
  auto since = monitor.kept.rbegin();
  while (std::next(since) != monitor.kept.rend() && std::next(since)->row.status == tip.status) {
    ++since;
  }
  // Rows older than what is kept may have had this status already.
  const bool whole = std::next(since) == monitor.kept.rend() && was.status == tip.status;
  state.since = whole ? std::min(was.since, since->row.at) : since->row.at;
}

/// Opens, resolves or annotates. The state row is written by the caller.
void judge_incident(Transition& t, MonitorTable& monitor, const Assessment& a, bool late,
                    MonitorStatus before) {
  const MonitorStatus status = monitor.state.status;
  if (!fails(monitor, status)) {
    monitor.owed = false;
    if (passes(status)) monitor.hand_resolved = false;
  }
  if (!monitor.state.incident) {
    if (!fails(monitor, status) || monitor.hand_resolved) return;
    // Only the live verdict pages: a status that stayed, or that an old result brought back into
    // the fold, opens nothing while fewer than k regions say so now.
    int heard = 0;
    int against = 0;
    for (const SeriesId id : monitor.series) {
      const SeriesState& series = t.s.at(id);
      if (series.counted == Ballot::kNone) continue;
      if (series.heard) ++heard;
      const bool degraded =
          monitor.entry->spec.page_on_degraded && series.counted == Ballot::kDegraded;
      if (series.counted == Ballot::kDown || degraded) ++against;
    }
    const int needed =
        status == MonitorStatus::kDegraded ? std::min(monitor.k, majority_of(monitor)) : monitor.k;
    monitor.owed = late || heard < monitor.k || against < needed;
    if (!monitor.owed) open_for(t, monitor, a);
    return;
  }
  const IncidentId id = *monitor.state.incident;
  if (status == MonitorStatus::kUp ||
      (status == MonitorStatus::kDegraded && !monitor.entry->spec.page_on_degraded)) {
    monitor.state.incident.reset();
    close(t, id, "", monitor.state.because);
    return;
  }
  if (status == MonitorStatus::kUnknown && before != status) {
    note_unknown(t, id, monitor.state.because);
  }
  if (!monitor.kept.empty() && monitor.kept.back().failing) {
    shift_start(t, id, failing_start(t.s, monitor));
  }
}

}  // namespace

MonitorView look(const State& s, std::uint32_t index, WallTime now) {
  const MonitorTable& monitor = s.monitors[index];
  MonitorView view;
  view.entry = *monitor.entry;
  view.state = monitor.state;
  FoldInput in;
  in.now_ms = now.ms();
  for (const SeriesId id : monitor.series) {
    const SeriesState& series = s.at(id);
    in.voters.push_back(voter_of(s, monitor, series));
    view.last_result = std::max(view.last_result, series.last_result);
    const Abstention why = abstention(in.voters.back(), series.log.tip(), series.distrusted,
                                      series.old_spec, in.now_ms);
    if (why != Abstention::kNone) view.abstentions.emplace_back(series.row.region, why);
  }
  view.votes = votes_at(s, monitor, in, INT64_MAX);
  return view;
}

void set_rules_since(Transition& t, MonitorTable& monitor, bool afresh) {
  const RulesChange change{monitor.id, t.wall(), afresh};
  apply(t.s, change);
  t.journal(encode_change(change));
}

void assess(Transition& t, std::uint32_t index, std::int64_t from_ms, bool late) {
  MonitorTable& monitor = t.s.monitors[index];
  if (monitor.entry == nullptr || monitor.entry->spec.paused || monitor.series.empty()) return;
  const Assessment a = fold(t, monitor, from_ms);

  const MonitorStateRow was = monitor.state;
  const bool changed = rewrite(t, monitor, a, late);
  MonitorStateRow& state = monitor.state;
  set_live_status(t, monitor, changed);
  std::optional<std::int64_t> due;
  const auto sooner = [&](std::int64_t at) { due = due ? std::min(*due, at) : at; };
  for (std::size_t i = 0; i < monitor.series.size(); ++i) {
    const Voter& voter = a.input.voters[i];
    t.s.at(monitor.series[i]).counted = ballot_at(voter, INT64_MAX, a.input.now_ms).ballot;
    if (const auto at = next_expiry(voter, a.input.now_ms)) sooner(*at);
  }
  const std::int64_t stay_end = a.input.stays.front().to_ms;
  if (stay_end > a.input.now_ms) sooner(stay_end);
  arm_monitor(t.s, index, due ? *due * 1000 : INT64_MAX);

  if (state.status != was.status) {
    t.event(
        "monitor", monitor.entry->spec.key,
        fmt::format("{} -> {}: {}", to_string(was.status), to_string(state.status), state.because));
  }
  if (changed && passes(state.status) && monitor.kept.back().row.down > 0 && !late) {
    t.notice(false, "failing_below_quorum",
             fmt::format("{}: {}", monitor.entry->spec.key, state.because));
  }
  judge_incident(t, monitor, a, late, was.status);
  trim_kept(t, monitor);
  if (!(state == was)) t.row(state);
}

}  // namespace tocsin::collector

#include "collector/core/transition.h"
#include "common/base/hash.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

/// One agent cannot fill the table of streams: an epoch is one process start.
constexpr std::size_t kStreamsPerAgentMax = 4096;

std::uint64_t one_off_key(const CheckResult& result) {
  const auto series = static_cast<std::uint32_t>(result.series);
  return splitmix64(fnv1a64(std::span<const std::uint8_t>{result.request}) ^ series);
}

bool remember_one_off(State& s, std::uint64_t key) {
  if (!s.one_off_set.insert(key).second) return false;
  s.one_offs.push_back(key);
  if (s.one_offs.size() > State::kOneOffsMax) {
    s.one_off_set.erase(s.one_offs.front());
    s.one_offs.pop_front();
  }
  return true;
}

/// The semantic key (A4).
Refusal check_key(State& s, SeriesState& series, const CheckResult& r,
                  const std::vector<KnownTick>& known) {
  switch (r.kind) {
    case ResultKind::kScheduled:
      switch (series.window.look(r.tick)) {
        case TickWindow::Seen::kDuplicate:
          return Refusal::kDuplicate;
        case TickWindow::Seen::kOutside:
          if (std::find(known.begin(), known.end(), KnownTick{r.series, r.tick}) != known.end()) {
            return Refusal::kDuplicate;
          }
          return Refusal::kNone;
        case TickWindow::Seen::kNew:
          series.window.mark(r.tick);
          return Refusal::kNone;
      }
      return Refusal::kNone;
    case ResultKind::kMissed:
      if (r.tick_last <= series.missed_through) return Refusal::kDuplicate;
      series.missed_through = r.tick_last;
      return Refusal::kNone;
    case ResultKind::kConfirm:
    case ResultKind::kRunNow:
      return remember_one_off(s, one_off_key(r)) ? Refusal::kNone : Refusal::kDuplicate;
  }
  return Refusal::kQuarantined;
}

void vote(SeriesState& series, const MonitorTable& monitor, const CheckResult& r,
          std::int64_t slot_ms, Admitted& out) {
  if (!series.voting || r.kind == ResultKind::kRunNow) return;
  const bool newest = slot_ms > series.log.tip().newest_ms;
  const bool old_spec = r.spec_rev != series.spec_rev && r.kind != ResultKind::kMissed;
  const bool distrusted = clock_distrusted(r.clock);
  if (newest) {
    series.old_spec = old_spec;
    series.distrusted = distrusted;
  }
  if (old_spec || distrusted) return;
  RunRule rule = monitor.rule;
  rule.interval_ms = series.row.grid.interval_ms;
  const std::uint32_t count =
      r.kind == ResultKind::kMissed ? r.tick_last - r.tick + 1 : std::uint32_t{1};
  const Outcome outcome = r.kind == ResultKind::kMissed ? Outcome::kMissed : r.outcome;
  const Ballot before = series.log.tip().ballot();
  const SampleLog::Put put = series.log.put(slot_ms, count, outcome, rule);
  if (put == SampleLog::Put::kIgnored) return;
  const Ballot ballot = series.log.tip().ballot();
  if (newest) {
    series.heard = true;
    if (outcome == Outcome::kDown) series.failing = std::make_unique<CheckResult>(r);
  }
  if (series.log.tip().held != Ballot::kDown && series.log.tip().failing == 0) {
    series.failing.reset();
  }
  // `counted` tells that the vote before has expired, `before` that it turned while nobody counted.
  if (put == SampleLog::Put::kRewritten || ballot != series.counted || ballot != before ||
      monitor.owed) {
    out.assess = true;
    out.from_ms = slot_ms;
  }
}

void count_refused(AgentTable& agent, EngineStats& stats, Refusal why, std::uint64_t n) {
  switch (why) {
    case Refusal::kNone:
      break;
    case Refusal::kUnassigned:
      agent.row.refused_unassigned += n;
      stats.refused_unassigned += n;
      break;
    case Refusal::kFuture:
      agent.row.refused_future += n;
      stats.refused_future += n;
      break;
    case Refusal::kTooOld:
      agent.row.refused_too_old += n;
      stats.refused_too_old += n;
      break;
    case Refusal::kDuplicate:
      agent.row.refused_duplicate += n;
      stats.refused_duplicate += n;
      break;
    case Refusal::kQuarantined:
      agent.row.refused_quarantined += n;
      stats.refused_quarantined += n;
      break;
  }
}

bool well_formed(const CheckResult& r) {
  if (r.kind == ResultKind::kMissed) return r.tick_last >= r.tick;
  return r.outcome != Outcome::kMissed;
}

void take_results(Transition& t, AgentTable& agent, const FrameArrived& event) {
  struct Due {
    std::int64_t from_ms = INT64_MAX;
    bool late = true;
  };

  std::map<std::uint32_t, Due> due;
  for (const CheckResult& result : event.results) {
    const Admitted a = admit(t.s, t.o, event.agent, result, event.known, t.wall());
    if (a.refusal != Refusal::kNone) {
      const std::uint64_t n = well_formed(result) ? result.weight() : 1;
      count_refused(agent, t.s.stats, a.refusal, n);
      continue;
    }
    agent.row.results_stored += result.weight();
    t.s.stats.results_stored += result.weight();
    if (a.late) ++t.s.stats.results_late;
    if (result.kind == ResultKind::kMissed) t.s.stats.results_missed += result.weight();
    t.row(ResultRow{result, event.agent, t.wall(), a.late});
    if (!a.assess) continue;
    Due& d = due[t.s.at(result.series).monitor];
    d.from_ms = std::min(d.from_ms, a.from_ms);
    d.late = d.late && a.late;
  }
  for (const auto& [monitor, d] : due) assess(t, monitor, d.from_ms, d.late);
}

}  // namespace

Admitted admit(State& s, const Engine::Options& options, const AgentId& agent, const CheckResult& r,
               const std::vector<KnownTick>& known, WallTime now) {
  Admitted out;
  SeriesState* series = s.find_series(r.series);
  if (series == nullptr || series->monitor == kNoIndex) {
    out.refusal = Refusal::kUnassigned;
    return out;
  }
  if (!well_formed(r)) {
    out.refusal = Refusal::kQuarantined;
    return out;
  }
  const SlotGrid& grid = series->row.grid;
  const Duration interval = std::chrono::milliseconds{grid.interval_ms};
  const bool ticked = r.kind == ResultKind::kScheduled || r.kind == ResultKind::kMissed;
  const Duration correction = clock_correction(r.clock);
  const WallTime slot = (ticked ? grid.slot(r.tick) : r.slot) + correction;
  const WallTime last = r.kind == ResultKind::kMissed ? grid.slot(r.tick_last) + correction : slot;
  if (!authorised(series->tenures, agent, slot, now) &&
      !(last != slot && authorised(series->tenures, agent, last, now))) {
    out.refusal = Refusal::kUnassigned;
    return out;
  }
  out.refusal = check_slot(last, interval, options.result_retention, now);
  if (out.refusal == Refusal::kNone) out.refusal = check_key(s, *series, r, known);
  if (out.refusal != Refusal::kNone) return out;
  const MonitorTable& monitor = s.monitors[series->monitor];
  out.late = now - slot > monitor.late;
  series->last_result = std::max(series->last_result, last);
  vote(*series, monitor, r, slot.ms(), out);
  return out;
}

void on_frame(Transition& t, const FrameArrived& event) {
  AgentTable* agent = speaker(t, event.agent, event.session);
  if (agent == nullptr) return;
  const StreamId& id = event.frame.stream;
  const auto ack = [&](const StreamState& stream) {
    return StreamAck{id, stream.high_water, stream.digest, t.o.credit_bytes};
  };
  if (id.agent != event.agent || id.shard != t.o.shard) {
    ++t.s.stats.frames_nacked;
    t.notice(true, "frame_malformed",
             fmt::format("agent {}: a frame of stream {} is not its own", event.agent.str(),
                         to_string(id)));
    t.send(*agent, Nack{ack({}), NackCode::kMalformed, Duration{0}});
    return;
  }
  const auto found = t.s.streams.find(id);
  const StreamState before = found == t.s.streams.end() ? StreamState{} : found->second;
  const FrameVerdict verdict = check_frame(before, event);
  switch (verdict) {
    case FrameVerdict::kNext:
      break;
    case FrameVerdict::kCommitted:
      if (event.frame.last == before.high_water && event.frame.digest != before.digest) {
        ++agent->row.forks;
        ++t.s.stats.forks;
        t.touch(*agent);
        t.notice(true, "stream_fork",
                 fmt::format("agent {}: frame {} of stream {} was committed with other content: a "
                             "restored or cloned agent",
                             event.agent.str(), event.frame.last, to_string(id)));
      }
      t.send(*agent, Ack{ack(before)});
      return;
    case FrameVerdict::kOutOfOrder:
      ++t.s.stats.frames_nacked;
      t.send(*agent, Nack{ack(before), NackCode::kOutOfOrder, Duration{0}});
      return;
    case FrameVerdict::kFork:
      ++t.s.stats.frames_nacked;
      ++t.s.stats.forks;
      ++agent->row.forks;
      t.touch(*agent);
      t.notice(true, "stream_fork",
               fmt::format("agent {}: stream {} does not continue what is committed up to {}: a "
                           "restored or cloned agent",
                           event.agent.str(), to_string(id), before.high_water));
      t.send(*agent, Nack{ack(before), NackCode::kFork, Duration{0}});
      return;
    case FrameVerdict::kMalformed:
      ++t.s.stats.frames_nacked;
      t.notice(true, "frame_malformed",
               fmt::format("agent {}: frame {}..{} of stream {} contradicts itself",
                           event.agent.str(), event.frame.first, event.frame.last, to_string(id)));
      t.send(*agent, Nack{ack(before), NackCode::kMalformed, Duration{0}});
      return;
  }
  if (found == t.s.streams.end()) {
    const auto from = t.s.streams.lower_bound(StreamId{event.agent, 0, {}, 0, StreamClass{}});
    std::size_t streams = 0;
    for (auto it = from; it != t.s.streams.end() && it->first.agent == event.agent; ++it) ++streams;
    if (streams >= kStreamsPerAgentMax) {
      ++t.s.stats.frames_nacked;
      t.notice(true, "streams_exhausted",
               fmt::format("agent {}: more than {} streams; it restarts too often",
                           event.agent.str(), kStreamsPerAgentMax));
      t.send(*agent, Nack{ack({}), NackCode::kBusy, Duration{1min}});
      return;
    }
  }

  StreamState& stream = t.s.streams[id];
  stream.high_water = event.frame.last;
  stream.digest = event.frame.digest;
  stream.last_seen = t.wall();
  agent->row.last_seen = t.wall();
  t.touch(*agent);
  ++t.s.stats.frames;
  Bytes bytes{as_view(event.agent.bytes)};
  if (event.bytes) bytes += *event.bytes;
  t.out.journal.push_back(
      {JournalEntry::Kind::kFrame, std::make_shared<const Bytes>(std::move(bytes))});
  t.row(StreamRow{id, stream.high_water, stream.digest, stream.last_seen});
  if (event.frame.kind == FrameKind::kGap) {
    const std::uint64_t lost = gapped_after(event.gap, before.high_water);
    agent->row.results_gapped += lost;
    t.s.stats.results_gapped += lost;
    ++t.s.stats.gaps;
    t.notice(true, "results_lost",
             fmt::format("agent {}: {} results given up ({})", event.agent.str(), lost,
                         to_string(event.gap.cause)));
  }
  count_refused(*agent, t.s.stats, Refusal::kQuarantined, event.unreadable);
  take_results(t, *agent, event);
  t.send(*agent, Ack{ack(stream)});
}

}  // namespace tocsin::collector

#include "tests/sim/oracle.h"

#include "common/model/monitor_spec.h"

#include <algorithm>

namespace tocsin::sim {

using namespace std::chrono_literals;
using collector::IncidentKind;
using collector::IncidentRow;
using collector::IncidentState;

// --- agents ---

void Oracle::emitted(const AgentNode& agent, const CheckResult& result) {
  if (result.kind != ResultKind::kScheduled && result.kind != ResultKind::kMissed) return;
  auto& ticks = emitted_[&agent][result.series];
  // Within one life: a program that starts again while its clock is behind cannot know what it ran,
  // and the collector refuses the second result of the tick.
  auto& of_this_life = emitted_in_life_[&agent][result.series];
  for (std::uint32_t t = result.tick; t <= result.tick_last; ++t) {
    ticks.insert(t);
    if (!of_this_life.insert(t).second) {
      world_.violate("INV-23", fmt::format("series {} tick {} was run twice by one agent",
                                           static_cast<std::uint32_t>(result.series), t));
    }
  }
}

void Oracle::durable(const AgentNode&, const std::vector<CheckResult>& results) {
  for (const CheckResult& r : results) {
    if (r.kind == ResultKind::kScheduled) durable_[r.series].insert(r.tick);
    if (r.kind == ResultKind::kMissed) durable_missed_[r.series][r.tick] = r.tick_last;
  }
}

void Oracle::close_watch(const AgentNode& agent, SeriesId series, const Watch& watch,
                         WallTime now) {
  const Duration slack = Duration{watch.grid.interval_ms * 1000} + 5s;
  WallTime last = now - slack;
  // What a jump forward went over is reported with the next slot, and the end may come before it.
  if (world_.timeline.now() - agent.stepped_at < slack) last = last - agent.stepped_by;
  if (last <= watch.from) return;
  const std::set<std::uint32_t>& ticks = emitted_[&agent][series];
  for (std::uint32_t t = watch.grid.tick_at_or_after(watch.from); watch.grid.slot(t) <= last; ++t) {
    if (ticks.contains(t)) continue;
    world_.violate("INV-1",
                   fmt::format("agent of {} never ran and never reported series {} tick {}",
                               agent.region, static_cast<std::uint32_t>(series), t));
    return;
  }
}

void Oracle::assigned(const AgentNode& agent, const Assignment& assignment, WallTime now) {
  auto& watches = watches_[&agent];
  std::map<SeriesId, Watch> next;
  for (const AssignedSeries& s : assignment.put) {
    const auto at = watches.find(s.series);
    const bool same = at != watches.end() && at->second.grid == s.grid;
    next[s.series] = same ? at->second : Watch{s.grid, now};
  }
  for (const auto& [series, watch] : watches) {
    const auto at = next.find(series);
    if (at == next.end() || !(at->second.grid == watch.grid))
      close_watch(agent, series, watch, now);
  }
  watches = std::move(next);
}

void Oracle::stopped(const AgentNode& agent, WallTime now) {
  for (const auto& [series, watch] : watches_[&agent]) close_watch(agent, series, watch, now);
  watches_[&agent].clear();
  emitted_in_life_[&agent].clear();
}

void Oracle::acked(const StreamAck& ack) {
  const auto& streams = world_.collector.store.state().streams;
  const auto at = streams.find(ack.stream);
  const std::uint64_t durable = at == streams.end() ? 0 : at->second.high_water;
  if (ack.high_water > durable) {
    world_.violate("INV-3", fmt::format("stream {} was acknowledged to {}, committed is {}",
                                        to_string(ack.stream), ack.high_water, durable));
  }
}

// --- collector ---

bool Oracle::settling() const { return world_.timeline.now() < world_.collector.started + 95s; }

int Oracle::regions_possibly_down(const MonitorId& monitor, WallTime now) const {
  const auto& state = world_.collector.store.state();
  std::map<std::string, bool> down;
  for (const auto& [id, series] : state.series) {
    if (series.monitor != monitor || series.to < now - 1min) continue;
    // A region may vote down when one of its last three counted results is down: the newest one, or
    // an older one that two passing results have not outvoted yet.
    // "Last" by the agent's clock, or by that clock corrected, which counts when it is far off.
    std::vector<std::pair<WallTime, Outcome>> seen;
    std::vector<std::pair<WallTime, Outcome>> corrected;
    const auto look_at = [&](const CheckResult& r) {
      seen.emplace_back(r.slot, r.outcome);
      corrected.emplace_back(r.slot + Duration{r.clock.offset_ms * 1000LL}, r.outcome);
    };
    const auto results = state.results.find(id);
    if (results != state.results.end()) {
      for (auto r = results->second->rbegin(); r != results->second->rend() && seen.size() < 24;
           ++r) {
        const CheckResult& c = r->second.result;
        if (c.outcome != Outcome::kMissed) look_at(c);
      }
    }
    for (const auto& [key, row] : state.one_off_results) {
      if (key.second == id && row.result.kind == ResultKind::kConfirm) {
        look_at(row.result);
      }
    }
    for (auto* order : {&seen, &corrected}) {
      std::sort(order->begin(), order->end(),
                [](const auto& a, const auto& b) { return a.first > b.first; });
      int looked = 0;
      for (const auto& [slot, outcome] : *order) {
        if (outcome == Outcome::kNoData) continue;
        if (outcome == Outcome::kDown) down[series.region] = true;
        if (++looked == 3) break;
      }
    }
  }
  return static_cast<int>(down.size());
}

void Oracle::check_quorum(const MonitorId& monitor, WallTime now, const std::string& what,
                          const std::string& because) {
  const auto& state = world_.collector.store.state();
  std::set<std::string> electorate;
  for (const auto& [id, series] : state.series) {
    if (series.monitor == monitor && series.to == WallTime::never()) {
      electorate.insert(series.region);
    }
  }
  const int n = static_cast<int>(electorate.size());
  if (n == 0) return;
  const int k = n / 2 + 1;
  const int down = regions_possibly_down(monitor, now);
  if (down < k) {
    world_.violate("INV-31", fmt::format("{} with {} of {} regions failing, quorum is {}: {}", what,
                                         down, n, k, because));
  }
}

void Oracle::committed(const collector::CommitGroup& group) {
  for (const collector::JournalEntry& entry : group.journal) {
    if (entry.kind != collector::JournalEntry::Kind::kFrame) continue;
    // The stream and its place stand in the frame's fixed header, after 16 bytes of agent id.
    const Bytes& b = *entry.bytes;
    ByteReader r{as_bytes(b).subspan(16 + 12)};
    StreamId stream;
    r.u8();
    stream.cls = static_cast<StreamClass>(r.u8());
    stream.shard = r.u16();
    stream.epoch = r.u32();
    stream.agent.bytes = r.array<16>();
    stream.nonce = r.array<16>();
    const std::uint64_t first = r.u64();
    const Digest16 digest = digest16(as_bytes(b).subspan(16));
    const auto [at, fresh] = frames_.try_emplace({stream, first}, digest);
    if (!fresh && at->second != digest) {
      world_.violate("INV-5", fmt::format("two payloads committed at stream {} frame {}",
                                          to_string(stream), first));
    }
  }
  // The last one of the group: its results are all stored, and earlier ones saw a part of them.
  std::map<MonitorId, const collector::MonitorStateRow*> states;
  for (const collector::Row& row : group.rows) {
    if (const auto* s = std::get_if<collector::StreamRow>(&row)) {
      std::uint64_t& hw = high_water_[s->stream];
      if (s->high_water < hw) {
        world_.violate("INV-4", fmt::format("stream {} went back from {} to {}",
                                            to_string(s->stream), hw, s->high_water));
      }
      hw = s->high_water;
    } else if (const auto* i = std::get_if<IncidentRow>(&row)) {
      const auto before = incidents_.find(i->id);
      const bool fresh = before == incidents_.end();
      if (fresh && i->kind == IncidentKind::kMonitor) {
        world_.count("incidents");
        check_quorum(*i->monitor, i->opened_at, "incident on " + i->monitor_key, i->because);
        const auto other = open_.find(*i->monitor);
        if (i->state != IncidentState::kResolved && other != open_.end() &&
            other->second != i->id) {
          world_.violate("INV-10", fmt::format("two unresolved incidents on {}", i->monitor_key));
        }
      }
      if (!fresh && before->second.state == IncidentState::kResolved &&
          i->state != IncidentState::kResolved) {
        world_.violate("INV-11", fmt::format("incident {} left resolved", i->number));
      }
      if (i->monitor && i->kind == IncidentKind::kMonitor) {
        if (i->state == IncidentState::kResolved) {
          const auto o = open_.find(*i->monitor);
          if (o != open_.end() && o->second == i->id) open_.erase(o);
        } else {
          open_[*i->monitor] = i->id;
        }
      }
      if (i->state == IncidentState::kResolved || i->state == IncidentState::kAcknowledged) {
        answered_.insert(i->id);
      } else if (answered_.erase(i->id) != 0) {
        steps_.erase(i->id);  // Its acknowledgement ran out: the ladder starts anew.
      }
      incidents_[i->id] = *i;
    } else if (const auto* m = std::get_if<collector::MonitorStateRow>(&row)) {
      states[m->monitor] = m;
    } else if (const auto* t = std::get_if<collector::TimelineRow>(&row)) {
      WallTime& last = timeline_[t->incident];
      if (t->at < last) {
        world_.violate("INV-11", fmt::format("timeline of {} goes back", t->incident.str()));
      }
      last = t->at;
    } else if (const auto* o = std::get_if<collector::OutboxRow>(&row)) {
      if (o->kind != collector::NotificationKind::kTrigger) continue;
      const auto incident = incidents_.find(o->incident);
      if (incident == incidents_.end()) continue;
      if (answered_.contains(o->incident)) {
        world_.violate("INV-15", fmt::format("a step of {} was created after its answer",
                                             incident->second.number));
      }
      auto& steps = steps_[o->incident];
      steps.try_emplace({o->repeat, o->step}, o->created);
      const auto before = steps.find({o->repeat, o->step - 1});
      const auto& policy = incident->second.policy;
      if (before != steps.end() && static_cast<std::size_t>(o->step) < policy.steps.size()) {
        const Duration wanted = policy.steps[static_cast<std::size_t>(o->step)].delay;
        if (o->created - before->second < wanted) {
          world_.violate(
              "INV-15",
              fmt::format("step {} of incident {} came {} after the one before", o->step,
                          incident->second.number, format_duration(o->created - before->second)));
        }
      }
    }
  }
  for (const auto& [id, m] : states) {
    if (m->status != collector::MonitorStatus::kDown) {
      down_.erase(id);
    } else if (down_.insert(id).second && !settling()) {
      check_quorum(id, world_.collector.now().wall, "a monitor is down", m->because);
    }
  }
}

void Oracle::claimed(const collector::OutboxItem& item) {
  world_.count("claims");
  if (item.row.kind == collector::NotificationKind::kTrigger &&
      answered_.contains(item.row.incident) && item.attempts <= 1) {
    world_.violate("INV-14", "a page was claimed after its incident was answered");
  }
}

int Oracle::regions_fresh(const collector::MonitorView& view, WallTime now) const {
  const auto& state = world_.collector.store.state();
  const ProbeSpec& spec = view.entry.spec.probe;
  const Duration fresh = spec.interval + retry_budget(spec) + 15s;
  std::set<std::string> regions;
  for (const auto& [id, series] : state.series) {
    if (series.monitor != view.entry.spec.id || series.to < now - fresh - 100s) continue;
    // Clocks of agents may be off by what the world allows, and are corrected only above 2 s.
    const WallTime oldest = now - fresh - 100s;
    const auto results = state.results.find(id);
    if (results != state.results.end()) {
      for (const auto& [key, row] : *results->second) {
        if (row.result.outcome != Outcome::kMissed && row.result.slot >= oldest) {
          regions.insert(series.region);
        }
      }
    }
    for (const auto& [key, row] : state.one_off_results) {
      if (key.second == id && row.result.slot >= oldest) regions.insert(series.region);
    }
  }
  return static_cast<int>(regions.size());
}

bool Oracle::began_anew(const collector::MonitorView& view, WallTime now) const {
  const ProbeSpec& spec = view.entry.spec.probe;
  const Duration fresh = spec.interval + retry_budget(spec) + 15s;
  for (const auto& [id, series] : world_.collector.store.state().series) {
    if (series.monitor == view.entry.spec.id && series.to == WallTime::never() &&
        series.from > now - fresh) {
      return true;
    }
  }
  return false;
}

void Oracle::sample() {
  collector::Engine* engine = world_.collector.engine();
  if (engine == nullptr) return;
  const WallTime now = world_.collector.now().wall;
  const auto view = engine->view(now);
  for (const collector::MonitorView& m : view.monitors) {
    const MonitorId id = m.entry.spec.id;
    const bool green = m.state.status == collector::MonitorStatus::kUp ||
                       m.state.status == collector::MonitorStatus::kDegraded;
    const int n = static_cast<int>(m.votes.size() + m.abstentions.size());
    // With a new schedule the votes are empty and the status stays until the electorate decides or
    // freshness runs out (DEC-13).
    if (green && n > 0 && !settling() && !began_anew(m, now) && m.state.since < now - 1min) {
      const int needed = std::min(n - (n / 2 + 1) + 1, n / 2 + 1);
      const int fresh = regions_fresh(m, now);
      if (fresh < needed) {
        world_.violate("INV-7", fmt::format("{} is {} on results of {} of {} regions",
                                            m.entry.spec.key, to_string(m.state.status), fresh, n));
      }
    }
    // INV-9: without any fault around, an outage is an incident within its bound.
    const auto truth = world_.targets.find(id);
    if (truth == world_.targets.end() || world_.healed || m.entry.spec.paused) continue;
    const Duration t = world_.timeline.now();
    const ProbeSpec& spec = m.entry.spec.probe;
    const Duration bound = spec.interval + retry_budget(spec) + 10s;
    for (const Slice& s : truth->second.down) {
      const bool quiet =
          world_.last_fault + 5min < s.from && world_.collector.started + 5min < s.from;
      if (!quiet || t < s.from + bound || t > s.to) continue;
      const bool everyone =
          std::all_of(world_.agents.begin(), world_.agents.end(), [](const auto& a) {
            return a->running() && a->connection && !a->network_cut && !a->link_cut;
          });
      if (everyone && !m.state.incident && m.state.since < now - bound) {
        world_.violate("INV-9", fmt::format("{} is down since {} and has no incident",
                                            m.entry.spec.key, format_duration(s.from)));
      }
    }
  }
}

/// Each agent has the newest secrets of what it runs and no other.
void Oracle::check_secrets() {
  const auto& kept = world_.collector.store.state().secrets;
  for (const auto& agent : world_.agents) {
    if (!agent->running() || agent->clone) continue;
    const Assignment has = agent->assignment();
    std::set<std::string> named;
    for (const AssignedSeries& series : has.put) {
      for (const std::string& name : stored_secrets(series.spec.target)) named.insert(name);
    }
    std::set<std::string> held;
    for (const AssignedSecret& secret : has.secrets) {
      held.insert(secret.name);
      const auto at = kept.find(secret.name);
      if (secret.value == (at == kept.end() ? std::string{} : at->second.sealed)) continue;
      world_.violate("INV-32", fmt::format("agent {} has another secret {} than the store",
                                           agent->id.str(), secret.name));
    }
    if (held != named) {
      world_.violate("INV-32", fmt::format("agent {} holds {} secrets and its monitors name {}",
                                           agent->id.str(), held.size(), named.size()));
    }
  }
}

void Oracle::finish() {
  check_secrets();
  const auto& state = world_.collector.store.state();
  // INV-1: everything durable is stored, gapped or refused, with a record of it.
  std::uint64_t excused = 0;
  for (const auto& [id, a] : state.agents) {
    excused += a.results_gapped + a.refused_too_old + a.refused_future + a.refused_unassigned +
               a.refused_quarantined;
  }
  std::uint64_t missing = 0;
  std::string first;
  for (const auto& [series, ticks] : durable_) {
    const auto results = state.results.find(series);
    const auto row = state.series.find(series);
    for (const std::uint32_t tick : ticks) {
      // The newest may still be on their way.
      if (row != state.series.end() && row->second.grid.slot(tick) > world_.truth() - 1min)
        continue;
      const bool stored =
          results != state.results.end() && results->second->contains({tick, false});
      if (stored) continue;
      ++missing;
      if (first.empty()) {
        first = fmt::format("series {} tick {}", static_cast<std::uint32_t>(series), tick);
      }
    }
  }
  if (missing > excused && !world_.state_lost) {
    world_.violate("INV-1", fmt::format("{} durable results are not stored ({} excused), first {}",
                                        missing, excused, first));
  }
  // INV-2: what is counted as stored is what is stored.
  std::uint64_t rows = 0;
  for (const auto& [series, results] : state.results) {
    for (const auto& [key, row] : *results) rows += row.result.weight();
  }
  rows += state.one_off_results.size();
  std::uint64_t counted = 0;
  for (const auto& [id, a] : state.agents) counted += a.results_stored;
  if (counted != rows) {
    world_.violate("INV-2", fmt::format("{} results counted as stored, {} rows", counted, rows));
  }
  world_.report.counts["results"] = rows;
  // Accounting per agent, and nothing stuck.
  for (const auto& a : world_.agents) {
    if (!a->running()) continue;
    const auto row = state.agents.find(a->id);
    if (row == state.agents.end()) continue;
    for (const auto& [stream, hw] : high_water_) (void)stream, (void)hw;
  }
  if (collector::Engine* engine = world_.collector.engine()) {
    for (const collector::AgentView& a : engine->view(world_.collector.now().wall).agents) {
      if (!a.live) {
        world_.violate("INV-21",
                       fmt::format("agent {} is not live after the heal", a.row.agent.str()));
        continue;
      }
      if (a.last_heartbeat.in_spool > 50) {
        world_.violate("INV-21", fmt::format("agent {} still holds {} results", a.row.agent.str(),
                                             a.last_heartbeat.in_spool));
      }
      if (world_.state_lost) continue;
      const auto& r = a.row;
      const std::uint64_t known = r.results_stored + r.results_gapped + r.refused_too_old +
                                  r.refused_future + r.refused_unassigned + r.refused_duplicate +
                                  r.refused_quarantined + a.last_heartbeat.in_spool;
      const std::uint64_t made = a.last_heartbeat.generated;
      // The heartbeat is a few seconds old: what was made since is at most what the spool turned
      // over.
      const std::uint64_t slack = 60;
      if (known + slack < made || made + slack < known) {
        world_.violate(
            "INV-1", fmt::format("agent {} made {}, accounted for {}", r.agent.str(), made, known));
      }
    }
  }
  // INV-12, INV-13 and the resolves: every intent that was not cancelled was taken, and not too
  // often.
  std::map<std::pair<IncidentId, std::string>, int> open_triggers;
  for (const auto& [id, entry] : state.outbox) {
    const int accepted = world_.accepted.contains(id) ? world_.accepted.at(id) : 0;
    const collector::OutboxState s = entry.item.state;
    if (s == collector::OutboxState::kSent && accepted == 0) {
      world_.violate("INV-12", "a notification counts as sent and was never taken");
    }
    const bool due = s == collector::OutboxState::kPending || s == collector::OutboxState::kClaimed;
    if (due && entry.cancel_why.empty() &&
        entry.item.row.created < world_.collector.now().wall - 5min) {
      world_.violate("INV-12", fmt::format("a {} to {} is still waiting",
                                           to_string(entry.item.row.kind), entry.item.row.channel));
    }
    const auto bound = static_cast<int>(1 + world_.collector.crashes +
                                        world_.report.counts["delivery_answer_lost"]);
    if (accepted > bound) {
      world_.violate("INV-13", fmt::format("one notification was taken {} times", accepted));
    }
    if (accepted > 0) {
      const int sign = entry.item.row.kind == collector::NotificationKind::kResolve ? -1 : 0;
      int& open = open_triggers[{entry.item.row.incident, entry.item.row.channel}];
      if (entry.item.row.kind == collector::NotificationKind::kTrigger && open == 0) open = 1;
      if (sign < 0) open = -1;
    }
  }
  for (const auto& [key, open] : open_triggers) {
    const auto incident = incidents_.find(key.first);
    if (open != 1 || incident == incidents_.end()) continue;
    if (incident->second.state != IncidentState::kResolved) continue;
    const bool long_ago = incident->second.resolved_at &&
                          *incident->second.resolved_at < world_.collector.now().wall - 5min;
    if (long_ago) {
      world_.violate("INV-12", fmt::format("incident {} was resolved and {} never heard of it",
                                           incident->second.number, key.second));
    }
  }
  for (const auto& [id, incident] : incidents_) {
    if (incident.state != IncidentState::kResolved && incident.kind == IncidentKind::kMonitor) {
      world_.violate("INV-21", fmt::format("incident {} on {} is still open after the heal",
                                           incident.number, incident.monitor_key));
    }
  }
  for (const auto& a : world_.agents) {
    if (a->running()) stopped(*a, a->now().wall);
  }
}

}  // namespace tocsin::sim

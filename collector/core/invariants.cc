#include "collector/core/invariants.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

class Broken {
 public:
  template <class... Args>
  void expect(bool holds, fmt::format_string<Args...> text, Args&&... args) {
    if (!holds) list.push_back(fmt::format(text, std::forward<Args>(args)...));
  }

  std::vector<std::string> list;
};

void check_monitors(const State& s, Broken& b) {
  std::map<MonitorId, int> open;
  for (const auto& [id, incident] : s.incidents) {
    b.expect(incident.row.state != IncidentState::kResolved, "INV-11: {} is kept although resolved",
             id.str());
    b.expect(incident.row.timeline_seq >= 1, "INV-11: {} has no timeline", id.str());
    b.expect(incident.row.started_at.us > 0, "{} has no start", id.str());
    if (incident.row.monitor) ++open[*incident.row.monitor];
    const bool armed = s.escalation_due.contains({incident.escalation.due_at.us, incident.row.id});
    b.expect(armed != incident.escalation.done, "INV-12: escalation of {} is {} but {}", id.str(),
             incident.escalation.done ? "done" : "under way", armed ? "armed" : "not armed");
    const bool acknowledged = incident.row.state == IncidentState::kAcknowledged;
    b.expect(!acknowledged || incident.escalation.done || incident.escalation.ack_expiry,
             "INV-15: {} is acknowledged and still escalates", id.str());
    b.expect(acknowledged || incident.escalation.done || !incident.escalation.ack_expiry,
             "INV-15: {} waits for the end of an acknowledgement it has not", id.str());
    if (incident.row.kind == IncidentKind::kDeadChannel) {
      const auto at = s.dead_channels.find(incident.row.channel);
      b.expect(at != s.dead_channels.end() && at->second == id,
               "{}: '{}' has another incident, or none", id.str(), incident.row.channel);
    }
  }
  for (const auto& [channel, id] : s.dead_channels) {
    b.expect(s.incidents.contains(id), "channel '{}': its incident is not open", channel);
  }
  for (const auto& [id, n] : open) {
    b.expect(n <= 1, "INV-10: monitor {} has {} open incidents", id.str(), n);
  }
  for (const MonitorTable& monitor : s.monitors) {
    if (monitor.entry == nullptr) continue;
    const std::string& key = monitor.entry->spec.key;
    const auto n = static_cast<int>(monitor.series.size());
    b.expect(n >= 1 && monitor.k >= 1 && monitor.k <= n, "{}: n {} and k {}", key, n, monitor.k);
    if (monitor.state.incident) {
      b.expect(s.incidents.contains(*monitor.state.incident), "{}: its incident is not open", key);
      b.expect(monitor.state.status != MonitorStatus::kUp, "INV-7: {} is up with an open incident",
               key);
    }
    for (const SeriesId id : monitor.series) {
      const SeriesState& series = s.at(id);
      b.expect(series.row.monitor == monitor.id, "{}: series {} is another monitor's", key,
               static_cast<std::uint32_t>(id));
      b.expect(series.voting != monitor.entry->spec.paused, "{}: paused and voting disagree", key);
      b.expect(series.log.stretches().size() <= SampleLog::kStretchesMax,
               "INV-18: {}: {} stretches", key, series.log.stretches().size());
    }
    // INV-7: only votes make a monitor up. (While the rules are new or the collector settles, the
    // old status stays whatever the votes say, so the verdict is looked at and not the ballots of
    // now.)
    if (!monitor.kept.empty() && monitor.kept.back().row.status == MonitorStatus::kUp) {
      b.expect(monitor.kept.back().row.up > 0, "INV-7: {} is up and no region says so", key);
    }
    b.expect(monitor.kept.size() <= MonitorTable::kKeptMax, "INV-18: {}: {} kept verdicts", key,
             monitor.kept.size());
    for (std::size_t i = 1; i < monitor.kept.size(); ++i) {
      b.expect(monitor.kept[i - 1].row.at < monitor.kept[i].row.at,
               "{}: verdicts {} and {} are out of order", key, monitor.kept[i - 1].row.seq,
               monitor.kept[i].row.seq);
    }
    if (!monitor.kept.empty()) {
      b.expect(monitor.kept.back().row.seq == monitor.state.verdict_seq ||
                   monitor.state.status == MonitorStatus::kNew,
               "{}: state names verdict {}, the newest is {}", key, monitor.state.verdict_seq,
               monitor.kept.back().row.seq);
    }
  }
}

void check_assignments(const State& s, Broken& b) {
  for (std::size_t i = 1; i < s.series.size(); ++i) {
    const SeriesState& series = s.series[i];
    int open = 0;
    for (const Tenure& tenure : series.tenures) {
      if (tenure.to != WallTime::never()) continue;
      ++open;
      const auto it = s.agent_by_id.find(tenure.agent);
      b.expect(it != s.agent_by_id.end() &&
                   s.agents[it->second].assigned.contains(static_cast<SeriesId>(i)),
               "INV-27: series {} is held by an agent that does not know", i);
    }
    b.expect(open <= 2, "series {} is held by {} agents", i, open);
    b.expect(open == 0 || series.voting, "series {} does not vote and is assigned", i);
    b.expect(series.incoming == kNoIndex || open == 2, "series {}: a move with {} holders", i,
             open);
  }
  for (const AgentTable& agent : s.agents) {
    b.expect(!agent.row.revoked_at || agent.assigned.empty(), "INV-27: revoked agent {} has work",
             agent.row.agent.str());
  }
}

}  // namespace

std::vector<std::string> broken_invariants(const State& s) {
  Broken b;
  check_monitors(s, b);
  check_assignments(s, b);
  for (const auto& [id, stream] : s.streams) {
    b.expect(stream.high_water > 0, "INV-4: stream {} exists without a frame", to_string(id));
  }
  for (const RegionTable& region : s.regions) {
    if (!region.defined) continue;
    std::uint32_t seeing = 0;
    for (const std::uint32_t agent : region.agents) {
      const AgentTable& a = s.agents[agent];
      seeing += a.liveness.live() && a.health != AgentHealth::kBlind && !a.row.revoked_at ? 1U : 0U;
    }
    b.expect(seeing == region.sight.seeing, "region {}: {} see, {} counted", region.key, seeing,
             region.sight.seeing);
    b.expect(!region.row.blind || seeing == 0, "region {} is blind and sees", region.key);
    b.expect(!region.row.incident || s.incidents.contains(*region.row.incident),
             "region {}: its incident is not open", region.key);
  }
  return std::move(b.list);
}

}  // namespace tocsin::collector

#include "collector/core/placement.h"
#include "collector/core/transition.h"
#include "common/base/check.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr Duration kMoveCap = 30s;

std::vector<std::uint32_t> holders_of(const State& s, const SeriesState& series) {
  std::vector<std::uint32_t> out;
  for (const Tenure& tenure : series.tenures) {
    if (tenure.to == WallTime::never()) out.push_back(s.agent_by_id.at(tenure.agent));
  }
  return out;
}

void hold(Transition& t, SeriesId id, std::uint32_t agent) {
  SeriesState& series = t.s.at(id);
  AgentTable& table = t.s.agents[agent];
  series.tenures.push_back({table.row.agent, t.wall(), WallTime::never()});
  table.assigned.insert(id);
  t.row(AssignmentRow{id, table.row.agent, t.wall(), WallTime::never()});
  t.put(agent, id);
}

void forget_move(Transition& t, SeriesId id) {
  SeriesState& series = t.s.at(id);
  if (series.incoming == kNoIndex) return;
  t.s.agents[series.incoming].incoming.erase(id);
  t.s.move_due.erase({series.move_due.us, id});
  series.incoming = kNoIndex;
}

void end_move(Transition& t, SeriesId id) {
  const std::uint32_t winner = t.s.at(id).incoming;
  forget_move(t, id);
  for (const std::uint32_t holder : holders_of(t.s, t.s.at(id))) {
    if (holder != winner) release(t, id, holder);
  }
}

}  // namespace

void release(Transition& t, SeriesId id, std::uint32_t agent) {
  SeriesState& series = t.s.at(id);
  AgentTable& table = t.s.agents[agent];
  if (series.incoming == agent) forget_move(t, id);
  for (Tenure& tenure : series.tenures) {
    if (tenure.agent != table.row.agent || tenure.to != WallTime::never()) continue;
    tenure.to = t.wall();
    t.row(AssignmentRow{id, tenure.agent, tenure.from, tenure.to});
  }
  std::erase_if(series.tenures, [&](const Tenure& tenure) {
    return tenure.to != WallTime::never() && tenure.to < t.wall() - kAssignmentKept;
  });
  table.assigned.erase(id);
  t.drop(agent, id);
}

void unassign(Transition& t, SeriesId id) {
  forget_move(t, id);
  for (const std::uint32_t holder : holders_of(t.s, t.s.at(id))) release(t, id, holder);
}

void place_series(Transition& t, SeriesId id) {
  SeriesState& series = t.s.at(id);
  if (!series.voting || series.monitor == kNoIndex) return;
  const std::uint64_t needed =
      capabilities_for(t.s.monitors[series.monitor].entry->spec.probe.target);
  const auto can = [&](std::uint32_t agent) {
    return (t.s.agents[agent].capabilities & needed) == needed;
  };
  for (const std::uint32_t holder : holders_of(t.s, series)) {
    if (!can(holder)) release(t, id, holder);
  }
  std::vector<AgentId> candidates;
  for (const std::uint32_t agent : t.s.regions[series.region].agents) {
    const AgentTable& table = t.s.agents[agent];
    if (table.liveness.holds_work() && !table.row.revoked_at && can(agent)) {
      candidates.push_back(table.row.agent);
    }
  }
  const auto wanted = place(series.row.monitor, candidates);
  if (!wanted) return;
  const std::uint32_t target = t.s.agent_by_id.at(*wanted);
  const std::vector<std::uint32_t> holders = holders_of(t.s, series);
  const bool holds = std::find(holders.begin(), holders.end(), target) != holders.end();
  if (holds) {
    if (series.incoming == target) return;  // On its way.
    forget_move(t, id);
    for (const std::uint32_t holder : holders) {
      if (holder != target) release(t, id, holder);
    }
    return;
  }
  if (series.incoming != kNoIndex) release(t, id, series.incoming);  // Overtaken before it began.
  hold(t, id, target);
  if (holders_of(t.s, series).size() == 1) return;  // Nobody to take it from.
  series.incoming = target;
  series.incoming_epoch = t.next_epoch(target);
  series.move_due = t.mono() + kMoveCap;
  t.s.agents[target].incoming.insert(id);
  t.s.move_due.insert({series.move_due.us, id});
}

void place_region(Transition& t, RegionTable& region) {
  for (const SeriesId id : region.series) place_series(t, id);
}

void confirm_moves(Transition& t, AgentTable& agent, std::uint64_t epoch) {
  const std::vector<SeriesId> waiting{agent.incoming.begin(), agent.incoming.end()};
  for (const SeriesId id : waiting) {
    if (t.s.at(id).incoming_epoch <= epoch) end_move(t, id);
  }
}

void sweep_moves(Transition& t) {
  while (!t.s.move_due.empty() && t.s.move_due.begin()->first <= t.mono().us) {
    const SeriesId id = t.s.move_due.begin()->second;
    SeriesState& series = t.s.at(id);
    const auto holders = holders_of(t.s, series);
    const bool old_gone = std::all_of(holders.begin(), holders.end(), [&](std::uint32_t holder) {
      return holder == series.incoming || !t.s.agents[holder].liveness.holds_work();
    });
    if (old_gone) {
      end_move(t, id);
      continue;
    }
    t.s.move_due.erase(t.s.move_due.begin());  // The old one still runs it: wait on.
    series.move_due = t.mono() + kMoveCap;
    t.s.move_due.insert({series.move_due.us, id});
  }
}

}  // namespace tocsin::collector

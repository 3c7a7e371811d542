#include "collector/core/restore.h"

#include "collector/core/checkpoint.h"
#include "collector/core/transition.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::string_view kEpochPrefix = "assignment_epoch/";

struct Sorted {
  std::vector<const MetaRow*> meta;
  std::vector<const SeriesRow*> series;
  std::vector<const AgentRow*> agents;
  std::vector<const AssignmentRow*> assignments;
  std::vector<const VerdictRow*> verdicts;
  std::vector<const MonitorStateRow*> states;
  std::vector<const RegionStateRow*> regions;
  std::vector<const IncidentRow*> incidents;
  std::vector<const EscalationRow*> escalations;
};

void put_object(Catalog& catalog, const CatalogRow& row) {
  if (row.removed) return;
  if (const auto* region = std::get_if<RegionSpec>(&row.object)) {
    catalog.regions[region->key] = *region;
  } else if (const auto* monitor = std::get_if<MonitorEntry>(&row.object)) {
    catalog.monitors[monitor->spec.key] = *monitor;
  } else if (const auto* service = std::get_if<ServiceSpec>(&row.object)) {
    catalog.services[service->key] = *service;
  } else if (const auto* policy = std::get_if<PolicySpec>(&row.object)) {
    catalog.policies[policy->key] = *policy;
  } else if (const auto* channel = std::get_if<ChannelSpec>(&row.object)) {
    catalog.channels[channel->key] = *channel;
  } else if (const auto* page = std::get_if<StatusPageSpec>(&row.object)) {
    catalog.pages[page->slug] = *page;
  } else if (const auto* user = std::get_if<UserSpec>(&row.object)) {
    catalog.users[user->key] = *user;
  }
}

/// Tables that are kept as they are written.
void put_people(const Row& row, State& s) {
  if (const auto* object = std::get_if<ObjectRow>(&row)) {
    s.catalog.meta[{object->kind, object->key}] = object->meta;
  } else if (const auto* credential = std::get_if<CredentialRow>(&row)) {
    s.auth.credentials[credential->user] = *credential;
  } else if (const auto* token = std::get_if<TokenRow>(&row)) {
    s.auth.tokens[token->digest] = *token;
  } else if (const auto* session = std::get_if<SessionRow>(&row)) {
    s.auth.sessions[session->digest] = *session;
  } else if (const auto* report = std::get_if<ReportRow>(&row)) {
    s.reports[report->id] = *report;
  } else if (const auto* secret = std::get_if<SecretRow>(&row)) {
    s.secrets[secret->name] = *secret;
  } else if (const auto* request = std::get_if<IdempotencyRow>(&row)) {
    s.requests[request->key] = *request;
  }
}

Sorted sort_rows(const Snapshot& snapshot, State& s) {
  Sorted out;
  for (const Row& row : snapshot.rows) {
    if (const auto* meta = std::get_if<MetaRow>(&row)) {
      out.meta.push_back(meta);
    } else if (const auto* object = std::get_if<CatalogRow>(&row)) {
      put_object(s.catalog, *object);
    } else if (const auto* series = std::get_if<SeriesRow>(&row)) {
      out.series.push_back(series);
    } else if (const auto* agent = std::get_if<AgentRow>(&row)) {
      out.agents.push_back(agent);
    } else if (const auto* enrolment = std::get_if<EnrolmentRow>(&row)) {
      s.enrolments[enrolment->id] = *enrolment;
    } else if (const auto* stream = std::get_if<StreamRow>(&row)) {
      s.streams[stream->stream] = {stream->high_water, stream->digest, stream->last_seen};
    } else if (const auto* assignment = std::get_if<AssignmentRow>(&row)) {
      out.assignments.push_back(assignment);
    } else if (const auto* verdict = std::get_if<VerdictRow>(&row)) {
      out.verdicts.push_back(verdict);
    } else if (const auto* state = std::get_if<MonitorStateRow>(&row)) {
      out.states.push_back(state);
    } else if (const auto* region = std::get_if<RegionStateRow>(&row)) {
      out.regions.push_back(region);
    } else if (const auto* incident = std::get_if<IncidentRow>(&row)) {
      out.incidents.push_back(incident);
    } else if (const auto* escalation = std::get_if<EscalationRow>(&row)) {
      out.escalations.push_back(escalation);
    } else {
      put_people(row, s);
    }
  }
  for (const auto& [key, request] : s.requests) s.request_order.emplace_back(request.at, key);
  std::sort(s.request_order.begin(), s.request_order.end());
  std::sort(out.series.begin(), out.series.end(),
            [](const SeriesRow* a, const SeriesRow* b) { return a->series < b->series; });
  std::sort(out.agents.begin(), out.agents.end(),
            [](const AgentRow* a, const AgentRow* b) { return a->agent < b->agent; });
  std::sort(out.assignments.begin(), out.assignments.end(),
            [](const AssignmentRow* a, const AssignmentRow* b) { return a->from < b->from; });
  std::sort(out.verdicts.begin(), out.verdicts.end(),
            [](const VerdictRow* a, const VerdictRow* b) { return a->seq < b->seq; });
  return out;
}

RegionTable& region_of(State& s, const std::string& key) {
  const auto [it, fresh] =
      s.region_by_key.try_emplace(key, static_cast<std::uint32_t>(s.regions.size()));
  if (fresh) {
    s.regions.emplace_back();
    s.regions.back().key = key;
    s.regions.back().row.region = key;
  }
  return s.regions[it->second];
}

void build_tables(State& s, const Sorted& rows, Now now) {
  for (const auto& [key, region] : s.catalog.regions) region_of(s, key).defined = true;
  for (const RegionStateRow* row : rows.regions) region_of(s, row->region).row = *row;
  for (const SeriesRow* row : rows.series) region_of(s, row->region);
  for (auto& [key, entry] : s.catalog.monitors) {
    s.monitor_by_id[entry.spec.id] = static_cast<std::uint32_t>(s.monitors.size());
    s.monitors.emplace_back();
    s.monitors.back().entry = &entry;
    s.monitors.back().state.monitor = entry.spec.id;
    derive(s, s.monitors.back());
  }
  for (const AgentRow* row : rows.agents) {
    const auto index = static_cast<std::uint32_t>(s.agents.size());
    RegionTable& region = region_of(s, row->region);
    region.agents.push_back(index);
    s.agents.emplace_back();
    s.agents.back().row = *row;
    s.agents.back().region = s.region_by_key.at(row->region);
    s.agents.back().epoch = 1;
    s.agent_by_id[row->agent] = index;
  }
  for (const MetaRow* meta : rows.meta) {
    if (meta->name == "config_version") s.catalog.version = meta->value;
    if (meta->name == "next_incident_number") s.next_incident = meta->value;
    if (meta->name == "event_seq") s.event_seq = meta->value;
    if (meta->name == "audit_seq") s.audit_seq = meta->value;
    if (!meta->name.starts_with(kEpochPrefix)) continue;
    const auto id = AgentId::parse(std::string_view{meta->name}.substr(kEpochPrefix.size()));
    AgentTable* agent = id ? s.find_agent(*id) : nullptr;
    if (agent != nullptr) agent->epoch = meta->value;
  }
  std::map<std::pair<MonitorId, std::uint32_t>, SeriesId> active;
  for (const SeriesRow* row : rows.series) {
    const auto id = static_cast<std::uint32_t>(row->series);
    if (id >= s.series.size()) s.series.resize(id + 1);
    SeriesState& series = s.series[id];
    series.row = *row;
    series.region = s.region_by_key.at(row->region);
    const auto monitor = s.monitor_by_id.find(row->monitor);
    if (monitor != s.monitor_by_id.end()) series.monitor = monitor->second;
    std::uint32_t& generation = s.generations[{row->monitor, series.region}];
    generation = std::max(generation, row->generation);
    if (row->to == WallTime::never()) active[{row->monitor, series.region}] = row->series;
  }
  for (MonitorTable& monitor : s.monitors) {
    for (const std::string& key : s.catalog.electorate(monitor.entry->spec)) {
      const auto it = active.find({monitor.id, s.region_by_key.at(key)});
      if (it == active.end()) continue;
      monitor.series.push_back(it->second);
      region_of(s, key).series.insert(it->second);
    }
  }
  for (const AssignmentRow* row : rows.assignments) {
    SeriesState* series = s.find_series(row->series);
    AgentTable* agent = s.find_agent(row->agent);
    if (series == nullptr || agent == nullptr) continue;
    if (row->to != WallTime::never() && row->to < now.wall - kAssignmentKept) continue;
    series->tenures.push_back({row->agent, row->from, row->to});
    if (row->to == WallTime::never()) agent->assigned.insert(row->series);
  }
}

void restore_decisions(State& s, const Sorted& rows) {
  for (const MonitorStateRow* row : rows.states) {
    const auto it = s.monitor_by_id.find(row->monitor);
    if (it != s.monitor_by_id.end()) s.monitors[it->second].state = *row;
  }
  for (const VerdictRow* row : rows.verdicts) {
    const auto it = s.monitor_by_id.find(row->monitor);
    if (it == s.monitor_by_id.end()) continue;
    MonitorTable& monitor = s.monitors[it->second];
    monitor.last_seq = std::max(monitor.last_seq, row->seq);
    if (!row->replaced) monitor.kept.push_back({*row, false});
  }
  for (MonitorTable& monitor : s.monitors) {
    monitor.last_seq = std::max(monitor.last_seq, monitor.state.verdict_seq);
    std::sort(monitor.kept.begin(), monitor.kept.end(),
              [](const KeptVerdict& a, const KeptVerdict& b) { return a.row.at < b.row.at; });
    while (monitor.kept.size() > MonitorTable::kKeptMax) monitor.kept.pop_front();
    if (monitor.entry->spec.paused) monitor.kept.clear();
    bool failing = false;
    for (KeptVerdict& kept : monitor.kept) {
      if (kept.row.status == MonitorStatus::kDown) failing = true;
      if (kept.row.status == MonitorStatus::kUp) failing = false;
      if (kept.row.status == MonitorStatus::kDegraded) {
        failing = monitor.entry->spec.page_on_degraded;
      }
      kept.failing = failing;
    }
  }
  for (const IncidentRow* row : rows.incidents) {
    if (row->state != IncidentState::kResolved) {
      s.incidents[row->id].row = *row;
      if (row->kind == IncidentKind::kDeadChannel) s.dead_channels[row->channel] = row->id;
      s.incidents[row->id].escalation = {row->id, 0, 0, {}, true};
    }
  }
  for (const EscalationRow* row : rows.escalations) {
    const auto it = s.incidents.find(row->incident);
    if (it == s.incidents.end()) continue;
    it->second.escalation = *row;
    if (!row->done) s.escalation_due.insert({row->due_at.us, row->incident});
  }
}

void replay(State& s, const Engine::Options& options, const std::vector<ReplayGroup>& journal,
            std::uint64_t after) {
  for (const ReplayGroup& group : journal) {
    if (group.group.commit_seq <= after) continue;
    for (const auto& entry : group.entries) {
      if (const auto* frame = std::get_if<FrameArrived>(&entry)) {
        for (const CheckResult& result : frame->results) {
          admit(s, options, frame->agent, result, frame->known, group.group.now.wall);
        }
        continue;
      }
      const auto change = decode_change(as_bytes(std::get<Bytes>(entry)));
      if (change) {
        apply(s, *change);
      } else {
        s.restore_trouble = change.error().text;
      }
    }
  }
}

void begin_life(State& s, const Engine::Options& options, const Snapshot& snapshot, Now now) {
  s.started = true;
  s.settling = true;
  s.settled = now.mono + options.settle;
  s.quiet_since = snapshot.last_commit;
  for (SeriesState& series : s.series) {
    series.heard = false;
    series.counted = Ballot::kNone;
    std::size_t open = 0;
    for (const Tenure& tenure : series.tenures) open += tenure.to == WallTime::never() ? 1U : 0U;
    if (open < 2) continue;
    // A move was under way: its newest holder has to confirm first.
    for (auto it = series.tenures.rbegin(); it != series.tenures.rend(); ++it) {
      if (it->to != WallTime::never()) continue;
      series.incoming = s.agent_by_id.at(it->agent);
      break;
    }
    AgentTable& agent = s.agents[series.incoming];
    series.incoming_epoch = agent.epoch;
    series.move_due = s.settled;
    agent.incoming.insert(series.row.series);
    s.move_due.insert({series.move_due.us, series.row.series});
  }
  for (MonitorTable& monitor : s.monitors) {
    for (const SeriesId id : monitor.series) s.at(id).log.recount(monitor.rule);
    const bool fails =
        monitor.state.status == MonitorStatus::kDown ||
        (monitor.state.status == MonitorStatus::kDegraded && monitor.entry->spec.page_on_degraded);
    monitor.owed = fails && !monitor.state.incident;
  }
  for (RegionTable& region : s.regions) region.sight.dark_since = now.mono;
  for (AgentTable& agent : s.agents) {
    if (agent.assigned.empty() || agent.row.revoked_at) continue;
    agent.liveness.presence = Presence::kPresumed;
    arm_agent(s, agent);
  }
}

}  // namespace

void restore_state(State& s, const Engine::Options& options, const Snapshot& snapshot,
                   const std::vector<ReplayGroup>& journal, Now now) {
  s = State{};
  const Sorted rows = sort_rows(snapshot, s);
  build_tables(s, rows, now);
  restore_decisions(s, rows);
  std::uint64_t after = 0;
  if (!snapshot.checkpoint.empty()) {
    if (const auto done = decode_checkpoint(as_bytes(snapshot.checkpoint), s)) {
      after = snapshot.checkpoint_commit_seq;
    } else {
      s.restore_trouble = done.error().text + "; votes start empty";
    }
  }
  replay(s, options, journal, after);
  begin_life(s, options, snapshot, now);
}

}  // namespace tocsin::collector

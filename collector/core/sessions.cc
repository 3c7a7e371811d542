#include "collector/core/checkpoint.h"
#include "collector/core/placement.h"
#include "collector/core/transition.h"
#include "common/base/strings.h"

#include <algorithm>
#include <utility>

namespace tocsin::collector {

namespace {

constexpr std::size_t kEnrolmentsMax = 10'000;  // Used and expired ones count until they go.

void refuse(Transition& t, const AgentId& agent, SessionId session, RefusalCode code,
            std::string text) {
  t.out.effects.emplace_back(SendToAgent{agent, session, Refused{code, std::move(text)}});
}

void cut(Transition& t, const AgentId& agent, SessionId session, RefusalCode code,
         const std::string& text) {
  refuse(t, agent, session, code, text);
  t.out.effects.emplace_back(CloseSession{agent, session, text});
}

std::string label(const State& s, const AgentTable& agent) {
  const std::string region = agent.region == kNoIndex ? "?" : s.regions[agent.region].key;
  return fmt::format("agent {} ({}, host {})", agent.row.agent.str(), region,
                     agent.row.host.empty() ? "unknown" : agent.row.host);
}

bool sees(const AgentTable& agent) {
  return agent.liveness.live() && agent.health != AgentHealth::kBlind && !agent.row.revoked_at;
}

void cloned(Transition& t, AgentTable& agent) {
  if (agent.row.cloned) return;
  agent.row.cloned = true;
  t.touch(agent);
  const std::string text = label(t.s, agent) +
                           ": two processes use this key; stop one, enrol it anew, and then revoke "
                           "the old key if you do not know who copied it";
  t.event("agent", agent.row.agent.str(), text);
  t.notice(true, "agent_cloned", text);
}

void leaves(Transition& t, AgentTable& agent, Duration grace, const std::string& why) {
  agent.liveness.presence = Presence::kAbsent;
  agent.epoch_sent = 0;
  t.event("agent", agent.row.agent.str(), label(t.s, agent) + " is gone: " + why);
  t.notice(true, "agent_gone", label(t.s, agent) + ": " + why);
  if (agent.region == kNoIndex) return;
  RegionTable& region = t.s.regions[agent.region];
  place_region(t, region);
  look_at_region(t, region, grace);
}

void arrives(Transition& t, AgentTable& agent) {
  agent.liveness.presence = Presence::kLive;
  agent.liveness.heard = t.mono();
  arm_agent(t.s, agent);
  if (agent.region == kNoIndex) return;
  RegionTable& region = t.s.regions[agent.region];
  place_region(t, region);
  look_at_region(t, region, kBlindAfter);
}

void region_turns(Transition& t, RegionTable& region, bool blind, const std::string& why) {
  const RegionChange change{region.key, blind, t.wall_ms()};
  apply(t.s, change);
  t.journal(encode_change(change));
  region.row.blind = blind;
  region.row.since = t.wall();
  t.event("region", region.key, blind ? "blind: " + why : "sees again");
  t.notice(blind, blind ? "region_blind" : "region_sees",
           fmt::format("region {}: {}", region.key, blind ? why : "sees again"));
  const std::set<SeriesId> series = region.series;
  for (const SeriesId id : series) assess(t, t.s.at(id).monitor, t.wall_ms(), false);
  if (blind && !region.row.incident) {
    impaired_opens(t, region, why);
  } else if (!blind && region.row.incident) {
    const IncidentId id = *region.row.incident;
    region.row.incident.reset();
    close(t, id, "", "an agent is live and sees again");
  }
  t.row(region.row);
}

std::string blind_because(const State& s, const RegionTable& region) {
  for (const std::uint32_t index : region.agents) {
    const AgentTable& agent = s.agents[index];
    if (agent.liveness.live() && agent.health == AgentHealth::kBlind) {
      return fmt::format("every live agent reports itself blind ({})",
                         to_string(agent.heartbeat.self_fault));
    }
  }
  return fmt::format("no live agent for {}", format_duration(region.sight.grace));
}

void tell_what_it_cannot(Transition& t, const AgentTable& agent) {
  const std::string kinds = missing_kinds(agent.capabilities);
  if (kinds.empty()) return;
  const std::string text =
      fmt::format("{} runs version {}, which has no checks of kind {}: it gets none; upgrade it",
                  label(t.s, agent), agent.row.version, kinds);
  t.event("agent", agent.row.agent.str(), text);
  t.notice(true, "agent_lacks_kinds", text);
}

double check_rate(const State& s, const AgentTable& agent) {
  double rate = 0;
  for (const SeriesId id : agent.assigned) {
    rate += 1000.0 / static_cast<double>(s.at(id).row.grid.interval_ms);
  }
  return rate;
}

/// The live agent that runs the series, if it may be asked for one more.
AgentTable* runner_of(State& s, SeriesId id) {
  for (const Tenure& tenure : s.at(id).tenures) {
    if (tenure.to != WallTime::never()) continue;
    AgentTable* agent = s.find_agent(tenure.agent);
    if (agent != nullptr && agent->liveness.live() && !agent->row.revoked_at) return agent;
  }
  return nullptr;
}

}  // namespace

void arm_agent(State& s, const AgentTable& agent) {
  const std::uint32_t index = s.index_of(agent);
  AgentTable& table = s.agents[index];
  s.agent_due.erase({table.due_us, index});
  table.due_us = gone_at(agent.liveness, s.settled).us;
  if (table.due_us != MonoTime::never().us) s.agent_due.insert({table.due_us, index});
}

AgentTable* speaker(Transition& t, const AgentId& id, SessionId session) {
  AgentTable* agent = t.s.find_agent(id);
  if (agent == nullptr || agent->row.revoked_at) {
    cut(t, id, session, RefusalCode::kRevoked,
        "this key is not enrolled, or was revoked: enrol the agent again");
    return nullptr;
  }
  if (agent->session == session && agent->liveness.live()) {
    agent->liveness.presence = Presence::kLive;
    agent->liveness.heard = t.mono();
    return agent;
  }
  if (agent->superseded && agent->superseded->session == session && agent->liveness.live() &&
      t.mono() - agent->superseded->at >= kTakeoverGrace) {
    cloned(t, *agent);
    cut(t, id, session, RefusalCode::kCloned,
        "another process with this key has the session: stop one of them");
    return nullptr;
  }
  refuse(t, id, session, RefusalCode::kNoSession, "say Hello first");
  return nullptr;
}

void look_at_region(Transition& t, RegionTable& region, Duration grace) {
  const std::uint32_t before = region.sight.seeing;
  region.sight.seeing = 0;
  for (const std::uint32_t agent : region.agents) {
    region.sight.seeing += sees(t.s.agents[agent]) ? 1U : 0U;
  }
  if (before > 0 && region.sight.seeing == 0) {
    region.sight.dark_since = t.mono();
    region.sight.grace = grace;
  }
  if (region.sight.seeing > 0 && region.row.blind) region_turns(t, region, false, {});
}

void on_hello(Transition& t, const AgentHello& event) {
  AgentTable* agent = t.s.find_agent(event.agent);
  if (agent == nullptr || agent->row.revoked_at) {
    speaker(t, event.agent, event.session);
    return;
  }
  const Hello& hello = event.hello;
  if (hello.protocol < kProtocolVersionMin || hello.protocol > kProtocolVersion) {
    cut(t, event.agent, event.session, RefusalCode::kVersion,
        fmt::format("this collector speaks protocol {} to {}, the agent {}: upgrade the older one",
                    kProtocolVersionMin, kProtocolVersion, hello.protocol));
    return;
  }
  if (agent->liveness.live() && agent->session != event.session) {
    const bool other = agent->boot != hello.boot;
    // Back from the dead within its own silence: both run.
    if (other && agent->superseded && agent->superseded->boot == hello.boot) {
      cloned(t, *agent);
      refuse(t, event.agent, agent->session, RefusalCode::kCloned,
             "another process with this key has the session: stop one of them");
    }
    if (other) agent->superseded = {agent->session, agent->boot, t.mono()};
  }
  agent->session = event.session;
  agent->boot = hello.boot;
  agent->epoch_sent = 0;
  // An agent that does not say is taken to know everything.
  const std::uint64_t could =
      std::exchange(agent->capabilities, hello.capabilities == 0 ? UINT64_MAX : hello.capabilities);
  agent->row.host = printable(hello.host, 253);
  agent->row.version = printable(hello.version, 64);
  agent->row.last_seen = t.wall();
  t.touch(*agent);

  Welcome welcome;
  welcome.region = agent->row.region;
  welcome.wall = t.wall();
  welcome.heartbeat = kHeartbeatEvery;
  for (std::size_t i = 0; i < std::min(hello.streams.size(), Hello::kMaxStreams); ++i) {
    const StreamId& id = hello.streams[i].stream;
    const auto it = id.agent == event.agent ? t.s.streams.find(id) : t.s.streams.end();
    const StreamState stream = it == t.s.streams.end() ? StreamState{} : it->second;
    welcome.streams.push_back({id, stream.high_water, stream.digest, t.o.credit_bytes});
  }
  t.send(*agent, std::move(welcome));

  const bool was_live = agent->liveness.live();
  arrives(t, *agent);
  if (!was_live) {
    t.event("agent", event.agent.str(), label(t.s, *agent) + " is live");
    t.notice(false, "agent_live", label(t.s, *agent));
  }
  if (!was_live || could != agent->capabilities) tell_what_it_cannot(t, *agent);
  if (hello.assignment_epoch == agent->epoch) {
    agent->epoch_sent = agent->epoch;
    agent->epoch_applied = agent->epoch;
    confirm_moves(t, *agent, agent->epoch);
  } else {
    t.want_whole(t.s.index_of(*agent));
  }
}

void on_heartbeat(Transition& t, const AgentHeartbeat& event) {
  AgentTable* agent = speaker(t, event.agent, event.session);
  if (agent == nullptr) return;
  const Reason fault = agent->heartbeat.self_fault;
  agent->heartbeat = event.heartbeat;
  agent->clock_offset = std::chrono::milliseconds{event.heartbeat.clock.offset_ms};
  if (agent->health != event.heartbeat.health || fault != event.heartbeat.self_fault) {
    t.event("agent", event.agent.str(),
            fmt::format("{}: {} -> {} ({})", label(t.s, *agent), to_string(agent->health),
                        to_string(event.heartbeat.health), to_string(event.heartbeat.self_fault)));
    agent->health = event.heartbeat.health;
    if (agent->region != kNoIndex) {
      look_at_region(t, t.s.regions[agent->region], kBlindAfter);
    }
  }
  t.send(*agent, HeartbeatReply{event.heartbeat.number, event.heartbeat.wall, t.wall(), t.wall()});
}

void on_config_applied(Transition& t, const AgentConfigApplied& event) {
  AgentTable* agent = speaker(t, event.agent, event.session);
  if (agent == nullptr) return;
  agent->epoch_applied = std::min(event.epoch, agent->epoch);
  confirm_moves(t, *agent, agent->epoch_applied);
}

void on_wants_assignment(Transition& t, const AgentWantsAssignment& event) {
  AgentTable* agent = speaker(t, event.agent, event.session);
  if (agent != nullptr) t.want_whole(t.s.index_of(*agent));
}

void on_left(Transition& t, const AgentLeft& event) {
  AgentTable* agent = t.s.find_agent(event.agent);
  if (agent == nullptr) return;
  if (agent->superseded && agent->superseded->session == event.session) {
    agent->superseded.reset();  // It is gone: a restart, not a clone.
    return;
  }
  if (agent->session != event.session || !agent->liveness.live()) return;
  if (event.goodbye) {
    leaves(t, *agent, kGoodbyeGrace, event.why.empty() ? "goodbye" : printable(event.why));
    return;
  }
  if (agent->liveness.presence == Presence::kClosing) return;
  agent->liveness.presence = Presence::kClosing;
  agent->liveness.closed = t.mono();
  arm_agent(t.s, *agent);
}

void sweep_liveness(Transition& t) {
  while (!t.s.agent_due.empty() && t.s.agent_due.begin()->first <= t.mono().us) {
    const std::uint32_t index = t.s.agent_due.begin()->second;
    t.s.agent_due.erase(t.s.agent_due.begin());
    AgentTable& agent = t.s.agents[index];
    const MonoTime at = gone_at(agent.liveness, t.s.settled);
    if (at > t.mono()) {
      arm_agent(t.s, agent);  // It spoke meanwhile, or is gone already.
      continue;
    }
    const char* why = agent.liveness.presence == Presence::kClosing    ? "its connection closed"
                      : agent.liveness.presence == Presence::kPresumed ? "not back after our start"
                                                                       : "silent";
    leaves(t, agent, kBlindAfter, why);
  }
  for (RegionTable& region : t.s.regions) {
    if (!region.defined || region.row.blind) continue;
    const auto at = blind_at(region.sight, t.s.settled);
    if (at && *at <= t.mono()) region_turns(t, region, true, blind_because(t.s, region));
  }
}

void on_suspicion(Transition& t, const AgentSuspicion& event) {
  AgentTable* agent = speaker(t, event.agent, event.session);
  if (agent == nullptr) return;
  ++t.s.stats.suspicions;
  SeriesState* series = t.s.find_series(event.suspicion.series);
  if (series == nullptr || !series->voting || series->monitor == kNoIndex ||
      series->spec_rev != event.suspicion.spec_rev ||
      !agent->assigned.contains(event.suspicion.series)) {
    return;
  }
  MonitorTable& monitor = t.s.monitors[series->monitor];
  const MonitorSpec& spec = monitor.entry->spec;
  if (!spec.confirm || monitor.series.size() < 2) return;
  if (!confirm_due(monitor.confirm_asked, t.wall(), spec.probe.interval)) {
    ++t.s.stats.confirms_refused;
    return;
  }
  monitor.confirm_asked = t.wall();
  for (const SeriesId id : monitor.series) {
    if (id == event.suspicion.series) continue;
    AgentTable* runner = runner_of(t.s, id);
    if (runner == nullptr || runner->health != AgentHealth::kHealthy ||
        !runner->budget.take(t.mono(), static_cast<std::uint32_t>(runner->assigned.size()),
                             check_rate(t.s, *runner))) {
      ++t.s.stats.confirms_refused;
      continue;
    }
    ++t.s.stats.confirms_asked;
    t.send(*runner, RunRequest{t.mint(), id, monitor.entry->spec_rev, ResultKind::kConfirm});
  }
}

void on_run_now(Transition& t, const RunNow& command) {
  const auto entry = t.s.catalog.monitors.find(command.monitor_key);
  if (entry == t.s.catalog.monitors.end()) {
    t.reply(Error{Errc::kNotFound,
                  fmt::format("run '{}': no such monitor", printable(command.monitor_key, 63))});
    return;
  }
  const MonitorTable& monitor = t.s.monitors[t.s.monitor_by_id.at(entry->second.spec.id)];
  std::size_t asked = 0;
  for (const SeriesId id : monitor.series) {
    const AgentTable* runner = runner_of(t.s, id);
    if (runner == nullptr) continue;
    ++asked;
    t.send(*runner, RunRequest{command.request, id, entry->second.spec_rev, ResultKind::kRunNow});
  }
  if (asked == 0) {
    t.reply(Error{Errc::kUnavailable, fmt::format("run '{}': no live agent in any of its regions",
                                                  command.monitor_key)});
    return;
  }
  t.event("monitor", command.monitor_key,
          fmt::format("run from {} regions asked for by {}", asked, command.actor));
  t.reply();
}

void on_add_enrolment(Transition& t, const AddEnrolment& command) {
  if (t.answered_before(command.once)) return;
  const EnrolmentRow& row = command.enrolment;
  if (!t.s.catalog.regions.contains(row.region)) {
    t.reply(Error{Errc::kNotFound,
                  fmt::format("enrol: region '{}' is not defined", printable(row.region, 63))});
    return;
  }
  if (row.agent) {
    const AgentTable* agent = t.s.find_agent(*row.agent);
    if (agent == nullptr || agent->row.revoked_at || agent->row.region != row.region) {
      t.reply(
          Error{Errc::kNotFound, fmt::format("enrol: {} is no agent of region '{}' that has a key",
                                             row.agent->str(), row.region)});
      return;
    }
  }
  if (t.s.enrolments.contains(row.id)) {
    t.reply(Error{Errc::kExists, "enrol: this enrolment exists already"});
    return;
  }
  if (t.s.enrolments.size() >= kEnrolmentsMax) {
    t.reply(Error{Errc::kLimit, fmt::format("enrol: there are {} enrolments already: delete some",
                                            kEnrolmentsMax)});
    return;
  }
  t.s.enrolments[row.id] = row;
  t.row(row);
  t.out.effects.emplace_back(
      KeyChanged{KeyChanged::Use::kEnrolment, row.public_key, row.id.bytes, row.expires_at});
  ++t.s.enrolments_rev;
  t.event("agent", row.region, fmt::format("enrolment made by {}", command.actor));
  t.audit(command.actor, "create", "enrolment", row.id.str(),
          "region " + row.region + (row.agent ? ", new key for agent " + row.agent->str() : "") +
              (row.name.empty() ? "" : ", for " + printable(row.name, 100)));
  t.done(command.once, row.id.str());
}

void on_remove_enrolment(Transition& t, const RemoveEnrolment& command) {
  const auto it = t.s.enrolments.find(command.enrolment);
  if (it == t.s.enrolments.end()) {
    t.reply(Error{Errc::kNotFound, "no enrolment has the id " + command.enrolment.str()});
    return;
  }
  t.reply();
  EnrolmentRow& row = it->second;
  if (row.used_at || row.expires_at <= t.wall()) return;
  row.expires_at = t.wall();
  t.row(row);
  ++t.s.enrolments_rev;
  t.out.effects.emplace_back(
      KeyChanged{KeyChanged::Use::kNone, row.public_key, row.id.bytes, WallTime::never()});
  t.audit(command.actor, "delete", "enrolment", row.id.str(), "region " + row.region);
}

namespace {

/// The agent stays who it is, with its streams and its part of the work; whoever holds the old key
/// is nobody from now on.
void renew_key(Transition& t, EnrolmentRow& enrolment, const Enrol& enrol, AgentTable& agent) {
  const AgentId id = agent.row.agent;
  t.out.effects.emplace_back(
      KeyChanged{KeyChanged::Use::kNone, agent.row.public_key, id.bytes, WallTime::never()});
  t.out.effects.emplace_back(KeyChanged{KeyChanged::Use::kNone, enrolment.public_key,
                                        enrolment.id.bytes, WallTime::never()});
  agent.row.public_key = enrol.public_key;
  agent.row.host = printable(enrol.host, 253);
  agent.row.version = printable(enrol.version, 64);
  agent.row.cloned = false;
  enrolment.used_at = t.wall();
  t.touch(agent);
  t.row(enrolment);
  t.out.effects.emplace_back(
      KeyChanged{KeyChanged::Use::kAgent, enrol.public_key, id.bytes, WallTime::never()});
  if (agent.liveness.live()) {
    cut(t, id, agent.session, RefusalCode::kRevoked, "this agent has a new key");
  }
  t.event("agent", id.str(), "has a new key");
  if (agent.liveness.holds_work()) leaves(t, agent, kBlindAfter, "its key was renewed");
}

}  // namespace

void on_enrol(Transition& t, const EnrolAgent& command) {
  const auto answer = [&](CollectorMessage message) {
    t.out.effects.emplace_back(AnswerEnrolment{command.session, std::move(message)});
  };
  const auto it = t.s.enrolments.find(command.enrolment);
  if (it == t.s.enrolments.end()) {
    answer(Refused{RefusalCode::kEnrolment, "unknown enrolment: make a new bundle"});
    return;
  }
  EnrolmentRow& enrolment = it->second;
  ++t.s.enrolments_rev;
  const std::string& key = command.enrol.public_key;
  if (enrolment.used_at) {
    const AgentTable* agent = enrolment.agent ? t.s.find_agent(*enrolment.agent) : nullptr;
    if (agent != nullptr && agent->row.public_key == key && !agent->row.revoked_at) {
      answer(Enrolled{agent->row.agent, agent->row.region});  // Our answer was lost.
    } else {
      answer(Refused{RefusalCode::kEnrolment, "this bundle was used already: make a new one"});
      t.notice(true, "enrolment_replayed",
               fmt::format("enrolment {} was used again with another key", enrolment.id.str()));
    }
    return;
  }
  if (enrolment.expires_at <= t.wall()) {
    answer(Refused{RefusalCode::kEnrolment, "this bundle has expired: make a new one"});
    return;
  }
  const auto region = t.s.region_by_key.find(enrolment.region);
  const bool taken = std::any_of(t.s.agents.begin(), t.s.agents.end(), [&](const AgentTable& a) {
    return a.row.public_key == key || a.row.agent == command.agent;
  });
  if (key.size() != 40 || taken || region == t.s.region_by_key.end() ||
      !t.s.regions[region->second].defined) {
    answer(Refused{RefusalCode::kEnrolment,
                   key.size() != 40 ? "the public key is not 40 characters of Z85"
                   : taken          ? "this key is enrolled already"
                                    : "the region of this bundle no longer exists"});
    return;
  }
  if (enrolment.agent) {
    AgentTable* known = t.s.find_agent(*enrolment.agent);
    if (known == nullptr || known->row.revoked_at) {
      answer(Refused{RefusalCode::kEnrolment, "the agent of this bundle was revoked"});
      return;
    }
    const Enrolled enrolled{known->row.agent, known->row.region};
    renew_key(t, enrolment, command.enrol, *known);
    answer(enrolled);
    return;
  }
  AgentTable agent;
  agent.row.agent = command.agent;
  agent.row.region = enrolment.region;
  agent.row.public_key = key;
  agent.row.host = printable(command.enrol.host, 253);
  agent.row.version = printable(command.enrol.version, 64);
  agent.row.enrolled_at = agent.row.last_seen = t.wall();
  agent.region = region->second;
  agent.epoch = 1;
  const auto index = static_cast<std::uint32_t>(t.s.agents.size());
  t.s.agents.push_back(std::move(agent));
  t.s.agent_by_id[command.agent] = index;
  t.s.regions[region->second].agents.push_back(index);
  enrolment.used_at = t.wall();
  enrolment.agent = command.agent;
  t.touch(t.s.agents[index]);
  t.row(enrolment);
  t.out.effects.emplace_back(
      KeyChanged{KeyChanged::Use::kAgent, key, command.agent.bytes, WallTime::never()});
  t.out.effects.emplace_back(KeyChanged{KeyChanged::Use::kNone, enrolment.public_key,
                                        enrolment.id.bytes, WallTime::never()});
  t.event("agent", command.agent.str(), fmt::format("enrolled in {}", enrolment.region));
  answer(Enrolled{command.agent, enrolment.region});
}

void on_revoke(Transition& t, const RevokeAgent& command) {
  AgentTable* agent = t.s.find_agent(command.agent);
  if (agent == nullptr) {
    t.reply(Error{Errc::kNotFound, "revoke " + command.agent.str() + ": no such agent"});
    return;
  }
  t.reply();
  if (agent->row.revoked_at) return;
  agent->row.revoked_at = t.wall();
  t.touch(*agent);
  t.out.effects.emplace_back(KeyChanged{KeyChanged::Use::kNone, agent->row.public_key,
                                        command.agent.bytes, WallTime::never()});
  if (agent->liveness.live()) {
    cut(t, command.agent, agent->session, RefusalCode::kRevoked,
        "this key was revoked: enrol the agent again");
  }
  t.event("agent", command.agent.str(), fmt::format("revoked by {}", command.actor));
  t.audit(command.actor, "revoke", "agent", command.agent.str(), agent->row.region);
  const std::uint32_t index = t.s.index_of(*agent);
  if (agent->liveness.holds_work()) leaves(t, *agent, kBlindAfter, "revoked");
  const std::set<SeriesId> held = t.s.agents[index].assigned;
  for (const SeriesId id : held) release(t, id, index);
}

}  // namespace tocsin::collector

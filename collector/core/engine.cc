#include "collector/core/engine.h"

#include "collector/core/checkpoint.h"
#include "collector/core/invariants.h"
#include "collector/core/restore.h"
#include "collector/core/transition.h"

#include <algorithm>

namespace tocsin::collector {

struct Engine::Impl {
  Options options;
  State state;
  IdMinter ids;

  /// What views share, and of which revision it is.
  template <class T>
  struct Shown {
    std::shared_ptr<const T> value;
    std::uint64_t rev = 0;
  };

  Shown<Catalog> catalog;
  Shown<AuthTables> auth;
  Shown<std::vector<ReportRow>> reports;
  Shown<std::vector<EnrolmentRow>> enrolments;
  Shown<std::vector<SecretRow>> secrets;
};

namespace {

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};

template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

/// Made again only when the revision is another one.
template <class Shown, class Make>
auto refresh(Shown& shown, std::uint64_t rev, Make make) {
  if (shown.value == nullptr || shown.rev != rev) {
    shown.value = std::make_shared<decltype(make())>(make());
    shown.rev = rev;
  }
  return shown.value;
}

}  // namespace

Engine::Engine(Options options)
    : impl_(std::make_unique<Impl>(Impl{options, State{}, IdMinter{options.shard}})) {}

Engine::~Engine() = default;

void Engine::restore(const Snapshot& snapshot, const std::vector<ReplayGroup>& journal, Now now) {
  restore_state(impl_->state, impl_->options, snapshot, journal, now);
  impl_->catalog = {};  // Other tables than those that were shown.
  impl_->auth = {};
  impl_->reports = {};
  impl_->enrolments = {};
  impl_->secrets = {};
}

Decision Engine::step(const Event& event, const Group& group) {
  Transition t{impl_->state, impl_->options, group, impl_->ids};
  pass_time(t);
  std::visit(Overloaded{
                 [](const Tick&) {},
                 [&](const AgentHello& e) { on_hello(t, e); },
                 [&](const AgentHeartbeat& e) { on_heartbeat(t, e); },
                 [&](const AgentConfigApplied& e) { on_config_applied(t, e); },
                 [&](const AgentSuspicion& e) { on_suspicion(t, e); },
                 [&](const AgentWantsAssignment& e) { on_wants_assignment(t, e); },
                 [&](const AgentLeft& e) { on_left(t, e); },
                 [&](const FrameArrived& e) { on_frame(t, e); },
                 [&](const ApplyCatalog& e) { on_apply(t, e); },
                 [&](const AddEnrolment& e) { on_add_enrolment(t, e); },
                 [&](const EnrolAgent& e) { on_enrol(t, e); },
                 [&](const RevokeAgent& e) { on_revoke(t, e); },
                 [&](const AcknowledgeIncident& e) { on_acknowledge(t, e); },
                 [&](const ResolveIncident& e) { on_resolve(t, e); },
                 [&](const RunNow& e) { on_run_now(t, e); },
                 [&](const RemoveEnrolment& e) { on_remove_enrolment(t, e); },
                 [&](const ReassignIncident& e) { on_reassign(t, e); },
                 [&](const AddIncidentNote& e) { on_note(t, e); },
                 [&](const WatchIncident& e) { on_watch(t, e); },
                 [&](const SendTest& e) { on_send_test(t, e); },
                 [&](const SetPassword& e) { on_set_password(t, e); },
                 [&](const AddToken& e) { on_add_token(t, e); },
                 [&](const RevokeToken& e) { on_revoke_token(t, e); },
                 [&](const TouchTokens& e) { on_touch_tokens(t, e); },
                 [&](const OpenSession& e) { on_open_session(t, e); },
                 [&](const TouchSession& e) { on_touch_session(t, e); },
                 [&](const CloseSessions& e) { on_close_sessions(t, e); },
                 [&](const PutReport& e) { on_put_report(t, e); },
                 [&](const AddReportUpdate& e) { on_add_report_update(t, e); },
                 [&](const DeleteReport& e) { on_delete_report(t, e); },
                 [&](const PutSecret& e) { on_put_secret(t, e); },
                 [&](const DeleteSecret& e) { on_delete_secret(t, e); },
                 [&](const DeliveryTrouble& e) { on_delivery_trouble(t, e); },
                 [&](const ChannelHealth& e) { on_channel_health(t, e); },
             },
             event);
  return t.finish();
}

MonoTime Engine::next_wakeup(Now now) const {
  const State& s = impl_->state;
  if (!s.started) return now.mono;
  MonoTime at = MonoTime::never();
  const auto mono = [&](MonoTime t) { at = std::min(at, t); };
  const auto wall = [&](std::int64_t us) {
    at = std::min(at, now.mono + std::max(Duration{0}, WallTime{us} - now.wall));
  };
  if (s.settling) mono(s.settled);
  if (!s.agent_due.empty()) mono({s.agent_due.begin()->first});
  if (!s.move_due.empty()) mono({s.move_due.begin()->first});
  for (const RegionTable& region : s.regions) {
    if (!region.defined || region.row.blind) continue;
    if (const auto blind = blind_at(region.sight, s.settled)) mono(*blind);
  }
  if (!s.monitor_due.empty()) wall(s.monitor_due.begin()->first);
  if (!s.escalation_due.empty()) wall(s.escalation_due.begin()->first);
  return at;
}

std::vector<KnownTick> Engine::unknown_ticks(const FrameArrived& frame) const {
  std::vector<KnownTick> out;
  for (const CheckResult& result : frame.results) {
    if (result.kind != ResultKind::kScheduled) continue;
    const SeriesState* series = impl_->state.find_series(result.series);
    if (series != nullptr && series->window.look(result.tick) == TickWindow::Seen::kOutside) {
      out.push_back({result.series, result.tick});
    }
  }
  return out;
}

Bytes Engine::checkpoint() const { return encode_checkpoint(impl_->state); }

EngineView Engine::view(WallTime at) const {
  const State& s = impl_->state;
  EngineView view;
  view.config_version = s.catalog.version;
  view.event_seq = s.event_seq;
  view.at = at;
  view.catalog = refresh(impl_->catalog, s.catalog.version, [&] { return s.catalog; });
  view.auth = refresh(impl_->auth, s.auth_rev, [&] { return s.auth; });
  view.reports = refresh(impl_->reports, s.reports_rev, [&] {
    std::vector<ReportRow> all;
    for (const auto& [id, report] : s.reports) all.push_back(report);
    std::sort(all.begin(), all.end(), [](const ReportRow& a, const ReportRow& b) {
      return a.created > b.created || (a.created == b.created && a.id > b.id);
    });
    return all;
  });
  view.enrolments = refresh(impl_->enrolments, s.enrolments_rev, [&] {
    std::vector<EnrolmentRow> all;
    for (const auto& [id, enrolment] : s.enrolments) all.push_back(enrolment);
    return all;
  });
  view.secrets = refresh(impl_->secrets, s.secrets_rev, [&] {
    std::vector<SecretRow> all;
    for (const auto& [name, secret] : s.secrets) all.push_back(secret);
    return all;
  });
  for (const auto& [key, entry] : s.catalog.monitors) {
    view.monitors.push_back(look(s, s.monitor_by_id.at(entry.spec.id), at));
  }
  for (const auto& [id, index] : s.agent_by_id) {
    const AgentTable& agent = s.agents[index];
    view.agents.push_back({agent.row, agent.liveness.live(), agent.health, agent.heartbeat,
                           agent.clock_offset, agent.epoch, agent.epoch_applied,
                           static_cast<std::uint32_t>(agent.assigned.size())});
  }
  for (const auto& [key, spec] : s.catalog.regions) {
    const RegionTable& region = s.regions[s.region_by_key.at(key)];
    std::uint32_t live = 0;
    for (const std::uint32_t agent : region.agents)
      live += s.agents[agent].liveness.live() ? 1U : 0U;
    view.regions.push_back({spec, region.row, live});
  }
  for (const auto& [id, incident] : s.incidents) view.open_incidents.push_back(incident.row);
  for (const auto& [slug, page] : s.catalog.pages) view.pages.push_back(page);
  return view;
}

EngineStats Engine::stats() const {
  const State& s = impl_->state;
  EngineStats stats = s.stats;
  stats.monitors = s.catalog.monitors.size();
  stats.open_incidents = s.incidents.size();
  for (const MonitorTable& monitor : s.monitors) stats.series += monitor.series.size();
  for (const AgentTable& agent : s.agents) stats.live_agents += agent.liveness.live() ? 1U : 0U;
  return stats;
}

const Catalog& Engine::catalog() const { return impl_->state.catalog; }

std::uint64_t Engine::state_digest() const { return digest_of(impl_->state); }

std::vector<std::string> Engine::check_invariants() const {
  return broken_invariants(impl_->state);
}

}  // namespace tocsin::collector

#include "collector/api/json_views.h"

#include "collector/api/answers.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"
#include "common/codec/evidence_node.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::collector {

namespace {

using codec::Node;

/// What strangers may have written: controls and bidirectional overrides are made visible.
Node text(std::string_view raw) { return Node::string(printable(raw, 4096)); }

Node texts(const std::vector<std::string>& all) {
  Node out = Node::list();
  for (const std::string& one : all) out.items.push_back(text(one));
  return out;
}

Node number(std::uint64_t n) { return Node::integer(static_cast<std::int64_t>(n)); }

Node votes_node(const std::vector<Vote>& votes) {
  Node out = Node::list();
  for (const Vote& vote : votes) {
    out.items.push_back(Node::map({{"region", Node::string(vote.region)},
                                   {"outcome", Node::string(to_string(vote.outcome))},
                                   {"reason", Node::string(std::string{to_string(vote.reason)})},
                                   {"detail", text(vote.detail)},
                                   {"slot", time_node(vote.slot)}}));
  }
  return out;
}

/// Which attempt passed after others had failed.
void set_recovered(Node& out, const CheckResult& result) {
  if (result.recovered()) out.set("recovered_on_attempt", number(result.attempts.size()));
}

Node phases_node(const Phases& p) {
  return Node::map({{"dns", number(p.dns_us)},
                    {"connect", number(p.connect_us)},
                    {"tls", number(p.tls_us)},
                    {"send", number(p.send_us)},
                    {"wait", number(p.wait_us)},
                    {"receive", number(p.receive_us)},
                    {"total", number(p.total_us)}});
}

Node hops_node(const std::vector<HttpHop>& hops) {
  Node out = Node::list();
  for (const HttpHop& hop : hops) {
    Node n = Node::map({{"url", text(hop.url)}});
    if (!hop.remote.empty()) n.set("remote", text(hop.remote));
    if (hop.status != 0) n.set("http_status", Node::integer(hop.status));
    n.set("phases_us", phases_node(hop.phases));
    out.items.push_back(std::move(n));
  }
  return out;
}

Node attempts_node(const CheckResult& result) {
  Node out = Node::list();
  for (const Attempt& attempt : result.attempts) {
    Node n = Node::map();
    n.set("outcome", Node::string(to_string(attempt.finding.outcome)));
    n.set("reason", Node::string(std::string{to_string(attempt.finding.reason)}));
    n.set("detail", text(attempt.finding.detail));
    n.set("start_offset_us", number(attempt.start_offset_us));
    n.set("phases_us", phases_node(attempt.phases));
    if (!attempt.remote.empty()) n.set("remote", text(attempt.remote));
    if (attempt.http_status != 0) {
      n.set("http_status", number(attempt.http_status));
      n.set("connection", Node::string(to_string(attempt.connection)));
    }
    if (!attempt.hops.empty()) n.set("hops", hops_node(attempt.hops));
    if (attempt.cert_not_after_ms != 0) {
      n.set("certificate_expires_at", time_node(WallTime::from_ms(attempt.cert_not_after_ms)));
    }
    if (!attempt.tried.empty()) {
      Node& tried = n.set("tried", Node::list());
      for (const std::string& one : attempt.tried) tried.items.push_back(text(one));
    }
    if (attempt.tls) n.set("tls", codec::tls_node(*attempt.tls));
    if (attempt.tcp) n.set("tcp", codec::tcp_node(*attempt.tcp));
    if (!attempt.excerpt.empty()) n.set("excerpt", text(attempt.excerpt));
    out.items.push_back(std::move(n));
  }
  return out;
}

template <class Map>
const typename Map::mapped_type* find(const Map& map, const std::string& key) {
  const auto it = map.find(key);
  return it == map.end() ? nullptr : &it->second;
}

template <class Map>
std::vector<std::string> keys_in(const Map& map) {
  std::vector<std::string> out;
  for (const auto& [key, object] : map) out.push_back(key);
  return out;
}

/// Its id as text; regions have none but their key.
std::string id_of(const RegionSpec&) { return {}; }

std::string id_of(const MonitorEntry& entry) { return entry.spec.id.str(); }

template <class Spec>
std::string id_of(const Spec& spec) {
  return spec.id.empty() ? std::string{} : spec.id.str();
}

Node form_of(const MonitorEntry& entry) { return to_node(entry.spec); }

template <class Spec>
Node form_of(const Spec& spec) {
  return to_node(spec);
}

/// Calls `f` with the object, if it is there.
template <class F>
bool with_object(const Catalog& c, ObjectKind kind, const std::string& key, F f) {
  const auto call = [&](const auto* object) {
    if (object != nullptr) f(*object);
    return object != nullptr;
  };
  switch (kind) {
    case ObjectKind::kRegion:
      return call(find(c.regions, key));
    case ObjectKind::kMonitor:
      return call(find(c.monitors, key));
    case ObjectKind::kService:
      return call(find(c.services, key));
    case ObjectKind::kPolicy:
      return call(find(c.policies, key));
    case ObjectKind::kChannel:
      return call(find(c.channels, key));
    case ObjectKind::kPage:
      return call(find(c.pages, key));
    case ObjectKind::kUser:
      return call(find(c.users, key));
  }
  return false;
}

void add_monitor_state(Node& out, const EngineView& view, const std::string& key) {
  const MonitorView* monitor = find_monitor(view, key);
  if (monitor == nullptr) return;
  const MonitorStateRow& state = monitor->state;
  out.set("status", Node::string(to_string(state.status)));
  out.set("since", time_node(state.since));
  out.set("because", text(state.because));
  out.set("incident", state.incident ? Node::string(state.incident->str()) : Node{});
  out.set("votes", votes_node(monitor->votes));
  Node& silent = out.set("abstentions", Node::list());
  for (const auto& [region, why] : monitor->abstentions) {
    silent.items.push_back(
        Node::map({{"region", Node::string(region)}, {"why", Node::string(to_string(why))}}));
  }
}

}  // namespace

const MonitorView* find_monitor(const EngineView& view, const std::string& key) {
  // In the order of keys, as the catalogue has them.
  const auto it = std::lower_bound(
      view.monitors.begin(), view.monitors.end(), key,
      [](const MonitorView& monitor, const std::string& k) { return monitor.entry.spec.key < k; });
  return it == view.monitors.end() || it->entry.spec.key != key ? nullptr : &*it;
}

std::optional<Node> object_node(const EngineView& view, ObjectKind kind, const std::string& key) {
  Node out = Node::map();
  const bool found = with_object(*view.catalog, kind, key, [&](const auto& object) {
    const std::string id = id_of(object);
    if (!id.empty()) out.set("id", Node::string(id));
    for (auto& [name, value] : form_of(object).entries) out.set(name, std::move(value));
  });
  if (!found) return std::nullopt;
  const ObjectMeta* meta = view.catalog->find_meta(kind, key);
  out.set("rev", number(meta == nullptr ? 0 : meta->rev));
  out.set("origin", Node::string(meta == nullptr ? "built_in" : to_string(meta->origin)));
  out.set("created_at", meta == nullptr ? Node{} : time_node(meta->created));
  out.set("updated_at", meta == nullptr ? Node{} : time_node(meta->updated));
  if (kind == ObjectKind::kMonitor) add_monitor_state(out, view, key);
  if (kind == ObjectKind::kRegion) {
    for (const RegionView& region : view.regions) {
      if (region.spec.key != key) continue;
      out.set("live_agents", number(region.live_agents));
      out.set("blind", Node::boolean(region.state.blind));
    }
  }
  return out;
}

std::optional<Node> form_node(const EngineView& view, ObjectKind kind, const std::string& key) {
  std::optional<Node> out;
  with_object(*view.catalog, kind, key, [&](const auto& object) { out = form_of(object); });
  return out;
}

std::vector<std::string> keys_of(const Catalog& c, ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kRegion:
      return keys_in(c.regions);
    case ObjectKind::kMonitor:
      return keys_in(c.monitors);
    case ObjectKind::kService:
      return keys_in(c.services);
    case ObjectKind::kPolicy:
      return keys_in(c.policies);
    case ObjectKind::kChannel:
      return keys_in(c.channels);
    case ObjectKind::kPage:
      return keys_in(c.pages);
    case ObjectKind::kUser:
      return keys_in(c.users);
  }
  return {};
}

Node incident_node(const IncidentRow& row, bool with_evidence) {
  Node out = Node::map();
  out.set("id", Node::string(row.id.str()));
  out.set("name", Node::string(fmt::format("INC-{}", row.number)));
  out.set("number", number(row.number));
  out.set("kind", Node::string(to_string(row.kind)));
  out.set("state", Node::string(to_string(row.state)));
  out.set("title", text(row.title));
  out.set("because", text(row.because));
  out.set("service", Node::string(row.service));
  out.set("urgency", Node::string(to_string(row.urgency)));
  out.set("monitor", row.monitor_key.empty() ? Node{} : Node::string(row.monitor_key));
  out.set("region", row.region.empty() ? Node{} : Node::string(row.region));
  out.set("channel", row.channel.empty() ? Node{} : Node::string(row.channel));
  out.set("assignee", row.assignee.empty() ? Node{} : Node::string(row.assignee));
  out.set("watchers", texts(row.watchers));
  out.set("started_at", time_node(row.started_at));
  out.set("opened_at", time_node(row.opened_at));
  out.set("acknowledged_at", time_node(row.acknowledged_at));
  out.set("acknowledged_by", row.acknowledged_by.empty() ? Node{} : text(row.acknowledged_by));
  out.set("resolved_at", time_node(row.resolved_at));
  out.set("resolved_because", row.resolved_because.empty() ? Node{} : text(row.resolved_because));
  out.set("policy", row.policy.key.empty() ? Node{} : Node::string(row.policy.key));
  out.set("votes", votes_node(row.votes));
  if (!with_evidence) return out;
  Node& evidence = out.set("evidence", Node::list());
  for (const CheckResult& result : row.evidence) {
    Node n = Node::map();
    for (const Vote& vote : row.votes) {
      if (vote.series == result.series) n.set("region", Node::string(vote.region));
    }
    n.set("slot", time_node(result.slot));
    n.set("attempts", attempts_node(result));
    set_recovered(n, result);
    evidence.items.push_back(std::move(n));
  }
  return out;
}

Node timeline_node(const TimelineRow& row) {
  return Node::map({{"seq", number(row.seq)},
                    {"at", time_node(row.at)},
                    {"type", Node::string(to_string(row.type))},
                    {"actor", text(row.actor)},
                    {"text", text(row.text)}});
}

Node result_node(const ResultRow& row, const EngineView& view) {
  const CheckResult& r = row.result;
  Node out = Node::map();
  out.set("series", number(static_cast<std::uint32_t>(r.series)));
  const auto agent = std::find_if(view.agents.begin(), view.agents.end(),
                                  [&](const AgentView& a) { return a.row.agent == row.agent; });
  out.set("region", agent == view.agents.end() ? Node{} : Node::string(agent->row.region));
  out.set("agent", Node::string(row.agent.str()));
  const char* kinds[] = {"scheduled", "missed", "confirm", "run_now"};
  out.set("kind", Node::string(kinds[static_cast<std::size_t>(r.kind) & 3U]));
  out.set("tick", number(r.tick));
  out.set("slot", time_node(r.slot));
  out.set("outcome", Node::string(to_string(r.outcome)));
  out.set("reason",
          r.reason == Reason::kNone ? Node{} : Node::string(std::string{to_string(r.reason)}));
  out.set("duration_us", number(r.duration_us));
  out.set("queue_us", number(r.queue_us));
  out.set("late", Node::boolean(row.late));
  out.set("received_at", time_node(row.received));
  if (r.kind == ResultKind::kRunNow || r.kind == ResultKind::kConfirm) {
    out.set("request", Node::string(format_uuid(r.request)));
  }
  out.set("attempts", attempts_node(r));
  set_recovered(out, r);
  return out;
}

Node verdict_node(const VerdictRow& row) {
  return Node::map({{"seq", number(row.seq)},
                    {"at", time_node(row.at)},
                    {"status", Node::string(to_string(row.status))},
                    {"regions", Node::integer(row.n)},
                    {"quorum", Node::integer(row.k)},
                    {"down", Node::integer(row.down)},
                    {"up", Node::integer(row.up)},
                    {"degraded", Node::integer(row.degraded)},
                    {"because", text(row.because)},
                    {"late", Node::boolean(row.late)},
                    {"replaced", Node::boolean(row.replaced)},
                    {"votes", votes_node(row.votes)}});
}

Node notification_node(const OutboxItem& item, const std::vector<Delivery>& deliveries) {
  Node out = Node::map();
  out.set("id", Node::string(item.row.id.str()));
  out.set("incident", item.row.kind == NotificationKind::kTest
                          ? Node{}
                          : Node::string(item.row.incident.str()));
  out.set("kind", Node::string(to_string(item.row.kind)));
  out.set("channel", Node::string(item.row.channel));
  out.set("user", item.row.user.empty() ? Node{} : Node::string(item.row.user));
  out.set("title", text(item.row.content.title));
  out.set("step", Node::integer(item.row.step + 1));
  out.set("because", text(item.row.content.step_because));
  out.set("state", Node::string(to_string(item.state)));
  out.set("attempts", number(item.attempts));
  out.set("created_at", time_node(item.row.created));
  out.set("due_at", time_node(item.row.due));
  Node& list = out.set("deliveries", Node::list());
  for (const Delivery& d : deliveries) {
    const char* outcome = d.outcome == DeliveryOutcome::kSent    ? "sent"
                          : d.outcome == DeliveryOutcome::kRetry ? "retry"
                          : d.outcome == DeliveryOutcome::kHeld  ? "held"
                                                                 : "dead";
    list.items.push_back(
        Node::map({{"attempt", number(d.attempt)},
                   {"at", time_node(d.at)},
                   {"outcome", Node::string(outcome)},
                   {"status", Node::integer(d.status)},
                   {"detail", text(d.detail)},
                   {"duration_ms", number(d.duration_ms)},
                   {"retry_at", comes_back(d.outcome) ? time_node(d.retry_at) : Node{}},
                   {"digest", d.digest.empty() ? Node{} : text(d.digest)}}));
  }
  return out;
}

Node agent_node(const AgentView& agent) {
  const AgentRow& row = agent.row;
  const Heartbeat& beat = agent.last_heartbeat;
  Node out = Node::map();
  out.set("id", Node::string(row.agent.str()));
  out.set("region", Node::string(row.region));
  out.set("host", text(row.host));
  out.set("version", text(row.version));
  out.set("state", Node::string(row.revoked_at ? "revoked"
                                : row.cloned   ? "cloned"
                                : agent.live   ? "live"
                                               : "gone"));
  out.set("health", agent.live ? Node::string(to_string(agent.health)) : Node{});
  out.set("series", number(agent.series));
  out.set("enrolled_at", time_node(row.enrolled_at));
  out.set("last_seen", time_node(row.last_seen));
  out.set("revoked_at", time_node(row.revoked_at));
  // Why it calls itself suspect or blind.
  out.set("self_fault", agent.live && beat.self_fault != Reason::kNone
                            ? Node::string(std::string{to_string(beat.self_fault)})
                            : Node{});
  out.set("monitors", number(beat.monitors));
  out.set("in_flight", number(beat.in_flight));
  out.set("assignment", Node::map({{"epoch", number(agent.assignment_epoch_sent)},
                                   {"applied", number(agent.assignment_epoch_applied)}}));
  out.set("lateness_p99_ms", number(beat.lateness_p99_ms));
  out.set("spool", Node::map({{"results", number(beat.in_spool)},
                              {"bytes", number(beat.spool_bytes)},
                              {"bytes_max", number(beat.spool_bytes_max)}}));
  const bool measured = beat.clock.error_ms != UINT32_MAX;
  out.set("clock", Node::map({{"offset_ms", Node::integer(agent.clock_offset.count() / 1000)},
                              {"error_ms", measured ? number(beat.clock.error_ms) : Node{}}}));
  out.set("results", Node::map({{"generated", number(beat.generated)},
                                {"stored", number(row.results_stored)},
                                {"gapped", number(row.results_gapped)},
                                {"refused_too_old", number(row.refused_too_old)},
                                {"refused_future", number(row.refused_future)},
                                {"refused_unassigned", number(row.refused_unassigned)},
                                {"refused_duplicate", number(row.refused_duplicate)},
                                {"refused_quarantined", number(row.refused_quarantined)}}));
  return out;
}

Node token_node(const TokenRow& row) {
  return Node::map({{"id", Node::string(row.id.str())},
                    {"name", text(row.name)},
                    {"prefix", Node::string(row.prefix)},
                    {"owner", row.owner.empty() ? Node{} : Node::string(row.owner)},
                    {"role", Node::string(to_string(row.role))},
                    {"scopes", texts(row.scopes)},
                    {"created_at", time_node(row.created)},
                    {"created_by", text(row.created_by)},
                    {"expires_at", time_node(row.expires)},
                    {"last_used_at", time_node(row.last_used)},
                    {"revoked_at", time_node(row.revoked_at)}});
}

Node enrolment_node(const EnrolmentRow& row) {
  return Node::map({{"id", Node::string(row.id.str())},
                    {"region", Node::string(row.region)},
                    {"name", text(row.name)},
                    {"expires_at", time_node(row.expires_at)},
                    {"used_at", time_node(row.used_at)},
                    {"agent", row.agent ? Node::string(row.agent->str()) : Node{}}});
}

Node audit_node(const AuditRow& row) {
  return Node::map({{"seq", number(row.seq)},
                    {"at", time_node(row.at)},
                    {"actor", text(row.actor)},
                    {"action", text(row.action)},
                    {"kind", text(row.kind)},
                    {"key", text(row.key)},
                    {"detail", text(row.detail)}});
}

Node report_node(const ReportRow& row) {
  Node out = Node::map();
  out.set("id", Node::string(row.id.str()));
  out.set("page", Node::string(row.page));
  out.set("kind", Node::string(to_string(row.kind)));
  out.set("state", Node::string(to_string(row.state())));
  out.set("title", text(row.title));
  out.set("impact", Node::string(to_string(row.impact)));
  out.set("components", texts(row.components));
  out.set("scheduled_from", time_node(row.scheduled_from));
  out.set("scheduled_to", time_node(row.scheduled_to));
  out.set("created_at", time_node(row.created));
  out.set("created_by", text(row.created_by));
  out.set("rev", number(row.rev));
  Node& updates = out.set("updates", Node::list());
  for (const ReportUpdate& update : row.updates) {
    updates.items.push_back(Node::map({{"at", time_node(update.at)},
                                       {"state", Node::string(to_string(update.state))},
                                       {"text", text(update.text)}}));
  }
  return out;
}

Node change_node(const CatalogChange& change) {
  return Node::map({{"change", Node::string(to_string(change.kind))},
                    {"kind", Node::string(to_string(change.what))},
                    {"key", Node::string(change.key)},
                    {"fields", texts(change.fields)}});
}

}  // namespace tocsin::collector

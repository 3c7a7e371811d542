#include "collector/core/transition.h"

namespace tocsin::collector {

void Transition::event(std::string topic, std::string subject, std::string text) {
  events_ = true;
  row(EventRow{++s.event_seq, wall(), std::move(topic), std::move(subject), std::move(text)});
}

void Transition::notice(bool warning, std::string code, std::string text) {
  out.notices.push_back({warning, std::move(code), std::move(text)});
}

void Transition::send(const AgentTable& agent, CollectorMessage message) {
  out.effects.emplace_back(SendToAgent{agent.row.agent, agent.session, std::move(message)});
}

void Transition::journal(Bytes bytes) {
  out.journal.push_back(
      {JournalEntry::Kind::kAgentState, std::make_shared<const Bytes>(std::move(bytes))});
}

void Transition::reply(std::optional<Error> error) {
  if (!out.reply) out.reply.emplace();
  out.reply->error = std::move(error);
}

void Transition::audit(const std::string& actor, std::string action, std::string kind,
                       std::string key, std::string detail) {
  audits_ = true;
  row(AuditRow{++s.audit_seq, wall(), actor, std::move(action), std::move(kind), std::move(key),
               std::move(detail)});
}

bool Transition::answered_before(const std::optional<Once>& once) {
  if (!once) return false;
  forget_requests();
  const auto it = s.requests.find(once->key);
  if (it == s.requests.end()) return false;
  if (it->second.digest != once->digest) {
    reply(Error{Errc::kExists, "this Idempotency-Key was used for another request"});
    return true;
  }
  reply();
  out.reply->subject = it->second.subject;
  out.reply->repeated = true;
  return true;
}

void Transition::done(const std::optional<Once>& once, std::string subject) {
  reply();
  out.reply->subject = subject;
  if (!once) return;
  IdempotencyRow kept{once->key, once->digest, std::move(subject), wall(), false};
  row(kept);
  s.request_order.emplace_back(wall(), once->key);
  s.requests[once->key] = std::move(kept);
}

/// The old ones, and the oldest when there are too many.
void Transition::forget_requests() {
  while (!s.request_order.empty()) {
    const auto& [at, key] = s.request_order.front();
    if (wall() - at < kIdempotencyKept && s.requests.size() < kIdempotencyMax) return;
    const auto it = s.requests.find(key);
    if (it != s.requests.end()) {
      it->second.removed = true;
      row(it->second);
      s.requests.erase(it);
    }
    s.request_order.pop_front();
  }
}

void Transition::put(std::uint32_t agent, SeriesId series) {
  Delta& delta = deltas_[agent];
  delta.drop.erase(series);
  delta.put.insert(series);
}

void Transition::drop(std::uint32_t agent, SeriesId series) {
  Delta& delta = deltas_[agent];
  delta.put.erase(series);
  delta.drop.insert(series);
}

void Transition::send_assignment(std::uint32_t index, const Delta* delta) {
  AgentTable& agent = s.agents[index];
  if (!agent.liveness.live()) return;  // It is told when it says Hello.
  Assignment message;
  message.epoch = agent.epoch;
  message.config_version = s.catalog.version;
  const auto add = [&](SeriesId id) {
    const SeriesState& series = s.at(id);
    const MonitorTable& monitor = s.monitors[series.monitor];
    const MonitorEntry& entry = *monitor.entry;
    message.put.push_back({id, monitor.id, entry.spec.key, entry.spec_rev, o.shard, series.row.grid,
                           entry.spec.confirm, entry.spec.probe});
  };
  if (delta != nullptr && agent.epoch_sent != 0) {
    message.base = agent.epoch_sent;
    for (const SeriesId id : delta->put) add(id);
    message.drop.assign(delta->drop.begin(), delta->drop.end());
  } else {
    for (const SeriesId id : agent.assigned) add(id);
  }
  // Each that a spec of this message names, once; what the agent has of others stays.
  std::set<std::string> named;
  for (const AssignedSeries& one : message.put) {
    for (std::string& name : stored_secrets(one.spec.target)) named.insert(std::move(name));
  }
  for (const std::string& name : named) {
    const auto at = s.secrets.find(name);
    message.secrets.push_back({name, at == s.secrets.end() ? Bytes{} : at->second.sealed});
  }
  agent.epoch_sent = agent.epoch;
  send(agent, std::move(message));
}

Decision Transition::finish() {
  for (const auto& [index, delta] : deltas_) {
    AgentTable& agent = s.agents[index];
    ++agent.epoch;
    row(MetaRow{"assignment_epoch/" + agent.row.agent.str(), agent.epoch});
    if (!whole_.contains(index)) send_assignment(index, &delta);
  }
  for (const std::uint32_t index : whole_) send_assignment(index, nullptr);
  for (const std::uint32_t index : touched_) row(s.agents[index].row);
  if (events_) row(MetaRow{"event_seq", s.event_seq});
  if (audits_) row(MetaRow{"audit_seq", s.audit_seq});
  return std::move(out);
}

}  // namespace tocsin::collector

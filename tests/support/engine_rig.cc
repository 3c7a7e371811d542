#include "tests/support/engine_rig.h"

#include "common/base/check.h"

#include <algorithm>

namespace tocsin::test {

using namespace collector;

namespace {

// 2027-01-15T08:00:00Z: any moment that is not near an epoch or a leap.
constexpr std::int64_t kStartUs = 1'800'000'000LL * 1'000'000;

std::string key_of(const Row& row) {
  if (const auto* r = std::get_if<MetaRow>(&row)) return "meta/" + r->name;
  if (const auto* r = std::get_if<CatalogRow>(&row)) {
    const char* table = "";
    std::string key;
    if (const auto* o = std::get_if<RegionSpec>(&r->object)) table = "region", key = o->key;
    if (const auto* o = std::get_if<MonitorEntry>(&r->object)) table = "monitor", key = o->spec.key;
    if (const auto* o = std::get_if<ServiceSpec>(&r->object)) table = "service", key = o->key;
    if (const auto* o = std::get_if<PolicySpec>(&r->object)) table = "policy", key = o->key;
    if (const auto* o = std::get_if<ChannelSpec>(&r->object)) table = "channel", key = o->key;
    if (const auto* o = std::get_if<StatusPageSpec>(&r->object)) table = "page", key = o->slug;
    if (const auto* o = std::get_if<UserSpec>(&r->object)) table = "user", key = o->key;
    return fmt::format("catalog/{}/{}", table, key);
  }
  if (const auto* r = std::get_if<ObjectRow>(&row)) {
    return fmt::format("object/{}/{}", to_string(r->kind), r->key);
  }
  if (const auto* r = std::get_if<CredentialRow>(&row)) return "credential/" + r->user.str();
  if (const auto* r = std::get_if<TokenRow>(&row)) return "token/" + r->id.str();
  if (const auto* r = std::get_if<SessionRow>(&row)) return "session/" + r->digest;
  if (const auto* r = std::get_if<IdempotencyRow>(&row)) return "request/" + r->key;
  if (const auto* r = std::get_if<ReportRow>(&row)) return "report/" + r->id.str();
  if (const auto* r = std::get_if<SecretRow>(&row)) return "secret/" + r->name;
  if (const auto* r = std::get_if<SeriesRow>(&row)) {
    return fmt::format("series/{}", static_cast<std::uint32_t>(r->series));
  }
  if (const auto* r = std::get_if<AgentRow>(&row)) return "agent/" + r->agent.str();
  if (const auto* r = std::get_if<EnrolmentRow>(&row)) return "enrolment/" + r->id.str();
  if (const auto* r = std::get_if<StreamRow>(&row)) {
    return fmt::format("stream/{}/{}/{}/{}", r->stream.agent.str(), r->stream.epoch,
                       to_hex(r->stream.nonce), static_cast<int>(r->stream.cls));
  }
  if (const auto* r = std::get_if<AssignmentRow>(&row)) {
    return fmt::format("assignment/{}/{}/{}", static_cast<std::uint32_t>(r->series), r->agent.str(),
                       r->from.us);
  }
  if (const auto* r = std::get_if<VerdictRow>(&row)) {
    return fmt::format("verdict/{}/{}", r->monitor.str(), r->seq);
  }
  if (const auto* r = std::get_if<MonitorStateRow>(&row)) return "state/" + r->monitor.str();
  if (const auto* r = std::get_if<RegionStateRow>(&row)) return "region_state/" + r->region;
  if (const auto* r = std::get_if<IncidentRow>(&row)) return "incident/" + r->id.str();
  if (const auto* r = std::get_if<EscalationRow>(&row)) return "escalation/" + r->incident.str();
  return {};
}

}  // namespace

EngineRig::EngineRig(Engine::Options options)
    : options_(options),
      engine_(std::make_unique<Engine>(options)),
      now_{MonoTime{5'000'000}, WallTime{kStartUs}} {
  step(Tick{});
}

void EngineRig::advance(Duration d) {
  const MonoTime end = now_.mono + d;
  const auto move_to = [&](MonoTime t) {
    now_.wall = now_.wall + (t - now_.mono);
    now_.mono = t;
  };
  while (true) {
    MonoTime next = engine_->next_wakeup(now_);
    for (const RigAgent& agent : agents_) {
      if (agent.connected) next = std::min(next, agent.next_beat);
    }
    next = std::max(next, now_.mono);
    if (next > end) break;
    move_to(next);
    for (RigAgent& agent : agents_) {
      if (agent.connected && agent.next_beat <= now_.mono) beat(agent);
    }
    if (engine_->next_wakeup(now_) <= now_.mono) {
      step(Tick{});
      // A wake-up that does not go away would stop time.
      CHECK(engine_->next_wakeup(now_) > now_.mono);
    }
  }
  move_to(end);
}

Decision EngineRig::step(const Event& event) {
  const Group group{options_.shard, ++commit_seq_, now_};
  Decision decision = engine_->step(event, group);
  absorb(decision, event, group);
  for (std::string& text : engine_->check_invariants()) trouble.push_back(std::move(text));
  for (const Effect& effect : decision.effects) {
    if (const auto* send = std::get_if<SendToAgent>(&effect)) deliver(*send);
    if (const auto* key = std::get_if<KeyChanged>(&effect)) keys.push_back(*key);
    if (const auto* close = std::get_if<CloseSession>(&effect)) {
      closed.emplace_back(close->agent, close->session);
    }
  }
  return decision;
}

void EngineRig::absorb(const Decision& decision, const Event& event, const Group& group) {
  for (const Row& row : decision.rows) {
    const std::string key = key_of(row);
    const bool removed = std::visit(
        [](const auto& r) {
          if constexpr (requires { r.removed; }) return r.removed;
          return false;
        },
        row);
    if (removed) {
      rows_.erase(key);
    } else if (!key.empty()) {
      rows_.insert_or_assign(key, row);
    }
    if (const auto* r = std::get_if<SeriesRow>(&row)) series_[r->series] = *r;
    if (const auto* r = std::get_if<AgentRow>(&row)) agent_rows[r->agent] = *r;
    if (const auto* r = std::get_if<VerdictRow>(&row)) verdicts[{r->monitor, r->seq}] = *r;
    if (const auto* r = std::get_if<TimelineRow>(&row)) timeline[{r->incident, r->seq}] = *r;
    if (const auto* r = std::get_if<OutboxRow>(&row)) {
      const bool twice = std::any_of(outbox.begin(), outbox.end(), [&](const OutboxRow& o) {
        return o.id == r->id ||
               (o.incident == r->incident && o.cause_seq == r->cause_seq && o.step == r->step &&
                o.repeat == r->repeat && o.channel == r->channel);
      });
      if (twice) trouble.push_back("an outbox row breaks its unique key");
      outbox.push_back(*r);
    }
    if (const auto* r = std::get_if<CancelOutbox>(&row)) {
      cancelled.push_back(*r);
      for (const OutboxRow& o : outbox) {
        if (o.incident == r->incident && o.due > now_.wall) called_off.insert(o.id);
      }
    }
    if (const auto* r = std::get_if<HurryOutbox>(&row)) {
      for (OutboxRow& o : outbox) {
        const bool theirs =
            o.incident == r->incident && o.user == r->user && o.kind == NotificationKind::kTrigger;
        if (theirs && o.due > r->at && !called_off.contains(o.id)) o.due = r->at;
      }
    }
    if (const auto* r = std::get_if<ResultRow>(&row)) {
      const bool keyed = r->result.kind == ResultKind::kScheduled;
      if (keyed && !ticks_.insert({r->result.series, r->result.tick}).second) {
        trouble.push_back("INV-2: (series, tick) was stored twice");
      }
      results.push_back(*r);
    }
    if (const auto* r = std::get_if<EventRow>(&row)) {
      const std::uint64_t last = events.empty() ? 0 : events.back().seq;
      if (r->seq != last + 1) trouble.push_back("the events have a hole");
      events.push_back(*r);
    }
  }
  for (const EngineNotice& notice : decision.notices) notices.emplace_back(now_.wall, notice);
  ReplayGroup replay{group, {}};
  for (const JournalEntry& entry : decision.journal) {
    if (entry.kind == JournalEntry::Kind::kFrame) {
      replay.entries.emplace_back(std::get<FrameArrived>(event));
    } else {
      replay.entries.emplace_back(*entry.bytes);
    }
  }
  if (!replay.entries.empty()) journal_.push_back(std::move(replay));
  last_commit_ = now_.wall;
}

void EngineRig::deliver(const SendToAgent& message) {
  const auto it = std::find_if(agents_.begin(), agents_.end(), [&](const RigAgent& a) {
    return a.id == message.agent && a.session == message.session;
  });
  if (it == agents_.end()) return;
  RigAgent& agent = *it;
  if (std::holds_alternative<HeartbeatReply>(message.message)) return;
  agent.heard.push_back(message.message);
  if (const auto* run = std::get_if<RunRequest>(&message.message)) agent.asked.push_back(*run);
  if (std::holds_alternative<Refused>(message.message)) agent.connected = false;
  if (const auto* assignment = std::get_if<Assignment>(&message.message)) {
    if (assignment->base == 0) {
      agent.assigned.clear();
    } else if (assignment->base != agent.epoch) {
      step(AgentWantsAssignment{agent.id, agent.session});
      return;
    }
    for (const AssignedSeries& series : assignment->put) agent.assigned[series.series] = series;
    for (const SeriesId series : assignment->drop) agent.assigned.erase(series);
    agent.epoch = assignment->epoch;
    if (agent.applies && agent.connected) {
      step(AgentConfigApplied{agent.id, agent.session, agent.epoch});
    }
  }
}

Reply EngineRig::apply(CatalogEdit edit) {
  const Decision decision = step(ApplyCatalog{std::move(edit), "test"});
  CHECK(decision.reply.has_value());
  return *decision.reply;
}

void EngineRig::define(CatalogEdit edit) {
  const Reply reply = apply(std::move(edit));
  if (reply.error) trouble.push_back(reply.error->text);
}

RigAgent& EngineRig::add_agent(const std::string& region) {
  RigAgent agent;
  agent.id = an_id<AgentId>(0xa000 + ++ids_);
  agent.region = region;
  agent.boot = an_id<AgentId>(0xb000 + ids_).bytes;
  agent.stream = {agent.id, 1, agent.boot, options_.shard, StreamClass::kRoutine};
  EnrolmentRow enrolment;
  enrolment.id = an_id<EnrolmentId>(0xe000 + ids_);
  enrolment.region = region;
  enrolment.public_key = fmt::format("{:e>40}", ids_);
  enrolment.expires_at = now_.wall + 24h;
  step(AddEnrolment{enrolment, "test"});
  step(EnrolAgent{enrolment.id, SessionId{++sessions_}, agent.id,
                  Enrol{fmt::format("{:k>40}", ids_), "0.1", "host-" + region}});
  agents_.push_back(std::move(agent));
  connect(agents_.back());
  return agents_.back();
}

RigAgent& EngineRig::agent_in(const std::string& region) {
  const auto it = std::find_if(agents_.begin(), agents_.end(),
                               [&](const RigAgent& a) { return a.region == region; });
  CHECK(it != agents_.end());
  return *it;
}

void EngineRig::connect(RigAgent& agent) {
  agent.session = SessionId{++sessions_};
  agent.connected = true;
  agent.next_beat = now_.mono + 3s;
  Hello hello;
  hello.host = "host-" + agent.region;
  hello.version = "0.1";
  hello.boot = agent.boot;
  hello.capabilities = agent.capabilities;
  hello.assignment_epoch = agent.epoch;
  hello.wall = now_.wall;
  hello.streams.push_back({agent.stream, 1, agent.seq, agent.digest});
  step(AgentHello{agent.id, agent.session, hello});
}

void EngineRig::disconnect(RigAgent& agent) {
  agent.connected = false;
  step(AgentLeft{agent.id, agent.session, false, "closed"});
}

void EngineRig::goodbye(RigAgent& agent) {
  agent.connected = false;
  step(AgentLeft{agent.id, agent.session, true, "drain"});
}

void EngineRig::beat(RigAgent& agent) {
  agent.next_beat = now_.mono + 3s;
  Heartbeat heartbeat;
  heartbeat.wall = now_.wall;
  heartbeat.health = agent.health;
  heartbeat.self_fault =
      agent.health == AgentHealth::kHealthy ? Reason::kNone : Reason::kSelfResolver;
  step(AgentHeartbeat{agent.id, agent.session, heartbeat});
}

FrameArrived EngineRig::frame(RigAgent& agent, std::vector<CheckResult> sent) {
  FrameArrived event;
  event.agent = agent.id;
  event.session = agent.session;
  event.previous = agent.digest;
  event.frame.stream = agent.stream;
  event.frame.first = event.frame.last = ++agent.seq;
  Bytes seed;
  ByteWriter writer{seed};
  writer.bytes(agent.digest);
  writer.bytes(agent.stream.nonce);
  writer.u64(agent.seq);
  for (const CheckResult& result : sent) {
    event.frame.results += result.weight();
    writer.u32(static_cast<std::uint32_t>(result.series));
    writer.u32(result.tick);
    writer.u8(static_cast<std::uint8_t>(result.outcome));
  }
  agent.digest = digest16(as_bytes(seed));
  event.frame.digest = agent.digest;
  event.frame.size = 256;
  event.results = std::move(sent);
  return event;
}

void EngineRig::send(RigAgent& agent, std::vector<CheckResult> sent) {
  FrameArrived event = frame(agent, std::move(sent));
  for (const KnownTick& tick : engine_->unknown_ticks(event)) {
    if (ticks_.contains(tick)) event.known.push_back(tick);
  }
  step(event);
}

SeriesId EngineRig::series_of(const std::string& monitor, const std::string& region) const {
  for (const auto& [id, row] : series_) {
    if (row.monitor_key == monitor && row.region == region && row.to == WallTime::never()) {
      return id;
    }
  }
  return SeriesId{};
}

CheckResult EngineRig::result_at(SeriesId series, std::uint32_t tick, Outcome outcome) const {
  CheckResult r;
  r.series = series;
  r.tick = r.tick_last = tick;
  r.slot = grid_of(series).slot(tick);
  r.spec_rev = 1;
  for (const auto& [key, entry] : engine_->catalog().monitors) {
    if (entry.spec.id == series_.at(series).monitor) r.spec_rev = entry.spec_rev;
  }
  r.config_version = engine_->catalog().version;
  r.outcome = outcome;
  r.clock.error_ms = UINT32_MAX;
  Attempt attempt;
  attempt.finding.outcome = outcome;
  if (outcome == Outcome::kDown) attempt.finding = {outcome, Reason::kConnectRefused, "refused"};
  if (outcome == Outcome::kNoData) attempt.finding = {outcome, Reason::kSelfResolver, "resolver"};
  r.reason = attempt.finding.reason;
  r.attempts.push_back(attempt);
  return r;
}

CheckResult EngineRig::result(SeriesId series, Outcome outcome, Duration ahead) const {
  return result_at(series, grid_of(series).tick_at_or_before(now_.wall + ahead), outcome);
}

MonitorStateRow EngineRig::state_of(const std::string& monitor) const {
  for (const auto& [key, row] : rows_) {
    const auto* state = std::get_if<MonitorStateRow>(&row);
    if (state == nullptr) continue;
    const auto it = engine_->catalog().monitors.find(monitor);
    if (it != engine_->catalog().monitors.end() && it->second.spec.id == state->monitor) {
      return *state;
    }
  }
  return {};
}

std::vector<VerdictRow> EngineRig::history_of(const std::string& monitor) const {
  std::vector<VerdictRow> out;
  const MonitorId id = engine_->catalog().monitors.at(monitor).spec.id;
  for (const auto& [key, row] : verdicts) {
    if (key.first == id && !row.replaced) out.push_back(row);
  }
  std::sort(out.begin(), out.end(),
            [](const VerdictRow& a, const VerdictRow& b) { return a.at < b.at; });
  return out;
}

std::vector<IncidentRow> EngineRig::incidents() const {
  std::vector<IncidentRow> out;
  for (const auto& [key, row] : rows_) {
    if (const auto* incident = std::get_if<IncidentRow>(&row)) out.push_back(*incident);
  }
  std::sort(out.begin(), out.end(),
            [](const IncidentRow& a, const IncidentRow& b) { return a.number < b.number; });
  return out;
}

std::vector<IncidentRow> EngineRig::open_incidents() const {
  std::vector<IncidentRow> out = incidents();
  std::erase_if(out, [](const IncidentRow& i) { return i.state == IncidentState::kResolved; });
  return out;
}

Snapshot EngineRig::snapshot() const {
  Snapshot snapshot;
  snapshot.commit_seq = commit_seq_;
  snapshot.last_commit = last_commit_;
  for (const auto& [key, row] : rows_) snapshot.rows.push_back(row);
  snapshot.checkpoint = checkpoint_;
  snapshot.checkpoint_commit_seq = checkpoint_seq_;
  return snapshot;
}

void EngineRig::take_checkpoint() {
  checkpoint_ = engine_->checkpoint();
  checkpoint_seq_ = commit_seq_;
  journal_.clear();
}

void EngineRig::restart() {
  for (RigAgent& agent : agents_) agent.connected = false;
  engine_ = std::make_unique<Engine>(options_);
  engine_->restore(snapshot(), journal_, now_);
  step(Tick{});
}

void EngineRig::expect_restorable() {
  Engine other{options_};
  other.restore(snapshot(), journal_, now_);
  if (other.state_digest() == engine_->state_digest()) return;
  const bool same = other.checkpoint() == engine_->checkpoint();
  trouble.push_back(fmt::format("restored after commit {}: another state ({})", commit_seq_,
                                same ? "votes agree, rows differ" : "votes differ"));
}

}  // namespace tocsin::test

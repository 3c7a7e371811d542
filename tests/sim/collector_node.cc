#include "common/base/check.h"
#include "common/wire/frame.h"
#include "common/wire/messages.h"
#include "tests/sim/oracle.h"
#include "tests/sim/world.h"

#include <algorithm>

namespace tocsin::sim {

using namespace std::chrono_literals;
using collector::CommitGroup;
using collector::Decision;
using collector::FrameArrived;
using collector::SessionId;

namespace {

Expected<FrameArrived> to_event(ByteSpan bytes, AgentId agent) {
  TRY_ASSIGN(wire::DecodedFrame frame, wire::decode_frame(bytes));
  FrameArrived out;
  out.agent = agent;
  out.frame = frame.header.ref;
  out.previous = frame.header.previous;
  out.results = std::move(frame.results);
  out.gap = std::move(frame.gap);
  out.unreadable = frame.unreadable;
  out.bytes = std::make_shared<const Bytes>(as_view(bytes));
  return out;
}

}  // namespace

CollectorNode::CollectorNode(World& world)
    : world_(world) {}

Now CollectorNode::now() const {
  return Now{MonoTime{world_.timeline.now().count() + 77'000'000}, world_.truth() + clock_offset};
}

void CollectorNode::start() {
  CHECK(engine_ == nullptr);
  ++life_;
  started = world_.timeline.now();
  auto snapshot = store.load();
  CHECK(snapshot.has_value());
  auto raw = store.journal_after(snapshot->checkpoint_commit_seq);
  CHECK(raw.has_value());
  std::vector<collector::ReplayGroup> groups;
  for (const collector::Store::RawGroup& r : *raw) {
    collector::ReplayGroup group{r.group, {}};
    for (const collector::JournalEntry& entry : r.entries) {
      if (entry.kind == collector::JournalEntry::Kind::kAgentState) {
        group.entries.emplace_back(*entry.bytes);
        continue;
      }
      AgentId agent;
      const ByteSpan all = as_bytes(*entry.bytes);
      std::copy_n(all.begin(), 16, agent.bytes.begin());
      auto event = to_event(all.subspan(16), agent);
      CHECK(event.has_value());
      group.entries.emplace_back(*std::move(event));
    }
    groups.push_back(std::move(group));
  }
  engine_ = std::make_unique<collector::Engine>(collector::Engine::Options{});
  engine_->restore(*snapshot, groups, now());
  commit_seq_ = snapshot->commit_seq;
  last_checkpoint_ = world_.timeline.now();
  post(collector::Tick{});
  pump_outbox();
}

void CollectorNode::stop() {
  if (!engine_) return;
  ++life_;
  ++crashes;
  engine_.reset();
  inbox_.clear();
  turn_armed_ = committing_ = outbox_busy_ = false;
  crash_before_commit = crash_after_commit = false;
  const auto sessions = std::move(sessions_);
  sessions_.clear();
  for (const auto& agent : world_.agents) {
    if (!agent->connection) continue;
    world_.timeline.after(
        world_.rng.between(Duration{1ms}, Duration{2s}),
        [a = agent.get(), c = agent->connection->id] { a->link_lost(c, "connection reset"); });
    agent->connection->up = false;
  }
}

/// The network between: everything but frames, acks and heartbeats is reliable while the connection
/// lives, as on TCP; those are lost, repeated and reordered on top, because the protocol must not
/// care.
void CollectorNode::receive(AgentNode& from, std::shared_ptr<Connection> connection, Bytes bytes,
                            bool frame) {
  if (!connection->up || from.network_cut || from.link_cut) return;
  int copies = 1;
  Duration delay = world_.rng.between(Duration{1ms}, Duration{40ms});
  if (frame && !world_.healed && world_.weather != Weather::kQuiet) {
    const double bad = world_.weather == Weather::kBrutal ? 0.05 : 0.01;
    if (world_.rng.chance(bad)) copies = world_.rng.chance(0.5) ? 0 : 2;
    if (world_.rng.chance(bad)) delay += world_.rng.between(Duration{0}, Duration{2s});
  } else {
    delay = std::max(delay, connection->last_to_collector - world_.timeline.now());
    connection->last_to_collector = world_.timeline.now() + delay;
  }
  for (int i = 0; i < copies; ++i) {
    world_.timeline.after(delay + Duration{i * 1000}, [this, agent = &from, connection, bytes,
                                                       frame, life = life_] {
      if (!engine_ || life != life_ || !connection->up || agent->network_cut || agent->link_cut) {
        return;
      }
      world_.note_bytes(as_bytes(bytes));
      if (frame) {
        if (connection->session == 0) return;
        auto event = to_event(as_bytes(bytes), agent->id);
        CHECK(event.has_value());
        event->session = SessionId{connection->session};
        post(*std::move(event));
        return;
      }
      auto message = wire::decode_agent_message(as_bytes(bytes));
      CHECK(message.has_value());
      if (const auto* hello = std::get_if<Hello>(&*message)) {
        connection->session = next_session_++;
        sessions_[connection->session] = {agent, connection};
        post(collector::AgentHello{agent->id, SessionId{connection->session}, *hello});
        return;
      }
      const SessionId session{connection->session};
      if (connection->session == 0 || !sessions_.contains(connection->session)) return;
      if (const auto* beat = std::get_if<Heartbeat>(&*message)) {
        post(collector::AgentHeartbeat{agent->id, session, *beat});
        effects(Decision{.effects = {collector::SendToAgent{
                             agent->id, session,
                             HeartbeatReply{beat->number, beat->wall, now().wall, now().wall}}}});
      } else if (const auto* applied = std::get_if<ConfigApplied>(&*message)) {
        post(collector::AgentConfigApplied{agent->id, session, applied->epoch});
      } else if (const auto* suspicion = std::get_if<Suspicion>(&*message)) {
        post(collector::AgentSuspicion{agent->id, session, *suspicion});
      } else if (std::get_if<AssignmentWanted>(&*message) != nullptr) {
        post(collector::AgentWantsAssignment{agent->id, session});
      } else if (std::get_if<Goodbye>(&*message) != nullptr) {
        post(collector::AgentLeft{agent->id, session, true, "goodbye"});
      }
    });
  }
}

void CollectorNode::left(AgentNode& agent, std::uint64_t session) {
  if (!engine_ || sessions_.erase(session) == 0) return;
  post(collector::AgentLeft{agent.id, SessionId{session}, false, "connection closed"});
}

void CollectorNode::post(collector::Event event) {
  inbox_.push_back(std::move(event));
  if (turn_armed_ || committing_) return;
  turn_armed_ = true;
  world_.timeline.after(world_.rng.between(Duration{100us}, Duration{3ms}), [this, life = life_] {
    if (life == life_) turn();
  });
}

void CollectorNode::arm() {
  const MonoTime next = engine_->next_wakeup(now());
  if (next == MonoTime::never()) return;
  const Duration delay = std::max(next - now().mono, Duration{1ms});
  world_.timeline.after(delay, [this, life = life_, seq = commit_seq_] {
    if (life == life_ && seq == commit_seq_ && !turn_armed_ && !committing_)
      post(collector::Tick{});
  });
}

void CollectorNode::turn() {
  turn_armed_ = false;
  collector::Group group{0, commit_seq_ + 1, now()};
  CommitGroup out{.group = group};
  std::vector<Decision> decisions;
  std::vector<collector::Event> events = std::move(inbox_);
  inbox_.clear();
  for (collector::Event& event : events) {
    if (auto* frame = std::get_if<FrameArrived>(&event)) {
      const auto unknown = engine_->unknown_ticks(*frame);
      if (!unknown.empty()) {
        // Answered only while no group is in flight; here none is, but rows of this group are not
        // in the store yet: the frame waits for the next turn if anything was stepped before it.
        if (!out.rows.empty() || !out.journal.empty()) {
          inbox_.push_back(std::move(event));
          continue;
        }
        frame->known = *store.find_ticks(unknown);
      }
    }
    Decision decision = engine_->step(event, group);
    for (const collector::EngineNotice& notice : decision.notices) {
      world_.note(notice.code);
      if (world_.plan.trace) {
        fmt::print("{:>12} collector {}: {}\n", format_duration(world_.timeline.now()), notice.code,
                   notice.text);
      }
    }
    out.rows.insert(out.rows.end(), decision.rows.begin(), decision.rows.end());
    out.journal.insert(out.journal.end(), decision.journal.begin(), decision.journal.end());
    decisions.push_back(std::move(decision));
  }
  for (const std::string& broken : engine_->check_invariants()) world_.violate("STATE", broken);
  if (world_.timeline.now() - last_checkpoint_ >= 10s) {
    out.checkpoint = engine_->checkpoint();
    last_checkpoint_ = world_.timeline.now();
  }
  const bool nothing = out.rows.empty() && out.journal.empty() && !out.checkpoint;
  if (nothing) {
    for (const Decision& d : decisions) effects(d);
    if (!inbox_.empty()) {
      auto again = std::move(inbox_);
      inbox_.clear();
      for (collector::Event& e : again) post(std::move(e));
    }
    arm();
    return;
  }
  ++commit_seq_;
  committing_ = true;
  world_.timeline.after(
      world_.rng.between(Duration{1ms}, Duration{20ms}),
      [this, life = life_, out = std::move(out), decisions = std::move(decisions)] {
        if (life == life_) commit(out, decisions);
      });
}

void CollectorNode::commit(CommitGroup group, std::vector<Decision> decisions) {
  committing_ = false;
  const auto restart_later = [this] {
    world_.timeline.after(world_.rng.between(Duration{200ms}, Duration{10s}), [this] {
      if (!engine_) start();
    });
  };
  if (crash_before_commit) {
    world_.count("collector_crash_before_commit");
    stop();
    return restart_later();
  }
  const auto done = store.commit(group);
  CHECK(done.has_value());
  world_.oracle->committed(group);
  if (crash_after_commit) {
    world_.count("collector_crash_after_commit");
    stop();
    return restart_later();
  }
  if (group.checkpoint) CHECK(store.trim_journal().has_value());
  for (const Decision& decision : decisions) effects(decision);
  std::vector<collector::Event> waiting = std::move(inbox_);
  inbox_.clear();
  for (collector::Event& event : waiting) post(std::move(event));
  arm();
}

void CollectorNode::effects(const Decision& decision) {
  for (const collector::Effect& effect : decision.effects) {
    if (const auto* send = std::get_if<collector::SendToAgent>(&effect)) {
      const auto at = sessions_.find(static_cast<std::uint64_t>(send->session));
      if (at == sessions_.end()) continue;
      auto [agent, connection] = at->second;
      const bool lossy = std::holds_alternative<Ack>(send->message) ||
                         std::holds_alternative<Nack>(send->message) ||
                         std::holds_alternative<HeartbeatReply>(send->message);
      int copies = 1;
      Duration delay = world_.rng.between(Duration{1ms}, Duration{40ms});
      if (lossy && !world_.healed && world_.weather != Weather::kQuiet) {
        const double bad = world_.weather == Weather::kBrutal ? 0.05 : 0.01;
        if (world_.rng.chance(bad)) copies = world_.rng.chance(0.5) ? 0 : 2;
      } else {
        delay = std::max(delay, connection->last_to_agent - world_.timeline.now());
        connection->last_to_agent = world_.timeline.now() + delay;
      }
      const Bytes bytes = wire::encode(send->message);
      for (int i = 0; i < copies; ++i) {
        world_.timeline.after(delay, [this, a = agent, c = connection, bytes] {
          if (!c->up || a->network_cut || a->link_cut) return;
          world_.note_bytes(as_bytes(bytes));
          const auto message = wire::decode_collector_message(as_bytes(bytes));
          CHECK(message.has_value());
          a->deliver(c->id, *message);
        });
      }
    } else if (const auto* close = std::get_if<collector::CloseSession>(&effect)) {
      const auto at = sessions_.find(static_cast<std::uint64_t>(close->session));
      if (at == sessions_.end()) continue;
      auto [agent, connection] = at->second;
      sessions_.erase(at);
      world_.timeline.after(10ms, [a = agent, c = connection->id] { a->link_lost(c, "closed"); });
    } else if (std::holds_alternative<collector::WakeOutbox>(effect)) {
      world_.timeline.after(1ms, [this, life = life_] {
        if (life == life_) pump_outbox();
      });
    }
  }
}

/// The runner of the outbox: claim, send, record, each a moment of its own at which we may die.
void CollectorNode::pump_outbox() {
  if (!engine_ || outbox_busy_) return;
  outbox_busy_ = true;
  const auto items = store.claim_outbox(now().wall, 16, 30s);
  CHECK(items.has_value());
  for (const collector::OutboxItem& item : *items) {
    world_.oracle->claimed(item);
    world_.timeline.after(
        world_.rng.between(Duration{5ms}, Duration{800ms}), [this, item, life = life_] {
          if (life != life_) return;
          const Duration t = world_.timeline.now();
          const bool down = t >= world_.provider_down.from && t < world_.provider_down.to;
          if (!down) ++world_.accepted[item.row.id];
          // The answer may be lost although the message was taken.
          const bool answered = !down && (world_.healed || !world_.rng.chance(0.02));
          if (!down && !answered) world_.count("delivery_answer_lost");
          world_.timeline.after(
              world_.rng.between(Duration{1ms}, Duration{100ms}), [this, item, answered, life] {
                if (life != life_) return;
                collector::Delivery d;
                d.notification = item.row.id;
                d.token = item.token;
                d.attempt = item.attempts;
                d.at = now().wall;
                d.outcome = answered ? collector::DeliveryOutcome::kSent
                                     : collector::DeliveryOutcome::kRetry;
                d.retry_at = now().wall + world_.rng.between(Duration{4s}, Duration{60s});
                CHECK(store.record_delivery(d).has_value());
              });
        });
  }
  world_.timeline.after(items->empty() ? Duration{2s} : Duration{300ms}, [this, life = life_] {
    if (life != life_) return;
    outbox_busy_ = false;
    pump_outbox();
  });
}

}  // namespace tocsin::sim

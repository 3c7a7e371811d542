#pragma once
// Question answered here: how does a test run the real Engine without a world around it?
//
// An engine, a clock that only `advance` moves, and agents that do what the protocol asks of them:
// they say Hello, beat, apply assignments and chain their frames. What the engine writes is kept as
// a store would keep it, so the rig can restore a second engine from it at any moment. After each
// step the invariants are checked; the first broken one is kept in `trouble`.

#include "collector/core/engine.h"
#include "tests/support/builders.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace tocsin::test {

using collector::Engine;

struct RigAgent {
  AgentId id;
  std::string region;
  collector::SessionId session{};
  Uuid boot{};
  bool connected = false;
  AgentHealth health = AgentHealth::kHealthy;
  ClockTrust clock;
  std::uint64_t epoch = 0;
  std::map<SeriesId, AssignedSeries> assigned;
  StreamId stream;
  std::uint64_t seq = 0;
  Digest16 digest{};
  bool applies = true;  ///< Answers an assignment with ConfigApplied.
  std::uint64_t capabilities = 0;
  std::vector<RunRequest> asked;
  std::vector<CollectorMessage> heard;
  MonoTime next_beat;
};

class EngineRig {
 public:
  explicit EngineRig(Engine::Options options = {});

  // --- time ---
  Now now() const { return now_; }

  /// Moves both clocks, stopping at every wake-up and heartbeat on the way.
  void advance(Duration d);

  // --- what happens ---
  collector::Decision step(const collector::Event& event);
  /// Adds to the catalogue; the reply's error, if any, becomes `trouble`.
  void define(collector::CatalogEdit edit);
  collector::Reply apply(collector::CatalogEdit edit);
  /// Enrols an agent and lets it say Hello.
  RigAgent& add_agent(const std::string& region);

  RigAgent& agent(std::size_t i) { return agents_[i]; }

  RigAgent& agent_in(const std::string& region);

  std::size_t agents() const { return agents_.size(); }

  void connect(RigAgent& agent);
  void disconnect(RigAgent& agent);
  void goodbye(RigAgent& agent);
  void beat(RigAgent& agent);

  /// One frame of the agent's stream with these results.
  collector::FrameArrived frame(RigAgent& agent, std::vector<CheckResult> sent);
  void send(RigAgent& agent, std::vector<CheckResult> sent);

  /// The series of a monitor in a region, as the rows have it; none: 0.
  SeriesId series_of(const std::string& monitor, const std::string& region) const;

  const SlotGrid& grid_of(SeriesId series) const { return series_.at(series).grid; }

  /// A finished check of the newest slot at or before now + `ahead`.
  CheckResult result(SeriesId series, Outcome outcome, Duration ahead = Duration{0}) const;
  CheckResult result_at(SeriesId series, std::uint32_t tick, Outcome outcome) const;

  // --- what is known ---
  Engine& engine() { return *engine_; }

  collector::MonitorStateRow state_of(const std::string& monitor) const;
  std::vector<collector::VerdictRow> history_of(
      const std::string& monitor) const;  ///< Not replaced.
  std::vector<collector::IncidentRow> incidents() const;
  std::vector<collector::IncidentRow> open_incidents() const;

  std::map<std::pair<MonitorId, std::uint64_t>, collector::VerdictRow> verdicts;
  std::map<std::pair<IncidentId, std::uint32_t>, collector::TimelineRow> timeline;
  std::vector<collector::OutboxRow> outbox;
  std::vector<collector::CancelOutbox> cancelled;
  /// Messages that were called off before they were due: as a store does it in which every message
  /// is sent the moment it is due. Hurried ones have their new moment in `outbox`.
  std::set<NotificationId> called_off;
  std::vector<collector::EventRow> events;
  std::vector<collector::ResultRow> results;
  std::vector<std::pair<WallTime, collector::EngineNotice>> notices;
  std::vector<collector::KeyChanged> keys;
  std::vector<std::pair<AgentId, collector::SessionId>> closed;
  std::map<AgentId, collector::AgentRow> agent_rows;
  std::vector<std::string> trouble;

  // --- restart ---
  collector::Snapshot snapshot() const;
  /// The engine dies and comes back from what was written; agents have to connect again.
  void restart();
  /// Restores a second engine now and compares.
  void expect_restorable();
  /// Takes a checkpoint with the next step's group.
  void take_checkpoint();

 private:
  void absorb(const collector::Decision& decision, const collector::Event& event,
              const collector::Group& group);
  void deliver(const collector::SendToAgent& message);

  Engine::Options options_;
  std::unique_ptr<Engine> engine_;
  Now now_;
  std::uint64_t commit_seq_ = 0;
  std::uint64_t sessions_ = 0;
  std::uint64_t ids_ = 0;
  std::deque<RigAgent> agents_;
  std::map<std::string, collector::Row> rows_;  ///< By table and key.
  std::map<SeriesId, collector::SeriesRow> series_;
  std::set<collector::KnownTick> ticks_;  ///< Of the stored results.
  std::vector<collector::ReplayGroup> journal_;
  Bytes checkpoint_;
  std::uint64_t checkpoint_seq_ = 0;
  WallTime last_commit_;
};

}  // namespace tocsin::test

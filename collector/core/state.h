#pragma once
// Question answered here: what does the engine know?
//
// Tables of values, one per rule, and the indexes between them. Nothing in here decides. Series,
// monitors, regions and agents are dense and found by index on the path of a result; maps by key
// are for commands. What is marked volatile is not restored: it belongs to this life of the
// collector.

#include "collector/core/admission.h"
#include "collector/core/confirm.h"
#include "collector/core/engine.h"
#include "collector/core/evaluator.h"
#include "collector/core/ids.h"
#include "collector/core/liveness.h"

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace tocsin::collector {

inline constexpr std::uint32_t kNoIndex = UINT32_MAX;

struct SeriesState {
  SeriesRow row;
  std::uint32_t monitor = kNoIndex;  ///< kNoIndex: the monitor was deleted.
  std::uint32_t region = kNoIndex;
  bool voting = false;         ///< In the electorate of a monitor that is not paused.
  std::uint32_t spec_rev = 0;  ///< Results of another one are stored and do not vote.
  TickWindow window;
  std::uint32_t missed_through = 0;  ///< Last tick of the newest missed run.
  SampleLog log;
  bool distrusted = false;               ///< The newest result did not vote because of its clock,
  bool old_spec = false;                 ///< or because of its spec_rev.
  std::unique_ptr<CheckResult> failing;  ///< Newest failing result while the vote is down.
  WallTime last_result;
  std::vector<Tenure> tenures;  ///< Oldest first; open ones have `to` never.

  // Volatile.
  Ballot counted = Ballot::kNone;     ///< In the last assessment of the monitor.
  bool heard = false;                 ///< Its newest vote was received in this life.
  std::uint32_t incoming = kNoIndex;  ///< Agent that must confirm before the others are dropped.
  std::uint64_t incoming_epoch = 0;
  MonoTime move_due;  ///< When the move ends anyway if the old agents are gone.
};

/// A verdict row that a late result may still replace.
struct KeptVerdict {
  VerdictRow row;
  bool failing = false;
};

struct MonitorTable {
  static constexpr std::size_t kKeptMax = 64;
  static constexpr Duration kKeptFor = 24h;

  const MonitorEntry* entry = nullptr;  ///< In the catalogue; null when deleted.
  MonitorId id;
  std::vector<SeriesId> series;  ///< The electorate, in its order.
  MonitorStateRow state;
  std::deque<KeptVerdict> kept;  ///< Not replaced, oldest first.
  std::uint64_t last_seq = 0;
  WallTime rules_since;   ///< History is never rewritten before: the votes counted otherwise then.
  WallTime afresh_since;  ///< The votes were empty then: a Stay begins (H3).
  // Derived from the entry.
  RunRule rule;
  Duration fresh{0};
  Duration late{0};
  int k = 1;

  // Volatile.
  bool owed = false;           ///< Fails, but may not open an incident yet.
  bool hand_resolved = false;  ///< A person resolved it; it opens again only after it was up.
  std::optional<WallTime> confirm_asked;
  std::int64_t due_us = INT64_MAX;  ///< Its entry in State::monitor_due.
};

struct AgentTable {
  AgentRow row;
  std::uint32_t region = kNoIndex;
  std::uint64_t epoch = 0;      ///< Of its assignment.
  std::set<SeriesId> assigned;  ///< Open tenures.

  // Volatile.
  Liveness liveness;
  std::int64_t due_us = INT64_MAX;  ///< Its entry in State::agent_due.
  SessionId session{};
  Uuid boot{};

  struct Superseded {
    SessionId session{};
    Uuid boot{};
    MonoTime at;
  };

  std::optional<Superseded> superseded;
  Heartbeat heartbeat;
  AgentHealth health = AgentHealth::kHealthy;
  std::uint64_t capabilities = UINT64_MAX;  ///< Of its last Hello; until then whatever it runs.
  Duration clock_offset{0};
  std::uint64_t epoch_sent = 0;  ///< In this session; 0: nothing yet.
  std::uint64_t epoch_applied = 0;
  ConfirmBudget budget;
  std::set<SeriesId> incoming;  ///< Moves that wait for its ConfigApplied.
};

struct RegionTable {
  std::string key;
  bool defined = false;  ///< In the catalogue.
  RegionStateRow row;
  std::vector<BlindSpan> blind;  ///< The last kBlindMax.
  std::vector<std::uint32_t> agents;
  std::set<SeriesId> series;  ///< Of the electorates.
  Sight sight;                ///< Volatile.

  static constexpr std::size_t kBlindMax = 16;
};

struct IncidentTable {
  IncidentRow row;
  EscalationRow escalation;
  std::set<std::string> troubled;  ///< Destinations whose trouble was noted; volatile.
};

struct State {
  Catalog catalog = empty_catalog();
  std::vector<SeriesState> series;  ///< By SeriesId; [0] is unused.
  std::vector<MonitorTable> monitors;
  std::vector<AgentTable> agents;
  std::vector<RegionTable> regions;
  std::unordered_map<MonitorId, std::uint32_t> monitor_by_id;
  std::map<std::string, std::uint32_t> region_by_key;
  std::map<AgentId, std::uint32_t> agent_by_id;
  std::map<StreamId, StreamState> streams;
  std::map<IncidentId, IncidentTable> incidents;    ///< Unresolved.
  std::map<std::string, IncidentId> dead_channels;  ///< Their open incidents, by destination.
  std::map<EnrolmentId, EnrolmentRow> enrolments;
  AuthTables auth;
  std::map<ReportId, ReportRow> reports;  ///< All that were not deleted.
  std::map<std::string, SecretRow> secrets;
  std::map<std::string, IdempotencyRow> requests;
  std::deque<std::pair<WallTime, std::string>> request_order;  ///< Oldest first.
  std::uint64_t audit_seq = 0;
  /// Raised by each change of the table of that name; views are made anew when they differ.
  std::uint64_t auth_rev = 1;
  std::uint64_t reports_rev = 1;
  std::uint64_t enrolments_rev = 1;
  std::uint64_t secrets_rev = 1;
  /// The newest generation of each (monitor, region).
  std::map<std::pair<MonitorId, std::uint32_t>, std::uint32_t> generations;
  std::uint64_t next_incident = 1;
  std::uint64_t event_seq = 0;

  /// Confirm and run-now results that were stored, so that a re-sent one is a duplicate.
  static constexpr std::size_t kOneOffsMax = 1024;
  std::deque<std::uint64_t> one_offs;
  std::unordered_set<std::uint64_t> one_off_set;

  // Volatile.
  bool started = false;
  WallTime quiet_since;  ///< Last commit of the life before: silence since then is ours.
  MonoTime settled{INT64_MIN};
  bool settling = false;
  std::string restore_trouble;                                   ///< Told by the first step.
  std::set<std::pair<std::int64_t, std::uint32_t>> monitor_due;  ///< Wall, us.
  std::set<std::pair<std::int64_t, IncidentId>> escalation_due;  ///< Wall, us.
  std::set<std::pair<std::int64_t, std::uint32_t>> agent_due;    ///< Mono, us; may be early.
  std::set<std::pair<std::int64_t, SeriesId>> move_due;          ///< Mono, us.
  EngineStats stats;

  State() { series.emplace_back(); }

  SeriesState* find_series(SeriesId id) {
    const auto i = static_cast<std::uint32_t>(id);
    return i == 0 || i >= series.size() ? nullptr : &series[i];
  }

  const SeriesState* find_series(SeriesId id) const {
    return const_cast<State*>(this)->find_series(id);
  }

  SeriesState& at(SeriesId id) { return series[static_cast<std::uint32_t>(id)]; }

  const SeriesState& at(SeriesId id) const { return series[static_cast<std::uint32_t>(id)]; }

  /// Null for an agent that is not enrolled.
  AgentTable* find_agent(const AgentId& id) {
    const auto it = agent_by_id.find(id);
    return it == agent_by_id.end() ? nullptr : &agents[it->second];
  }

  std::uint32_t index_of(const AgentTable& agent) const {
    return static_cast<std::uint32_t>(&agent - agents.data());
  }
};

}  // namespace tocsin::collector

#pragma once
// Question answered here: what is one step made of?
//
// A Transition is the state, the moment and the Decision under construction. Each rule file offers
// functions that take it, change the tables and append what must be written or sent. `finish`
// appends what several rules of one step share: agent rows, assignments, the event counter.

#include "collector/core/escalation.h"
#include "collector/core/incident.h"
#include "collector/core/state.h"

#include <string>
#include <string_view>

namespace tocsin::collector {

class Transition {
 public:
  Transition(State& state, const Engine::Options& options, const Group& group, IdMinter& ids)
      : s(state),
        o(options),
        g(group),
        ids_(ids) {}

  State& s;
  const Engine::Options& o;
  const Group& g;
  Decision out;

  WallTime wall() const { return g.now.wall; }

  MonoTime mono() const { return g.now.mono; }

  std::int64_t wall_ms() const { return g.now.wall.us / 1000; }

  Uuid mint() { return ids_.next(g.commit_seq, g.now.wall); }

  template <class T>
  void row(T value) {
    out.rows.emplace_back(std::move(value));
  }

  void event(std::string topic, std::string subject, std::string text);
  void notice(bool warning, std::string code, std::string text);
  void send(const AgentTable& agent, CollectorMessage message);
  void journal(Bytes bytes);
  void reply(std::optional<Error> error = std::nullopt);
  /// One line of the audit log, in the same transaction.
  void audit(const std::string& actor, std::string action, std::string kind, std::string key,
             std::string detail = {});

  /// True when the request was carried out before, or its key was used for another one; then it is
  /// answered already.
  bool answered_before(const std::optional<Once>& once);
  /// Answers with `subject` and remembers that for a repetition.
  void done(const std::optional<Once>& once, std::string subject);

  void touch(const AgentTable& agent) { touched_.insert(s.index_of(agent)); }

  /// The agent is to run the series with its present spec, or to stop.
  void put(std::uint32_t agent, SeriesId series);
  void drop(std::uint32_t agent, SeriesId series);

  /// The whole assignment goes out, changed or not.
  void want_whole(std::uint32_t agent) { whole_.insert(agent); }

  /// The epoch that the agent's assignment will have after this step if it changes in it.
  std::uint64_t next_epoch(std::uint32_t agent) const { return s.agents[agent].epoch + 1; }

  Decision finish();

 private:
  struct Delta {
    std::set<SeriesId> put;
    std::set<SeriesId> drop;
  };

  void send_assignment(std::uint32_t agent, const Delta* delta);

  void forget_requests();

  IdMinter& ids_;
  bool events_ = false;
  bool audits_ = false;
  std::set<std::uint32_t> touched_;
  std::map<std::uint32_t, Delta> deltas_;
  std::set<std::uint32_t> whole_;
};

// --- assess.cc: what do the votes of a monitor say now, and what follows? ---

/// Folds history from `from_ms`, writes what changed, opens or resolves. `late`: only results that
/// never page brought this about.
void assess(Transition& t, std::uint32_t monitor, std::int64_t from_ms, bool late);

MonitorView look(const State& state, std::uint32_t monitor, WallTime now);

/// Its votes count from now on by other rules; `afresh`: there are none yet, or of other regions.
void set_rules_since(Transition& t, MonitorTable& monitor, bool afresh);

// --- incidents.cc ---

/// Opens it, with its first step if that is due at once.
void open(Transition& t, IncidentRow fresh);
void close(Transition& t, IncidentId id, const std::string& actor, const std::string& why);
void note_unknown(Transition& t, IncidentId id, const std::string& why);
void shift_start(Transition& t, IncidentId id, WallTime start);
void on_acknowledge(Transition& t, const AcknowledgeIncident& command);
void on_resolve(Transition& t, const ResolveIncident& command);
void on_reassign(Transition& t, const ReassignIncident& command);
void on_note(Transition& t, const AddIncidentNote& command);
void on_watch(Transition& t, const WatchIncident& command);
void on_send_test(Transition& t, const SendTest& command);
void on_delivery_trouble(Transition& t, const DeliveryTrouble& event);
void on_channel_health(Transition& t, const ChannelHealth& event);
/// Incidents about channels and contact methods that no longer exist end.
void sync_dead_channels(Transition& t);
/// One step of every incident whose time has come, or the end of its acknowledgement.
void escalate_due(Transition& t);
void impaired_opens(Transition& t, RegionTable& region, const std::string& why);

// --- sessions.cc ---
void on_hello(Transition& t, const AgentHello& event);
void on_heartbeat(Transition& t, const AgentHeartbeat& event);
void on_config_applied(Transition& t, const AgentConfigApplied& event);
void on_wants_assignment(Transition& t, const AgentWantsAssignment& event);
void on_left(Transition& t, const AgentLeft& event);
void on_suspicion(Transition& t, const AgentSuspicion& event);
void on_run_now(Transition& t, const RunNow& command);
void on_add_enrolment(Transition& t, const AddEnrolment& command);
void on_enrol(Transition& t, const EnrolAgent& command);
void on_revoke(Transition& t, const RevokeAgent& command);
/// The agent if `session` is its current one and it may speak; otherwise it has been refused.
AgentTable* speaker(Transition& t, const AgentId& agent, SessionId session);
/// Agents that went silent, regions that went blind.
void sweep_liveness(Transition& t);
/// Seeing agents of the region are counted again.
void look_at_region(Transition& t, RegionTable& region, Duration grace);
void arm_agent(State& state, const AgentTable& agent);

void on_remove_enrolment(Transition& t, const RemoveEnrolment& command);

// --- people.cc ---
void on_set_password(Transition& t, const SetPassword& command);
void on_add_token(Transition& t, const AddToken& command);
void on_revoke_token(Transition& t, const RevokeToken& command);
void on_touch_tokens(Transition& t, const TouchTokens& command);
void on_open_session(Transition& t, const OpenSession& command);
void on_touch_session(Transition& t, const TouchSession& command);
void on_close_sessions(Transition& t, const CloseSessions& command);
/// What users of `before` who are gone or disabled had is taken away.
void sync_users(Transition& t, const Catalog& before);

// --- reports.cc ---
void on_put_report(Transition& t, const PutReport& command);
void on_add_report_update(Transition& t, const AddReportUpdate& command);
void on_delete_report(Transition& t, const DeleteReport& command);

// --- secrets.cc ---
void on_put_secret(Transition& t, const PutSecret& command);
void on_delete_secret(Transition& t, const DeleteSecret& command);

// --- assign.cc ---

/// Places every series of the region among its agents, add-then-remove.
void place_region(Transition& t, RegionTable& region);
void place_series(Transition& t, SeriesId series);
void confirm_moves(Transition& t, AgentTable& agent, std::uint64_t epoch);
void sweep_moves(Transition& t);
/// Nobody runs it any more.
void unassign(Transition& t, SeriesId series);
/// One agent no longer runs it.
void release(Transition& t, SeriesId series, std::uint32_t agent);

// --- frames.cc ---
void on_frame(Transition& t, const FrameArrived& event);

/// Admission, window and vote of one result, the same in a step and in a replay (DEC-9).
struct Admitted {
  Refusal refusal = Refusal::kNone;
  bool late = false;
  bool assess = false;  ///< The monitor's votes may say something else now.
  std::int64_t from_ms = 0;
};

Admitted admit(State& state, const Engine::Options& options, const AgentId& agent,
               const CheckResult& result, const std::vector<KnownTick>& known, WallTime now);

// --- edits.cc ---
void on_apply(Transition& t, const ApplyCatalog& command);
/// Fills what follows from the entry: rules, freshness, quorum.
void derive(State& state, MonitorTable& monitor);

// --- tick.cc ---
/// Everything that time alone brings about, at the start of every step.
void pass_time(Transition& t);
void arm_monitor(State& state, std::uint32_t monitor, std::int64_t due_us);

}  // namespace tocsin::collector

#pragma once
// Question answered here: what follows from what arrived?
//
// The collector's only decision maker (DEC-1): an event and the time in, a Decision out. No I/O,
// clock, thread or chance. `step` only routes; each rule is a function of values in its own file
// beside this one, and the state is a struct of tables, one per rule. Frames, commands, time and
// configuration all enter by this door, so replay, simulation and audit run the same code as
// production.
//
// Life of a Decision: the shell merges the decisions of one group, writes rows and journal in one
// transaction, and only after the commit carries out the effects. A write that fails is retried;
// the engine is restored from the store only when retries end (DEC-9).

#include "collector/core/catalog.h"
#include "collector/core/rows.h"
#include "common/base/time.h"
#include "common/model/frame.h"
#include "common/model/link.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::collector {

/// A connection of an agent, counted up by the ingest shell; never reused in a process.
enum class SessionId : std::uint64_t {};

// --- events ---

struct Tick {};

/// A Hello with a valid key. The answer is a SendWelcome or a SendRefused.
struct AgentHello {
  AgentId agent;
  SessionId session{};
  Hello hello;
};

struct AgentHeartbeat {
  AgentId agent;
  SessionId session{};
  Heartbeat heartbeat;
};

struct AgentConfigApplied {
  AgentId agent;
  SessionId session{};
  std::uint64_t epoch = 0;
};

struct AgentSuspicion {
  AgentId agent;
  SessionId session{};
  Suspicion suspicion;
};

struct AgentWantsAssignment {
  AgentId agent;
  SessionId session{};
};

/// The connection ended, or the agent said Goodbye.
struct AgentLeft {
  AgentId agent;
  SessionId session{};
  bool goodbye = false;
  std::string why;
};

/// A (series, tick) that lies outside the engine's window and is stored already; see unknown_ticks.
struct KnownTick {
  SeriesId series{};
  std::uint32_t tick = 0;

  friend auto operator<=>(const KnownTick&, const KnownTick&) = default;
};

struct FrameArrived {
  AgentId agent;  ///< From the key.
  SessionId session{};
  FrameRef frame;
  Digest16 previous{};
  std::vector<CheckResult> results;
  Gap gap;                             ///< When frame.kind is kGap.
  std::uint32_t unreadable = 0;        ///< Results the decoder left out; counted as quarantined.
  std::shared_ptr<const Bytes> bytes;  ///< For the journal.
  std::vector<KnownTick> known;        ///< Answer to unknown_ticks.
};

/// --- commands of people; each answers through Decision::reply ---
/// A request that may be sent twice and must count once (Idempotency-Key). The same key with the
/// same digest answers with the first one's subject; with another digest it is kExists.
struct Once {
  std::string key;     ///< Principal and key.
  std::string digest;  ///< Of the request, hex.
};

struct ApplyCatalog {
  CatalogEdit edit;
  std::string actor;
  bool dry_run = false;  ///< Only the reply.
  std::optional<Once> once{};
};

struct AddEnrolment {
  EnrolmentRow enrolment;
  std::string actor;
  std::optional<Once> once{};
};

/// kNotFound when it is unknown; one that was used stays as it is.
struct RemoveEnrolment {
  EnrolmentId enrolment;
  std::string actor;
};

/// From the one-time key of `enrolment`. Answers SendEnrolled or SendRefused.
struct EnrolAgent {
  EnrolmentId enrolment;
  SessionId session{};
  AgentId agent;  ///< Minted by the shell.
  Enrol enrol;
};

struct RevokeAgent {
  AgentId agent;
  std::string actor;
};

struct AcknowledgeIncident {
  IncidentId incident;
  std::string actor;
  std::string user{};                    ///< User key, when the actor is one: becomes the assignee.
  std::optional<NotificationId> link{};  ///< By the link of this notification, which works once.
};

struct ResolveIncident {
  IncidentId incident;
  std::string actor;
  std::string note{};
};

struct ReassignIncident {
  IncidentId incident;
  std::string user;  ///< Empty: nobody.
  std::string actor;
};

struct AddIncidentNote {
  IncidentId incident;
  std::string text;
  std::string actor;
  std::optional<Once> once{};
};

struct WatchIncident {
  IncidentId incident;
  std::string user;
  bool watch = true;
  std::string actor;
};

/// A test message. `user` empty: to the channel `key`; else to that user's contact method `key`.
struct SendTest {
  std::string user;
  std::string key;
  std::string actor;
};

/// Ends the user's sessions but `keep`.
struct SetPassword {
  std::string user;
  std::string password_hash;
  std::string actor;
  std::string keep{};  ///< Digest of the session that asked; may be empty.
};

struct AddToken {
  TokenRow token;
  std::string actor;
  std::optional<Once> once{};
};

struct RevokeToken {
  TokenId token;
  std::string actor;
};

/// Which tokens were used since the last time; to the hour.
struct TouchTokens {
  std::vector<TokenId> tokens;
};

struct OpenSession {
  SessionRow session;
};

/// The session was used: it lives kSessionIdle from now, at most kSessionMax from its login.
struct TouchSession {
  std::string digest;
};

/// One session, or every one of a user (digest empty).
struct CloseSessions {
  std::string digest;
  UserId user;
  std::string actor;
};

/// Creates a report, or replaces what is said in it. `row.rev` 0 creates; else it must be the
/// present one. Updates are appended by AddReportUpdate only.
struct PutReport {
  ReportRow row;
  std::string actor;
  std::optional<Once> once{};
};

struct AddReportUpdate {
  ReportId report;
  ReportUpdate update;  ///< `at` is set by the step.
  std::string actor;
  std::optional<Once> once{};
};

struct DeleteReport {
  ReportId report;
  std::string actor;
};

/// Keeps a secret for monitors, in place of one of that name. kLimit: there are too many.
struct PutSecret {
  std::string name;
  std::string sealed;                  ///< Under `name`.
  std::optional<std::uint64_t> rev{};  ///< It must be this one now.
  std::string actor;
};

/// kNotFound when there is none; kInvalid while monitors name it.
struct DeleteSecret {
  std::string name;
  std::optional<std::uint64_t> rev{};
  std::string actor;
};

/// The outbox runner: a message could not be delivered (`dead`: it was given up).
struct DeliveryTrouble {
  NotificationId notification;
  IncidentId incident;
  std::string channel;
  std::string user;
  bool more_contacts = false;
  bool dead = false;
  std::string why;
};

/// The outbox runner: a destination takes no messages, or takes them again.
struct ChannelHealth {
  std::string channel;
  bool ok = false;
  WallTime since;
  std::string why;
};

/// One run from every region of the monitor. The results carry `request`.
struct RunNow {
  std::string monitor_key;
  Uuid request{};
  std::string actor;
};

using Event =
    std::variant<Tick, AgentHello, AgentHeartbeat, AgentConfigApplied, AgentSuspicion,
                 AgentWantsAssignment, AgentLeft, FrameArrived, ApplyCatalog, AddEnrolment,
                 EnrolAgent, RevokeAgent, AcknowledgeIncident, ResolveIncident, RunNow,
                 RemoveEnrolment, ReassignIncident, AddIncidentNote, WatchIncident, SendTest,
                 SetPassword, AddToken, RevokeToken, TouchTokens, OpenSession, CloseSessions,
                 PutReport, AddReportUpdate, DeleteReport, DeliveryTrouble, ChannelHealth,
                 TouchSession, PutSecret, DeleteSecret>;

// --- effects, only after the commit ---

struct SendToAgent {
  AgentId agent;
  SessionId session{};
  CollectorMessage message;
};

/// Nothing of this key is stored or answered any more; close its connection.
struct CloseSession {
  AgentId agent;
  SessionId session{};
  std::string why;
};

/// Answer to an EnrolAgent, to the connection with the one-time key.
struct AnswerEnrolment {
  SessionId session{};
  CollectorMessage message;
};

/// The allow-list changed: ZAP must know. `public_key` Z85.
struct KeyChanged {
  enum class Use : std::uint8_t { kAgent, kEnrolment, kNone } use = Use::kNone;
  std::string public_key;
  Uuid id{};  ///< AgentId or EnrolmentId.
  WallTime expires = WallTime::never();
};

/// New rows wait in the outbox.
struct WakeOutbox {};

using Effect = std::variant<SendToAgent, CloseSession, AnswerEnrolment, KeyChanged, WakeOutbox>;

/// Why the engine did something an operator should read; logged and counted by `code`.
struct EngineNotice {
  bool warning = false;
  std::string code;
  std::string text;
};

/// What a command's sender hears. Sent after the commit.
struct Reply {
  std::optional<Error> error;
  std::vector<FieldError> fields;      ///< ApplyCatalog: every broken rule.
  std::vector<CatalogChange> changes;  ///< ApplyCatalog.
  std::string subject{};               ///< Id or key of what was made.
  bool repeated = false;               ///< It had been done before (Once).
};

struct Decision {
  std::vector<Row> rows;
  std::vector<JournalEntry> journal;
  std::vector<Effect> effects;
  std::vector<EngineNotice> notices;
  std::optional<Reply> reply;

  /// Nothing to write and nothing to do.
  bool empty() const {
    return rows.empty() && journal.empty() && effects.empty() && notices.empty();
  }
};

/// What all steps of one transaction share. commit_seq grows by one per group.
struct Group {
  std::uint16_t shard = 0;
  std::uint64_t commit_seq = 0;
  Now now;
};

/// What the store gives back at start: the newest row of every key, the last checkpoint, and the
/// journal after it.
struct Snapshot {
  std::uint64_t commit_seq = 0;  ///< Of the last commit.
  WallTime last_commit;
  std::vector<Row> rows;  ///< Without ResultRow, EventRow and OutboxRow; verdicts: per monitor from
                          ///< the newest back to 24 h.
  Bytes checkpoint;       ///< Empty: none yet.
  std::uint64_t checkpoint_commit_seq = 0;
};

/// One replayed group: its frames as events and agent-state entries as bytes, in order.
struct ReplayGroup {
  Group group;
  std::vector<std::variant<FrameArrived, Bytes>> entries;
};

/// Looks for status pages, the API and metrics; values, taken between steps.
struct MonitorView {
  MonitorEntry entry;
  MonitorStateRow state;
  std::vector<Vote> votes;
  std::vector<std::pair<std::string, Abstention>> abstentions;
  WallTime last_result;

  friend bool operator==(const MonitorView&, const MonitorView&) = default;
};

struct AgentView {
  AgentRow row;
  bool live = false;
  AgentHealth health = AgentHealth::kHealthy;
  Heartbeat last_heartbeat;
  Duration clock_offset{0};
  std::uint64_t assignment_epoch_sent = 0;
  std::uint64_t assignment_epoch_applied = 0;
  std::uint32_t series = 0;
};

struct RegionView {
  RegionSpec spec;
  RegionStateRow state;
  std::uint32_t live_agents = 0;
};

/// Who may come in: what `net` needs to authenticate without asking.
struct AuthTables {
  std::map<UserId, CredentialRow> credentials;
  std::map<std::string, TokenRow> tokens;      ///< By digest; revoked ones stay, and are refused.
  std::map<std::string, SessionRow> sessions;  ///< By digest.
};

struct EngineView {
  std::uint64_t config_version = 0;
  std::uint64_t event_seq = 0;  ///< Of the newest event.
  WallTime at;
  /// Shared with the views before and after until it changes; nobody changes one.
  std::shared_ptr<const Catalog> catalog;
  std::shared_ptr<const AuthTables> auth;
  std::shared_ptr<const std::vector<ReportRow>> reports;  ///< Newest first.
  std::shared_ptr<const std::vector<EnrolmentRow>> enrolments;
  std::shared_ptr<const std::vector<SecretRow>> secrets;  ///< In the order of their names.
  std::vector<MonitorView> monitors;                      ///< In the order of their keys.
  std::vector<AgentView> agents;
  std::vector<RegionView> regions;
  std::vector<IncidentRow> open_incidents;
  std::vector<StatusPageSpec> pages;
};

struct EngineStats {
  std::uint64_t frames = 0, frames_nacked = 0, forks = 0;
  std::uint64_t results_stored = 0, results_late = 0, results_missed = 0;
  std::uint64_t gaps = 0, results_gapped = 0;
  std::uint64_t refused_too_old = 0, refused_future = 0, refused_unassigned = 0,
                refused_duplicate = 0, refused_quarantined = 0;
  std::uint64_t suspicions = 0, confirms_asked = 0, confirms_refused = 0;
  std::uint64_t verdicts = 0, incidents_opened = 0, incidents_resolved = 0, notifications = 0;
  std::uint64_t series = 0, monitors = 0, open_incidents = 0, live_agents = 0;
};

class Engine {
 public:
  struct Options {
    std::uint16_t shard = 0;
    std::uint32_t credit_bytes = 1U << 20;  ///< Per stream.
    Duration settle =
        std::chrono::seconds{90};  ///< After start nobody is judged silent that long (DEC-7).
    Duration result_retention = std::chrono::hours{24 * 30};
  };

  explicit Engine(Options options);
  ~Engine();

  /// Before the first step. Replays admission, votes and run counters only (DEC-9); verdicts,
  /// incidents, escalations and the outbox are taken from their rows. The caller sends a Tick
  /// afterwards.
  void restore(const Snapshot& snapshot, const std::vector<ReplayGroup>& journal, Now now);

  Decision step(const Event& event, const Group& group);

  /// When a Tick is wanted at the latest. Both clocks: liveness is monotonic, escalation is wall
  /// time.
  MonoTime next_wakeup(Now now) const;

  /// The ticks of the frame that lie outside the window and could be stored already. The shell asks
  /// the store and passes what it finds as FrameArrived::known.
  std::vector<KnownTick> unknown_ticks(const FrameArrived& frame) const;

  /// Per series: last tick, window, last vote, runs. Deterministic bytes.
  Bytes checkpoint() const;

  EngineView view(WallTime at) const;
  EngineStats stats() const;
  const Catalog& catalog() const;

  /// Equal engines have equal digests; used by the restore test and by INV-29.
  std::uint64_t state_digest() const;

  /// Broken state invariants in words; empty: all hold. Called by every test and by the simulator.
  std::vector<std::string> check_invariants() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector

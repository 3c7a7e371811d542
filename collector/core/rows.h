#pragma once
// Question answered here: what does the engine want remembered?
//
// A Decision's rows, one struct per table, each replacing the row with the same key (the members
// marked KEY). Stores map them in collector/store/rows.h; docs/store.md describes the tables.
// Everything the engine needs to go on after a restart is in these rows, the last checkpoint and
// the journal after it.

#include "collector/core/catalog.h"
#include "common/base/digest.h"
#include "common/model/check_result.h"
#include "common/model/frame.h"
#include "common/model/link.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace tocsin::collector {

/// KEY name. Counters and versions: "config_version", "next_series", "next_incident_number",
/// "assignment_epoch/<agent>", "event_seq" ...
struct MetaRow {
  std::string name;
  std::uint64_t value = 0;

  friend bool operator==(const MetaRow&, const MetaRow&) = default;
};

/// KEY kind + key. Catalogue objects; `removed` deletes the row.
struct CatalogRow {
  std::variant<RegionSpec, MonitorEntry, ServiceSpec, PolicySpec, ChannelSpec, StatusPageSpec,
               UserSpec>
      object;
  bool removed = false;

  friend bool operator==(const CatalogRow&, const CatalogRow&) = default;
};

/// KEY kind + key. Beside a CatalogRow; `removed` deletes the row.
struct ObjectRow {
  ObjectKind kind = ObjectKind::kMonitor;
  std::string key;
  ObjectMeta meta;
  bool removed = false;

  friend bool operator==(const ObjectRow&, const ObjectRow&) = default;
};

/// KEY user. An empty hash: no password, cannot log in with one. Deleted with the user.
struct CredentialRow {
  UserId user;
  std::string password_hash;  ///< argon2id, encoded ("$argon2id$v=19$...").
  WallTime changed_at;
  bool removed = false;

  friend bool operator==(const CredentialRow&, const CredentialRow&) = default;
};

/// KEY id. A secret that programs show ("tcs_..."); only its digest is kept.
struct TokenRow {
  TokenId id;
  std::string name;
  std::string prefix;  ///< The first characters of the secret, for people to recognise it by.
  std::string digest;  ///< SHA-256 of the secret, hex.
  std::string owner;   ///< User key; empty: a token of its own ("service account").
  Role role = Role::kViewer;        ///< Never more than its owner's.
  std::vector<std::string> scopes;  ///< Empty: everything of the role (authorize.h).
  WallTime created;
  std::string created_by;
  WallTime expires = WallTime::never();
  std::optional<WallTime> last_used;  ///< To the hour.
  std::optional<WallTime> revoked_at;

  friend bool operator==(const TokenRow&, const TokenRow&) = default;
};

/// A session ends that long after its last request, and at the latest that long after its login.
inline constexpr Duration kSessionIdle = std::chrono::hours{12};
inline constexpr Duration kSessionMax = std::chrono::hours{24 * 7};

/// KEY digest. A login in a browser.
struct SessionRow {
  std::string digest;  ///< SHA-256 of the cookie's value, hex.
  UserId user;
  WallTime created;
  WallTime expires;    ///< Moved on by requests (TouchSession).
  std::string client;  ///< User-Agent, printable, cut.
  bool removed = false;

  friend bool operator==(const SessionRow&, const SessionRow&) = default;
};

/// KEY seq. Who did what; never changed, never deleted before its retention ends.
struct AuditRow {
  std::uint64_t seq = 0;
  WallTime at;
  std::string actor;   ///< "user:ann", "token:ci", "monitors_file", "command line uid 0".
  std::string action;  ///< "create", "update", "delete", "acknowledge", "revoke" ...
  std::string kind;    ///< "monitor", "incident", "token" ...
  std::string key;     ///< Of the object: its key or id.
  std::string detail;  ///< One line for people: the changed fields, the reason.

  friend bool operator==(const AuditRow&, const AuditRow&) = default;
};

inline constexpr Duration kIdempotencyKept = std::chrono::hours{24};
/// More are forgotten, oldest first.
inline constexpr std::size_t kIdempotencyMax = 10'000;

/// KEY key. What was answered to a request that said Idempotency-Key; kept for kIdempotencyKept.
struct IdempotencyRow {
  std::string key;      ///< Principal and key.
  std::string digest;   ///< Of method, path and body, hex.
  std::string subject;  ///< Id or key of what was made.
  WallTime at;
  bool removed = false;

  friend bool operator==(const IdempotencyRow&, const IdempotencyRow&) = default;
};

enum class ReportKind : std::uint8_t { kIncident = 1, kMaintenance = 2 };

/// The first four are of incidents, the last three of maintenances.
enum class ReportState : std::uint8_t {
  kInvestigating = 1,
  kIdentified = 2,
  kMonitoring = 3,
  kResolved = 4,
  kScheduled = 5,
  kInProgress = 6,
  kCompleted = 7,
};

/// How bad it is for readers, as the author says it.
enum class Impact : std::uint8_t { kNone = 1, kMinor = 2, kMajor = 3, kCritical = 4 };

const char* to_string(ReportKind kind);
const char* to_string(ReportState state);
const char* to_string(Impact impact);
std::optional<ReportState> parse_report_state(std::string_view word);
std::optional<Impact> parse_impact(std::string_view word);
ReportKind kind_of(ReportState state);
bool is_over(ReportState state);

inline constexpr std::size_t kReportUpdatesMax = 200;
inline constexpr std::size_t kReportTextMax = 8 * 1024;

struct ReportUpdate {
  WallTime at;
  ReportState state = ReportState::kInvestigating;
  std::string text;  ///< Plain text.

  friend bool operator==(const ReportUpdate&, const ReportUpdate&) = default;
};

/// KEY id. What people tell readers of a status page; the newest update says its state.
struct ReportRow {
  ReportId id;
  std::string page;  ///< Slug.
  ReportKind kind = ReportKind::kIncident;
  std::string title;
  Impact impact = Impact::kMinor;
  std::vector<std::string> components;  ///< PageComponent::key of those affected.
  std::vector<ReportUpdate> updates;    ///< Oldest first, at least one, at most kReportUpdatesMax.
  std::optional<WallTime> scheduled_from;  ///< kMaintenance.
  std::optional<WallTime> scheduled_to;
  WallTime created;
  std::string created_by;  ///< Never shown to readers.
  std::uint64_t rev = 1;   ///< The ETag of the API.
  bool removed = false;

  ReportState state() const {
    return updates.empty() ? ReportState::kResolved : updates.back().state;
  }

  friend bool operator==(const ReportRow&, const ReportRow&) = default;
};

/// KEY name. A secret that monitors name ({secret: NAME}), sealed by the shell's key: the engine
/// never knows what it is.
struct SecretRow {
  std::string name;    ///< As keys.
  std::string sealed;  ///< A box of io::SecretBox.
  std::uint64_t rev = 1;
  WallTime changed;
  std::string changed_by;
  bool removed = false;

  friend bool operator==(const SecretRow&, const SecretRow&) = default;
};

/// KEY series. Never deleted, never reused: results of old series stay readable.
struct SeriesRow {
  SeriesId series{};
  MonitorId monitor;
  std::string monitor_key;
  std::string region;
  std::uint32_t generation = 1;  ///< Raised when the interval changes.
  SlotGrid grid;
  WallTime from;
  WallTime to =
      WallTime::never();  ///< When the monitor or region was dropped or got a new generation.

  friend bool operator==(const SeriesRow&, const SeriesRow&) = default;
};

/// KEY agent.
struct AgentRow {
  AgentId agent;
  std::string region;
  std::string public_key;  ///< Z85.
  std::string host;
  std::string version;
  WallTime enrolled_at;
  WallTime last_seen;
  std::optional<WallTime> revoked_at;
  std::uint64_t results_stored = 0;  ///< The accounting of DEC-8, in results.
  std::uint64_t results_gapped = 0;
  std::uint64_t refused_too_old = 0;
  std::uint64_t refused_future = 0;
  std::uint64_t refused_unassigned = 0;
  std::uint64_t refused_duplicate = 0;
  std::uint64_t refused_quarantined = 0;
  std::uint32_t forks = 0;
  bool cloned = false;  ///< Two processes with this key were seen at once; cleared by a person.

  friend bool operator==(const AgentRow&, const AgentRow&) = default;
};

/// KEY id. Single use; `used_at` set in the transaction that stores the agent.
struct EnrolmentRow {
  EnrolmentId id;
  std::string region;
  std::string public_key;  ///< Of the one-time pair, Z85.
  WallTime expires_at;
  std::optional<WallTime> used_at;
  /// The agent it made; while unused, the one whose key it is to renew, if any.
  std::optional<AgentId> agent;
  std::string name{};  ///< For people: which machine it is meant for. May be empty.

  friend bool operator==(const EnrolmentRow&, const EnrolmentRow&) = default;
};

/// KEY stream.
struct StreamRow {
  StreamId stream;
  std::uint64_t high_water = 0;
  Digest16 digest{};
  WallTime last_seen;

  friend bool operator==(const StreamRow&, const StreamRow&) = default;
};

/// KEY series + agent + from. Authorises results by their slot +- 60 s; kept 96 h after `to`.
struct AssignmentRow {
  SeriesId series{};
  AgentId agent;
  WallTime from;
  WallTime to = WallTime::never();

  friend bool operator==(const AssignmentRow&, const AssignmentRow&) = default;
};

enum class MonitorStatus : std::uint8_t {
  kNew = 1,
  kUp = 2,
  kDegraded = 3,
  kDown = 4,
  kUnknown = 5,
  kMaintenance = 6,
  kPaused = 7,
};

const char* to_string(MonitorStatus status);
std::optional<MonitorStatus> monitor_status_from_int(std::uint32_t value);

/// What one region's newest counted result says (design section 2).
struct Vote {
  std::string region;
  SeriesId series{};
  std::uint32_t tick = 0;          ///< 0 for a confirm result.
  Outcome outcome = Outcome::kUp;  ///< kUp, kDegraded or kDown after open_after and close_after.
  Reason reason = Reason::kNone;
  std::string detail;
  WallTime slot;

  friend bool operator==(const Vote&, const Vote&) = default;
};

/// Why a region has no vote.
enum class Abstention : std::uint8_t {
  kNone = 0,
  kNothingYet = 1,
  kExpired = 2,
  kBlind = 3,
  kMissed = 4,
  kNoData = 5,
  kOldSpec = 6,
  kClock = 7,  ///< The agent's clock is off by more than an hour.
};

const char* to_string(Abstention why);

/// What the newest votes of the electorate say from `at` on. `seq` counts per monitor.
/// KEY monitor + seq. A rewrite of history marks old rows `replaced` and writes new ones.
struct VerdictRow {
  MonitorId monitor;
  std::uint64_t seq = 0;
  WallTime at;
  MonitorStatus status = MonitorStatus::kUnknown;
  int n = 0, k = 0, down = 0, up = 0, degraded = 0;
  std::string
      because;  ///< "2 of 2 regions down", "failing from 1 of 3", "no vote from fra: expired".
  std::vector<Vote> votes;  ///< What it rests on.
  bool late = false;        ///< Written by a late result: never paged.
  bool replaced = false;

  friend bool operator==(const VerdictRow&, const VerdictRow&) = default;
};

/// KEY monitor.
struct MonitorStateRow {
  MonitorId monitor;
  MonitorStatus status = MonitorStatus::kNew;
  WallTime since;
  std::string because;
  std::uint64_t verdict_seq = 0;
  std::optional<IncidentId> incident;  ///< The unresolved one.

  friend bool operator==(const MonitorStateRow&, const MonitorStateRow&) = default;
};

/// KEY region.
struct RegionStateRow {
  std::string region;
  bool blind = false;
  WallTime since;
  std::optional<IncidentId> incident;

  friend bool operator==(const RegionStateRow&, const RegionStateRow&) = default;
};

enum class IncidentKind : std::uint8_t {
  kMonitor = 1,
  kImpaired = 2,     ///< "monitoring impaired" of a region, on the `system` service.
  kDeadChannel = 3,  ///< A destination that takes no messages, on the `system` service.
};

enum class IncidentState : std::uint8_t {
  kOpen = 1,
  kAcknowledged = 2,
  kSnoozed = 3,
  kSuppressed = 4,
  kResolved = 5,
};

const char* to_string(IncidentState state);
const char* to_string(IncidentKind kind);

/// KEY id.
struct IncidentRow {
  IncidentId id;
  std::uint64_t number = 0;  ///< For people: "INC-42".
  IncidentKind kind = IncidentKind::kMonitor;
  IncidentState state = IncidentState::kOpen;
  std::optional<MonitorId> monitor;
  std::string monitor_key;
  std::string region;   ///< kImpaired.
  std::string channel;  ///< kDeadChannel: key of the channel, or "USER/CONTACT".
  std::string service;
  Urgency urgency = Urgency::kHigh;   ///< Of the service, when it opened.
  std::string assignee;               ///< User key; empty: nobody.
  std::vector<std::string> watchers;  ///< User keys, sorted; told of its updates.
  std::string title;
  std::string because;
  WallTime started_at;  ///< Slot of the first failing vote; late results may move it back.
  WallTime opened_at;
  std::optional<WallTime> acknowledged_at;
  std::string acknowledged_by;
  std::optional<WallTime> resolved_at;
  std::string resolved_because;
  std::vector<Vote> votes;            ///< At opening.
  std::vector<CheckResult> evidence;  ///< The deciding result of each down region, with attempts.
  std::uint32_t timeline_seq = 0;     ///< Last used.
  PolicySpec policy;                  ///< As it was when the incident opened; empty key: none.
  /// Notifications whose acknowledge link was used; each works once.
  std::vector<NotificationId> used_links;
  std::vector<ChannelSpec> notified;  ///< Each destination that was sent a trigger, as it was then:
                                      ///< the resolve goes there even if the channel is gone.

  friend bool operator==(const IncidentRow&, const IncidentRow&) = default;
};

enum class TimelineType : std::uint8_t {
  kOpened = 1,
  kStep = 2,  ///< An escalation step was taken.
  kAcknowledged = 3,
  kResolved = 4,
  kNote = 5,
  kUnknown = 6,  ///< The verdict became unknown while it was open.
  kReopened = 7,
  kStartMoved = 8,
  kFallback = 9,
  kAssigned = 10,
  kAckExpired = 11,      ///< ack_timeout: it is open again.
  kDeliveryFailed = 12,  ///< A message could not be delivered; what follows from it.
  kWatch = 13,
};

const char* to_string(TimelineType type);

/// KEY incident + seq.
struct TimelineRow {
  IncidentId incident;
  std::uint32_t seq = 0;
  WallTime at;
  TimelineType type = TimelineType::kOpened;
  std::string actor;  ///< "engine" or a person.
  std::string text;

  friend bool operator==(const TimelineRow&, const TimelineRow&) = default;
};

/// KEY incident. The next step and when; `done` once nothing is left or it is answered.
struct EscalationRow {
  IncidentId incident;
  int step = 0;    ///< Index of the next step.
  int repeat = 0;  ///< Which pass over the ladder.
  WallTime due_at;
  bool done = false;
  bool ack_expiry = false;  ///< Acknowledged: `due_at` is when that ends, and the ladder restarts.

  friend bool operator==(const EscalationRow&, const EscalationRow&) = default;
};

enum class NotificationKind : std::uint8_t {
  kTrigger = 1,
  kResolve = 2,
  kTest = 3,
  kUpdate = 4,  ///< Acknowledged, reassigned, noted, open again: for those who were told.
};

const char* to_string(NotificationKind kind);

/// What a message says, fixed when the intent is made; channels render it (docs/webhooks.md).
struct NotificationContent {
  std::uint64_t incident_number = 0;
  IncidentKind incident_kind = IncidentKind::kMonitor;
  std::string title;    ///< One line, plain text: "Shop checkout is down".
  std::string because;  ///< "2 of 2 regions: connect.refused (nothing listens on that port)".
  std::string service;
  std::string monitor_key;
  std::string monitor_name;
  std::string target;  ///< describe(spec.target).
  std::string region;  ///< kImpaired.
  Urgency urgency = Urgency::kHigh;
  WallTime started_at;
  WallTime opened_at;
  std::optional<WallTime> resolved_at;
  std::vector<Vote> votes;
  std::vector<CheckResult> evidence;
  std::string step_because;  ///< "step 1", "no ack after 15m", "fallback".

  friend bool operator==(const NotificationContent&, const NotificationContent&) = default;
};

/// OutboxRow::step of a resolve for somebody who watches: it follows from no step, and is sent
/// whatever became of the triggers.
inline constexpr int kWatchingStep = -1;

/// An intent: one message to one destination. KEY id; unique over (incident, cause_seq, step,
/// repeat, channel). The runner, not the engine, moves `state` on; the engine only creates and
/// cancels.
struct OutboxRow {
  NotificationId id;
  IncidentId incident;
  std::uint32_t cause_seq = 0;  ///< timeline seq of what caused it.
  int step = 0;
  int repeat = 0;
  NotificationKind kind = NotificationKind::kTrigger;
  std::string channel;      ///< Channel key.
  ChannelSpec destination;  ///< As it was: a resolve goes to where the trigger went.
  NotificationContent content;
  WallTime created;
  WallTime due;                ///< Not sent before; `created` for most.
  std::string user;            ///< Whose contact method it is; empty for a channel.
  bool more_contacts = false;  ///< A later intent of the same step reaches the same person.

  friend bool operator==(const OutboxRow&, const OutboxRow&) = default;
};

/// A message to the person could not be delivered: their pending triggers of the incident are due
/// at `at`, whatever their rules said.
struct HurryOutbox {
  IncidentId incident;
  std::string user;
  WallTime at;

  friend bool operator==(const HurryOutbox&, const HurryOutbox&) = default;
};

/// Marks every pending trigger and update of the incident cancelled (acknowledged or resolved).
/// What is claimed is under way and cannot be called back.
struct CancelOutbox {
  IncidentId incident;
  std::string why;

  friend bool operator==(const CancelOutbox&, const CancelOutbox&) = default;
};

/// KEY series + tick. One per stored scheduled result until the storage issue; a missed run is one
/// row with its last tick. One-off results (confirm, run now) KEY request + series.
struct ResultRow {
  CheckResult result;
  AgentId agent;
  WallTime received;
  bool late = false;

  friend bool operator==(const ResultRow&, const ResultRow&) = default;
};

/// KEY seq. What /events streams: committed events, numbered without holes.
struct EventRow {
  std::uint64_t seq = 0;
  WallTime at;
  std::string topic;  ///< "monitor", "incident", "agent", "region", "catalog", "report", "channel".
  std::string subject;  ///< Key or id.
  std::string text;     ///< One line for people.

  friend bool operator==(const EventRow&, const EventRow&) = default;
};

using Row = std::variant<MetaRow, CatalogRow, SeriesRow, AgentRow, EnrolmentRow, StreamRow,
                         AssignmentRow, VerdictRow, MonitorStateRow, RegionStateRow, IncidentRow,
                         TimelineRow, EscalationRow, OutboxRow, CancelOutbox, ResultRow, EventRow,
                         ObjectRow, CredentialRow, TokenRow, SessionRow, AuditRow, IdempotencyRow,
                         ReportRow, HurryOutbox, SecretRow>;

/// One record of the journal, in step order within its group.
struct JournalEntry {
  enum class Kind : std::uint8_t {
    kFrame = 1,  ///< The frame's bytes as received, after 16 bytes of agent id.
    kAgentState =
        2,  ///< A change other than a frame that votes depend on (collector/core/checkpoint.h):
            ///< a region went blind or came back, a series began, ended or starts afresh.
  };

  Kind kind = Kind::kFrame;
  std::shared_ptr<const Bytes> bytes;
};

}  // namespace tocsin::collector

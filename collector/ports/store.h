#pragma once
// Question answered here: what does the collector need of a database?
//
// Three implementations stand behind this port (memory, SQLite; PostgreSQL comes with its issue)
// and pass one contract test (tests/contract/store_contract.h). Written and read on the threads
// named below.
//
// Specification
//  ST1 `commit` writes a whole group (rows, journal, commit_seq) or nothing, and returns only when
//  it is
//      durable. Group commit_seq must be the last one + 1; a group that was committed already (its
//      answer was lost) is recognised by commit_seq and answered as done.
//  ST2 A row replaces the row with its key. ResultRow keeps the first writer: a second one with the
//  same
//      key changes nothing. OutboxRow with an existing id or unique key changes nothing.
//  ST3 Claim, send, record: `claim_outbox` moves pending rows to claimed with a token and a
//  deadline in
//      one durable step; a claimed row whose deadline has passed is pending again.
//      `record_delivery` with another token than the row's changes nothing and answers false.
//      What was held was no attempt: it does not count, and leaves a line only if `detail` says
//      why.
//  ST4 A resolve is claimed only when every trigger to the same incident and channel has ended;
//      if there were some and none of them, nor an update, was ever attempted it becomes cancelled
//      instead. One for somebody who watches (kWatchingStep) needs no trigger, and is sent.

#include "collector/core/engine.h"
#include "collector/core/phase_rollup.h"
#include "collector/core/rows.h"
#include "common/base/expected.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tocsin::collector {

struct CommitGroup {
  Group group;
  std::vector<Row> rows;
  std::vector<JournalEntry> journal;
  std::optional<Bytes> checkpoint;  ///< Taken after this group's steps.
};

enum class OutboxState : std::uint8_t {
  kPending = 1,
  kClaimed = 2,
  kSent = 3,
  kCancelled = 4,
  kDead = 5,  ///< Given up; the channel is alarmed.
};

const char* to_string(OutboxState state);

struct OutboxItem {
  OutboxRow row;
  OutboxState state = OutboxState::kPending;
  std::uint64_t token = 0;
  std::uint32_t attempts = 0;
  WallTime next_at;
};

enum class DeliveryOutcome : std::uint8_t {
  kSent = 1,
  kRetry = 2,  ///< Failed or uncertain: again at `retry_at`.
  kDead = 3,   ///< Refused for good (410, bad destination).
  kHeld = 4,   ///< Not tried: put off until `retry_at`.
};

struct Delivery {
  NotificationId notification;
  std::uint64_t token = 0;
  std::uint32_t attempt = 0;
  WallTime at;
  DeliveryOutcome outcome = DeliveryOutcome::kSent;
  WallTime retry_at;
  int status = 0;      ///< HTTP status; 0: none.
  std::string detail;  ///< Printable, bounded.
  std::uint32_t duration_ms = 0;
  std::string digest{};  ///< Id of the message that stood for this one and others; empty: none did.

  friend bool operator==(const Delivery&, const Delivery&) = default;
};

/// Whether `next_at` of the message becomes `retry_at`.
inline bool comes_back(DeliveryOutcome outcome) {
  return outcome == DeliveryOutcome::kRetry || outcome == DeliveryOutcome::kHeld;
}

/// The writing side; owned and called by one thread (`store`).
class Store {
 public:
  virtual ~Store() = default;

  virtual Expected<Snapshot> load() = 0;

  /// The journal after `commit_seq`, in order, raw: the caller decodes it for Engine::restore.
  struct RawGroup {
    Group group;
    std::vector<JournalEntry> entries;
  };

  virtual Expected<std::vector<RawGroup>> journal_after(std::uint64_t commit_seq) = 0;

  virtual Expected<void> commit(const CommitGroup& group) = 0;

  /// Which of these are stored.
  virtual Expected<std::vector<KnownTick>> find_ticks(const std::vector<KnownTick>& ticks) = 0;

  virtual Expected<std::vector<OutboxItem>> claim_outbox(WallTime now, std::size_t limit,
                                                         Duration lease) = 0;
  virtual Expected<bool> record_delivery(const Delivery& delivery) = 0;
  /// Earliest next_at of what is pending or claimed; nothing when the outbox is empty.
  virtual Expected<std::optional<WallTime>> next_outbox_at() = 0;

  /// Drops journal groups up to the last checkpoint, in bounded steps.
  virtual Expected<void> trim_journal() = 0;
};

struct ResultQuery {
  std::optional<MonitorId> monitor;
  WallTime from, to = WallTime::never();
  std::size_t limit = 50;
};

/// Newest first, by number.
struct IncidentQuery {
  std::size_t limit = 50;
  bool open_only = false;
  std::uint64_t before_number = UINT64_MAX;
  std::optional<MonitorId> monitor;
  std::string service;  ///< Empty: any.
};

/// Newest first, by creation and id. Ids are minted in the order of creation.
struct OutboxQuery {
  std::size_t limit = 50;
  std::optional<IncidentId> incident;
  std::optional<NotificationId> before;  ///< Older than this one.
  std::string channel;                   ///< Empty: any.
};

/// Where the time of one region's checks went in one hour.
struct PhaseHour {
  WallTime hour;  ///< When it began.
  std::string region;
  PhaseRollup rollup;

  friend bool operator==(const PhaseHour&, const PhaseHour&) = default;
};

struct DayUptime {
  std::int64_t day = 0;  ///< Days since the Unix epoch, UTC.
  std::int64_t up_s = 0, down_s = 0, degraded_s = 0, unknown_s = 0;
  std::int64_t elapsed_s = 0;  ///< How much of the day was over when this was counted.
};

/// The reading side; its own connection, owned by the thread `query`.
class StoreReader {
 public:
  virtual ~StoreReader() = default;
  virtual Expected<std::vector<ResultRow>> results(const ResultQuery& query) = 0;
  virtual Expected<std::vector<VerdictRow>> verdicts(const MonitorId& monitor, WallTime from,
                                                     WallTime to) = 0;
  /// Every hour that has something between the hour of `from` and `to`, whole, by hour and region.
  /// Each hour of the range is looked for, so the caller bounds it.
  virtual Expected<std::vector<PhaseHour>> phase_hours(const MonitorId& monitor, WallTime from,
                                                       WallTime to) = 0;
  virtual Expected<std::vector<IncidentRow>> incidents(const IncidentQuery& query) = 0;
  /// By id; nothing when there is none.
  virtual Expected<std::optional<IncidentRow>> find_incident(const IncidentId& id) = 0;
  virtual Expected<std::optional<IncidentRow>> find_incident(std::uint64_t number) = 0;
  virtual Expected<std::vector<TimelineRow>> timeline(const IncidentId& incident) = 0;
  virtual Expected<std::vector<OutboxItem>> outbox(const OutboxQuery& query) = 0;
  virtual Expected<std::optional<OutboxItem>> find_notification(const NotificationId& id) = 0;
  virtual Expected<std::vector<Delivery>> deliveries(const NotificationId& notification) = 0;
  virtual Expected<std::vector<EventRow>> events_after(std::uint64_t seq, std::size_t limit) = 0;
  /// Newest first, with seq < `before`.
  virtual Expected<std::vector<AuditRow>> audit_before(std::uint64_t before, std::size_t limit) = 0;
};

}  // namespace tocsin::collector

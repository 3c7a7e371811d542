#pragma once
// Question answered here: how little does a store have to be?
//
// The honest small implementation behind collector/ports/store.h: ordered containers, no clock, no
// chance, nothing on disk. It passes the same contract test as the others, carries the simulator,
// and serves `tocsin-collector --ephemeral`. One thread owns the store and every reader of it.

#include "collector/ports/store.h"

#include <compare>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace tocsin::collector {

class MemoryStore final : public Store {
 public:
  /// Everything that is durable, as one value: copy it to keep a moment, give it back to return to
  /// it. Results are shared between copies per series until one of them writes, so a copy costs
  /// what the other tables cost.
  struct State {
    struct StoredGroup {
      Group group;
      std::vector<JournalEntry> entries;
    };

    struct OutboxEntry {
      OutboxItem item;
      std::string cancel_why;  ///< Not empty: never claimed again.
    };

    /// A missed run stands at its last tick, beside a result of the same tick.
    using ResultKey = std::pair<std::uint32_t, bool>;
    using SeriesResults = std::map<ResultKey, ResultRow>;
    using OutboxKey = std::tuple<IncidentId, std::uint32_t, int, int, std::string>;

    std::uint64_t commit_seq = 0;
    WallTime last_commit;
    std::map<std::uint64_t, StoredGroup> journal;  ///< By commit_seq.
    Bytes checkpoint;
    std::uint64_t checkpoint_commit_seq = 0;

    std::map<std::string, MetaRow> meta;
    std::map<std::pair<std::size_t, std::string>, CatalogRow> catalog;
    std::map<SeriesId, SeriesRow> series;
    std::map<AgentId, AgentRow> agents;
    std::map<EnrolmentId, EnrolmentRow> enrolments;
    std::map<StreamId, StreamRow> streams;
    std::map<std::tuple<SeriesId, AgentId, WallTime>, AssignmentRow> assignments;
    std::map<std::pair<MonitorId, std::uint64_t>, VerdictRow> verdicts;
    std::map<MonitorId, MonitorStateRow> monitor_states;
    std::map<std::string, RegionStateRow> region_states;
    std::map<IncidentId, IncidentRow> incidents;
    std::map<std::pair<IncidentId, std::uint32_t>, TimelineRow> timeline;
    std::map<IncidentId, EscalationRow> escalations;
    std::map<std::uint64_t, EventRow> events;
    std::map<std::pair<ObjectKind, std::string>, ObjectRow> objects;
    std::map<UserId, CredentialRow> credentials;
    std::map<TokenId, TokenRow> tokens;
    std::map<std::string, SessionRow> sessions;
    std::map<std::uint64_t, AuditRow> audit;
    std::map<std::string, IdempotencyRow> requests;
    std::map<ReportId, ReportRow> reports;
    std::map<std::string, SecretRow> secrets;
    std::map<SeriesId, std::shared_ptr<SeriesResults>> results;
    std::map<std::pair<Uuid, SeriesId>, ResultRow> one_off_results;
    std::map<NotificationId, OutboxEntry> outbox;
    std::set<OutboxKey> outbox_keys;
    std::map<NotificationId, std::vector<Delivery>> deliveries;
  };

  struct Options {
    std::uint16_t shard = 0;
  };

  explicit MemoryStore(Options options);

  Expected<Snapshot> load() override;
  Expected<std::vector<RawGroup>> journal_after(std::uint64_t commit_seq) override;
  Expected<void> commit(const CommitGroup& group) override;
  Expected<std::vector<KnownTick>> find_ticks(const std::vector<KnownTick>& ticks) override;
  Expected<std::vector<OutboxItem>> claim_outbox(WallTime now, std::size_t limit,
                                                 Duration lease) override;
  Expected<bool> record_delivery(const Delivery& delivery) override;
  Expected<std::optional<WallTime>> next_outbox_at() override;
  Expected<void> trim_journal() override;

  State snapshot() const { return state_; }

  void restore(State state) { state_ = std::move(state); }

  const State& state() const { return state_; }

 private:
  const Options options_;
  State state_;
};

/// Reads the store's own data, so it belongs to the store's thread. The store outlives it.
class MemoryReader final : public StoreReader {
 public:
  explicit MemoryReader(const MemoryStore& store);

  Expected<std::vector<ResultRow>> results(const ResultQuery& query) override;
  Expected<std::vector<VerdictRow>> verdicts(const MonitorId& monitor, WallTime from,
                                             WallTime to) override;
  Expected<std::vector<PhaseHour>> phase_hours(const MonitorId& monitor, WallTime from,
                                               WallTime to) override;
  Expected<std::vector<IncidentRow>> incidents(const IncidentQuery& query) override;
  Expected<std::optional<IncidentRow>> find_incident(const IncidentId& id) override;
  Expected<std::optional<IncidentRow>> find_incident(std::uint64_t number) override;
  Expected<std::vector<TimelineRow>> timeline(const IncidentId& incident) override;
  Expected<std::vector<OutboxItem>> outbox(const OutboxQuery& query) override;
  Expected<std::optional<OutboxItem>> find_notification(const NotificationId& id) override;
  Expected<std::vector<Delivery>> deliveries(const NotificationId& notification) override;
  Expected<std::vector<EventRow>> events_after(std::uint64_t seq, std::size_t limit) override;
  Expected<std::vector<AuditRow>> audit_before(std::uint64_t before, std::size_t limit) override;

 private:
  const MemoryStore& store_;
};

}  // namespace tocsin::collector

#include "collector/store/memory_store.h"

#include "collector/store/rows.h"

#include <algorithm>
#include <optional>

namespace tocsin::collector {

namespace {

using State = MemoryStore::State;

/// Writes one row; the overloads are the key column of every table.
class Writer {
 public:
  explicit Writer(State& state)
      : s_(state) {}

  void operator()(const MetaRow& r) { s_.meta[r.name] = r; }

  void operator()(const CatalogRow& r) {
    std::pair<std::size_t, std::string> key{r.object.index(), catalog_key(r)};
    if (r.removed) {
      s_.catalog.erase(key);
    } else {
      s_.catalog[std::move(key)] = r;
    }
  }

  void operator()(const SeriesRow& r) { s_.series[r.series] = r; }

  void operator()(const AgentRow& r) { s_.agents[r.agent] = r; }

  void operator()(const EnrolmentRow& r) { s_.enrolments[r.id] = r; }

  void operator()(const StreamRow& r) { s_.streams[r.stream] = r; }

  void operator()(const AssignmentRow& r) { s_.assignments[{r.series, r.agent, r.from}] = r; }

  void operator()(const VerdictRow& r) { s_.verdicts[{r.monitor, r.seq}] = r; }

  void operator()(const MonitorStateRow& r) { s_.monitor_states[r.monitor] = r; }

  void operator()(const RegionStateRow& r) { s_.region_states[r.region] = r; }

  void operator()(const IncidentRow& r) { s_.incidents[r.id] = r; }

  void operator()(const TimelineRow& r) { s_.timeline[{r.incident, r.seq}] = r; }

  void operator()(const EscalationRow& r) { s_.escalations[r.incident] = r; }

  void operator()(const EventRow& r) { s_.events[r.seq] = r; }

  void operator()(const ObjectRow& r) { keep(s_.objects, std::pair{r.kind, r.key}, r); }

  void operator()(const CredentialRow& r) { keep(s_.credentials, r.user, r); }

  void operator()(const TokenRow& r) { s_.tokens[r.id] = r; }

  void operator()(const SessionRow& r) { keep(s_.sessions, r.digest, r); }

  void operator()(const AuditRow& r) { s_.audit[r.seq] = r; }

  void operator()(const IdempotencyRow& r) { keep(s_.requests, r.key, r); }

  void operator()(const ReportRow& r) { keep(s_.reports, r.id, r); }

  void operator()(const SecretRow& r) { keep(s_.secrets, r.name, r); }

  void operator()(const HurryOutbox& r) {
    for (auto& [id, entry] : s_.outbox) {
      OutboxItem& item = entry.item;
      if (item.row.incident != r.incident || item.row.user != r.user ||
          item.row.kind != NotificationKind::kTrigger || item.state != OutboxState::kPending ||
          item.attempts > 0) {
        continue;
      }
      item.next_at = std::min(item.next_at, r.at);
    }
  }

  void operator()(const OutboxRow& r) {
    State::OutboxKey key{r.incident, r.cause_seq, r.step, r.repeat, r.channel};
    if (s_.outbox.contains(r.id) || !s_.outbox_keys.insert(std::move(key)).second) return;
    State::OutboxEntry entry;
    entry.item.row = r;
    entry.item.next_at = r.due;
    s_.outbox.emplace(r.id, std::move(entry));
  }

  void operator()(const CancelOutbox& r) {
    for (auto& [id, entry] : s_.outbox) {
      OutboxItem& item = entry.item;
      const NotificationKind kind = item.row.kind;
      if (item.row.incident != r.incident ||
          (kind != NotificationKind::kTrigger && kind != NotificationKind::kUpdate)) {
        continue;
      }
      if (item.state != OutboxState::kPending && item.state != OutboxState::kClaimed) continue;
      if (entry.cancel_why.empty()) entry.cancel_why = r.why.empty() ? "cancelled" : r.why;
      if (item.state == OutboxState::kPending) item.state = OutboxState::kCancelled;
    }
  }

  void operator()(const ResultRow& r) {
    const CheckResult& c = r.result;
    switch (c.kind) {
      case ResultKind::kConfirm:
      case ResultKind::kRunNow:
        s_.one_off_results.try_emplace({c.request, c.series}, r);
        return;
      case ResultKind::kScheduled:
      case ResultKind::kMissed:
        break;
    }
    std::shared_ptr<State::SeriesResults>& results = s_.results[c.series];
    if (results == nullptr) {
      results = std::make_shared<State::SeriesResults>();
    } else if (results.use_count() > 1) {
      results = std::make_shared<State::SeriesResults>(*results);
    }
    const bool missed = c.kind == ResultKind::kMissed;
    results->try_emplace({missed ? c.tick_last : c.tick, missed}, r);
  }

 private:
  template <class Map, class Key, class R>
  static void keep(Map& table, const Key& key, const R& row) {
    if (row.removed) {
      table.erase(key);
    } else {
      table[key] = row;
    }
  }

  State& s_;
};

struct TriggerSummary {
  bool active = false;     ///< One is still pending or claimed.
  bool attempted = false;  ///< One, or an update, may have arrived.
  bool any = false;        ///< There was one: else the resolve is for somebody who watches.
};

TriggerSummary triggers_before(const State& state, const OutboxRow& resolve) {
  TriggerSummary out;
  for (const auto& [id, entry] : state.outbox) {
    const OutboxItem& item = entry.item;
    const NotificationKind kind = item.row.kind;
    if ((kind != NotificationKind::kTrigger && kind != NotificationKind::kUpdate) ||
        item.row.incident != resolve.incident || item.row.channel != resolve.channel) {
      continue;
    }
    out.attempted |= item.attempts > 0;
    if (kind != NotificationKind::kTrigger) continue;
    out.any = true;
    out.active |= item.state == OutboxState::kPending || item.state == OutboxState::kClaimed;
  }
  return out;
}

bool is_blocked(const State& state, const OutboxRow& row) {
  return row.kind == NotificationKind::kResolve && triggers_before(state, row).active;
}

template <class Map>
void append(std::vector<Row>& rows, const Map& table) {
  for (const auto& [key, row] : table) rows.emplace_back(row);
}

template <class T, class Less>
void newest(std::vector<T>& rows, std::size_t limit, Less newer) {
  std::sort(rows.begin(), rows.end(), newer);
  if (rows.size() > limit) rows.resize(limit);
}

}  // namespace

MemoryStore::MemoryStore(Options options)
    : options_(options) {}

Expected<Snapshot> MemoryStore::load() {
  Snapshot out;
  out.commit_seq = state_.commit_seq;
  out.last_commit = state_.last_commit;
  out.checkpoint = state_.checkpoint;
  out.checkpoint_commit_seq = state_.checkpoint_commit_seq;
  append(out.rows, state_.meta);
  append(out.rows, state_.catalog);
  append(out.rows, state_.objects);
  append(out.rows, state_.credentials);
  append(out.rows, state_.tokens);
  append(out.rows, state_.sessions);
  append(out.rows, state_.requests);
  append(out.rows, state_.reports);
  append(out.rows, state_.secrets);
  append(out.rows, state_.series);
  append(out.rows, state_.agents);
  append(out.rows, state_.enrolments);
  append(out.rows, state_.streams);
  for (const auto& [key, row] : state_.assignments) {
    if (row.to == WallTime::never() || row.to >= state_.last_commit - kAssignmentsKept) {
      out.rows.emplace_back(row);
    }
  }
  const WallTime horizon = state_.last_commit - kVerdictsLoaded;
  for (auto it = state_.verdicts.begin(); it != state_.verdicts.end();) {
    const MonitorId monitor = it->first.first;
    const auto begin = it;
    const VerdictRow* in_force = nullptr;  // At the horizon.
    for (; it != state_.verdicts.end() && it->first.first == monitor; ++it) {
      const VerdictRow& row = it->second;
      if (row.replaced || row.at >= horizon) continue;
      if (in_force == nullptr || row.at >= in_force->at) in_force = &row;
    }
    for (auto row = begin; row != it; ++row) {
      if (row->second.at >= horizon || &row->second == in_force || std::next(row) == it) {
        out.rows.emplace_back(row->second);
      }
    }
  }
  append(out.rows, state_.monitor_states);
  append(out.rows, state_.region_states);
  append(out.rows, state_.incidents);
  append(out.rows, state_.timeline);
  append(out.rows, state_.escalations);
  return out;
}

Expected<std::vector<Store::RawGroup>> MemoryStore::journal_after(std::uint64_t commit_seq) {
  std::vector<RawGroup> out;
  for (auto it = state_.journal.upper_bound(commit_seq); it != state_.journal.end(); ++it) {
    out.push_back({it->second.group, it->second.entries});
  }
  return out;
}

Expected<void> MemoryStore::commit(const CommitGroup& group) {
  TRY_ASSIGN(const bool done, was_committed(group.group, options_.shard, state_.commit_seq));
  if (done) return {};
  Writer write{state_};
  for (const Row& row : group.rows) std::visit(write, row);
  state_.journal[group.group.commit_seq] = {group.group, group.journal};
  if (group.checkpoint) {
    state_.checkpoint = *group.checkpoint;
    state_.checkpoint_commit_seq = group.group.commit_seq;
  }
  state_.commit_seq = group.group.commit_seq;
  state_.last_commit = group.group.now.wall;
  return {};
}

Expected<std::vector<KnownTick>> MemoryStore::find_ticks(const std::vector<KnownTick>& ticks) {
  std::vector<KnownTick> out;
  for (const KnownTick& tick : ticks) {
    const auto series = state_.results.find(tick.series);
    if (series != state_.results.end() && series->second->contains({tick.tick, false})) {
      out.push_back(tick);
    }
  }
  return out;
}

Expected<std::vector<OutboxItem>> MemoryStore::claim_outbox(WallTime now, std::size_t limit,
                                                            Duration lease) {
  for (auto& [id, entry] : state_.outbox) {
    OutboxItem& item = entry.item;
    if (item.state == OutboxState::kClaimed && item.next_at <= now && !entry.cancel_why.empty()) {
      item.state = OutboxState::kCancelled;
    }
  }
  for (auto& [id, entry] : state_.outbox) {
    OutboxItem& item = entry.item;
    if (item.state != OutboxState::kPending || item.row.kind != NotificationKind::kResolve ||
        item.row.step == kWatchingStep) {
      continue;
    }
    const TriggerSummary triggers = triggers_before(state_, item.row);
    if (triggers.any && !triggers.active && !triggers.attempted) {
      item.state = OutboxState::kCancelled;
      entry.cancel_why = kNothingToResolve;
    }
  }
  std::vector<OutboxItem*> due;
  for (auto& [id, entry] : state_.outbox) {
    OutboxItem& item = entry.item;
    if (item.state != OutboxState::kPending && item.state != OutboxState::kClaimed) continue;
    if (item.next_at <= now && !is_blocked(state_, item.row)) due.push_back(&item);
  }
  std::sort(due.begin(), due.end(), [](const OutboxItem* a, const OutboxItem* b) {
    return std::tie(a->row.created, a->row.id) < std::tie(b->row.created, b->row.id);
  });
  if (due.size() > limit) due.resize(limit);
  std::vector<OutboxItem> out;
  for (OutboxItem* item : due) {
    item->state = OutboxState::kClaimed;
    ++item->token;
    ++item->attempts;
    item->next_at = now + lease;
    out.push_back(*item);
  }
  return out;
}

Expected<bool> MemoryStore::record_delivery(const Delivery& delivery) {
  const auto found = state_.outbox.find(delivery.notification);
  if (found == state_.outbox.end()) return false;
  OutboxItem& item = found->second.item;
  if (item.token != delivery.token) return false;
  std::vector<Delivery>& deliveries = state_.deliveries[delivery.notification];
  if (item.state != OutboxState::kClaimed) {
    return !deliveries.empty() && deliveries.back().token == delivery.token;
  }
  const bool held = delivery.outcome == DeliveryOutcome::kHeld;
  if (!held || !delivery.detail.empty()) deliveries.push_back(delivery);
  if (held) --item.attempts;
  item.state = state_after(delivery.outcome, !found->second.cancel_why.empty());
  item.next_at = comes_back(delivery.outcome) ? delivery.retry_at : delivery.at;
  return true;
}

Expected<std::optional<WallTime>> MemoryStore::next_outbox_at() {
  std::optional<WallTime> next;
  for (const auto& [id, entry] : state_.outbox) {
    const OutboxItem& item = entry.item;
    if (item.state != OutboxState::kPending && item.state != OutboxState::kClaimed) continue;
    if (is_blocked(state_, item.row)) continue;
    if (!next || item.next_at < *next) next = item.next_at;
  }
  return next;
}

Expected<void> MemoryStore::trim_journal() {
  state_.journal.erase(state_.journal.begin(),
                       state_.journal.upper_bound(state_.checkpoint_commit_seq));
  const WallTime kept = state_.last_commit - kAssignmentsKept;
  std::erase_if(state_.assignments, [&](const auto& entry) { return entry.second.to < kept; });
  return {};
}

MemoryReader::MemoryReader(const MemoryStore& store)
    : store_(store) {}

Expected<std::vector<ResultRow>> MemoryReader::results(const ResultQuery& query) {
  const State& state = store_.state();
  std::vector<ResultRow> out;
  const auto take = [&](SeriesId id, const ResultRow& row) {
    if (query.monitor) {
      const auto series = state.series.find(id);
      if (series == state.series.end() || series->second.monitor != *query.monitor) return;
    }
    if (row.result.slot >= query.from && row.result.slot < query.to) out.push_back(row);
  };
  for (const auto& [series, results] : state.results) {
    for (const auto& [key, row] : *results) take(series, row);
  }
  for (const auto& [key, row] : state.one_off_results) take(key.second, row);
  sort_results(out, query);
  return out;
}

Expected<std::vector<PhaseHour>> MemoryReader::phase_hours(const MonitorId& monitor, WallTime from,
                                                           WallTime to) {
  const State& state = store_.state();
  std::map<std::pair<WallTime, std::string>, PhaseRollup> hours;
  for (const auto& [id, results] : state.results) {
    const auto series = state.series.find(id);
    if (series == state.series.end() || series->second.monitor != monitor) continue;
    for (const auto& [key, row] : *results) {
      const WallTime hour = hour_of(row.result.slot);
      if (row.result.kind != ResultKind::kScheduled || hour < hour_of(from) || hour >= to) continue;
      hours[{hour, series->second.region}].add(row.result);
    }
  }
  std::vector<PhaseHour> out;
  for (auto& [key, rollup] : hours) out.push_back({key.first, key.second, std::move(rollup)});
  return out;
}

Expected<std::vector<VerdictRow>> MemoryReader::verdicts(const MonitorId& monitor, WallTime from,
                                                         WallTime to) {
  std::vector<VerdictRow> out;
  const VerdictRow* in_force = nullptr;
  const auto& verdicts = store_.state().verdicts;
  for (auto it = verdicts.lower_bound({monitor, 0});
       it != verdicts.end() && it->first.first == monitor; ++it) {
    const VerdictRow& row = it->second;
    if (row.at >= from && row.at < to) out.push_back(row);
    if (row.at < from && !row.replaced && (in_force == nullptr || row.at >= in_force->at)) {
      in_force = &row;
    }
  }
  if (in_force != nullptr) out.push_back(*in_force);
  std::sort(out.begin(), out.end(), [](const VerdictRow& a, const VerdictRow& b) {
    return std::tie(a.at, a.seq) < std::tie(b.at, b.seq);
  });
  return out;
}

Expected<std::vector<IncidentRow>> MemoryReader::incidents(const IncidentQuery& query) {
  std::vector<IncidentRow> out;
  for (const auto& [id, row] : store_.state().incidents) {
    if (query.open_only && row.state == IncidentState::kResolved) continue;
    if (query.monitor && row.monitor != query.monitor) continue;
    if (!query.service.empty() && row.service != query.service) continue;
    if (row.number < query.before_number) out.push_back(row);
  }
  newest(out, query.limit,
         [](const IncidentRow& a, const IncidentRow& b) { return a.number > b.number; });
  return out;
}

Expected<std::optional<IncidentRow>> MemoryReader::find_incident(const IncidentId& id) {
  const auto found = store_.state().incidents.find(id);
  if (found == store_.state().incidents.end()) return std::nullopt;
  return found->second;
}

Expected<std::optional<IncidentRow>> MemoryReader::find_incident(std::uint64_t number) {
  for (const auto& [id, row] : store_.state().incidents) {
    if (row.number == number) return row;
  }
  return std::nullopt;
}

Expected<std::vector<TimelineRow>> MemoryReader::timeline(const IncidentId& incident) {
  std::vector<TimelineRow> out;
  const auto& timeline = store_.state().timeline;
  for (auto it = timeline.lower_bound({incident, 0});
       it != timeline.end() && it->first.first == incident; ++it) {
    out.push_back(it->second);
  }
  return out;
}

Expected<std::vector<OutboxItem>> MemoryReader::outbox(const OutboxQuery& query) {
  std::vector<OutboxItem> out;
  for (const auto& [id, entry] : store_.state().outbox) {
    const OutboxRow& row = entry.item.row;
    if (query.incident && row.incident != *query.incident) continue;
    if (query.before && !(row.id < *query.before)) continue;
    if (query.channel.empty() || row.channel == query.channel) out.push_back(entry.item);
  }
  newest(out, query.limit,
         [](const OutboxItem& a, const OutboxItem& b) { return a.row.id > b.row.id; });
  return out;
}

Expected<std::optional<OutboxItem>> MemoryReader::find_notification(const NotificationId& id) {
  const auto found = store_.state().outbox.find(id);
  if (found == store_.state().outbox.end()) return std::nullopt;
  return found->second.item;
}

Expected<std::vector<Delivery>> MemoryReader::deliveries(const NotificationId& notification) {
  const auto found = store_.state().deliveries.find(notification);
  return found == store_.state().deliveries.end() ? std::vector<Delivery>{} : found->second;
}

Expected<std::vector<EventRow>> MemoryReader::events_after(std::uint64_t seq, std::size_t limit) {
  std::vector<EventRow> out;
  const auto& events = store_.state().events;
  for (auto it = events.upper_bound(seq); it != events.end() && out.size() < limit; ++it) {
    out.push_back(it->second);
  }
  return out;
}

Expected<std::vector<AuditRow>> MemoryReader::audit_before(std::uint64_t before,
                                                           std::size_t limit) {
  std::vector<AuditRow> out;
  const auto& audit = store_.state().audit;
  for (auto it = audit.lower_bound(before); it != audit.begin() && out.size() < limit;) {
    out.push_back((--it)->second);
  }
  return out;
}

}  // namespace tocsin::collector

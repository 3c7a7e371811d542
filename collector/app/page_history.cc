#include "collector/app/page_history.h"

#include <algorithm>

namespace tocsin::collector {

namespace {

constexpr std::size_t kBatch = 100;
constexpr Duration kPast = std::chrono::hours{24 * kPastDays};

PastIncident past_incident(const IncidentRow& row) {
  PastIncident out;
  out.id = row.id;
  out.number = row.number;
  out.monitor_key = row.monitor_key;
  out.started_at = row.started_at;
  out.acknowledged_at = row.acknowledged_at;
  out.resolved_at = row.resolved_at.value_or(row.opened_at);
  out.down = static_cast<int>(std::count_if(row.votes.begin(), row.votes.end(), [](const Vote& v) {
    return v.outcome == Outcome::kDown;
  }));
  out.total = static_cast<int>(row.votes.size());
  return out;
}

}  // namespace

Expected<std::vector<PastIncident>> read_past_incidents(StoreReader& reader, WallTime now) {
  std::vector<PastIncident> out;
  IncidentQuery query;
  query.limit = kBatch;
  for (std::size_t read = 0; read < kPastIncidentsMax; read += kBatch) {
    TRY_ASSIGN(const std::vector<IncidentRow> rows, reader.incidents(query));
    for (const IncidentRow& row : rows) {
      query.before_number = row.number;
      if (row.kind != IncidentKind::kMonitor || row.state != IncidentState::kResolved) continue;
      if (row.resolved_at && *row.resolved_at >= now - kPast) out.push_back(past_incident(row));
    }
    if (rows.size() < kBatch || rows.back().opened_at < now - 2 * kPast) break;
  }
  return out;
}

PageHistory bridge_history(const PageHistory& known, const EngineView& before,
                           const EngineView& after) {
  PageHistory out = known;
  for (const IncidentRow& row : before.open_incidents) {
    const auto is_it = [&row](const auto& other) { return other.id == row.id; };
    const auto& open = after.open_incidents;
    if (row.kind != IncidentKind::kMonitor || std::any_of(open.begin(), open.end(), is_it) ||
        std::any_of(out.incidents.begin(), out.incidents.end(), is_it)) {
      continue;
    }
    PastIncident past = past_incident(row);
    past.resolved_at = after.at;
    out.incidents.insert(out.incidents.begin(), std::move(past));
  }
  if (out.incidents.size() > kPastIncidentsMax) out.incidents.resize(kPastIncidentsMax);
  return out;
}

MonitorStatus last_known_status(const std::vector<VerdictRow>& verdicts) {
  const VerdictRow* last = nullptr;
  for (const VerdictRow& row : verdicts) {
    const bool known = row.status == MonitorStatus::kUp || row.status == MonitorStatus::kDegraded ||
                       row.status == MonitorStatus::kDown;
    if (row.replaced || !known) continue;
    if (last == nullptr || last->at < row.at || (last->at == row.at && last->seq < row.seq)) {
      last = &row;
    }
  }
  return last == nullptr ? MonitorStatus::kNew : last->status;
}

}  // namespace tocsin::collector

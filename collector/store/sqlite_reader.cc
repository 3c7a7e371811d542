#include "collector/store/rows.h"
#include "collector/store/sqlite_db.h"
#include "collector/store/sqlite_query.h"
#include "collector/store/sqlite_store.h"
#include "common/wire/result.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>

namespace tocsin::collector {

namespace {

template <std::size_t N>
Expected<std::array<std::uint8_t, N>> fixed(const SqliteStatement& row, int index,
                                            const char* column) {
  std::array<std::uint8_t, N> out{};
  const std::string_view bytes = row.column_view(index);
  if (bytes.size() != N) return fail(Errc::kCorrupt, "{}: expected {} bytes", column, N);
  std::copy(bytes.begin(), bytes.end(), out.begin());
  return out;
}

/// Columns agent, received_us, late, result of the three result tables.
constexpr const char* kResultColumns = "agent, received_us, late, result";

Expected<ResultRow> read_result(const SqliteStatement& row) {
  ResultRow out;
  TRY_ASSIGN(out.agent.bytes, fixed<16>(row, 0, "results.agent"));
  out.received = WallTime{row.column_int(1)};
  out.late = row.column_int(2) != 0;
  TRY_ASSIGN(out.result, wire::decode_result(as_bytes(row.column_view(3))));
  return out;
}

}  // namespace

struct SqliteReader::Impl {
  std::unique_ptr<SqliteDb> db;

  struct SeriesOf {
    SeriesId series{};
    SlotGrid grid;
  };

  Expected<std::vector<SeriesOf>> series_of(const MonitorId& monitor) {
    std::vector<SeriesOf> out;
    TRY_ASSIGN(SqliteStatement select,
               db->prepare("SELECT series, interval_ms, phase_ms FROM series WHERE monitor = ?"));
    select.bind_blob(1, monitor.bytes);
    while (true) {
      TRY_ASSIGN(const bool row, select.step());
      if (!row) return out;
      out.push_back({SeriesId{static_cast<std::uint32_t>(select.column_int(0))},
                     {select.column_int(1), select.column_int(2)}});
    }
  }

  static Expected<void> append(SqliteStatement& select, std::vector<ResultRow>& out) {
    const SqliteReset reset{select};
    while (true) {
      TRY_ASSIGN(const bool row, select.step());
      if (!row) return {};
      TRY_ASSIGN(ResultRow result, read_result(select));
      out.push_back(std::move(result));
    }
  }
};

SqliteReader::SqliteReader(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

SqliteReader::~SqliteReader() = default;

Expected<std::unique_ptr<SqliteReader>> SqliteReader::open(const std::string& directory) {
  auto impl = std::make_unique<Impl>();
  TRY_ASSIGN(impl->db, SqliteDb::open(database_path(directory), SqliteDb::Mode::kReader,
                                      std::chrono::seconds{5}));
  return std::unique_ptr<SqliteReader>{new SqliteReader{std::move(impl)}};
}

Expected<std::vector<ResultRow>> SqliteReader::results(const ResultQuery& query) {
  SqliteDb& db = *impl_->db;
  TRY(db.run("BEGIN"));
  const SqliteRollback rollback{db};
  std::vector<ResultRow> out;
  if (!query.monitor) {
    // The last written ones were received last.
    for (const char* name : {"results", "missed_runs", "one_off_results"}) {
      TRY_ASSIGN(SqliteStatement select,
                 db.prepare(fmt::format("SELECT {} FROM {} WHERE slot_us >= ? AND slot_us < ? "
                                        "ORDER BY rowid DESC LIMIT ?",
                                        kResultColumns, name)));
      select.bind_int(1, query.from.us);
      select.bind_int(2, query.to.us);
      select.bind_int(3, sql_limit(query.limit));
      TRY(Impl::append(select, out));
    }
    sort_results(out, query);
    return out;
  }
  TRY_ASSIGN(const auto series, impl_->series_of(*query.monitor));
  // Slots grow with ticks, so the unique index finds the range and gives the order.
  TRY_ASSIGN(SqliteStatement scheduled,
             db.prepare(fmt::format("SELECT {} FROM results WHERE series = ?1 AND tick BETWEEN ?5 "
                                    "AND ?6 AND slot_us >= ?2 AND slot_us < ?3 ORDER BY tick DESC "
                                    "LIMIT ?4",
                                    kResultColumns)));
  TRY_ASSIGN(SqliteStatement missed,
             db.prepare(fmt::format("SELECT {} FROM missed_runs WHERE series = ?1 AND tick_last >= "
                                    "?5 AND slot_us >= ?2 AND slot_us < ?3 ORDER BY tick_last DESC "
                                    "LIMIT ?4",
                                    kResultColumns)));
  TRY_ASSIGN(SqliteStatement one_off,
             db.prepare(fmt::format("SELECT {} FROM one_off_results WHERE series = ?1 AND slot_us "
                                    ">= ?2 AND slot_us < ?3 ORDER BY slot_us DESC LIMIT ?4",
                                    kResultColumns)));
  for (const Impl::SeriesOf& one : series) {
    for (SqliteStatement* select : {&scheduled, &missed, &one_off}) {
      select->bind_int(1, static_cast<std::uint32_t>(one.series));
      select->bind_int(2, query.from.us);
      select->bind_int(3, query.to.us);
      select->bind_int(4, sql_limit(query.limit));
    }
    const std::int64_t first = one.grid.tick_at_or_before(query.from);
    // never() does not fit the grid's arithmetic.
    const std::int64_t last = query.to == WallTime::never()
                                  ? std::int64_t{std::numeric_limits<std::uint32_t>::max()}
                                  : std::int64_t{one.grid.tick_at_or_before(query.to)} + 1;
    scheduled.bind_int(5, first);
    scheduled.bind_int(6, last);
    missed.bind_int(5, first);
    TRY(Impl::append(scheduled, out));
    TRY(Impl::append(missed, out));
    TRY(Impl::append(one_off, out));
  }
  sort_results(out, query);
  return out;
}

Expected<std::vector<PhaseHour>> SqliteReader::phase_hours(const MonitorId& monitor, WallTime from,
                                                           WallTime to) {
  SqliteDb& db = *impl_->db;
  TRY(db.run("BEGIN"));
  const SqliteRollback rollback{db};
  TRY_ASSIGN(SqliteStatement select,
             db.prepare("SELECT series, region FROM series WHERE monitor = ?"));
  select.bind_blob(1, monitor.bytes);
  std::map<std::int64_t, std::string> regions;
  while (true) {
    TRY_ASSIGN(const bool row, select.step());
    if (!row) break;
    regions[select.column_int(0)] = select.column_text(1);
  }
  std::map<std::pair<WallTime, std::string>, PhaseRollup> hours;
  // The key begins with the hour, so each is looked for by itself.
  TRY_ASSIGN(SqliteStatement stored,
             db.prepare("SELECT rollup FROM phase_rollups WHERE hour_us = ? AND series = ?"));
  for (WallTime hour = hour_of(from); hour < to; hour = hour + kRollupHour) {
    for (const auto& [series, region] : regions) {
      const SqliteReset reset{stored};
      stored.bind_int(1, hour.us);
      stored.bind_int(2, series);
      TRY_ASSIGN(const bool row, stored.step());
      if (!row) continue;
      TRY_ASSIGN(const PhaseRollup rollup, PhaseRollup::decode(as_bytes(stored.column_view(0))));
      hours[{hour, region}] += rollup;
    }
  }
  // RO3 of sqlite_rollup.h.
  TRY_ASSIGN(SqliteStatement rest,
             db.prepare("SELECT series, slot_us, result FROM results WHERE rowid > (SELECT "
                        "last_result FROM phase_rollup_progress)"));
  while (true) {
    TRY_ASSIGN(const bool row, rest.step());
    if (!row) break;
    const auto region = regions.find(rest.column_int(0));
    const WallTime hour = hour_of(WallTime{rest.column_int(1)});
    if (region == regions.end() || hour < hour_of(from) || hour >= to) continue;
    TRY_ASSIGN(const CheckResult result, wire::decode_result(as_bytes(rest.column_view(2))));
    hours[{hour, region->second}].add(result);
  }
  std::vector<PhaseHour> out;
  for (auto& [key, rollup] : hours) out.push_back({key.first, key.second, std::move(rollup)});
  return out;
}

Expected<std::vector<VerdictRow>> SqliteReader::verdicts(const MonitorId& monitor, WallTime from,
                                                         WallTime to) {
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(select_from(
                 table<VerdictRow>(),
                 "WHERE monitor = ?1 AND ((at_us >= ?2 AND at_us < ?3) OR seq = (SELECT seq FROM "
                 "verdicts WHERE monitor = ?1 AND at_us < ?2 AND NOT replaced ORDER BY at_us DESC, "
                 "seq DESC LIMIT 1)) ORDER BY at_us, seq")));
  select.bind_blob(1, monitor.bytes);
  select.bind_int(2, from.us);
  select.bind_int(3, to.us);
  return read_all<VerdictRow>(select);
}

Expected<std::vector<IncidentRow>> SqliteReader::incidents(const IncidentQuery& query) {
  std::string where = "WHERE number < ?1";
  if (query.open_only) where += " AND state <> 'resolved'";
  if (query.monitor) where += " AND monitor = ?3";
  if (!query.service.empty()) where += " AND service = ?4";
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(
                 select_from(table<IncidentRow>(), where + " ORDER BY number DESC LIMIT ?2")));
  select.bind_int(1, query.before_number > INT64_MAX
                         ? INT64_MAX
                         : static_cast<std::int64_t>(query.before_number));
  select.bind_int(2, sql_limit(query.limit));
  if (query.monitor) select.bind_blob(3, query.monitor->bytes);
  if (!query.service.empty()) select.bind_text(4, query.service);
  return read_all<IncidentRow>(select);
}

Expected<std::optional<IncidentRow>> SqliteReader::find_incident(const IncidentId& id) {
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(select_from(table<IncidentRow>(), "WHERE id = ?")));
  select.bind_blob(1, id.bytes);
  TRY_ASSIGN(std::vector<IncidentRow> rows, read_all<IncidentRow>(select));
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

Expected<std::optional<IncidentRow>> SqliteReader::find_incident(std::uint64_t number) {
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(select_from(table<IncidentRow>(), "WHERE number = ?")));
  select.bind_int(1, static_cast<std::int64_t>(number & INT64_MAX));
  TRY_ASSIGN(std::vector<IncidentRow> rows, read_all<IncidentRow>(select));
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

Expected<std::vector<TimelineRow>> SqliteReader::timeline(const IncidentId& incident) {
  TRY_ASSIGN(SqliteStatement select, impl_->db->prepare(select_from(
                                         table<TimelineRow>(), "WHERE incident = ? ORDER BY seq")));
  select.bind_blob(1, incident.bytes);
  return read_all<TimelineRow>(select);
}

Expected<std::vector<OutboxItem>> SqliteReader::outbox(const OutboxQuery& query) {
  std::string where = "WHERE 1";
  if (query.incident) where += " AND incident = ?2";
  if (query.before) where += " AND id < ?3";
  if (!query.channel.empty()) where += " AND channel = ?4";
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(
                 select_from(table<StoredOutboxItem>(), where + " ORDER BY id DESC LIMIT ?1")));
  select.bind_int(1, sql_limit(query.limit));
  if (query.incident) select.bind_blob(2, query.incident->bytes);
  if (query.before) select.bind_blob(3, query.before->bytes);
  if (!query.channel.empty()) select.bind_text(4, query.channel);
  std::vector<OutboxItem> out;
  TRY(for_each_row<StoredOutboxItem>(
      select, [&](StoredOutboxItem row) { out.push_back(std::move(row.item)); }));
  return out;
}

Expected<std::optional<OutboxItem>> SqliteReader::find_notification(const NotificationId& id) {
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(select_from(table<StoredOutboxItem>(), "WHERE id = ?")));
  select.bind_blob(1, id.bytes);
  TRY_ASSIGN(std::vector<StoredOutboxItem> rows, read_all<StoredOutboxItem>(select));
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front().item);
}

Expected<std::vector<Delivery>> SqliteReader::deliveries(const NotificationId& notification) {
  TRY_ASSIGN(
      SqliteStatement select,
      impl_->db->prepare(select_from(table<Delivery>(), "WHERE notification = ? ORDER BY token")));
  select.bind_blob(1, notification.bytes);
  return read_all<Delivery>(select);
}

Expected<std::vector<EventRow>> SqliteReader::events_after(std::uint64_t seq, std::size_t limit) {
  TRY_ASSIGN(SqliteStatement select, impl_->db->prepare(select_from(
                                         table<EventRow>(), "WHERE seq > ? ORDER BY seq LIMIT ?")));
  select.bind_int(1, static_cast<std::int64_t>(seq));
  select.bind_int(2, sql_limit(limit));
  return read_all<EventRow>(select);
}

Expected<std::vector<AuditRow>> SqliteReader::audit_before(std::uint64_t before,
                                                           std::size_t limit) {
  TRY_ASSIGN(SqliteStatement select,
             impl_->db->prepare(
                 select_from(table<AuditRow>(), "WHERE seq < ? ORDER BY seq DESC LIMIT ?")));
  select.bind_int(1, before > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(before));
  select.bind_int(2, sql_limit(limit));
  return read_all<AuditRow>(select);
}

}  // namespace tocsin::collector

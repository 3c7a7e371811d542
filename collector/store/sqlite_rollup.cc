#include "collector/store/sqlite_rollup.h"

#include "collector/core/phase_rollup.h"
#include "collector/store/sqlite_db.h"
#include "collector/store/sqlite_query.h"
#include "common/wire/result.h"

#include <map>

namespace tocsin::collector {

namespace {

struct HourOf {
  std::int64_t hour_us = 0;
  std::int64_t series = 0;

  friend auto operator<=>(const HourOf&, const HourOf&) = default;
};

struct Batch {
  std::int64_t before = 0;  ///< The last result that is in the rollups.
  std::int64_t last = 0;    ///< And of this batch.
  std::map<HourOf, PhaseRollup> hours;
};

}  // namespace

struct SqliteRollup::Impl {
  Options options;
  std::unique_ptr<SqliteDb> db;

  Expected<Batch> read(Report& report);
  Expected<void> add_stored(Batch& batch);
  Expected<void> write(const Batch& batch);
};

SqliteRollup::SqliteRollup(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

SqliteRollup::~SqliteRollup() = default;

Expected<std::unique_ptr<SqliteRollup>> SqliteRollup::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  TRY_ASSIGN(impl->db, SqliteDb::open(database_path(options.directory), SqliteDb::Mode::kWriter,
                                      std::chrono::seconds{1}));
  TRY(impl->db->run("PRAGMA synchronous = FULL"));
  TRY(impl->db->run("PRAGMA wal_autocheckpoint = 0"));  // SqliteMaintainer's work.
  return std::unique_ptr<SqliteRollup>{new SqliteRollup{std::move(impl)}};
}

Expected<Batch> SqliteRollup::Impl::read(Report& report) {
  Batch batch;
  TRY_ASSIGN(SqliteStatement progress,
             db->prepare("SELECT last_result FROM phase_rollup_progress WHERE id = 1"));
  TRY_ASSIGN(const bool known, progress.step());
  if (!known) return fail(Errc::kCorrupt, "{}: phase_rollup_progress is empty", db->path());
  batch.before = batch.last = progress.column_int(0);
  progress.reset();

  TRY_ASSIGN(SqliteStatement results,
             db->prepare("SELECT rowid, series, slot_us, result FROM results WHERE rowid > ? ORDER "
                         "BY rowid LIMIT ?"));
  results.bind_int(1, batch.before);
  results.bind_int(2, options.results_max);
  while (true) {
    TRY_ASSIGN(const bool row, results.step());
    if (!row) break;
    batch.last = results.column_int(0);
    ++report.results;
    const auto result = wire::decode_result(as_bytes(results.column_view(3)));
    if (!result) {
      ++report.unreadable;
      continue;
    }
    const WallTime hour = hour_of(WallTime{results.column_int(2)});
    batch.hours[{hour.us, results.column_int(1)}].add(*result);
  }
  report.more = report.results == static_cast<std::uint64_t>(options.results_max);
  return batch;
}

Expected<void> SqliteRollup::Impl::add_stored(Batch& batch) {
  TRY_ASSIGN(SqliteStatement stored,
             db->prepare("SELECT rollup FROM phase_rollups WHERE hour_us = ? AND series = ?"));
  for (auto& [of, rollup] : batch.hours) {
    const SqliteReset reset{stored};
    stored.bind_int(1, of.hour_us);
    stored.bind_int(2, of.series);
    TRY_ASSIGN(const bool row, stored.step());
    if (!row) continue;
    TRY_ASSIGN(const PhaseRollup before, PhaseRollup::decode(as_bytes(stored.column_view(0))));
    rollup += before;
  }
  return {};
}

Expected<void> SqliteRollup::Impl::write(const Batch& batch) {
  std::map<HourOf, Bytes> rows;
  for (const auto& [of, rollup] : batch.hours) rows[of] = rollup.encode();
  TRY(db->run("BEGIN IMMEDIATE"));
  const SqliteRollback rollback{*db};
  TRY_ASSIGN(SqliteStatement put,
             db->prepare("INSERT INTO phase_rollups (hour_us, series, rollup) VALUES (?, ?, ?) ON "
                         "CONFLICT DO UPDATE SET rollup = excluded.rollup"));
  for (const auto& [of, bytes] : rows) {
    put.bind_int(1, of.hour_us);
    put.bind_int(2, of.series);
    put.bind_blob(3, as_bytes(bytes));
    TRY(put.run());
    put.reset();
  }
  TRY_ASSIGN(SqliteStatement progress,
             db->prepare("UPDATE phase_rollup_progress SET last_result = ?1 WHERE id = 1 AND "
                         "last_result = ?2"));
  progress.bind_int(1, batch.last);
  progress.bind_int(2, batch.before);
  TRY(progress.run());
  if (db->changes() != 1) {
    return fail(Errc::kCorrupt, "{}: somebody else writes phase_rollups", db->path());
  }
  return db->run("COMMIT");
}

Expected<SqliteRollup::Report> SqliteRollup::roll_up() {
  Report report;
  TRY_ASSIGN(Batch batch, impl_->read(report));
  if (report.results == 0) return report;
  TRY(impl_->add_stored(batch));
  TRY(impl_->write(batch));
  report.hours = batch.hours.size();
  return report;
}

}  // namespace tocsin::collector

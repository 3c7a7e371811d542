#include "collector/store/migrations.h"
#include "collector/store/sqlite_db.h"
#include "common/base/bytes.h"
#include "common/base/crash_point.h"
#include "common/base/digest.h"
#include "common/io/build_info.h"

#include <map>
#include <string>

namespace tocsin::collector {

namespace {

std::string checksum(const Migration& step) { return to_hex(sha256(as_bytes(step.sql))); }

Expected<std::map<int, std::string>> applied(SqliteDb& db) {
  std::map<int, std::string> out;
  TRY_ASSIGN(SqliteStatement select, db.prepare("SELECT version, sha256 FROM schema_versions"));
  while (true) {
    TRY_ASSIGN(const bool row, select.step());
    if (!row) return out;
    out[static_cast<int>(select.column_int(0))] = select.column_text(1);
  }
}

Expected<void> apply(SqliteDb& db, const Migration& step) {
  TRY(db.run("BEGIN IMMEDIATE"));
  SqliteRollback rollback{db};
  TRY(db.run(std::string{step.sql}.c_str()));
  TRY_ASSIGN(SqliteStatement insert,
             db.prepare("INSERT INTO schema_versions (version, name, sha256, made_by) "
                        "VALUES (?, ?, ?, ?)"));
  const std::string sum = checksum(step);
  insert.bind_int(1, step.version);
  insert.bind_text(2, step.name);
  insert.bind_text(3, sum);
  insert.bind_text(4, io::version());
  TRY(insert.step());
  TOCSIN_CRASH_POINT("store.migrate.before");
  TRY(db.run("COMMIT"));
  TOCSIN_CRASH_POINT("store.migrate.after");
  return {};
}

}  // namespace

Expected<void> migrate(SqliteDb& db, const std::vector<Migration>& steps) {
  TRY(
      db.run("CREATE TABLE IF NOT EXISTS schema_versions ("
             "version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, "
             "made_by TEXT NOT NULL) STRICT"));
  TRY_ASSIGN(const auto done, applied(db));
  const int newest = steps.empty() ? 0 : steps.back().version;
  if (!done.empty() && done.rbegin()->first > newest) {
    return fail(Errc::kUnsupported,
                "{}: its schema is version {}, this tocsin-collector knows {}; run the version "
                "that made it, or restore a backup from before the upgrade",
                db.path(), done.rbegin()->first, newest);
  }
  for (const Migration& step : steps) {
    const auto found = done.find(step.version);
    if (found == done.end()) {
      TRY(apply(db, step));
    } else if (found->second != checksum(step)) {
      return fail(Errc::kCorrupt,
                  "{}: migration {} '{}' was applied with another text; this file was made by a "
                  "build that was never released",
                  db.path(), step.version, step.name);
    }
  }
  return {};
}

}  // namespace tocsin::collector

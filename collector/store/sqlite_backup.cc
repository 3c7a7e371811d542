#include "collector/store/sqlite_backup.h"

#include "collector/store/migrations.h"
#include "collector/store/sqlite_db.h"
#include "common/base/strings.h"
#include "common/io/file.h"

#include <fcntl.h>

#include <cerrno>

namespace tocsin::collector {
namespace {

constexpr Duration kBusyTimeout = std::chrono::seconds{10};

Expected<std::int64_t> count(SqliteDb& db, const char* table) {
  TRY_ASSIGN(SqliteStatement select, db.prepare(fmt::format("SELECT count(*) FROM {}", table)));
  TRY(select.step());
  return select.column_int(0);
}

}  // namespace

Expected<void> copy_database(const std::string& path, const std::string& target) {
  {
    // Made here: SQLite takes an empty file, and would make one that others can read.
    const io::Fd made(::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) return fail_errno("create " + target, errno);
  }
  TRY_ASSIGN(const std::unique_ptr<SqliteDb> db,
             SqliteDb::open(path, SqliteDb::Mode::kReader, kBusyTimeout));
  TRY_ASSIGN(SqliteStatement copy, db->prepare("VACUUM INTO ?"));
  copy.bind_text(1, target);
  TRY(copy.step());
  const io::Fd file(::open(target.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("open " + target, errno);
  return io::sync_data(file.get(), target);
}

Expected<DatabaseFacts> verify_database(const std::string& path) {
  TRY_ASSIGN(const std::unique_ptr<SqliteDb> db,
             SqliteDb::open(path, SqliteDb::Mode::kReader, kBusyTimeout));
  TRY(db->run("BEGIN"));
  const SqliteRollback rollback{*db};
  TRY_ASSIGN(const std::string found, db->ask("PRAGMA integrity_check(1)"));
  if (found != "ok") return fail(Errc::kCorrupt, "{} is damaged: {}", path, printable(found));

  DatabaseFacts out;
  TRY_ASSIGN(SqliteStatement schema, db->prepare("SELECT max(version) FROM schema_versions"));
  TRY(schema.step());
  out.schema = static_cast<int>(schema.column_int(0));
  if (out.schema > migrations().back().version) {
    return fail(Errc::kUnsupported,
                "{} has schema {}, this version knows {}: use the version that made it", path,
                out.schema, migrations().back().version);
  }
  TRY_ASSIGN(SqliteStatement shard,
             db->prepare("SELECT coalesce(sum(commit_seq), 0), coalesce(max(wall_us), 0) "
                         "FROM shards"));
  TRY(shard.step());
  out.commit_seq = static_cast<std::uint64_t>(shard.column_int(0));
  out.last_commit = WallTime{shard.column_int(1)};
  TRY_ASSIGN(out.monitors, count(*db, "monitors"));
  TRY_ASSIGN(out.incidents, count(*db, "incidents"));
  TRY_ASSIGN(out.results, count(*db, "results"));
  return out;
}

}  // namespace tocsin::collector

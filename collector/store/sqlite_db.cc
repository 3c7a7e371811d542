#include "collector/store/sqlite_db.h"

#include "common/base/check.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>

namespace tocsin::collector {

Expected<std::unique_ptr<SqliteDb>> SqliteDb::open(const std::string& path, Mode mode,
                                                   Duration busy_timeout) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  if (mode == Mode::kWriter) {
    // Made here because SQLite would make it readable by all; its -wal and -shm take the same mode.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail_errno(fmt::format("open {}", path), errno);
    ::close(fd);
    flags |= SQLITE_OPEN_READWRITE;
  } else {
    flags |= SQLITE_OPEN_READONLY;
  }
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  if (raw == nullptr) return fail(Errc::kIo, "open {}: out of memory", path);
  std::unique_ptr<SqliteDb> db{new SqliteDb{path, raw}};
  if (code != SQLITE_OK) return db->error(code, "open");
  sqlite3_busy_timeout(raw, static_cast<int>(busy_timeout / std::chrono::milliseconds{1}));
  return db;
}

SqliteDb::SqliteDb(std::string path, sqlite3* db)
    : path_(std::move(path)),
      db_(db) {}

SqliteDb::~SqliteDb() { sqlite3_close_v2(db_); }

Unexpected SqliteDb::error(int code, std::string_view what) const {
  const char* words = sqlite3_errmsg(db_);
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return fail(Errc::kNoSpace, "{} {}: the disk is full", what, path_);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fail(Errc::kUnavailable, "{} {}: another process keeps the database locked", what,
                  path_);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return fail(Errc::kCorrupt,
                  "{} {}: {}; stop the collector, keep a copy of the file, and restore the last "
                  "backup (or rescue what is readable with sqlite3's .recover)",
                  what, path_, words);
    case SQLITE_IOERR:
      if (const int os = sqlite3_system_errno(db_); os == ENOSPC || os == EDQUOT) {
        return fail(Errc::kNoSpace, "{} {}: the disk is full", what, path_);
      }
      [[fallthrough]];
    default:
      return fail(Errc::kIo, "{} {}: {} (SQLite error {})", what, path_, words, code);
  }
}

Expected<void> SqliteDb::run(const char* sql) {
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  const std::string_view text{sql};
  return error(code, text.substr(0, text.find_first_of("(\n")));
}

Expected<SqliteStatement> SqliteDb::prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) return error(code, fmt::format("prepare '{}'", sql.substr(0, 80)));
  return SqliteStatement{*this, raw};
}

Expected<std::string> SqliteDb::ask(std::string_view sql) {
  TRY_ASSIGN(SqliteStatement statement, prepare(sql));
  TRY_ASSIGN(const bool row, statement.step());
  return row ? statement.column_text(0) : std::string{};
}

std::int64_t SqliteDb::changes() const { return sqlite3_changes64(db_); }

bool SqliteDb::in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }

Expected<SqliteDb::WalState> SqliteDb::checkpoint(bool restart) {
  WalState out;
  const int code = sqlite3_wal_checkpoint_v2(
      db_, nullptr, restart ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, &out.frames,
      &out.checkpointed);
  if (code != SQLITE_OK && (code & 0xFF) != SQLITE_BUSY) return error(code, "checkpoint");
  return out;
}

SqliteStatement::SqliteStatement(SqliteDb& db, sqlite3_stmt* stmt)
    : db_(db),
      stmt_(stmt) {}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(stmt_); }

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : db_(other.db_),
      stmt_(std::exchange(other.stmt_, nullptr)) {}

// A failed bind means a wrong index or no memory: our own fault either way.

void SqliteStatement::bind_int(int index, std::int64_t v) {
  CHECK(sqlite3_bind_int64(stmt_, index, v) == SQLITE_OK);
}

void SqliteStatement::bind_text(int index, std::string_view v) {
  // A null pointer would bind NULL.
  const char* data = v.data() == nullptr ? "" : v.data();
  CHECK(sqlite3_bind_text64(stmt_, index, data, v.size(), SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK);
}

void SqliteStatement::bind_blob(int index, ByteSpan v) {
  const void* data = v.data() == nullptr ? static_cast<const void*>("") : v.data();
  CHECK(sqlite3_bind_blob64(stmt_, index, data, v.size(), SQLITE_STATIC) == SQLITE_OK);
}

void SqliteStatement::bind_null(int index) { CHECK(sqlite3_bind_null(stmt_, index) == SQLITE_OK); }

void SqliteStatement::bind(int index, const Value& v) {
  if (const auto* integer = std::get_if<std::int64_t>(&v)) {
    bind_int(index, *integer);
  } else if (const auto* text = std::get_if<std::string>(&v)) {
    bind_text(index, *text);
  } else if (const auto* blob = std::get_if<Blob>(&v)) {
    bind_blob(index, as_bytes(blob->bytes));
  } else {
    bind_null(index);
  }
}

void SqliteStatement::bind_time(int index, WallTime v) {
  if (v == WallTime::never()) return bind_null(index);
  bind_int(index, v.us);
}

Expected<bool> SqliteStatement::step() {
  const int code = sqlite3_step(stmt_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) {
    sqlite3_reset(stmt_);
    return false;
  }
  const std::string_view sql = sqlite3_sql(stmt_);
  Unexpected failure = db_.error(code, sql.substr(0, sql.find_first_of("(\n")));
  sqlite3_reset(stmt_);
  return failure;
}

Expected<void> SqliteStatement::run() {
  TRY_ASSIGN(const bool row, step());
  CHECK(!row);
  return {};
}

void SqliteStatement::reset() { sqlite3_reset(stmt_); }

std::int64_t SqliteStatement::column_int(int index) const {
  return sqlite3_column_int64(stmt_, index);
}

bool SqliteStatement::column_is_null(int index) const {
  return sqlite3_column_type(stmt_, index) == SQLITE_NULL;
}

std::string_view SqliteStatement::column_view(int index) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(stmt_, index));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(stmt_, index));
  return data == nullptr ? std::string_view{} : std::string_view{data, size};
}

std::string SqliteStatement::column_text(int index) const {
  // Not column_view: an integer's text must be made first.
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(stmt_, index));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(stmt_, index));
  return data == nullptr ? std::string{} : std::string{data, size};
}

Value SqliteStatement::column(int index) const {
  switch (sqlite3_column_type(stmt_, index)) {
    case SQLITE_INTEGER:
      return column_int(index);
    case SQLITE_TEXT:
      return std::string{column_view(index)};
    case SQLITE_BLOB:
      return Blob{Bytes{column_view(index)}};
    default:
      return std::monostate{};
  }
}

void SqliteStatement::columns(std::vector<Value>& out) const {
  out.clear();
  const int n = sqlite3_column_count(stmt_);
  for (int i = 0; i < n; ++i) out.push_back(column(i));
}

SqliteRollback::~SqliteRollback() {
  // Some errors have rolled back already; a failing ROLLBACK leaves nothing else to try.
  if (db_.in_transaction()) (void)db_.run("ROLLBACK");
}

}  // namespace tocsin::collector

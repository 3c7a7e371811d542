#pragma once
// Question answered here: how is SQLite's C API used safely?
//
// A connection and a statement that close themselves, and errors with words. One thread at a time
// per connection. Nothing here knows a table.

#include "collector/store/rows.h"
#include "common/base/bytes.h"
#include "common/base/expected.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace tocsin::collector {

class SqliteStatement;

class SqliteDb {
 public:
  enum class Mode { kWriter, kReader };

  /// The writer creates the file, readable by its user only. A lock held elsewhere is waited for
  /// `busy_timeout`, then kUnavailable.
  static Expected<std::unique_ptr<SqliteDb>> open(const std::string& path, Mode mode,
                                                  Duration busy_timeout);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  /// One or more statements without parameters.
  Expected<void> run(const char* sql);
  Expected<SqliteStatement> prepare(std::string_view sql);
  /// The first column of the first row as text; empty when there is none.
  Expected<std::string> ask(std::string_view sql);

  /// kNoSpace for a full disk, kUnavailable for a busy database, kCorrupt with what to do, else
  /// kIo.
  Unexpected error(int code, std::string_view what) const;

  /// Rows that the last INSERT, UPDATE or DELETE changed.
  std::int64_t changes() const;
  bool in_transaction() const;

  struct WalState {
    int frames = 0;        ///< In the write-ahead log.
    int checkpointed = 0;  ///< Of these, already in the file.
  };

  /// PRAGMA wal_checkpoint. `restart` waits for the writer and the readers, so that the log starts
  /// again from its beginning; when they stay busy, what was possible is done.
  Expected<WalState> checkpoint(bool restart);

  const std::string& path() const { return path_; }

 private:
  SqliteDb(std::string path, sqlite3* db);

  const std::string path_;
  sqlite3* const db_;
};

/// The database it came from outlives it. Parameters count from 1, columns from 0.
class SqliteStatement {
 public:
  SqliteStatement(SqliteDb& db, sqlite3_stmt* stmt);
  ~SqliteStatement();
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&&) = delete;
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  /// Texts and bytes are not copied: they live until the next reset.
  void bind_int(int index, std::int64_t v);
  void bind_text(int index, std::string_view v);
  void bind_blob(int index, ByteSpan v);
  void bind_null(int index);
  void bind(int index, const Value& v);
  void bind_time(int index, WallTime v);

  /// True with a row, false at the end; after the end or an error the statement is reset.
  Expected<bool> step();
  /// Steps to the end, expecting no row.
  Expected<void> run();
  void reset();

  std::int64_t column_int(int index) const;
  bool column_is_null(int index) const;
  /// Views into the row, valid until the next step.
  std::string_view column_view(int index) const;
  std::string column_text(int index) const;
  Value column(int index) const;
  /// All columns, for from_values. Reuses `out`.
  void columns(std::vector<Value>& out) const;

 private:
  SqliteDb& db_;
  sqlite3_stmt* stmt_;
};

/// Resets a cached statement when the scope ends, so that it holds no lock and no view.
class SqliteReset {
 public:
  explicit SqliteReset(SqliteStatement& statement)
      : statement_(statement) {}

  ~SqliteReset() { statement_.reset(); }

  SqliteReset(const SqliteReset&) = delete;
  SqliteReset& operator=(const SqliteReset&) = delete;

 private:
  SqliteStatement& statement_;
};

/// Rolls back at the end of the scope unless the transaction has ended by then.
class SqliteRollback {
 public:
  explicit SqliteRollback(SqliteDb& db)
      : db_(db) {}

  ~SqliteRollback();

  SqliteRollback(const SqliteRollback&) = delete;
  SqliteRollback& operator=(const SqliteRollback&) = delete;

 private:
  SqliteDb& db_;
};

}  // namespace tocsin::collector

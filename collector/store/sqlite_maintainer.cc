#include "collector/store/sqlite_db.h"
#include "collector/store/sqlite_query.h"
#include "collector/store/sqlite_store.h"

namespace tocsin::collector {

struct SqliteMaintainer::Impl {
  Options options;
  std::unique_ptr<SqliteDb> db;
  std::int64_t page_size = 4096;
};

SqliteMaintainer::SqliteMaintainer(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

SqliteMaintainer::~SqliteMaintainer() = default;

Expected<std::unique_ptr<SqliteMaintainer>> SqliteMaintainer::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  TRY_ASSIGN(impl->db, SqliteDb::open(database_path(options.directory), SqliteDb::Mode::kWriter,
                                      std::chrono::seconds{1}));
  TRY(impl->db->run("PRAGMA synchronous = FULL"));
  TRY(impl->db->run("PRAGMA wal_autocheckpoint = 0"));
  TRY_ASSIGN(SqliteStatement select, impl->db->prepare("PRAGMA page_size"));
  TRY_ASSIGN(const bool row, select.step());
  if (row) impl->page_size = select.column_int(0);
  return std::unique_ptr<SqliteMaintainer>{new SqliteMaintainer{std::move(impl)}};
}

Expected<SqliteMaintainer::Report> SqliteMaintainer::maintain() {
  Report report;
  TRY_ASSIGN(SqliteDb::WalState wal, impl_->db->checkpoint(false));
  report.wal_bytes = wal.frames * impl_->page_size;
  if (report.wal_bytes > impl_->options.wal_bytes_max) {
    // The first pass has moved nearly all, so the writer waits for what came since.
    TRY_ASSIGN(wal, impl_->db->checkpoint(true));
    report.restarted = wal.frames == wal.checkpointed;
  }
  report.waiting_bytes = (wal.frames - wal.checkpointed) * impl_->page_size;
  return report;
}

}  // namespace tocsin::collector

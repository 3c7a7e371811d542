#pragma once
// Question answered here: how is everything kept in one file beside the collector?
//
// SQLite behind collector/ports/store.h (DEC-10): WAL, synchronous=FULL (NORMAL loses acknowledged
// commits in a power cut), one writing connection, one transaction per group. docs/store.md
// describes the tables, collector/store/rows.cc maps them.
//
// Three objects, each with its own connection, each on one thread of its own:
//   SqliteStore       the writer; holds the lock of the state directory as long as it lives
//   SqliteReader      the port's reading side
//   SqliteMaintainer  moves the write-ahead log into the file, so that no commit has to
// Reader and maintainer are opened after the store and closed before it.

#include "collector/ports/store.h"

#include <memory>
#include <string>

namespace tocsin::collector {

/// The database inside a state directory.
inline constexpr const char* kSqliteFile = "collector.db";

class SqliteStore final : public Store {
 public:
  struct Options {
    std::string directory;  ///< The state directory; made (0700) when its parent exists.
    std::uint16_t shard = 0;
    /// Reads the whole file before anything else: minutes for a large one.
    bool quick_check = false;
    Duration busy_timeout = std::chrono::seconds{5};
    /// How long another process may keep the directory before it counts as in use.
    Duration lock_patience{0};
    int cache_mib = 64;    ///< Pages kept in memory by the writing connection.
    int file_mib_max = 0;  ///< The database's bound, without its log; kNoSpace beyond. 0: none.
  };

  /// Locks the directory (kUnavailable when another process keeps it), migrates, and asserts the
  /// settings that durability rests on by reading them back.
  static Expected<std::unique_ptr<SqliteStore>> open(const Options& options);
  ~SqliteStore() override;

  Expected<Snapshot> load() override;
  Expected<std::vector<RawGroup>> journal_after(std::uint64_t commit_seq) override;
  Expected<void> commit(const CommitGroup& group) override;
  Expected<std::vector<KnownTick>> find_ticks(const std::vector<KnownTick>& ticks) override;
  Expected<std::vector<OutboxItem>> claim_outbox(WallTime now, std::size_t limit,
                                                 Duration lease) override;
  Expected<bool> record_delivery(const Delivery& delivery) override;
  Expected<std::optional<WallTime>> next_outbox_at() override;
  Expected<void> trim_journal() override;

  /// Columns and keys of every mapped table against the schema, in words; empty: all agree. For a
  /// test.
  std::vector<std::string> check_mapping();

 private:
  struct Impl;
  explicit SqliteStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class SqliteReader final : public StoreReader {
 public:
  static Expected<std::unique_ptr<SqliteReader>> open(const std::string& directory);
  ~SqliteReader() override;

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
  struct Impl;
  explicit SqliteReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class SqliteMaintainer {
 public:
  struct Options {
    std::string directory;
    /// Above this the log is started again, which makes a commit wait for what is left to move.
    std::int64_t wal_bytes_max = std::int64_t{64} << 20;
  };

  struct Report {
    std::int64_t wal_bytes = 0;      ///< Before.
    std::int64_t waiting_bytes = 0;  ///< Not yet in the file afterwards.
    bool restarted = false;
  };

  static Expected<std::unique_ptr<SqliteMaintainer>> open(const Options& options);
  ~SqliteMaintainer();

  /// Call every few seconds. Bounded by the size of the log; a commit under way is not waited for
  /// unless the log is over its bound. Nothing else moves the log while the store runs: without
  /// this call it grows.
  Expected<Report> maintain();

 private:
  struct Impl;
  explicit SqliteMaintainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tocsin::collector

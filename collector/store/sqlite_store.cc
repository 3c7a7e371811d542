#include "collector/store/sqlite_store.h"

#include "collector/store/directory_lock.h"
#include "collector/store/migrations.h"
#include "collector/store/rows.h"
#include "collector/store/sqlite_db.h"
#include "collector/store/sqlite_query.h"
#include "common/base/check.h"
#include "common/base/crash_point.h"
#include "common/base/strings.h"
#include "common/wire/result.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <optional>
#include <utility>

namespace tocsin::collector {

namespace {

std::string upsert_into(const TableDef& def) {
  std::vector<std::string> marks(def.columns.size(), "?");
  return fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", def.name, column_list(def),
                     join(marks, ", "));
}

std::string delete_from(const TableDef& def) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < def.key_columns; ++i)
    keys.push_back(fmt::format("{} = ?", def.columns[i]));
  return fmt::format("DELETE FROM {} WHERE {}", def.name, join(keys, " AND "));
}

Expected<void> expect_setting(SqliteDb& db, const char* pragma, std::string_view expected) {
  TRY_ASSIGN(const std::string got, db.ask(pragma));
  if (got == expected) return {};
  return fail(Errc::kUnsupported,
              "{}: {} is '{}', expected '{}': the file system may lack shared memory or locks "
              "(network file systems do)",
              db.path(), pragma, got, expected);
}

/// What ST4 asks of a resolve; `o` is its row.
#define TOCSIN_ACTIVE_TRIGGER                                                \
  "EXISTS (SELECT 1 FROM outbox t WHERE t.incident = o.incident AND "        \
  "t.channel = o.channel AND t.kind = 'trigger' AND t.state IN ('pending', " \
  "'claimed'))"
#define TOCSIN_NOT_BLOCKED "(o.kind <> 'resolve' OR NOT " TOCSIN_ACTIVE_TRIGGER ")"

}  // namespace

struct SqliteStore::Impl {
  Options options;
  std::optional<DirectoryLock> lock;
  std::unique_ptr<SqliteDb> db;
  std::map<std::string, SqliteStatement, std::less<>> statements;
  std::vector<Value> values;
  Bytes result_bytes;

  /// Prepared once per text.
  Expected<SqliteStatement*> cached(std::string_view sql) {
    const auto found = statements.find(sql);
    if (found != statements.end()) return &found->second;
    TRY_ASSIGN(SqliteStatement statement, db->prepare(sql));
    return &statements.emplace(std::string{sql}, std::move(statement)).first->second;
  }

  template <class T>
  Expected<void> put(const T& row) {
    static const std::string kSql = upsert_into(table<T>());
    TRY_ASSIGN(SqliteStatement * insert, cached(kSql));
    to_values(row, values);
    for (std::size_t i = 0; i < values.size(); ++i) {
      insert->bind(static_cast<int>(i) + 1, values[i]);
    }
    return insert->run();
  }

  template <class T>
  Expected<void> read_table(std::string_view rest, std::vector<Row>& out) {
    TRY_ASSIGN(SqliteStatement select, db->prepare(select_from(table<T>(), rest)));
    return for_each_row<T>(select, [&](T row) { out.emplace_back(std::move(row)); });
  }

  template <class T>
  Expected<void> read_objects(std::vector<Row>& out) {
    TRY_ASSIGN(SqliteStatement select, db->prepare(select_from(table<T>(), "ORDER BY 1")));
    return for_each_row<T>(select, [&](T object) {
      out.emplace_back(CatalogRow{.object = std::move(object), .removed = false});
    });
  }

  // --- writing one row of a group ---

  Expected<void> write(const CatalogRow& row) {
    return std::visit(
        [&]<class T>(const T& object) -> Expected<void> {
          if (!row.removed) return put(object);
          const TableDef& def = table<T>();
          TRY_ASSIGN(SqliteStatement * erase,
                     cached(fmt::format("DELETE FROM {} WHERE {} = ?", def.name, def.columns[0])));
          erase->bind_text(1, catalog_key(row));
          return erase->run();
        },
        row.object);
  }

  /// By its key, the first columns of its table.
  template <class T>
  Expected<void> erase(const T& row) {
    static const std::string kSql = delete_from(table<T>());
    TRY_ASSIGN(SqliteStatement * statement, cached(kSql));
    to_values(row, values);
    for (std::size_t i = 0; i < table<T>().key_columns; ++i) {
      statement->bind(static_cast<int>(i) + 1, values[i]);
    }
    return statement->run();
  }

  Expected<void> write(const HurryOutbox& row) {
    TRY_ASSIGN(SqliteStatement * hurry,
               cached("UPDATE outbox SET next_us = min(next_us, ?3) WHERE incident = ?1 AND user = "
                      "?2 AND kind = 'trigger' AND state = 'pending' AND attempts = 0"));
    hurry->bind_blob(1, row.incident.bytes);
    hurry->bind_text(2, row.user);
    hurry->bind_int(3, row.at.us);
    return hurry->run();
  }

  Expected<void> write(const OutboxRow& row) {
    TRY_ASSIGN(SqliteStatement * find,
               cached("SELECT 1 FROM outbox WHERE id = ?1 OR (incident = ?2 AND cause_seq = ?3 AND "
                      "step = ?4 AND repeat = ?5 AND channel = ?6)"));
    find->bind_blob(1, row.id.bytes);
    find->bind_blob(2, row.incident.bytes);
    find->bind_int(3, row.cause_seq);
    find->bind_int(4, row.step);
    find->bind_int(5, row.repeat);
    find->bind_text(6, row.channel);
    const SqliteReset reset{*find};
    TRY_ASSIGN(const bool exists, find->step());
    if (exists) return {};
    StoredOutboxItem item;
    item.item.row = row;
    item.item.next_at = row.due;
    return put(item);
  }

  Expected<void> write(const CancelOutbox& row) {
    TRY_ASSIGN(SqliteStatement * cancel,
               cached("UPDATE outbox SET cancel_why = iif(cancel_why = '', ?2, cancel_why), "
                      "state = iif(state = 'pending', 'cancelled', state) "
                      "WHERE incident = ?1 AND kind IN ('trigger', 'update') AND state IN "
                      "('pending', 'claimed')"));
    cancel->bind_blob(1, row.incident.bytes);
    cancel->bind_text(2, row.why.empty() ? std::string_view{"cancelled"} : row.why);
    return cancel->run();
  }

  Expected<void> write(const ResultRow& row) {
    const CheckResult& r = row.result;
    result_bytes = wire::encode_result(r);
    SqliteStatement* insert = nullptr;
    int at = 0;
    switch (r.kind) {
      case ResultKind::kScheduled: {
        TRY_ASSIGN(insert, cached("INSERT INTO results (series, tick, slot_us, outcome, reason, "
                                  "duration_us, agent, received_us, late, result) VALUES (?, ?, ?, "
                                  "?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
        insert->bind_int(++at, static_cast<std::uint32_t>(r.series));
        insert->bind_int(++at, r.tick);
        at = bind_outcome(*insert, at, r);
        break;
      }
      case ResultKind::kMissed: {
        TRY_ASSIGN(insert,
                   cached("INSERT INTO missed_runs (series, tick_last, tick_first, slot_us, "
                          "cause, agent, received_us, late, result) VALUES (?, ?, ?, ?, ?, "
                          "?, ?, ?, ?) ON CONFLICT DO NOTHING"));
        insert->bind_int(++at, static_cast<std::uint32_t>(r.series));
        insert->bind_int(++at, r.tick_last);
        insert->bind_int(++at, r.tick);
        insert->bind_int(++at, r.slot.us);
        insert->bind_text(++at, to_string(r.missed));
        break;
      }
      case ResultKind::kConfirm:
      case ResultKind::kRunNow: {
        TRY_ASSIGN(insert, cached("INSERT INTO one_off_results (request, series, kind, slot_us, "
                                  "outcome, reason, duration_us, agent, received_us, late, result) "
                                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO "
                                  "NOTHING"));
        insert->bind_blob(++at, r.request);
        insert->bind_int(++at, static_cast<std::uint32_t>(r.series));
        insert->bind_text(++at, r.kind == ResultKind::kConfirm ? "confirm" : "run_now");
        at = bind_outcome(*insert, at, r);
        break;
      }
    }
    insert->bind_blob(++at, row.agent.bytes);
    insert->bind_int(++at, row.received.us);
    insert->bind_int(++at, row.late ? 1 : 0);
    insert->bind_blob(++at, as_bytes(result_bytes));
    return insert->run();
  }

  static int bind_outcome(SqliteStatement& insert, int at, const CheckResult& r) {
    insert.bind_int(++at, r.slot.us);
    insert.bind_text(++at, to_string(r.outcome));
    if (r.reason == Reason::kNone) {
      insert.bind_null(++at);
    } else {
      insert.bind_text(++at, to_string(r.reason));
    }
    insert.bind_int(++at, r.duration_us);
    return at;
  }

  template <class T>
  Expected<void> write(const T& row) {
    if constexpr (requires { row.removed; }) {
      if (row.removed) return erase(row);
    }
    return put(row);
  }

  Expected<std::uint64_t> last_commit_seq() {
    TRY_ASSIGN(SqliteStatement * select, cached("SELECT commit_seq FROM shards WHERE shard = ?"));
    const SqliteReset reset{*select};
    select->bind_int(1, options.shard);
    TRY_ASSIGN(const bool row, select->step());
    return row ? static_cast<std::uint64_t>(select->column_int(0)) : 0;
  }

  Expected<void> write_journal(const CommitGroup& group) {
    TRY_ASSIGN(SqliteStatement * insert,
               cached("INSERT INTO journal (shard, commit_seq, ordinal, kind, bytes) VALUES (?, ?, "
                      "?, ?, ?)"));
    std::int64_t ordinal = 0;
    for (const JournalEntry& entry : group.journal) {
      CHECK(entry.bytes != nullptr);
      insert->bind_int(1, group.group.shard);
      insert->bind_int(2, static_cast<std::int64_t>(group.group.commit_seq));
      insert->bind_int(3, ordinal++);
      insert->bind_text(4, to_string(entry.kind));
      insert->bind_blob(5, as_bytes(*entry.bytes));
      TRY(insert->run());
    }
    return {};
  }

  Expected<void> write_group_rows(const CommitGroup& group) {
    for (const char* sql :
         {"INSERT INTO commits (shard, commit_seq, wall_us, mono_us) VALUES (?, ?, ?, ?)",
          "INSERT OR REPLACE INTO shards (shard, commit_seq, wall_us, mono_us) VALUES (?, ?, ?, "
          "?)"}) {
      TRY_ASSIGN(SqliteStatement * insert, cached(sql));
      insert->bind_int(1, group.group.shard);
      insert->bind_int(2, static_cast<std::int64_t>(group.group.commit_seq));
      insert->bind_int(3, group.group.now.wall.us);
      insert->bind_int(4, group.group.now.mono.us);
      TRY(insert->run());
    }
    if (!group.checkpoint) return {};
    TRY_ASSIGN(SqliteStatement * insert,
               cached("INSERT OR REPLACE INTO checkpoints (shard, commit_seq, bytes) VALUES (?, ?, "
                      "?)"));
    insert->bind_int(1, group.group.shard);
    insert->bind_int(2, static_cast<std::int64_t>(group.group.commit_seq));
    insert->bind_blob(3, as_bytes(*group.checkpoint));
    return insert->run();
  }

  /// The names a SELECT of SQLite gives for a table; `pk` in order when only the key is wanted.
  Expected<std::vector<std::string>> schema_columns(const char* name) {
    std::vector<std::string> out;
    TRY_ASSIGN(SqliteStatement select,
               db->prepare("SELECT name FROM pragma_table_info(?) ORDER BY cid"));
    select.bind_text(1, name);
    while (true) {
      TRY_ASSIGN(const bool row, select.step());
      if (!row) return out;
      out.push_back(select.column_text(0));
    }
  }

  template <class T>
  void check_table(std::vector<std::string>& wrong) {
    const TableDef& def = table<T>();
    const auto columns = schema_columns(def.name);
    if (!columns) {
      wrong.push_back(columns.error().text);
    } else if (*columns != std::vector<std::string>(def.columns.begin(), def.columns.end())) {
      wrong.push_back(fmt::format("{}: the schema has {}; the mapping has {}", def.name,
                                  join(*columns, " "), column_list(def)));
    }
  }
};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}

SqliteStore::~SqliteStore() {
  if (impl_ != nullptr) impl_->statements.clear();
}

Expected<std::unique_ptr<SqliteStore>> SqliteStore::open(const Options& options) {
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  TRY_ASSIGN(DirectoryLock lock, DirectoryLock::take(options.directory, options.lock_patience));
  impl->lock = std::move(lock);
  TRY_ASSIGN(impl->db, SqliteDb::open(database_path(options.directory), SqliteDb::Mode::kWriter,
                                      options.busy_timeout));
  SqliteDb& db = *impl->db;
  TRY(db.run("PRAGMA journal_mode = WAL"));
  TRY(db.run("PRAGMA synchronous = FULL"));
  // Debian builds SQLite so that every freed page is overwritten; FAST does it only where that
  // costs no extra write.
  TRY(db.run("PRAGMA secure_delete = FAST"));
  TRY(db.run("PRAGMA wal_autocheckpoint = 0"));  // SqliteMaintainer's work.
  TRY(db.run("PRAGMA foreign_keys = OFF"));
  TRY(db.run("PRAGMA temp_store = MEMORY"));
  TRY(db.run("PRAGMA journal_size_limit = 67108864"));
  TRY(db.run(fmt::format("PRAGMA cache_size = {}", -1024 * options.cache_mib).c_str()));
  TRY(expect_setting(db, "PRAGMA journal_mode", "wal"));
  TRY(expect_setting(db, "PRAGMA synchronous", "2"));
  TRY(expect_setting(db, "PRAGMA secure_delete", "2"));
  TRY(expect_setting(db, "PRAGMA wal_autocheckpoint", "0"));
  if (options.file_mib_max > 0) {
    TRY(db.run(fmt::format("PRAGMA max_page_count = {}", options.file_mib_max * 256).c_str()));
  }
  if (options.quick_check) {
    TRY_ASSIGN(const std::string found, db.ask("PRAGMA quick_check(1)"));
    if (found != "ok") {
      return fail(Errc::kCorrupt,
                  "{} is damaged: {}; keep a copy of the file and restore the last backup",
                  db.path(), printable(found));
    }
  }
  TRY(migrate(db, migrations()));
  return std::unique_ptr<SqliteStore>{new SqliteStore{std::move(impl)}};
}

Expected<Snapshot> SqliteStore::load() {
  SqliteDb& db = *impl_->db;
  Snapshot out;
  TRY(db.run("BEGIN"));  // One moment for all tables.
  const SqliteRollback rollback{db};
  {
    TRY_ASSIGN(SqliteStatement select,
               db.prepare("SELECT commit_seq, wall_us FROM shards WHERE shard = ?"));
    select.bind_int(1, impl_->options.shard);
    TRY_ASSIGN(const bool row, select.step());
    if (row) {
      out.commit_seq = static_cast<std::uint64_t>(select.column_int(0));
      out.last_commit = WallTime{select.column_int(1)};
    }
  }
  {
    TRY_ASSIGN(SqliteStatement select,
               db.prepare("SELECT commit_seq, bytes FROM checkpoints WHERE shard = ?"));
    select.bind_int(1, impl_->options.shard);
    TRY_ASSIGN(const bool row, select.step());
    if (row) {
      out.checkpoint_commit_seq = static_cast<std::uint64_t>(select.column_int(0));
      out.checkpoint = select.column_view(1);
    }
  }
  std::vector<Row>& rows = out.rows;
  TRY(impl_->read_table<MetaRow>("ORDER BY name", rows));
  TRY(impl_->read_objects<RegionSpec>(rows));
  TRY(impl_->read_objects<MonitorEntry>(rows));
  TRY(impl_->read_objects<ServiceSpec>(rows));
  TRY(impl_->read_objects<PolicySpec>(rows));
  TRY(impl_->read_objects<ChannelSpec>(rows));
  TRY(impl_->read_objects<StatusPageSpec>(rows));
  TRY(impl_->read_objects<UserSpec>(rows));
  TRY(impl_->read_table<ObjectRow>("ORDER BY kind, key", rows));
  TRY(impl_->read_table<CredentialRow>("ORDER BY user", rows));
  TRY(impl_->read_table<TokenRow>("ORDER BY id", rows));
  TRY(impl_->read_table<SessionRow>("ORDER BY digest", rows));
  TRY(impl_->read_table<IdempotencyRow>("ORDER BY key", rows));
  TRY(impl_->read_table<ReportRow>("ORDER BY id", rows));
  TRY(impl_->read_table<SecretRow>("ORDER BY name", rows));
  TRY(impl_->read_table<SeriesRow>("ORDER BY series", rows));
  TRY(impl_->read_table<AgentRow>("ORDER BY agent", rows));
  TRY(impl_->read_table<EnrolmentRow>("ORDER BY id", rows));
  // 'alert' sorts before 'routine', as the numbers do.
  TRY(impl_->read_table<StreamRow>("ORDER BY agent, epoch, nonce, shard, class", rows));
  TRY(impl_->read_table<AssignmentRow>(
      fmt::format("WHERE to_us IS NULL OR to_us >= {} ORDER BY series, agent, from_us",
                  (out.last_commit - kAssignmentsKept).us),
      rows));
  const std::int64_t horizon = (out.last_commit - kVerdictsLoaded).us;
  TRY(impl_->read_table<VerdictRow>(
      fmt::format(
          "v WHERE at_us >= {0} OR seq = (SELECT max(seq) FROM verdicts w WHERE w.monitor = "
          "v.monitor) OR seq = (SELECT seq FROM verdicts w WHERE w.monitor = v.monitor AND at_us < "
          "{0} AND NOT replaced ORDER BY at_us DESC, seq DESC LIMIT 1) ORDER BY monitor, seq",
          horizon),
      rows));
  TRY(impl_->read_table<MonitorStateRow>("ORDER BY monitor", rows));
  TRY(impl_->read_table<RegionStateRow>("ORDER BY region", rows));
  TRY(impl_->read_table<IncidentRow>("ORDER BY id", rows));
  TRY(impl_->read_table<TimelineRow>("ORDER BY incident, seq", rows));
  TRY(impl_->read_table<EscalationRow>("ORDER BY incident", rows));
  return out;
}

Expected<std::vector<Store::RawGroup>> SqliteStore::journal_after(std::uint64_t commit_seq) {
  TRY_ASSIGN(SqliteStatement groups,
             impl_->db->prepare("SELECT commit_seq, wall_us, mono_us FROM commits WHERE shard = ? "
                                "AND commit_seq > ? ORDER BY commit_seq"));
  TRY_ASSIGN(
      SqliteStatement entries,
      impl_->db->prepare("SELECT kind, bytes FROM journal WHERE shard = ? AND commit_seq = ? "
                         "ORDER BY ordinal"));
  groups.bind_int(1, impl_->options.shard);
  groups.bind_int(2, static_cast<std::int64_t>(commit_seq));
  std::vector<RawGroup> out;
  while (true) {
    TRY_ASSIGN(const bool row, groups.step());
    if (!row) return out;
    RawGroup& group = out.emplace_back();
    group.group.shard = impl_->options.shard;
    group.group.commit_seq = static_cast<std::uint64_t>(groups.column_int(0));
    group.group.now.wall = WallTime{groups.column_int(1)};
    group.group.now.mono = MonoTime{groups.column_int(2)};
    entries.bind_int(1, impl_->options.shard);
    entries.bind_int(2, groups.column_int(0));
    while (true) {
      TRY_ASSIGN(const bool entry, entries.step());
      if (!entry) break;
      TRY_ASSIGN(const JournalEntry::Kind kind, parse_journal_kind(entries.column_view(0)));
      group.entries.push_back({kind, std::make_shared<const Bytes>(entries.column_view(1))});
    }
  }
}

Expected<void> SqliteStore::commit(const CommitGroup& group) {
  SqliteDb& db = *impl_->db;
  TRY(db.run("BEGIN IMMEDIATE"));
  const SqliteRollback rollback{db};
  TOCSIN_CRASH_POINT("store.commit.begin");
  TRY_ASSIGN(const std::uint64_t last, impl_->last_commit_seq());
  TRY_ASSIGN(const bool done, was_committed(group.group, impl_->options.shard, last));
  if (done) return {};
  for (const Row& row : group.rows) {
    TRY(std::visit([&](const auto& r) { return impl_->write(r); }, row));
  }
  TRY(impl_->write_journal(group));
  TRY(impl_->write_group_rows(group));
  TOCSIN_CRASH_POINT("store.commit.before");
  TRY(db.run("COMMIT"));
  TOCSIN_CRASH_POINT("store.commit.after");
  return {};
}

Expected<std::vector<KnownTick>> SqliteStore::find_ticks(const std::vector<KnownTick>& ticks) {
  TRY_ASSIGN(SqliteStatement * find,
             impl_->cached("SELECT 1 FROM results WHERE series = ? AND tick = ?"));
  std::vector<KnownTick> out;
  for (const KnownTick& tick : ticks) {
    const SqliteReset reset{*find};
    find->bind_int(1, static_cast<std::uint32_t>(tick.series));
    find->bind_int(2, tick.tick);
    TRY_ASSIGN(const bool found, find->step());
    if (found) out.push_back(tick);
  }
  return out;
}

Expected<std::vector<OutboxItem>> SqliteStore::claim_outbox(WallTime now, std::size_t limit,
                                                            Duration lease) {
  SqliteDb& db = *impl_->db;
  // An empty answer changes no page, and then COMMIT syncs nothing.
  TRY(db.run("BEGIN IMMEDIATE"));
  const SqliteRollback rollback{db};
  TRY_ASSIGN(SqliteStatement * drop,
             impl_->cached("UPDATE outbox SET state = 'cancelled' WHERE state = 'claimed' AND "
                           "next_us <= ? AND cancel_why <> ''"));
  drop->bind_int(1, now.us);
  TRY(drop->run());
  TRY_ASSIGN(
      SqliteStatement * needless,
      impl_->cached("UPDATE outbox AS o SET state = 'cancelled', cancel_why = ? WHERE state "
                    "= 'pending' AND kind = 'resolve' AND step <> ? AND NOT " TOCSIN_ACTIVE_TRIGGER
                    " AND EXISTS (SELECT 1 FROM outbox t WHERE t.incident = o.incident AND "
                    "t.channel = o.channel AND t.kind = 'trigger')"
                    " AND NOT EXISTS (SELECT 1 FROM outbox t WHERE t.incident = o.incident "
                    "AND t.channel = o.channel AND t.kind IN ('trigger', 'update') AND "
                    "t.attempts > 0)"));
  needless->bind_text(1, kNothingToResolve);
  needless->bind_int(2, kWatchingStep);
  TRY(needless->run());

  static const std::string kDue =
      select_from(table<StoredOutboxItem>(),
                  "o WHERE state IN ('pending', 'claimed') AND next_us <= ? AND " TOCSIN_NOT_BLOCKED
                  " ORDER BY created_us, id LIMIT ?");
  TRY_ASSIGN(SqliteStatement * due, impl_->cached(kDue));
  due->bind_int(1, now.us);
  due->bind_int(2, sql_limit(limit));
  TRY_ASSIGN(std::vector<StoredOutboxItem> items, read_all<StoredOutboxItem>(*due));

  TRY_ASSIGN(
      SqliteStatement * claim,
      impl_->cached("UPDATE outbox SET state = 'claimed', token = ?, attempts = ?, next_us = "
                    "? WHERE id = ?"));
  std::vector<OutboxItem> out;
  for (StoredOutboxItem& stored : items) {
    OutboxItem& item = stored.item;
    item.state = OutboxState::kClaimed;
    ++item.token;
    ++item.attempts;
    item.next_at = now + lease;
    claim->bind_int(1, static_cast<std::int64_t>(item.token));
    claim->bind_int(2, item.attempts);
    claim->bind_time(3, item.next_at);
    claim->bind_blob(4, item.row.id.bytes);
    TRY(claim->run());
    out.push_back(std::move(item));
  }
  if (!out.empty()) TOCSIN_CRASH_POINT("outbox.claim.before");
  TRY(db.run("COMMIT"));
  if (!out.empty()) TOCSIN_CRASH_POINT("outbox.claim.after");
  return out;
}

Expected<bool> SqliteStore::record_delivery(const Delivery& delivery) {
  SqliteDb& db = *impl_->db;
  TRY(db.run("BEGIN IMMEDIATE"));
  const SqliteRollback rollback{db};
  TOCSIN_CRASH_POINT("outbox.record.before");
  TRY_ASSIGN(SqliteStatement * find,
             impl_->cached("SELECT state = 'claimed', cancel_why <> '', EXISTS (SELECT 1 FROM "
                           "deliveries d WHERE d.notification = o.id AND d.token = o.token) FROM "
                           "outbox o WHERE id = ? AND token = ?"));
  find->bind_blob(1, delivery.notification.bytes);
  find->bind_int(2, static_cast<std::int64_t>(delivery.token));
  bool cancelled = false;
  {
    const SqliteReset reset{*find};
    TRY_ASSIGN(const bool row, find->step());
    if (!row) return false;
    // Recorded already, the answer was lost.
    if (find->column_int(0) == 0) return find->column_int(2) != 0;
    cancelled = find->column_int(1) != 0;
  }
  const bool held = delivery.outcome == DeliveryOutcome::kHeld;
  if (!held || !delivery.detail.empty()) TRY(impl_->put(delivery));
  TRY_ASSIGN(SqliteStatement * update,
             impl_->cached("UPDATE outbox SET state = ?, next_us = ?, attempts = attempts - ? "
                           "WHERE id = ?"));
  update->bind_text(1, to_string(state_after(delivery.outcome, cancelled)));
  update->bind_time(2, comes_back(delivery.outcome) ? delivery.retry_at : delivery.at);
  update->bind_int(3, held ? 1 : 0);
  update->bind_blob(4, delivery.notification.bytes);
  TRY(update->run());
  TRY(db.run("COMMIT"));
  TOCSIN_CRASH_POINT("outbox.record.after");
  return true;
}

Expected<std::optional<WallTime>> SqliteStore::next_outbox_at() {
  TRY_ASSIGN(SqliteStatement * select,
             impl_->cached("SELECT min(next_us) FROM outbox o WHERE state IN ('pending', "
                           "'claimed') AND " TOCSIN_NOT_BLOCKED));
  const SqliteReset reset{*select};
  TRY_ASSIGN(const bool row, select->step());
  if (!row || select->column_is_null(0)) return std::nullopt;
  return WallTime{select->column_int(0)};
}

Expected<void> SqliteStore::trim_journal() {
  // One step holds the write lock for a few milliseconds at most; a commit waits no longer.
  constexpr std::int64_t kGroupsPerStep = 256;
  SqliteDb& db = *impl_->db;
  TRY_ASSIGN(SqliteStatement * bounds,
             impl_->cached("SELECT c.commit_seq, s.wall_us, (SELECT min(commit_seq) FROM commits "
                           "WHERE shard = ?1) FROM checkpoints c JOIN shards s USING (shard) WHERE "
                           "shard = ?1"));
  while (true) {
    bounds->bind_int(1, impl_->options.shard);
    std::int64_t last = 0;
    std::int64_t kept_us = 0;
    std::int64_t first = 0;
    {
      const SqliteReset reset{*bounds};
      TRY_ASSIGN(const bool row, bounds->step());
      if (!row || bounds->column_is_null(2)) return {};
      last = bounds->column_int(0);
      kept_us = (WallTime{bounds->column_int(1)} - kAssignmentsKept).us;
      first = bounds->column_int(2);
    }
    if (first > last) return {};
    const std::int64_t until = std::min(last, first + kGroupsPerStep - 1);
    TRY(db.run("BEGIN IMMEDIATE"));
    const SqliteRollback rollback{db};
    for (const char* sql : {"DELETE FROM journal WHERE shard = ? AND commit_seq <= ?",
                            "DELETE FROM commits WHERE shard = ? AND commit_seq <= ?"}) {
      TRY_ASSIGN(SqliteStatement * erase, impl_->cached(sql));
      erase->bind_int(1, impl_->options.shard);
      erase->bind_int(2, until);
      TRY(erase->run());
    }
    TRY_ASSIGN(SqliteStatement * erase, impl_->cached("DELETE FROM assignments WHERE to_us < ?"));
    erase->bind_int(1, kept_us);
    TRY(erase->run());
    TRY(db.run("COMMIT"));
  }
}

std::vector<std::string> SqliteStore::check_mapping() {
  std::vector<std::string> wrong;
  impl_->check_table<MetaRow>(wrong);
  impl_->check_table<RegionSpec>(wrong);
  impl_->check_table<MonitorEntry>(wrong);
  impl_->check_table<ServiceSpec>(wrong);
  impl_->check_table<PolicySpec>(wrong);
  impl_->check_table<ChannelSpec>(wrong);
  impl_->check_table<StatusPageSpec>(wrong);
  impl_->check_table<UserSpec>(wrong);
  impl_->check_table<ObjectRow>(wrong);
  impl_->check_table<CredentialRow>(wrong);
  impl_->check_table<TokenRow>(wrong);
  impl_->check_table<SessionRow>(wrong);
  impl_->check_table<AuditRow>(wrong);
  impl_->check_table<IdempotencyRow>(wrong);
  impl_->check_table<ReportRow>(wrong);
  impl_->check_table<SecretRow>(wrong);
  impl_->check_table<SeriesRow>(wrong);
  impl_->check_table<AgentRow>(wrong);
  impl_->check_table<EnrolmentRow>(wrong);
  impl_->check_table<StreamRow>(wrong);
  impl_->check_table<AssignmentRow>(wrong);
  impl_->check_table<VerdictRow>(wrong);
  impl_->check_table<MonitorStateRow>(wrong);
  impl_->check_table<RegionStateRow>(wrong);
  impl_->check_table<IncidentRow>(wrong);
  impl_->check_table<TimelineRow>(wrong);
  impl_->check_table<EscalationRow>(wrong);
  impl_->check_table<EventRow>(wrong);
  impl_->check_table<StoredOutboxItem>(wrong);
  impl_->check_table<Delivery>(wrong);
  return wrong;
}

}  // namespace tocsin::collector

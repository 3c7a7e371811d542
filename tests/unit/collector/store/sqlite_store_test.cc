// What only SQLite has: the file, its lock, its migrations, its errors, its write-ahead log. The
// rules of the port are in tests/contract/.

#include "collector/store/sqlite_store.h"

#include "collector/store/migrations.h"
#include "collector/store/sqlite_db.h"
#include "tests/contract/sample_rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <thread>

namespace tocsin::collector {
namespace {

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "tocsin-sqlite-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }

  ~SqliteStoreTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<SqliteStore> open() {
    auto store = SqliteStore::open({.directory = directory_});
    if (!store) {
      ADD_FAILURE() << store.error().text;
      std::abort();
    }
    return *std::move(store);
  }

  Error refused(const SqliteStore::Options& options) {
    auto store = SqliteStore::open(options);
    EXPECT_FALSE(store);
    return store ? Error{} : store.error();
  }

  std::unique_ptr<SqliteDb> raw() {
    return *SqliteDb::open(path(), SqliteDb::Mode::kWriter, std::chrono::seconds{1});
  }

  std::string path() const { return directory_ + "/" + kSqliteFile; }

  std::string directory_;
};

TEST_F(SqliteStoreTest, TheMappingAndTheSchemaNameTheSameColumns) {
  EXPECT_EQ(open()->check_mapping(), std::vector<std::string>{});
}

TEST_F(SqliteStoreTest, TheFileIsReadableByItsUserOnly) {
  const auto store = open();
  ASSERT_TRUE(store->commit(sample::commit(1)));
  for (const char* suffix : {"", "-wal", "-shm"}) {
    struct stat info {};

    ASSERT_EQ(::stat((path() + suffix).c_str(), &info), 0) << suffix;
    EXPECT_EQ(info.st_mode & 0777U, 0600U) << suffix;
  }
}

TEST_F(SqliteStoreTest, ADirectoryInUseIsRefusedUntilItIsFree) {
  auto first = open();
  const Error error = refused({.directory = directory_});
  EXPECT_EQ(error.code, Errc::kUnavailable);
  EXPECT_EQ(error.text, directory_ + " is in use by another tocsin-collector");
  first.reset();
  open();
}

TEST_F(SqliteStoreTest, ADirectoryInUseIsWaitedForAsLongAsOneLikes) {
  auto first = open();
  Expected<std::unique_ptr<SqliteStore>> second;
  std::thread waiting([&] {
    second =
        SqliteStore::open({.directory = directory_, .lock_patience = std::chrono::seconds{30}});
  });
  first.reset();
  waiting.join();
  ASSERT_TRUE(second) << second.error().text;
}

TEST_F(SqliteStoreTest, AMissingDirectoryIsMadeAndAMissingParentIsAnError) {
  auto store = SqliteStore::open({.directory = directory_ + "/state"});
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ(refused({.directory = directory_ + "/a/b"}).code, Errc::kIo);
}

TEST_F(SqliteStoreTest, AFileThatIsNotADatabaseIsCorruptAndSaysWhatToDo) {
  std::ofstream{path()} << std::string(8192, 'x');
  const Error error = refused({.directory = directory_});
  EXPECT_EQ(error.code, Errc::kCorrupt);
  EXPECT_NE(error.text.find("restore the last backup"), std::string::npos) << error.text;
}

TEST_F(SqliteStoreTest, QuickCheckFindsADamagedPage) {
  {
    const auto store = open();
    std::vector<Row> rows;
    for (std::uint32_t tick = 1; tick <= 500; ++tick) {
      rows.emplace_back(sample::row(sample::failed_result(12, tick)));
    }
    ASSERT_TRUE(store->commit(sample::commit(1, rows)));
  }
  {
    std::fstream file{path(), std::ios::in | std::ios::out | std::ios::binary};
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(path()));
    for (std::streamoff at = 4096 * 40; at < size; at += 4096) {
      file.seekp(at);
      file << std::string(16, '\x7f');
    }
  }
  const Error error = refused({.directory = directory_, .quick_check = true});
  EXPECT_EQ(error.code, Errc::kCorrupt) << error.text;
}

TEST_F(SqliteStoreTest, AFullDatabaseIsNoSpaceAndTheGroupCanBeTriedAgain) {
  CommitGroup big = sample::commit(2, {MetaRow{"a", 1}});
  big.journal = {sample::entry(JournalEntry::Kind::kFrame, std::string(1 << 20, 'x'))};
  {
    auto small = SqliteStore::open({.directory = directory_, .file_mib_max = 1});
    ASSERT_TRUE(small) << small.error().text;
    ASSERT_TRUE((*small)->commit(sample::commit(1)));
    const auto refused = (*small)->commit(big);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::kNoSpace);
    EXPECT_TRUE((*small)->load()->rows.empty());
    EXPECT_TRUE((*small)->commit(sample::commit(2, {MetaRow{"b", 1}})));
  }
  const auto store = open();
  big.group = sample::group(3);
  EXPECT_TRUE(store->commit(big));
  EXPECT_EQ(store->journal_after(2)->size(), 1U);
  EXPECT_EQ(store->load()->rows, (std::vector<Row>{MetaRow{"a", 1}, MetaRow{"b", 1}}));
}

TEST_F(SqliteStoreTest, ALockedDatabaseIsUnavailableAndTheGroupCanBeTriedAgain) {
  auto store =
      SqliteStore::open({.directory = directory_, .busy_timeout = std::chrono::milliseconds{1}});
  ASSERT_TRUE(store);
  {
    const auto other = raw();
    ASSERT_TRUE(other->run("BEGIN IMMEDIATE"));
    EXPECT_EQ((*store)->commit(sample::commit(1)).error().code, Errc::kUnavailable);
  }
  EXPECT_TRUE((*store)->commit(sample::commit(1)));
}

TEST_F(SqliteStoreTest, ARowThatCannotBeReadStopsTheLoadAndNamesItsColumn) {
  const auto store = open();
  ASSERT_TRUE(store->commit(sample::commit(1, {sample::incident()})));
  ASSERT_TRUE(raw()->run("UPDATE incidents SET state = 'on fire'"));
  const auto loaded = store->load();
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Errc::kCorrupt);
  EXPECT_NE(loaded.error().text.find("incidents.state"), std::string::npos) << loaded.error().text;
}

TEST_F(SqliteStoreTest, TheReaderSeesWhatIsCommittedAndCannotWrite) {
  const auto store = open();
  auto reader = SqliteReader::open(directory_);
  ASSERT_TRUE(reader) << reader.error().text;
  EXPECT_TRUE((*reader)->incidents({.limit = 10})->empty());
  ASSERT_TRUE(store->commit(sample::commit(1, {sample::incident()})));
  EXPECT_EQ((*reader)->incidents({.limit = 10})->size(), 1U);
  auto db = SqliteDb::open(path(), SqliteDb::Mode::kReader, std::chrono::seconds{1});
  ASSERT_TRUE(db);
  EXPECT_FALSE((*db)->run("DELETE FROM incidents"));
}

// --- migrations ---

TEST_F(SqliteStoreTest, OpeningAgainMigratesNothingAgain) {
  open();
  open();
  const auto db = raw();
  EXPECT_EQ(*db->ask("SELECT count(*) FROM schema_versions"), std::to_string(migrations().size()));
  EXPECT_EQ(*db->ask("SELECT name FROM schema_versions"), "init");
}

TEST_F(SqliteStoreTest, MigrationsAreAppliedInOrderAndOnce) {
  const std::vector<Migration> one{{1, "first", "CREATE TABLE a (x) STRICT"}};
  // STRICT needs types: this text fails, and leaves nothing.
  const auto db = raw();
  EXPECT_FALSE(migrate(*db, one));
  EXPECT_EQ(*db->ask("SELECT count(*) FROM schema_versions"), "0");
  const std::vector<Migration> good{{1, "first", "CREATE TABLE a (x TEXT) STRICT"},
                                    {2, "second", "INSERT INTO a VALUES ('once')"}};
  ASSERT_TRUE(migrate(*db, {good[0]}));
  ASSERT_TRUE(migrate(*db, good));
  ASSERT_TRUE(migrate(*db, good));
  EXPECT_EQ(*db->ask("SELECT count(*) FROM a"), "1");
}

TEST_F(SqliteStoreTest, AnotherTextUnderTheSameNumberIsRefused) {
  const auto db = raw();
  ASSERT_TRUE(migrate(*db, {{1, "first", "CREATE TABLE a (x TEXT) STRICT"}}));
  EXPECT_EQ(migrate(*db, {{1, "first", "CREATE TABLE a (x INTEGER) STRICT"}}).error().code,
            Errc::kCorrupt);
}

TEST_F(SqliteStoreTest, AFileOfANewerVersionIsRefusedUntouched) {
  {
    open();
    ASSERT_TRUE(raw()->run("INSERT INTO schema_versions VALUES (9999, 'later', 'x', '9.9')"));
  }
  const Error error = refused({.directory = directory_});
  EXPECT_EQ(error.code, Errc::kUnsupported);
  EXPECT_NE(error.text.find("9999"), std::string::npos) << error.text;
}

// --- the write-ahead log ---

TEST_F(SqliteStoreTest, CommitsNeverMoveTheLogAndTheMaintainerDoes) {
  const auto store = open();
  auto maintainer = SqliteMaintainer::open({.directory = directory_, .wal_bytes_max = 1 << 30});
  ASSERT_TRUE(maintainer) << maintainer.error().text;
  ASSERT_TRUE((*maintainer)->maintain());
  for (std::uint64_t seq = 1; seq <= 20; ++seq) {
    CommitGroup group = sample::commit(seq);
    group.journal = {sample::entry(JournalEntry::Kind::kFrame, std::string(1 << 20, 'x'))};
    ASSERT_TRUE(store->commit(group));
  }
  // Far more than the 1,000 pages at which SQLite would have moved it inside a commit.
  EXPECT_GT(std::filesystem::file_size(path() + "-wal"), 20U << 20);
  EXPECT_LT(std::filesystem::file_size(path()), 1U << 20);
  const auto report = (*maintainer)->maintain();
  ASSERT_TRUE(report) << report.error().text;
  EXPECT_GT(report->wal_bytes, 20 << 20);
  EXPECT_EQ(report->waiting_bytes, 0);
  EXPECT_GT(std::filesystem::file_size(path()), 20U << 20);
}

TEST_F(SqliteStoreTest, AboveItsBoundTheLogStartsAgain) {
  const auto store = open();
  auto maintainer = SqliteMaintainer::open({.directory = directory_, .wal_bytes_max = 1 << 20});
  ASSERT_TRUE(maintainer);
  std::uintmax_t largest = 0;
  for (std::uint64_t seq = 1; seq <= 30; ++seq) {
    CommitGroup group = sample::commit(seq);
    group.journal = {sample::entry(JournalEntry::Kind::kFrame, std::string(1 << 20, 'x'))};
    ASSERT_TRUE(store->commit(group));
    const auto report = (*maintainer)->maintain();
    ASSERT_TRUE(report);
    EXPECT_EQ(report->waiting_bytes, 0);
    largest = std::max(largest, std::filesystem::file_size(path() + "-wal"));
  }
  EXPECT_LT(largest, 8U << 20);
  EXPECT_EQ(store->journal_after(0)->size(), 30U);
}

}  // namespace
}  // namespace tocsin::collector

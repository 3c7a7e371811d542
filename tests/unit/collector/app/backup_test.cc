#include "collector/app/backup.h"

#include "collector/store/sqlite_store.h"
#include "common/io/file.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace tocsin::collector {
namespace {

namespace fs = std::filesystem;

constexpr WallTime kNow{1'800'000'000'000'000};

class BackupTest : public ::testing::Test {
 protected:
  /// A state directory with a database and a file that says which one it is.
  void make_state(const std::string& mark) {
    ASSERT_TRUE(io::make_directory(state_));
    SqliteStore::Options options;
    options.directory = state_;
    ASSERT_TRUE(SqliteStore::open(options));
    ASSERT_TRUE(io::replace_file(state_ + "/mark", as_bytes(mark)));
  }

  static std::string text(const std::string& path) {
    return io::read_file(path, 100).value_or(Bytes{"missing"});
  }

  const ScratchDir dir_;
  const std::string state_ = dir_ / "state";
};

TEST_F(BackupTest, ASlashAtTheEndOfTheNameIsNoPartOfIt) {
  make_state("first");
  const auto made = make_backup(state_, (dir_ / "copy") + "/", kNow);
  ASSERT_TRUE(made) << made.error().text;
  EXPECT_TRUE(verify_backup(dir_ / "copy"));
  EXPECT_FALSE(fs::exists(dir_ / "copy.partial"));
}

TEST_F(BackupTest, TwoRestoresInOneSecondKeepBothOfWhatWasThere) {
  make_state("first");
  ASSERT_TRUE(make_backup(state_, dir_ / "copy", kNow));
  ASSERT_TRUE(io::replace_file(state_ + "/mark", as_bytes("second")));
  const auto once = restore_backup(dir_ / "copy", state_, true, kNow);
  ASSERT_TRUE(once) << once.error().text;
  ASSERT_TRUE(io::replace_file(state_ + "/mark", as_bytes("third")));
  const auto twice = restore_backup(dir_ / "copy", state_, true, kNow);
  ASSERT_TRUE(twice) << twice.error().text;
  EXPECT_EQ(text(once->kept + "/mark"), "second");
  EXPECT_EQ(text(twice->kept + "/mark"), "third");
  EXPECT_EQ(text(state_ + "/mark"), "first");
}

TEST_F(BackupTest, WhatIsThereIsOnlyReplacedWhenThatIsSaid) {
  make_state("first");
  ASSERT_TRUE(make_backup(state_, dir_ / "copy", kNow));
  EXPECT_EQ(restore_backup(dir_ / "copy", state_, false, kNow).error().code, Errc::kExists);
  EXPECT_EQ(make_backup(state_, dir_ / "copy", kNow).error().code, Errc::kExists);
  EXPECT_EQ(make_backup(dir_ / "nothing", dir_ / "other", kNow).error().code, Errc::kNotFound);
}

}  // namespace
}  // namespace tocsin::collector

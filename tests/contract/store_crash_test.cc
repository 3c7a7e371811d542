// What SQLite has after its process was killed at a named moment, and at any moment.

#include "collector/store/memory_store.h"
#include "collector/store/migrations.h"
#include "collector/store/sqlite_store.h"
#include "tests/contract/store_crasher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <vector>

namespace tocsin::collector {
namespace {

class StoreCrash : public testing::Test {
 protected:
  StoreCrash() {
    std::string pattern = std::filesystem::temp_directory_path() / "tocsin-crash-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }

  ~StoreCrash() override { std::filesystem::remove_all(directory_); }

  struct Child {
    pid_t pid = 0;
    int out = -1;  ///< Its stdout.
  };

  /// `crash_at` empty: none.
  Child start(const std::string& crash_at, std::vector<std::string> arguments) {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    arguments.insert(arguments.begin(), {TOCSIN_STORE_CRASHER, directory_});
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::dup2(pipe[1], STDOUT_FILENO);
      if (crash_at.empty()) {
        ::unsetenv("TOCSIN_CRASH_AT");
      } else {
        ::setenv("TOCSIN_CRASH_AT", crash_at.c_str(), 1);
      }
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(pipe[1]);
    return {pid, pipe[0]};
  }

  /// Runs to the end; true when a SIGKILL ended it, false when it ended well.
  bool was_killed(const std::string& crash_at, std::vector<std::string> arguments) {
    const Child child = start(crash_at, std::move(arguments));
    int status = 0;
    EXPECT_EQ(::waitpid(child.pid, &status, 0), child.pid);
    ::close(child.out);
    if (WIFSIGNALED(status)) {
      EXPECT_EQ(WTERMSIG(status), SIGKILL);
      return true;
    }
    EXPECT_EQ(WEXITSTATUS(status), 0);
    return false;
  }

  std::unique_ptr<SqliteStore> open() {
    auto store = SqliteStore::open({.directory = directory_, .quick_check = true});
    if (!store) {
      ADD_FAILURE() << store.error().text;
      std::abort();
    }
    return *std::move(store);
  }

  /// The store has exactly the groups 1..n, and the next ones follow.
  void expect_groups(std::uint64_t n) {
    MemoryStore expected{{}};
    for (std::uint64_t seq = 1; seq <= n; ++seq) {
      ASSERT_TRUE(expected.commit(crasher_group(seq)));
    }
    const auto store = open();
    const auto got = store->load();
    ASSERT_TRUE(got) << got.error().text;
    const auto want = expected.load();
    EXPECT_EQ(got->commit_seq, n);
    EXPECT_TRUE(got->rows == want->rows);
    EXPECT_EQ(got->checkpoint, want->checkpoint);
    EXPECT_EQ(store->journal_after(0)->size(), n);
    MemoryReader want_reader{expected};
    auto reader = SqliteReader::open(directory_);
    ASSERT_TRUE(reader) << reader.error().text;
    const ResultQuery all{.monitor = {}, .from = {}, .limit = 10'000};
    EXPECT_TRUE((*reader)->results(all) == want_reader.results(all));
    EXPECT_TRUE((*reader)->events_after(0, 10'000) == want_reader.events_after(0, 10'000));
    ASSERT_TRUE(store->commit(crasher_group(n + 1)));
  }

  std::string directory_;
};

TEST_F(StoreCrash, KilledAtTheBeginningOfACommitNothingOfItIsThere) {
  EXPECT_FALSE(was_killed("", {"commit", "1"}));
  EXPECT_TRUE(was_killed("store.commit.begin", {"commit", "2"}));
  expect_groups(1);
}

TEST_F(StoreCrash, KilledBeforeTheCommitNothingOfItIsThere) {
  EXPECT_FALSE(was_killed("", {"commit", "1"}));
  EXPECT_TRUE(was_killed("store.commit.before", {"commit", "2"}));
  expect_groups(1);
}

TEST_F(StoreCrash, KilledAfterTheCommitAllOfItIsThere) {
  EXPECT_FALSE(was_killed("", {"commit", "1"}));
  EXPECT_TRUE(was_killed("store.commit.after", {"commit", "2"}));
  {
    // Its caller never heard the answer and asks again.
    const auto store = open();
    EXPECT_TRUE(store->commit(crasher_group(2)));
  }
  expect_groups(2);
}

TEST_F(StoreCrash, KilledAtAnyMomentWhatWasAnsweredIsThereAndNothingIsHalf) {
  std::uint64_t last = 0;
  for (const int lines : {1, 7, 20}) {
    const Child child = start("", {"stream", std::to_string(last + 1)});
    std::string text;
    std::array<char, 4096> buffer{};
    while (std::count(text.begin(), text.end(), '\n') < lines) {
      const ssize_t n = ::read(child.out, buffer.data(), buffer.size());
      ASSERT_GT(n, 0);
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    ::kill(child.pid, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child.pid, &status, 0), child.pid);
    ASSERT_TRUE(WIFSIGNALED(status));
    // What it still printed counts as answered.
    ssize_t n = 0;
    while ((n = ::read(child.out, buffer.data(), buffer.size())) > 0) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    ::close(child.out);
    text.resize(text.rfind('\n'));
    const std::uint64_t answered = std::strtoull(text.c_str() + text.rfind('\n') + 1, nullptr, 10);
    const std::uint64_t stored = open()->load()->commit_seq;
    EXPECT_GE(stored, answered);
    EXPECT_LE(stored, answered + 1);
    expect_groups(stored);
    last = stored + 1;  // expect_groups has committed one more.
  }
}

TEST_F(StoreCrash, KilledInsideAMigrationTheNextStartGoesOn) {
  EXPECT_TRUE(was_killed("store.migrate.before", {"open"}));
  EXPECT_TRUE(was_killed("store.migrate.before", {"open"}));
  EXPECT_TRUE(was_killed("store.migrate.after", {"open"}));
  // The first step is there; the next one begins where it ended.
  for (std::size_t step = 1; step < migrations().size(); ++step) {
    EXPECT_TRUE(was_killed("store.migrate.before", {"open"}));
    EXPECT_TRUE(was_killed("store.migrate.after", {"open"}));
  }
  EXPECT_FALSE(was_killed("store.migrate.before", {"open"}));
  expect_groups(0);
}

TEST_F(StoreCrash, KilledAfterAClaimTheLeaseEndsAndItIsClaimedAgain) {
  EXPECT_FALSE(was_killed("", {"commit", "1"}));
  EXPECT_TRUE(was_killed("outbox.claim.after", {"claim"}));
  const auto store = open();
  EXPECT_TRUE(store->claim_outbox(kCrasherClaim, 10, std::chrono::seconds{30})->empty());
  const WallTime ended = kCrasherClaim + std::chrono::seconds{30};
  EXPECT_EQ(*store->next_outbox_at(), ended);
  const auto again = store->claim_outbox(ended, 10, std::chrono::seconds{30});
  ASSERT_TRUE(again);
  ASSERT_EQ(again->size(), 1U);
  EXPECT_EQ((*again)[0].attempts, 2U);
}

TEST_F(StoreCrash, KilledBeforeRecordingItStaysClaimed) {
  EXPECT_FALSE(was_killed("", {"commit", "1"}));
  EXPECT_FALSE(was_killed("", {"claim"}));
  EXPECT_TRUE(was_killed("outbox.record.before", {"record", "1"}));
  {
    const auto store = open();
    auto reader = SqliteReader::open(directory_);
    ASSERT_TRUE(reader);
    EXPECT_EQ((*reader)->outbox({.limit = 10})->at(0).state, OutboxState::kClaimed);
    EXPECT_TRUE((*reader)->deliveries(crasher_notification(1))->empty());
  }
  EXPECT_FALSE(was_killed("", {"record", "1"}));
  const auto store = open();
  EXPECT_EQ(*store->next_outbox_at(), std::nullopt);
}

}  // namespace
}  // namespace tocsin::collector

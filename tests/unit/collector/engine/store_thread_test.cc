#include "collector/engine/store_thread.h"

#include "faulty_store.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

class StoreThreadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    thread = std::make_unique<StoreThread>(std::make_unique<FaultyStore>(memory, faults),
                                           StoreThread::Options{retry_for, 1ms});
  }

  StoreThread::CommitResult commit(std::uint64_t seq) {
    auto group = std::make_unique<CommitGroup>();
    group->group.commit_seq = seq;
    group->rows.emplace_back(MetaRow{"n", seq});
    io::Mailbox<StoreThread::CommitResult> done(1);
    thread->commit(std::move(group),
                   [&](StoreThread::CommitResult result) { CHECK(done.push(std::move(result))); });
    while (true) {
      if (auto result = done.pop(1s)) return *result;
    }
  }

  std::uint64_t stored() {
    return thread->call<std::uint64_t>([](Store& store) { return store.load()->commit_seq; });
  }

  MemoryStore memory{MemoryStore::Options{}};
  FaultyStore::Faults faults;
  Duration retry_for = 50ms;
  std::unique_ptr<StoreThread> thread;
};

TEST_F(StoreThreadTest, CommitsInOrder) {
  EXPECT_TRUE(commit(1).outcome);
  EXPECT_TRUE(commit(2).outcome);
  EXPECT_EQ(stored(), 2U);
}

TEST_F(StoreThreadTest, ALostAnswerIsRecognisedByTheSecondTry) {
  faults.answers_lost = true;
  const auto result = commit(1);
  EXPECT_TRUE(result.outcome);
  EXPECT_EQ(result.tries, 2U);
  EXPECT_EQ(stored(), 1U);
}

TEST_F(StoreThreadTest, AFailureIsRetriedAndThenEverythingBehindItFailsAtOnce) {
  faults.commits_fail = true;
  const auto first = commit(1);
  EXPECT_EQ(first.outcome.error().code, Errc::kNoSpace);
  EXPECT_GT(first.tries, 1U);
  faults.commits_fail = false;
  const auto second = commit(2);
  EXPECT_EQ(second.outcome.error().code, Errc::kUnavailable);
  EXPECT_EQ(second.tries, 0U);
  EXPECT_EQ(stored(), 0U);
  thread->accept_commits();
  EXPECT_TRUE(commit(1).outcome);
}

TEST_F(StoreThreadTest, FailingEndsWithACommitAndNotWithTheNextTry) {
  EXPECT_FALSE(thread->failing_for());
  faults.commits_fail = true;
  EXPECT_FALSE(commit(1).outcome);
  EXPECT_TRUE(thread->failing_for());
  thread->accept_commits();
  EXPECT_FALSE(commit(1).outcome);
  EXPECT_TRUE(thread->failing_for());
  faults.commits_fail = false;
  thread->accept_commits();
  EXPECT_TRUE(commit(1).outcome);
  EXPECT_FALSE(thread->failing_for());
}

TEST_F(StoreThreadTest, WhatWaitsIsDoneBeforeItEnds) {
  bool done = false;
  thread->run([&](Store&) { done = true; });
  thread.reset();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace tocsin::collector

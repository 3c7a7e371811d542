// The rules of collector/ports/store.h, held by every store. `reopen` is a new process: the memory
// store, which has no disk, keeps its state as a value.

#include "collector/store/memory_store.h"
#include "collector/store/sqlite_rollup.h"
#include "collector/store/sqlite_store.h"
#include "tests/contract/sample_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>

namespace tocsin::collector {
namespace {

using sample::id;
using sample::kStart;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class Backend {
 public:
  virtual ~Backend() = default;
  virtual Store& store() = 0;
  virtual StoreReader& reader() = 0;
  virtual void reopen() = 0;

  /// One call of what the collector does for its rollups, if it has to do anything.
  virtual void roll_up() {}
};

class MemoryBackend final : public Backend {
 public:
  Store& store() override { return *store_; }

  StoreReader& reader() override { return *reader_; }

  void reopen() override {
    MemoryStore::State state = store_->snapshot();
    store_ = std::make_unique<MemoryStore>(MemoryStore::Options{});
    store_->restore(std::move(state));
    reader_ = std::make_unique<MemoryReader>(*store_);
  }

 private:
  std::unique_ptr<MemoryStore> store_ = std::make_unique<MemoryStore>(MemoryStore::Options{});
  std::unique_ptr<MemoryReader> reader_ = std::make_unique<MemoryReader>(*store_);
};

class SqliteBackend final : public Backend {
 public:
  SqliteBackend() {
    std::string pattern = std::filesystem::temp_directory_path() / "tocsin-store-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    open();
  }

  ~SqliteBackend() override {
    reader_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  SqliteBackend(const SqliteBackend&) = delete;
  SqliteBackend& operator=(const SqliteBackend&) = delete;

  Store& store() override { return *store_; }

  StoreReader& reader() override { return *reader_; }

  void reopen() override {
    reader_.reset();
    store_.reset();
    open();
  }

  void roll_up() override {
    auto rollup = SqliteRollup::open({.directory = directory_, .results_max = 2});
    ASSERT_TRUE(rollup) << rollup.error().text;
    const auto report = (*rollup)->roll_up();
    ASSERT_TRUE(report) << report.error().text;
    EXPECT_EQ(report->more, report->results == 2);
    EXPECT_EQ(report->unreadable, 0U);
  }

 private:
  void open() {
    auto store = SqliteStore::open({.directory = directory_});
    ASSERT_TRUE(store) << store.error().text;
    store_ = *std::move(store);
    auto reader = SqliteReader::open(directory_);
    ASSERT_TRUE(reader) << reader.error().text;
    reader_ = *std::move(reader);
  }

  std::string directory_;
  std::unique_ptr<SqliteStore> store_;
  std::unique_ptr<SqliteReader> reader_;
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Backend>()> make;
};

class StoreContract : public testing::TestWithParam<Kind> {
 protected:
  Store& store() { return backend_->store(); }

  StoreReader& reader() { return backend_->reader(); }

  void reopen() { backend_->reopen(); }

  void roll_up() { backend_->roll_up(); }

  void commit(const CommitGroup& group) {
    const auto done = store().commit(group);
    ASSERT_TRUE(done) << done.error().text;
  }

  /// The next group with these rows.
  void write(std::vector<Row> rows) { commit(sample::commit(++seq_, std::move(rows))); }

  std::vector<Row> loaded() { return value(store().load()).rows; }

  std::vector<OutboxItem> claim(WallTime now, std::size_t limit = 100) {
    return value(store().claim_outbox(now, limit, seconds{30}));
  }

  /// The ids of a claim, as the numbers they were made from.
  std::vector<int> claimed(WallTime now, std::size_t limit = 100) {
    std::vector<int> out;
    for (const OutboxItem& item : claim(now, limit)) out.push_back(item.row.id.bytes[15]);
    return out;
  }

  OutboxItem item(std::uint8_t n) {
    for (const OutboxItem& item : value(reader().outbox({.limit = 100}))) {
      if (item.row.id.bytes[15] == n) return item;
    }
    ADD_FAILURE() << "no outbox row " << int{n};
    return {};
  }

  bool record(std::uint8_t n, std::uint64_t token, DeliveryOutcome outcome, WallTime at,
              WallTime retry_at = {}) {
    return value(store().record_delivery({.notification = id<NotificationId>(n),
                                          .token = token,
                                          .attempt = static_cast<std::uint32_t>(token),
                                          .at = at,
                                          .outcome = outcome,
                                          .retry_at = retry_at,
                                          .status = 503,
                                          .detail = "busy",
                                          .duration_ms = 12}));
  }

  template <class T>
  T value(Expected<T> expected) {
    if (!expected) {
      ADD_FAILURE() << expected.error().text;
      return T{};
    }
    return *std::move(expected);
  }

  std::uint64_t seq_ = 0;

 private:
  std::unique_ptr<Backend> backend_ = GetParam().make();
};

// --- ST1: groups ---

TEST_P(StoreContract, AnEmptyStoreLoadsAsNothing) {
  const Snapshot snapshot = value(store().load());
  EXPECT_EQ(snapshot.commit_seq, 0U);
  EXPECT_TRUE(snapshot.rows.empty());
  EXPECT_TRUE(snapshot.checkpoint.empty());
  EXPECT_TRUE(value(store().journal_after(0)).empty());
  EXPECT_EQ(value(store().next_outbox_at()), std::nullopt);
}

TEST_P(StoreContract, EveryRowComesBackAsItWasAfterReopening) {
  write(sample::loaded_rows());
  reopen();
  const Snapshot snapshot = value(store().load());
  EXPECT_EQ(snapshot.commit_seq, 1U);
  EXPECT_EQ(snapshot.last_commit, sample::group(1).now.wall);
  const std::vector<Row> expected = sample::loaded_rows();
  ASSERT_EQ(snapshot.rows.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(snapshot.rows[i] == expected[i]) << "row " << i << ", kind " << expected[i].index();
  }
}

TEST_P(StoreContract, AGroupMustFollowTheLastOne) {
  EXPECT_EQ(store().commit(sample::commit(2)).error().code, Errc::kExists);
  EXPECT_EQ(store().commit(sample::commit(0)).error().code, Errc::kExists);
  commit(sample::commit(1));
  commit(sample::commit(2));
  EXPECT_EQ(store().commit(sample::commit(1)).error().code, Errc::kExists);
  EXPECT_EQ(store().commit(sample::commit(4)).error().code, Errc::kExists);
  EXPECT_EQ(value(store().load()).commit_seq, 2U);
}

TEST_P(StoreContract, ARefusedGroupLeavesNothingBehind) {
  commit(sample::commit(1, {MetaRow{"a", 1}}));
  CommitGroup skipped = sample::commit(3, {MetaRow{"a", 2}, sample::outbox(1)});
  skipped.journal = {sample::entry(JournalEntry::Kind::kFrame, "x")};
  skipped.checkpoint = "c";
  EXPECT_FALSE(store().commit(skipped));
  reopen();
  const Snapshot snapshot = value(store().load());
  EXPECT_EQ(snapshot.rows, (std::vector<Row>{MetaRow{"a", 1}}));
  EXPECT_TRUE(snapshot.checkpoint.empty());
  EXPECT_EQ(value(store().journal_after(0)).size(), 1U);
  EXPECT_TRUE(claimed(kStart + hours{1}).empty());
}

TEST_P(StoreContract, ARepeatedGroupIsAnsweredAsDoneAndWritesNothing) {
  commit(sample::commit(1, {MetaRow{"a", 1}}));
  reopen();
  CommitGroup again = sample::commit(1, {MetaRow{"a", 2}});
  again.journal = {sample::entry(JournalEntry::Kind::kFrame, "x")};
  commit(again);
  EXPECT_EQ(loaded(), (std::vector<Row>{MetaRow{"a", 1}}));
  EXPECT_TRUE(value(store().journal_after(0))[0].entries.empty());
  commit(sample::commit(2));
}

TEST_P(StoreContract, AnotherShardsGroupIsRefused) {
  CommitGroup group = sample::commit(1);
  group.group.shard = 3;
  EXPECT_EQ(store().commit(group).error().code, Errc::kInvalid);
}

TEST_P(StoreContract, TheJournalComesBackInStepOrderUnderItsGroupsNow) {
  const Bytes binary{"\0\xff frame", 8};
  CommitGroup first = sample::commit(1);
  first.journal = {sample::entry(JournalEntry::Kind::kFrame, binary),
                   sample::entry(JournalEntry::Kind::kAgentState, ""),
                   sample::entry(JournalEntry::Kind::kFrame, "second")};
  commit(first);
  commit(sample::commit(2));
  CommitGroup third = sample::commit(3);
  third.journal = {sample::entry(JournalEntry::Kind::kFrame, "third")};
  commit(third);
  reopen();

  const auto all = value(store().journal_after(0));
  ASSERT_EQ(all.size(), 3U);
  ASSERT_EQ(all[0].entries.size(), 3U);
  EXPECT_EQ(all[0].group.commit_seq, 1U);
  EXPECT_EQ(all[0].group.now, sample::group(1).now);
  EXPECT_EQ(*all[0].entries[0].bytes, binary);
  EXPECT_EQ(all[0].entries[1].kind, JournalEntry::Kind::kAgentState);
  EXPECT_EQ(*all[0].entries[1].bytes, "");
  EXPECT_EQ(*all[0].entries[2].bytes, "second");
  EXPECT_TRUE(all[1].entries.empty());

  const auto later = value(store().journal_after(2));
  ASSERT_EQ(later.size(), 1U);
  EXPECT_EQ(*later[0].entries[0].bytes, "third");
}

TEST_P(StoreContract, TrimmingDropsGroupsUpToTheCheckpointAndNoFurther) {
  for (std::uint64_t seq = 1; seq <= 600; ++seq) {
    CommitGroup group = sample::commit(seq);
    group.journal = {sample::entry(JournalEntry::Kind::kFrame, std::to_string(seq))};
    if (seq == 590) group.checkpoint = Bytes{"\0state", 6};
    commit(group);
  }
  EXPECT_EQ(value(store().journal_after(0)).size(), 600U);
  ASSERT_TRUE(store().trim_journal());
  ASSERT_TRUE(store().trim_journal());
  reopen();
  const Snapshot snapshot = value(store().load());
  EXPECT_EQ(snapshot.checkpoint_commit_seq, 590U);
  EXPECT_EQ(snapshot.checkpoint, (Bytes{"\0state", 6}));
  const auto left = value(store().journal_after(0));
  ASSERT_EQ(left.size(), 10U);
  EXPECT_EQ(*left[0].entries[0].bytes, "591");
  commit(sample::commit(601));
}

TEST_P(StoreContract, WithoutACheckpointNothingIsTrimmed) {
  CommitGroup group = sample::commit(1);
  group.journal = {sample::entry(JournalEntry::Kind::kFrame, "x")};
  commit(group);
  ASSERT_TRUE(store().trim_journal());
  EXPECT_EQ(value(store().journal_after(0)).size(), 1U);
}

// --- ST2: rows ---

TEST_P(StoreContract, ARowReplacesTheRowWithItsKey) {
  write(sample::loaded_rows());
  IncidentRow resolved = sample::incident();
  resolved.state = IncidentState::kResolved;
  resolved.evidence.clear();
  resolved.policy = {};
  VerdictRow replaced = sample::verdict(1, kStart, true);
  MonitorEntry edited = sample::monitor_entry();
  edited.spec_rev = 6;
  write({resolved, replaced, CatalogRow{edited}, MetaRow{"config_version", 18}});
  reopen();
  std::vector<Row> expected = sample::loaded_rows();
  for (Row& row : expected) {
    if (std::holds_alternative<IncidentRow>(row)) row = resolved;
    if (std::holds_alternative<VerdictRow>(row)) row = replaced;
    if (std::holds_alternative<MetaRow>(row)) row = MetaRow{"config_version", 18};
    auto* catalog = std::get_if<CatalogRow>(&row);
    if (catalog != nullptr && std::holds_alternative<MonitorEntry>(catalog->object)) {
      catalog->object = edited;
    }
  }
  EXPECT_TRUE(loaded() == expected);
}

TEST_P(StoreContract, ARemovedObjectOfTheCatalogueIsGone) {
  write({CatalogRow{RegionSpec{"a", "A"}}, CatalogRow{RegionSpec{"b", "B"}},
         CatalogRow{sample::channel("a")}});
  write({CatalogRow{.object = RegionSpec{"a", "A"}, .removed = true}});
  EXPECT_EQ(loaded(),
            (std::vector<Row>{CatalogRow{RegionSpec{"b", "B"}}, CatalogRow{sample::channel("a")}}));
}

TEST_P(StoreContract, TheFirstResultOfATickStays) {
  const ResultRow first = sample::row(sample::result(12, 5));
  ResultRow second = sample::row(sample::failed_result(12, 5));
  second.agent = id<AgentId>(8);
  write({first});
  write({second, sample::row(sample::result(13, 5)), sample::row(sample::result(12, 6))});
  reopen();
  const auto all = value(reader().results({.monitor = {}, .from = {}, .limit = 10}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[2], first);
}

TEST_P(StoreContract, ResultsComeBackWithAllTheirEvidence) {
  const ResultRow late = sample::row(sample::failed_result(12, 4'294'967'295), true);
  write({late});
  reopen();
  EXPECT_EQ(value(reader().results({.monitor = {}, .from = {}, .limit = 10})),
            (std::vector<ResultRow>{late}));
}

TEST_P(StoreContract, AMissedRunOccupiesNoTick) {
  write({sample::row(sample::missed_run(12, 5, 7))});
  write({sample::row(sample::result(12, 7))});
  const std::vector<KnownTick> asked{
      {SeriesId{12}, 5}, {SeriesId{12}, 7}, {SeriesId{12}, 8}, {SeriesId{13}, 7}};
  EXPECT_EQ(value(store().find_ticks(asked)), (std::vector<KnownTick>{{SeriesId{12}, 7}}));
  EXPECT_EQ(value(reader().results({.monitor = {}, .from = {}, .limit = 10})).size(), 2U);
}

TEST_P(StoreContract, OneOffResultsAreKeptByRequestAndSeriesAndOccupyNoTick) {
  const ResultRow confirm = sample::row(sample::one_off(12, 1));
  ResultRow again = confirm;
  again.late = true;
  const ResultRow run_now = sample::row(sample::one_off(12, 2, ResultKind::kRunNow));
  write({confirm, again, run_now, sample::row(sample::one_off(13, 1))});
  EXPECT_TRUE(value(store().find_ticks({{SeriesId{12}, 0}})).empty());
  write({SeriesRow{.series = SeriesId{12},
                   .monitor = id<MonitorId>(1),
                   .monitor_key = "shop",
                   .region = "eu-west",
                   .generation = 1,
                   .grid = {10'000, 0},
                   .from = kStart}});
  EXPECT_EQ(value(reader().results({.monitor = id<MonitorId>(1), .from = {}, .limit = 10})),
            (std::vector<ResultRow>{run_now, confirm}));
}

TEST_P(StoreContract, FoundTicksSurviveReopening) {
  write({sample::row(sample::result(12, 5)),
         sample::row(sample::result(4'000'000'000, 4'000'000'000))});
  reopen();
  const std::vector<KnownTick> asked{{SeriesId{12}, 5}, {SeriesId{4'000'000'000}, 4'000'000'000}};
  EXPECT_EQ(value(store().find_ticks(asked)), asked);
  EXPECT_TRUE(value(store().find_ticks({})).empty());
}

TEST_P(StoreContract, AnOutboxRowWithAKnownIdOrUniqueKeyChangesNothing) {
  OutboxRow same_id = sample::outbox(1);
  same_id.cause_seq = 99;
  OutboxRow same_key = sample::outbox(2);
  same_key.cause_seq = sample::outbox(1).cause_seq;
  OutboxRow other_step = same_key;
  other_step.id = id<NotificationId>(3);
  other_step.step = 7;
  write({sample::outbox(1)});
  write({same_id, same_key, other_step});
  reopen();
  EXPECT_EQ(claimed(kStart + hours{1}), (std::vector<int>{1, 3}));
  EXPECT_EQ(item(1).row, sample::outbox(1));
}

// --- load ---

TEST_P(StoreContract, LoadingGivesADayOfVerdictsTheOneInForceBeforeAndTheNewest) {
  const WallTime now = sample::group(1).now.wall;
  write({sample::verdict(1, now - hours{100}), sample::verdict(2, now - hours{30}),
         sample::verdict(3, now - hours{26}, true), sample::verdict(4, now - hours{23}),
         sample::verdict(5, now - hours{1}, true), sample::verdict(6, now - hours{50}),
         sample::verdict(1, now - hours{400}, false, 2),
         sample::verdict(2, now - hours{300}, true, 2)});
  std::vector<Row> expected{
      sample::verdict(2, now - hours{30}),       // In force a day ago.
      sample::verdict(4, now - hours{23}),       // Within the day.
      sample::verdict(5, now - hours{1}, true),  // Replaced ones too.
      sample::verdict(6, now - hours{50}),       // The newest, written by a late result.
      sample::verdict(1, now - hours{400}, false, 2),
      sample::verdict(2, now - hours{300}, true, 2)};
  EXPECT_TRUE(loaded() == expected);
}

TEST_P(StoreContract, EndedAssignmentsAreForgottenAfterFourDays) {
  const WallTime now = sample::group(1).now.wall;
  const auto ended = [&](std::uint32_t series, WallTime to) {
    return AssignmentRow{.series = SeriesId{series}, .agent = id<AgentId>(7), .from = {}, .to = to};
  };
  write({ended(1, now - hours{97}), ended(2, now - hours{95}), ended(3, WallTime::never())});
  const std::vector<Row> expected{ended(2, now - hours{95}), ended(3, WallTime::never())};
  EXPECT_EQ(loaded(), expected);
  CommitGroup checkpoint = sample::commit(++seq_);
  checkpoint.checkpoint = "c";
  commit(checkpoint);
  ASSERT_TRUE(store().trim_journal());
  EXPECT_EQ(loaded(), expected);
}

// --- ST3: claim, send, record ---

TEST_P(StoreContract, ClaimingIsOldestFirstBoundedAndNotRepeatedWithinTheLease) {
  write({sample::outbox(3), sample::outbox(1), sample::outbox(2)});
  const WallTime now = kStart + minutes{1};
  const auto first = claim(now, 2);
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].row, sample::outbox(1));
  EXPECT_EQ(first[0].state, OutboxState::kClaimed);
  EXPECT_EQ(first[0].attempts, 1U);
  EXPECT_EQ(first[0].next_at, now + seconds{30});
  EXPECT_EQ(first[1].row, sample::outbox(2));
  reopen();
  EXPECT_EQ(claimed(now + seconds{29}), (std::vector<int>{3}));
  EXPECT_EQ(claimed(now + seconds{29}), (std::vector<int>{}));
}

TEST_P(StoreContract, WhatIsNotDueIsNotClaimed) {
  write({sample::outbox(10)});
  EXPECT_TRUE(claimed(kStart + seconds{9}).empty());
  EXPECT_EQ(value(store().next_outbox_at()), kStart + seconds{10});
  EXPECT_EQ(claimed(kStart + seconds{10}), (std::vector<int>{10}));
}

TEST_P(StoreContract, AnExpiredLeaseIsClaimedAgainWithAnotherToken) {
  write({sample::outbox(1)});
  const WallTime now = kStart + minutes{1};
  const auto first = claim(now);
  EXPECT_EQ(value(store().next_outbox_at()), now + seconds{30});
  const auto second = claim(now + seconds{30});
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second[0].token, first[0].token);
  EXPECT_EQ(second[0].attempts, 2U);
  EXPECT_FALSE(record(1, first[0].token, DeliveryOutcome::kSent, now + seconds{31}));
  EXPECT_EQ(item(1).state, OutboxState::kClaimed);
  EXPECT_TRUE(value(reader().deliveries(id<NotificationId>(1))).empty());
  EXPECT_TRUE(record(1, second[0].token, DeliveryOutcome::kSent, now + seconds{32}));
  EXPECT_EQ(item(1).state, OutboxState::kSent);
}

TEST_P(StoreContract, ALateSenderStillRecordsWhileNobodyElseHasClaimed) {
  write({sample::outbox(1)});
  const auto first = claim(kStart + minutes{1});
  EXPECT_TRUE(record(1, first[0].token, DeliveryOutcome::kSent, kStart + minutes{5}));
  EXPECT_TRUE(claimed(kStart + hours{1}).empty());
}

TEST_P(StoreContract, WhatIsSentOrDeadIsNeverClaimedAgain) {
  write({sample::outbox(1), sample::outbox(2)});
  const WallTime now = kStart + minutes{1};
  const auto items = claim(now);
  EXPECT_TRUE(record(1, items[0].token, DeliveryOutcome::kSent, now));
  EXPECT_TRUE(record(2, items[1].token, DeliveryOutcome::kDead, now));
  reopen();
  EXPECT_TRUE(claimed(now + hours{100}).empty());
  EXPECT_EQ(value(store().next_outbox_at()), std::nullopt);
  EXPECT_EQ(item(2).state, OutboxState::kDead);
}

TEST_P(StoreContract, ARetryWaitsForItsTimeAndEveryDeliveryIsKept) {
  write({sample::outbox(1)});
  const WallTime now = kStart + minutes{1};
  const auto first = claim(now);
  EXPECT_TRUE(record(1, first[0].token, DeliveryOutcome::kRetry, now, now + seconds{5}));
  reopen();
  EXPECT_EQ(value(store().next_outbox_at()), now + seconds{5});
  EXPECT_TRUE(claimed(now + seconds{4}).empty());
  const auto second = claim(now + seconds{5});
  ASSERT_EQ(second.size(), 1U);
  EXPECT_TRUE(record(1, second[0].token, DeliveryOutcome::kSent, now + seconds{6}));
  const auto deliveries = value(reader().deliveries(id<NotificationId>(1)));
  ASSERT_EQ(deliveries.size(), 2U);
  EXPECT_EQ(deliveries[0].outcome, DeliveryOutcome::kRetry);
  EXPECT_EQ(deliveries[0].retry_at, now + seconds{5});
  EXPECT_EQ(deliveries[0].status, 503);
  EXPECT_EQ(deliveries[0].detail, "busy");
  EXPECT_EQ(deliveries[0].duration_ms, 12U);
  EXPECT_EQ(deliveries[1].outcome, DeliveryOutcome::kSent);
  EXPECT_EQ(deliveries[1].at, now + seconds{6});
}

TEST_P(StoreContract, RecordingTwiceIsAnsweredAlikeAndWrittenOnce) {
  write({sample::outbox(1)});
  const auto items = claim(kStart + minutes{1});
  EXPECT_TRUE(record(1, items[0].token, DeliveryOutcome::kSent, kStart + minutes{1}));
  EXPECT_TRUE(record(1, items[0].token, DeliveryOutcome::kRetry, kStart + minutes{2}));
  EXPECT_EQ(item(1).state, OutboxState::kSent);
  EXPECT_EQ(value(reader().deliveries(id<NotificationId>(1))).size(), 1U);
  EXPECT_FALSE(record(9, 1, DeliveryOutcome::kSent, kStart));
}

// --- cancelling ---

TEST_P(StoreContract, CancellingStopsPendingTriggersOfThatIncidentOnly) {
  OutboxRow other = sample::outbox(2);
  other.incident = id<IncidentId>(2);
  write({sample::outbox(1), other});
  write({CancelOutbox{id<IncidentId>(1), "acknowledged by ann"}});
  reopen();
  EXPECT_EQ(claimed(kStart + hours{1}), (std::vector<int>{2}));
  EXPECT_EQ(item(1).state, OutboxState::kCancelled);
  EXPECT_EQ(item(1).attempts, 0U);
}

TEST_P(StoreContract, AClaimedTriggerIsNotCalledBackButNeverClaimedAfterItsCancelling) {
  write({sample::outbox(1), sample::outbox(2)});
  const WallTime now = kStart + minutes{1};
  const auto items = claim(now);
  write({CancelOutbox{id<IncidentId>(1), "resolved"}});
  EXPECT_EQ(item(1).state, OutboxState::kClaimed);
  // One fails and would be tried again, of the other nothing is heard.
  EXPECT_TRUE(record(1, items[0].token, DeliveryOutcome::kRetry, now, now + seconds{5}));
  EXPECT_EQ(item(1).state, OutboxState::kCancelled);
  EXPECT_TRUE(claimed(now + hours{1}).empty());
  EXPECT_EQ(item(2).state, OutboxState::kCancelled);
  EXPECT_EQ(value(store().next_outbox_at()), std::nullopt);
}

TEST_P(StoreContract, AClaimedTriggerThatIsSentAfterItsCancellingIsSent) {
  write({sample::outbox(1)});
  const auto items = claim(kStart + minutes{1});
  write({CancelOutbox{id<IncidentId>(1), "resolved"}});
  EXPECT_TRUE(record(1, items[0].token, DeliveryOutcome::kSent, kStart + minutes{1}));
  EXPECT_EQ(item(1).state, OutboxState::kSent);
}

TEST_P(StoreContract, WhatWasHeldIsNoAttemptAndComesBack) {
  write({sample::outbox(1)});
  const WallTime now = kStart + minutes{1};
  const auto first = claim(now);
  ASSERT_EQ(first.size(), 1U);
  EXPECT_TRUE(record(1, first[0].token, DeliveryOutcome::kHeld, now, now + seconds{5}));
  EXPECT_EQ(item(1).attempts, 0U);
  EXPECT_EQ(item(1).state, OutboxState::kPending);
  EXPECT_TRUE(claimed(now + seconds{4}).empty());
  const auto second = claim(now + seconds{5});
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(second[0].attempts, 1U);
  // Without a reason it leaves no line.
  Delivery quiet{.notification = id<NotificationId>(1),
                 .token = second[0].token,
                 .at = now + seconds{5},
                 .outcome = DeliveryOutcome::kHeld,
                 .retry_at = now + seconds{6}};
  EXPECT_TRUE(value(store().record_delivery(quiet)));
  const auto lines = value(reader().deliveries(id<NotificationId>(1)));
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].outcome, DeliveryOutcome::kHeld);
  EXPECT_EQ(lines[0].retry_at, now + seconds{5});
}

TEST_P(StoreContract, AHeldTriggerThatWasCalledOffNeedsNoResolve) {
  write({sample::outbox(1)});
  const WallTime now = kStart + minutes{1};
  const auto first = claim(now);
  write(
      {CancelOutbox{id<IncidentId>(1), "resolved"}, sample::outbox(2, NotificationKind::kResolve)});
  EXPECT_TRUE(record(1, first[0].token, DeliveryOutcome::kHeld, now, now + seconds{5}));
  EXPECT_EQ(item(1).state, OutboxState::kCancelled);
  EXPECT_TRUE(claimed(now + minutes{1}).empty());
  EXPECT_EQ(item(2).state, OutboxState::kCancelled);
}

TEST_P(StoreContract, ADeliveryNamesTheDigestItWasPartOf) {
  write({sample::outbox(1)});
  const auto first = claim(kStart + minutes{1});
  Delivery delivery{.notification = id<NotificationId>(1),
                    .token = first.at(0).token,
                    .attempt = 1,
                    .at = kStart + minutes{1},
                    .outcome = DeliveryOutcome::kSent,
                    .status = 250,
                    .detail = "taken",
                    .digest = "0123abcd"};
  EXPECT_TRUE(value(store().record_delivery(delivery)));
  EXPECT_EQ(value(reader().deliveries(id<NotificationId>(1))), std::vector<Delivery>{delivery});
}

// --- ST4: a resolve comes after its triggers ---

TEST_P(StoreContract, AResolveWaitsUntilEveryTriggerToItsChannelHasEnded) {
  write({sample::outbox(1), sample::outbox(2)});
  const WallTime now = kStart + minutes{1};
  const auto triggers = claim(now);
  write(
      {CancelOutbox{id<IncidentId>(1), "resolved"}, sample::outbox(3, NotificationKind::kResolve)});
  EXPECT_TRUE(claimed(now + seconds{1}).empty());
  // The runner must not be woken for what it cannot claim.
  EXPECT_EQ(value(store().next_outbox_at()), now + seconds{30});
  EXPECT_TRUE(record(1, triggers[0].token, DeliveryOutcome::kSent, now + seconds{2}));
  EXPECT_TRUE(claimed(now + seconds{2}).empty());
  EXPECT_TRUE(record(2, triggers[1].token, DeliveryOutcome::kDead, now + seconds{3}));
  EXPECT_EQ(value(store().next_outbox_at()), kStart + seconds{3});
  EXPECT_EQ(claimed(now + seconds{3}), (std::vector<int>{3}));
}

TEST_P(StoreContract, AResolveIsSentWhenItsTriggerMayHaveArrived) {
  write({sample::outbox(1)});
  const WallTime now = kStart + minutes{1};
  claim(now);
  write(
      {CancelOutbox{id<IncidentId>(1), "resolved"}, sample::outbox(2, NotificationKind::kResolve)});
  reopen();  // The sender died, and nobody knows whether the trigger went out.
  EXPECT_EQ(claimed(now + seconds{30}), (std::vector<int>{2}));
}

TEST_P(StoreContract, AResolveWithoutAnyAttemptedTriggerIsCancelled) {
  OutboxRow elsewhere = sample::outbox(1);
  elsewhere.channel = "second";
  write({elsewhere, sample::outbox(2)});
  EXPECT_EQ(claimed(kStart + minutes{1}, 1), (std::vector<int>{1}));
  write(
      {CancelOutbox{id<IncidentId>(1), "resolved"}, sample::outbox(3, NotificationKind::kResolve)});
  EXPECT_TRUE(claimed(kStart + minutes{1}).empty());
  EXPECT_EQ(item(3).state, OutboxState::kCancelled);
  EXPECT_EQ(item(2).state, OutboxState::kCancelled);
}

TEST_P(StoreContract, AResolveForSomebodyWhoWatchesNeedsNoTrigger) {
  OutboxRow watcher = sample::outbox(2, NotificationKind::kResolve);
  watcher.channel = "bob/mail";
  write({sample::outbox(1), CancelOutbox{id<IncidentId>(1), "resolved"}, watcher});
  EXPECT_EQ(claimed(kStart + minutes{1}), (std::vector<int>{2}));
}

TEST_P(StoreContract, AWatchersResolveIsSentThoughTheirOwnPageWasCalledOff) {
  OutboxRow resolve = sample::outbox(2, NotificationKind::kResolve);
  resolve.step = kWatchingStep;
  write({sample::outbox(1), CancelOutbox{id<IncidentId>(1), "resolved"}, resolve});
  EXPECT_EQ(claimed(kStart + minutes{1}), (std::vector<int>{2}));
}

TEST_P(StoreContract, TheEndCallsPendingUpdatesOff) {
  write({sample::outbox(1, NotificationKind::kUpdate)});
  write({CancelOutbox{id<IncidentId>(1), "resolved"}});
  EXPECT_TRUE(claimed(kStart + minutes{1}).empty());
  EXPECT_EQ(item(1).state, OutboxState::kCancelled);
}

TEST_P(StoreContract, BlockedResolvesDoNotTakeThePlaceOfOthers) {
  write({sample::outbox(1), sample::outbox(2, NotificationKind::kResolve)});
  claim(kStart + minutes{1}, 1);
  OutboxRow other = sample::outbox(9);
  other.incident = id<IncidentId>(2);
  write({other});
  EXPECT_EQ(claimed(kStart + minutes{1} + seconds{1}, 1), (std::vector<int>{9}));
}

TEST_P(StoreContract, ATestMessageWaitsForNothing) {
  write({sample::outbox(1), sample::outbox(2, NotificationKind::kTest)});
  claim(kStart + minutes{1}, 1);
  EXPECT_EQ(claimed(kStart + minutes{1}), (std::vector<int>{2}));
}

// --- the reading side ---

TEST_P(StoreContract, ResultsOfAMonitorAreNewestFirstWithinTheirRange) {
  const auto series = [](std::uint32_t n, std::uint8_t monitor) {
    return SeriesRow{.series = SeriesId{n},
                     .monitor = id<MonitorId>(monitor),
                     .monitor_key = "m",
                     .region = "r",
                     .generation = 1,
                     .grid = {10'000, 0},
                     .from = kStart};
  };
  std::vector<Row> rows{series(1, 1), series(2, 1), series(3, 2)};
  // Ticks of the grid, as agents count them.
  const SlotGrid grid{10'000, 0};
  const std::uint32_t base = grid.tick_at_or_after(kStart);
  const auto at = [&](std::uint32_t s, std::uint32_t n) {
    CheckResult r = sample::result(s, base + n);
    r.slot = grid.slot(base + n);
    return sample::row(r);
  };
  for (std::uint32_t n = 0; n < 6; ++n) {
    for (std::uint32_t s = 1; s <= 3; ++s) rows.emplace_back(at(s, n));
  }
  write(rows);
  EXPECT_EQ(value(reader().results({.monitor = id<MonitorId>(1), .from = {}, .limit = 3})),
            (std::vector<ResultRow>{at(2, 5), at(1, 5), at(2, 4)}));
  EXPECT_EQ(value(reader().results({.monitor = id<MonitorId>(1),
                                    .from = grid.slot(base + 1),
                                    .to = grid.slot(base + 3),
                                    .limit = 50})),
            (std::vector<ResultRow>{at(2, 2), at(1, 2), at(2, 1), at(1, 1)}));
  EXPECT_EQ(value(reader().results({.monitor = id<MonitorId>(2), .from = {}, .limit = 1})),
            (std::vector<ResultRow>{at(3, 5)}));
  EXPECT_TRUE(
      value(reader().results({.monitor = id<MonitorId>(9), .from = {}, .limit = 1})).empty());
}

TEST_P(StoreContract, PhaseHoursAreTheSumOfWhatIsStoredWhetherRolledUpOrNot) {
  const auto series = [](std::uint32_t n, std::uint8_t monitor, const char* region) {
    return SeriesRow{.series = SeriesId{n},
                     .monitor = id<MonitorId>(monitor),
                     .monitor_key = "m",
                     .region = region,
                     .generation = n,
                     .grid = {10'000, 0},
                     .from = kStart};
  };
  // The first two are generations of one region.
  write({series(1, 1, "a"), series(2, 1, "a"), series(3, 1, "b"), series(4, 2, "a")});
  const WallTime first = hour_of(kStart);
  std::map<std::pair<WallTime, std::string>, PhaseRollup> wanted;
  const auto expected = [&](WallTime from, WallTime to) {
    std::vector<PhaseHour> out;
    for (const auto& [key, rollup] : wanted) {
      if (key.first >= hour_of(from) && key.first < to) {
        out.push_back({key.first, key.second, rollup});
      }
    }
    return out;
  };
  std::uint32_t tick = 0;
  for (const int hour : {0, 1, 0, 2, 1}) {  // The third and the last are late.
    std::vector<Row> rows;
    for (std::uint32_t s = 1; s <= 4; ++s) {
      CheckResult r = s == 3 ? sample::failed_result(s, ++tick) : sample::result(s, ++tick);
      r.slot = first + hours{hour} + seconds{tick};
      r.attempts.back().phases.total_us = 1000 * tick;
      rows.emplace_back(sample::row(r));
      if (s < 4) wanted[{hour_of(r.slot), s == 3 ? "b" : "a"}].add(r);
    }
    rows.push_back(rows.front());  // Known already: it does not count again.
    write(rows);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(value(reader().phase_hours(id<MonitorId>(1), first, first + hours{9})),
                expected(first, first + hours{9}))
          << "tick " << tick << ", rolled up " << i;
      roll_up();
    }
    reopen();
  }
  const WallTime within = first + minutes{90};
  EXPECT_EQ(value(reader().phase_hours(id<MonitorId>(1), within, first + hours{2})),
            expected(first + hours{1}, first + hours{2}));
  EXPECT_TRUE(value(reader().phase_hours(id<MonitorId>(9), first, within)).empty());
}

TEST_P(StoreContract, VerdictsOfARangeComeWithTheOneInForceAtItsBeginning) {
  write({sample::verdict(1, kStart), sample::verdict(2, kStart + seconds{10}),
         sample::verdict(3, kStart + seconds{20}), sample::verdict(4, kStart + seconds{5}),
         sample::verdict(5, kStart + seconds{12}, true), sample::verdict(1, kStart, false, 2)});
  EXPECT_EQ(value(reader().verdicts(id<MonitorId>(1), kStart + seconds{11}, kStart + seconds{20})),
            (std::vector<VerdictRow>{sample::verdict(2, kStart + seconds{10}),
                                     sample::verdict(5, kStart + seconds{12}, true)}));
  EXPECT_EQ(value(reader().verdicts(id<MonitorId>(1), kStart, kStart + seconds{6})),
            (std::vector<VerdictRow>{sample::verdict(1, kStart),
                                     sample::verdict(4, kStart + seconds{5})}));
}

TEST_P(StoreContract, IncidentsAreNewestFirst) {
  IncidentRow resolved = sample::incident(2);
  resolved.state = IncidentState::kResolved;
  write({sample::incident(1), resolved, sample::incident(3)});
  EXPECT_EQ(value(reader().incidents({.limit = 2})),
            (std::vector<IncidentRow>{sample::incident(3), resolved}));
  EXPECT_EQ(value(reader().incidents({.limit = 10, .open_only = true})),
            (std::vector<IncidentRow>{sample::incident(3), sample::incident(1)}));
}

TEST_P(StoreContract, TimelinesAreInOrderAndOfOneIncident) {
  const auto line = [](std::uint8_t incident, std::uint32_t seq) {
    return TimelineRow{.incident = id<IncidentId>(incident),
                       .seq = seq,
                       .at = kStart,
                       .type = TimelineType::kStep,
                       .actor = "engine",
                       .text = "step"};
  };
  write({line(1, 2), line(2, 1), line(1, 1), line(1, 10)});
  EXPECT_EQ(value(reader().timeline(id<IncidentId>(1))),
            (std::vector<TimelineRow>{line(1, 1), line(1, 2), line(1, 10)}));
}

TEST_P(StoreContract, EventsFollowTheirNumber) {
  const auto event = [](std::uint64_t seq) {
    return EventRow{
        .seq = seq, .at = kStart, .topic = "monitor", .subject = "shop", .text = "Shop is down"};
  };
  write({event(1), event(2), event(3)});
  EXPECT_EQ(value(reader().events_after(1, 10)), (std::vector<EventRow>{event(2), event(3)}));
  EXPECT_EQ(value(reader().events_after(0, 1)), (std::vector<EventRow>{event(1)}));
  EXPECT_TRUE(value(reader().events_after(3, 10)).empty());
}

TEST_P(StoreContract, TheOutboxIsListedNewestFirst) {
  write({sample::outbox(1), sample::outbox(3), sample::outbox(2)});
  const auto items = value(reader().outbox({.limit = 2}));
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].row, sample::outbox(3));
  EXPECT_EQ(items[0].state, OutboxState::kPending);
  EXPECT_EQ(items[1].row, sample::outbox(2));
}

INSTANTIATE_TEST_SUITE_P(
    Every, StoreContract,
    testing::Values(Kind{"Memory", [] { return std::make_unique<MemoryBackend>(); }},
                    Kind{"Sqlite", [] { return std::make_unique<SqliteBackend>(); }}),
    [](const testing::TestParamInfo<Kind>& kind) { return std::string{kind.param.name}; });

}  // namespace
}  // namespace tocsin::collector

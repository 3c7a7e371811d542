#include "collector/app/page_history.h"

#include "collector/store/sqlite_query.h"
#include "collector/store/sqlite_store.h"
#include "tests/contract/sample_rows.h"
#include "tests/unit/common/io/scratch_dir.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace tocsin::collector {
namespace {

using Status = MonitorStatus;

VerdictRow verdict(std::uint64_t seq, std::int64_t at_s, Status status) {
  VerdictRow row;
  row.seq = seq;
  row.at = WallTime{at_s * 1'000'000};
  row.status = status;
  return row;
}

TEST(PageHistory, TheLastKnownStatusIsTheNewestThatSaysSomething) {
  EXPECT_EQ(last_known_status({}), Status::kNew);
  EXPECT_EQ(last_known_status({verdict(1, 10, Status::kUnknown)}), Status::kNew);
  EXPECT_EQ(last_known_status({verdict(3, 30, Status::kUnknown), verdict(2, 20, Status::kDown),
                               verdict(1, 10, Status::kUp)}),
            Status::kDown);
  VerdictRow replaced = verdict(3, 30, Status::kUp);
  replaced.replaced = true;
  EXPECT_EQ(last_known_status({verdict(1, 10, Status::kDegraded), replaced}), Status::kDegraded);
}

TEST(PageHistory, WhatIsNoLongerOpenIsPastBeforeTheStoreWasRead) {
  EngineView before, after;
  after.at = sample::kStart + 300s;
  before.open_incidents = {sample::incident(1), sample::incident(2), sample::incident(3),
                           sample::incident(4)};
  before.open_incidents[1].kind = IncidentKind::kImpaired;
  after.open_incidents = {sample::incident(3)};
  PageHistory known;
  known.incidents.push_back({.id = sample::incident(4).id, .number = 4, .monitor_key = "shop"});
  const PageHistory bridged = bridge_history(known, before, after);
  ASSERT_EQ(bridged.incidents.size(), 2U);
  EXPECT_EQ(bridged.incidents[0].number, 1U);
  EXPECT_EQ(bridged.incidents[0].resolved_at, after.at);
  EXPECT_EQ(bridged.incidents[1], known.incidents[0]);
}

TEST(PageHistory, PastIncidentsAreTheResolvedOnesOfMonitorsNewestFirst) {
  const ScratchDir directory;
  const WallTime now = sample::kStart + 24h * 20;
  std::vector<Row> rows;
  for (std::uint8_t n = 1; n <= 230; ++n) {
    IncidentRow row = sample::incident(n);
    row.state = IncidentState::kResolved;
    row.evidence.clear();
    row.opened_at = row.started_at = now - 1h * (240 - n);
    row.resolved_at = row.opened_at + 10min;
    if (n % 10 == 0) row.kind = IncidentKind::kImpaired;
    if (n % 10 == 1) row.state = IncidentState::kOpen;
    if (n <= 10) row.resolved_at = now - 24h * 15;
    rows.emplace_back(std::move(row));
  }
  {
    SqliteStore::Options options;
    options.directory = directory.path();
    auto store = SqliteStore::open(options);
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE((*store)->load());
    const auto done = (*store)->commit(sample::commit(1, std::move(rows)));
    ASSERT_TRUE(done) << done.error().text;
    auto reader = SqliteReader::open(directory.path());
    ASSERT_TRUE(reader) << reader.error().text;
    const auto past = read_past_incidents(**reader, now);
    ASSERT_TRUE(past) << past.error().text;
    ASSERT_EQ(past->size(), 176U) << "230 but 10 too old, 22 of other kinds and 22 that are open";
    EXPECT_EQ(past->front().number, 229U);
    EXPECT_EQ(past->back().number, 12U);
    EXPECT_EQ(past->front().monitor_key, "shop");
    EXPECT_EQ(past->front().total, 2);
  }
}

}  // namespace
}  // namespace tocsin::collector

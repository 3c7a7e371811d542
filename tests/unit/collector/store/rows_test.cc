#include "collector/store/rows.h"

#include "collector/store/memory_store.h"
#include "tests/contract/sample_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

template <class T>
T through_values(const T& row) {
  std::vector<Value> values;
  to_values(row, values);
  EXPECT_EQ(values.size(), table<T>().columns.size());
  auto back = from_values<T>(values);
  EXPECT_TRUE(back) << (back ? "" : back.error().text);
  return back ? *back : T{};
}

TEST(Rows, NeverIsNullAndComesBack) {
  const EscalationRow row{.incident = sample::id<IncidentId>(1), .due_at = WallTime::never()};
  std::vector<Value> values;
  to_values(row, values);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(values[3]));
  EXPECT_EQ(through_values(row), row);
}

TEST(Rows, AnIncidentWithoutAPolicyComesBackWithoutOne) {
  IncidentRow row = sample::incident();
  row.policy = {};
  row.monitor.reset();
  row.votes.clear();
  row.evidence.clear();
  row.notified.clear();
  EXPECT_TRUE(through_values(row) == row);
}

TEST(Rows, EveryWordOfAnEnumerationComesBack) {
  for (int i = 1; i <= 9; ++i) {
    const TimelineRow row{.incident = {},
                          .seq = 1,
                          .at = {},
                          .type = static_cast<TimelineType>(i),
                          .actor = "engine",
                          .text = ""};
    EXPECT_EQ(through_values(row), row) << i;
  }
  for (int i = 1; i <= 7; ++i) {
    MonitorStateRow row;
    row.status = static_cast<MonitorStatus>(i);
    EXPECT_EQ(through_values(row), row) << i;
  }
  for (int i = 1; i <= 5; ++i) {
    StoredOutboxItem row{.item = {.row = sample::outbox(1)}, .cancel_why = {}};
    row.item.state = static_cast<OutboxState>(i);
    EXPECT_EQ(through_values(row).item.state, row.item.state) << i;
    IncidentRow incident = sample::incident();
    incident.state = static_cast<IncidentState>(i);
    EXPECT_EQ(through_values(incident).state, incident.state) << i;
  }
  for (int i = 1; i <= 4; ++i) {
    Delivery row;
    row.outcome = static_cast<DeliveryOutcome>(i);
    EXPECT_EQ(through_values(row).outcome, row.outcome) << i;
  }
}

TEST(Rows, HostileTextIsKeptByteForByteOutsideJson) {
  TimelineRow row{.incident = {},
                  .seq = 1,
                  .at = {},
                  .type = TimelineType::kNote,
                  .actor = "",
                  .text = std::string{"a\0b'\"\xff; DROP TABLE timeline", 27}};
  EXPECT_EQ(through_values(row), row);
}

TEST(Rows, AValueThatWasNotWrittenByUsIsCorruptAndNamesItsColumn) {
  std::vector<Value> values;
  to_values(sample::incident(), values);
  const TableDef& def = table<IncidentRow>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::vector<Value> bad = values;
    // Neither a word, nor JSON, nor the right type.
    bad[i] = std::holds_alternative<std::string>(bad[i]) ? Value{std::int64_t{-1}}
                                                         : Value{std::string{"?"}};
    const auto back = from_values<IncidentRow>(bad);
    ASSERT_FALSE(back) << def.columns[i];
    EXPECT_EQ(back.error().code, Errc::kCorrupt);
    EXPECT_NE(back.error().text.find(std::string{"incidents."} + def.columns[i]), std::string::npos)
        << back.error().text;
  }
}

TEST(Rows, DamagedEvidenceIsRefused) {
  const Bytes good = encode_evidence({sample::failed_result(12, 5), sample::result(13, 6)});
  ASSERT_EQ(decode_evidence(good)->size(), 2U);
  EXPECT_TRUE(decode_evidence("")->empty());
  for (std::size_t n = 1; n < good.size(); ++n) {
    const auto cut = decode_evidence(good.substr(0, n));
    if (cut) {
      EXPECT_EQ(cut->size(), 1U) << n;  // Only between the two.
    }
  }
  EXPECT_FALSE(decode_evidence(Bytes{"\x0a\xff\xff\xff\xff\xff\xff"}));
  EXPECT_FALSE(decode_evidence("\x12"));
}

TEST(MemoryStore, ASnapshotKeepsItsMomentWhileTheStoreGoesOn) {
  MemoryStore store{{}};
  ASSERT_TRUE(store.commit(
      sample::commit(1, {sample::row(sample::result(12, 1)), sample::outbox(1), MetaRow{"a", 1}})));
  const MemoryStore::State then = store.snapshot();
  ASSERT_TRUE(
      store.commit(sample::commit(2, {sample::row(sample::result(12, 2)), MetaRow{"a", 2}})));
  ASSERT_EQ(store.claim_outbox(sample::kStart + std::chrono::hours{1}, 1, 30s)->size(), 1U);
  const std::vector<KnownTick> both{{SeriesId{12}, 1}, {SeriesId{12}, 2}};
  EXPECT_EQ(*store.find_ticks(both), both);
  const MemoryStore::State later = store.snapshot();

  store.restore(then);
  EXPECT_EQ(store.find_ticks(both)->size(), 1U);
  EXPECT_EQ(store.load()->rows, (std::vector<Row>{MetaRow{"a", 1}}));
  EXPECT_EQ(store.claim_outbox(sample::kStart + std::chrono::hours{1}, 1, 30s)->size(), 1U);
  ASSERT_TRUE(store.commit(sample::commit(2)));

  store.restore(later);
  EXPECT_EQ(*store.find_ticks(both), both);
}

}  // namespace
}  // namespace tocsin::collector

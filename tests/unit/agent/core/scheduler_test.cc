#include "agent/core/scheduler.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

constexpr SlotGrid kEvery10s{10'000, 3'000};

WallTime at(std::int64_t ms) { return WallTime::from_ms(1'790'000'000'000 + ms); }

struct Taken {
  std::vector<DueSlot> due;
  std::vector<MissedRun> missed;
};

Taken take(Scheduler& s, WallTime now, bool resumed = false) {
  Taken out;
  s.take_due(now, resumed, out.due, out.missed);
  return out;
}

TEST(Scheduler, ASlotIsDueAtItsMomentAndOnce) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  EXPECT_EQ(s.next_due(at(0)), at(3'000));
  EXPECT_TRUE(take(s, at(2'999)).due.empty());
  const auto due = take(s, at(3'000)).due;
  ASSERT_EQ(due.size(), 1U);
  EXPECT_EQ(due[0].slot, at(3'000));
  EXPECT_TRUE(take(s, at(4'000)).due.empty());
  s.finished(SeriesId{1}, due[0].tick, at(4'000));
  EXPECT_EQ(s.next_due(at(4'000)), at(13'000));
}

TEST(Scheduler, LateSlotBecomesMissedInsteadOfPilingUp) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  const auto late = take(s, at(8'000));
  EXPECT_EQ(late.due.size(), 1U);  // Exactly at the bound of interval/2.
  Scheduler t{10};
  t.put(SeriesId{1}, kEvery10s, at(0));
  const auto gone = take(t, at(40'000));
  ASSERT_EQ(gone.missed.size(), 1U);
  EXPECT_EQ(gone.missed[0].last - gone.missed[0].first, 3U);  // 3, 13, 23, 33 s.
  EXPECT_EQ(gone.missed[0].cause, MissedCause::kOverload);
  EXPECT_TRUE(gone.due.empty());
  EXPECT_EQ(t.next_due(at(40'000)), at(43'000));
}

TEST(Scheduler, AStandstillIsABlackoutNotAnOverload) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  EXPECT_EQ(take(s, at(40'000), true).missed[0].cause, MissedCause::kBlackout);
}

TEST(Scheduler, HangingChecksOfOneQueueLeaveTheOthersTheirShare) {
  Scheduler s{10};
  for (std::uint32_t i = 1; i <= 50; ++i) s.put(SeriesId{i}, {10'000, 9'000}, at(1));
  for (std::uint32_t i = 51; i <= 60; ++i) s.put(SeriesId{i}, {5'000, 5'000 - 1}, at(1));
  const auto slow = take(s, at(9'500)).due;  // All hang from now on.
  std::size_t of_slow = 0;
  for (const DueSlot& d : slow) of_slow += static_cast<std::uint32_t>(d.series) <= 50 ? 1U : 0U;
  EXPECT_GE(of_slow, 8U);
  for (const DueSlot& d : slow) {
    if (static_cast<std::uint32_t>(d.series) > 50) s.finished(d.series, d.tick, at(10'000));
  }
  std::size_t of_quick = 0;
  for (const DueSlot& d : take(s, at(9'999)).due) {
    of_quick += static_cast<std::uint32_t>(d.series) > 50 ? 1U : 0U;
  }
  EXPECT_GE(of_quick, 1U);
  EXPECT_LE(s.in_flight(), 10U);
}

TEST(Scheduler, TheBudgetIsNeverExceededAndEarliestGoesFirst) {
  Scheduler s{2};
  s.put(SeriesId{1}, {10'000, 3'000}, at(0));
  s.put(SeriesId{2}, {10'000, 1'000}, at(0));
  s.put(SeriesId{3}, {10'000, 2'000}, at(0));
  const auto due = take(s, at(4'000)).due;
  ASSERT_EQ(due.size(), 2U);
  EXPECT_EQ(due[0].series, SeriesId{2});
  EXPECT_EQ(due[1].series, SeriesId{3});
  s.finished(SeriesId{2}, due[0].tick, at(4'500));
  EXPECT_EQ(take(s, at(4'500)).due[0].series, SeriesId{1});
}

TEST(Scheduler, ADeferredSlotBecomesMissedByPolicy) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  const auto due = take(s, at(3'000)).due;
  s.deferred(due[0]);
  EXPECT_EQ(s.in_flight(), 0U);
  EXPECT_EQ(s.next_due(at(3'000)), at(8'000) + Duration{1});
  const auto later = take(s, at(8'001));
  ASSERT_EQ(later.missed.size(), 1U);
  EXPECT_EQ(later.missed[0].cause, MissedCause::kPolicy);
}

TEST(Scheduler, LoadingTheSameGridAgainKeepsTheSlot) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  s.put(SeriesId{1}, kEvery10s, at(9'000));
  EXPECT_EQ(take(s, at(3'000)).due.size(), 1U);
  s.put(SeriesId{1}, {20'000, 0}, at(3'000));
  EXPECT_EQ(s.in_flight(), 0U);
  EXPECT_GT(s.next_due(at(3'000)), at(3'000));
}

TEST(Scheduler, AStepBackOfTheClockRepeatsNoTick) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(0));
  const auto first = take(s, at(3'000)).due;
  s.finished(SeriesId{1}, first[0].tick, at(-3'600'000));
  EXPECT_TRUE(take(s, at(-3'600'000)).due.empty());
  EXPECT_TRUE(take(s, at(3'500)).due.empty());
  EXPECT_EQ(take(s, at(13'000)).due[0].tick, first[0].tick + 1);
}

TEST(Scheduler, ASixtyFifthIntervalIsRefused) {
  Scheduler s{10};
  for (std::uint32_t i = 1; i <= 64; ++i) {
    EXPECT_TRUE(s.put(SeriesId{i}, {static_cast<std::int64_t>(i) * 1000, 0}, at(0)));
  }
  EXPECT_FALSE(s.put(SeriesId{65}, {65'000, 0}, at(0)));
  s.drop(SeriesId{64});
  EXPECT_TRUE(s.put(SeriesId{65}, {65'000, 0}, at(0)));
}

TEST(Scheduler, AClockSetBackFromFarAheadGoesOnAtOnce) {
  constexpr std::int64_t kDay = 86'400'000;
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(kDay));
  s.put(SeriesId{2}, kEvery10s, at(kDay));
  const auto due = take(s, at(kDay + 4'000)).due;
  ASSERT_EQ(due.size(), 2U);
  s.finished(due[0].series, due[0].tick, at(kDay + 4'500));
  s.clock_set_back(at(0));
  EXPECT_EQ(s.next_due(at(0)), at(3'000));
  s.finished(due[1].series, due[1].tick, at(0));  // It was under way meanwhile.
  EXPECT_EQ(take(s, at(3'000)).due.size(), 2U);
}

TEST(Scheduler, AClockSetBackALittleRepeatsNoTick) {
  Scheduler s{10};
  s.put(SeriesId{1}, kEvery10s, at(600'000));
  const auto due = take(s, at(603'000)).due;
  ASSERT_EQ(due.size(), 1U);
  s.finished(SeriesId{1}, due[0].tick, at(603'500));
  s.clock_set_back(at(300'000));
  EXPECT_EQ(s.next_due(at(300'000)), at(613'000));
}

}  // namespace
}  // namespace tocsin::agent

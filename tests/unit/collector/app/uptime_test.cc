#include "collector/app/uptime.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

constexpr std::int64_t kDayS = 86'400;
constexpr std::int64_t kToday = 20'000;

WallTime at(std::int64_t day, std::int64_t second) {
  return WallTime{(day * kDayS + second) * 1'000'000};
}

VerdictRow verdict(std::uint64_t seq, WallTime when, MonitorStatus status) {
  VerdictRow row;
  row.seq = seq;
  row.at = when;
  row.status = status;
  return row;
}

using Status = MonitorStatus;

TEST(Uptime, AVerdictHoldsUntilTheNextAndTheLastUntilNow) {
  const auto days = fold_uptime(
      {verdict(1, at(kToday, 0), Status::kUp), verdict(2, at(kToday, 100), Status::kDown),
       verdict(3, at(kToday, 130), Status::kDegraded)},
      at(kToday, 200), 1);
  ASSERT_EQ(days.size(), 1U);
  EXPECT_EQ(days[0].day, kToday);
  EXPECT_EQ(days[0].up_s, 100);
  EXPECT_EQ(days[0].down_s, 30);
  EXPECT_EQ(days[0].degraded_s, 70);
  EXPECT_EQ(days[0].unknown_s, 0);
}

TEST(Uptime, ASpanIsSplitAtMidnightAndCutAtTheWindow) {
  const auto days = fold_uptime({verdict(1, at(kToday - 9, 5), Status::kUp)}, at(kToday, 60), 3);
  ASSERT_EQ(days.size(), 3U);
  EXPECT_EQ(days[0].up_s, kDayS);
  EXPECT_EQ(days[1].up_s, kDayS);
  EXPECT_EQ(days[2].up_s, 60);
  EXPECT_EQ(days[1].elapsed_s, kDayS);
  EXPECT_EQ(days[2].elapsed_s, 60);
}

TEST(Uptime, ReplacedVerdictsDoNotCount) {
  auto replaced = verdict(1, at(kToday, 0), Status::kDown);
  replaced.replaced = true;
  const auto days =
      fold_uptime({replaced, verdict(2, at(kToday, 0), Status::kUp)}, at(kToday, 10), 1);
  EXPECT_EQ(days[0].down_s, 0);
  EXPECT_EQ(days[0].up_s, 10);
}

TEST(Uptime, NothingIsCountedBeforeTheFirstVerdictOrWhilePaused) {
  const auto days = fold_uptime(
      {verdict(1, at(kToday, 50), Status::kUnknown), verdict(2, at(kToday, 60), Status::kPaused)},
      at(kToday, 100), 2);
  EXPECT_EQ(days[0].up_s + days[0].down_s + days[0].degraded_s + days[0].unknown_s, 0);
  EXPECT_EQ(days[1].unknown_s, 10);
  EXPECT_EQ(days[1].up_s, 0);
}

TEST(Uptime, TheOrderOfRowsDoesNotMatter) {
  const auto a = verdict(1, at(kToday, 0), Status::kUp);
  const auto b = verdict(2, at(kToday, 40), Status::kDown);
  EXPECT_EQ(fold_uptime({b, a}, at(kToday, 50), 1)[0].up_s, 40);
}

}  // namespace
}  // namespace tocsin::collector

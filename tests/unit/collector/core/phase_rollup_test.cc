#include "collector/core/phase_rollup.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

CheckResult result_of(Outcome outcome, std::uint32_t total_us) {
  CheckResult out;
  out.outcome = outcome;
  Attempt attempt;
  attempt.finding.outcome = outcome;
  attempt.phases = {.wait_us = total_us, .total_us = total_us};
  out.attempts = {attempt};
  return out;
}

std::uint32_t total(const PhaseSketches& sketches, double share) {
  return sketches.back().quantile(share);
}

TEST(PhaseRollup, CountsWhatCameToAVerdictAndMeasuresWhatPassed) {
  PhaseRollup rollup;
  rollup.add(result_of(Outcome::kUp, 40));
  rollup.add(result_of(Outcome::kDegraded, 80));
  rollup.add(result_of(Outcome::kDown, 10'000'000));
  rollup.add(result_of(Outcome::kNoData, 10'000'000));
  CheckResult missed = result_of(Outcome::kMissed, 0);
  missed.kind = ResultKind::kMissed;
  rollup.add(missed);
  CheckResult by_hand = result_of(Outcome::kUp, 500);
  by_hand.kind = ResultKind::kRunNow;
  rollup.add(by_hand);
  EXPECT_EQ(rollup.checks, 3U);
  EXPECT_EQ(rollup.passed, 2U);
  EXPECT_EQ(total(rollup.whole, 0.5), 40U);
  EXPECT_NEAR(total(rollup.whole, 1), 80, 1);
  EXPECT_EQ(rollup.whole.front().quantile(1), 0U) << "nothing was looked up";
}

TEST(PhaseRollup, TheAttemptThatPassedIsTheOneThatCounts) {
  CheckResult recovered = result_of(Outcome::kUp, 30);
  recovered.attempts.insert(recovered.attempts.begin(),
                            result_of(Outcome::kDown, 5'000'000).attempts[0]);
  PhaseRollup rollup;
  rollup.add(recovered);
  EXPECT_EQ(total(rollup.whole, 1), 30U);
}

TEST(PhaseRollup, HopsAreByTheirPlaceInTheChain) {
  CheckResult redirected = result_of(Outcome::kUp, 30);
  redirected.attempts[0].hops = {{"", "", 302, {.total_us = 10}}, {"", "", 200, {.total_us = 20}}};
  PhaseRollup rollup;
  rollup.add(result_of(Outcome::kUp, 7));
  rollup.add(redirected);
  ASSERT_EQ(rollup.hops.size(), 2U);
  EXPECT_EQ(total(rollup.hops[0], 1), 10U);
  EXPECT_EQ(total(rollup.hops[1], 1), 20U);
  EXPECT_EQ(rollup.hops[1].back().count(), 1U);
}

TEST(PhaseRollup, PartsAddUpToTheWholeAndComeBackAsTheyWere) {
  PhaseRollup all;
  PhaseRollup even;
  PhaseRollup odd;
  for (std::uint32_t i = 0; i < 100; ++i) {
    CheckResult result = result_of(i % 7 == 0 ? Outcome::kDown : Outcome::kUp, i * i);
    if (i % 3 == 0) result.attempts[0].hops.resize(1 + i % 2);
    all.add(result);
    (i % 2 == 0 ? even : odd).add(result);
  }
  PhaseRollup sum = odd;
  sum += even;
  EXPECT_EQ(sum, all);
  const Bytes bytes = all.encode();
  const auto back = PhaseRollup::decode(as_bytes(bytes));
  ASSERT_TRUE(back) << back.error().text;
  EXPECT_EQ(*back, all);
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_FALSE(PhaseRollup::decode(as_bytes(std::string_view{bytes}.substr(0, n)))) << n;
  }
  EXPECT_FALSE(PhaseRollup::decode(as_bytes(bytes + "x")));
}

TEST(PhaseRollup, AnHourIsThatOfUtc) {
  constexpr std::int64_t kHour = 3'600'000'000;
  EXPECT_EQ(hour_of(WallTime{5 * kHour}), WallTime{5 * kHour});
  EXPECT_EQ(hour_of(WallTime{6 * kHour - 1}), WallTime{5 * kHour});
  EXPECT_EQ(hour_of(WallTime{-1}), WallTime{-kHour});
}

}  // namespace
}  // namespace tocsin::collector

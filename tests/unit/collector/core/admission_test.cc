#include "collector/core/admission.h"

#include "common/base/rng.h"
#include "tests/support/builders.h"

#include <gtest/gtest.h>

#include <set>

namespace tocsin::collector {
namespace {

Digest16 digest(std::uint8_t n) {
  Digest16 d{};
  d[0] = n;
  return d;
}

FrameArrived results_frame(std::uint64_t seq, std::uint8_t previous, std::uint8_t own) {
  FrameArrived f;
  f.frame.first = f.frame.last = seq;
  f.frame.digest = digest(own);
  f.previous = digest(previous);
  return f;
}

FrameArrived gap_frame(std::uint64_t first, const std::vector<std::uint8_t>& digests,
                       std::uint8_t previous) {
  FrameArrived f;
  f.frame.kind = FrameKind::kGap;
  f.frame.first = first;
  f.frame.last = first + digests.size() - 1;
  f.gap.first = first;
  for (const std::uint8_t d : digests) f.gap.frames.push_back({digest(d), 10});
  f.frame.digest = digest(digests.back());
  f.previous = digest(previous);
  return f;
}

TEST(Admission, AFrameContinuesOnlyWhatIsCommitted) {
  const StreamState stream{5, digest(5), {}};
  EXPECT_EQ(check_frame(stream, results_frame(6, 5, 6)), FrameVerdict::kNext);
  EXPECT_EQ(check_frame(stream, results_frame(6, 4, 6)), FrameVerdict::kFork);
  EXPECT_EQ(check_frame(stream, results_frame(7, 6, 7)), FrameVerdict::kOutOfOrder);
  EXPECT_EQ(check_frame(stream, results_frame(5, 4, 5)), FrameVerdict::kCommitted);
  EXPECT_EQ(check_frame({}, results_frame(1, 99, 1)), FrameVerdict::kNext);
  EXPECT_EQ(check_frame({}, results_frame(0, 0, 1)), FrameVerdict::kMalformed);
}

TEST(Admission, AGapAroundTheHighWaterIsJudgedByItsKeptDigests) {
  const StreamState stream{5, digest(5), {}};
  const FrameArrived inside = gap_frame(4, {4, 5, 6, 7}, 3);
  EXPECT_EQ(check_frame(stream, inside), FrameVerdict::kNext);
  EXPECT_EQ(gapped_after(inside.gap, 5), 20U) << "only what lies after";
  EXPECT_EQ(check_frame(stream, gap_frame(4, {4, 50, 6, 7}, 3)), FrameVerdict::kFork);
  EXPECT_EQ(check_frame(stream, gap_frame(6, {6, 7}, 5)), FrameVerdict::kNext);
  EXPECT_EQ(check_frame(stream, gap_frame(6, {6, 7}, 4)), FrameVerdict::kFork);
  EXPECT_EQ(check_frame(stream, gap_frame(2, {2, 3, 4}, 1)), FrameVerdict::kCommitted);
  FrameArrived lies = gap_frame(6, {6, 7}, 5);
  lies.frame.last = 9;
  EXPECT_EQ(check_frame(stream, lies), FrameVerdict::kMalformed);
}

TEST(TickWindow, AgreesWithASetForTheLast64Ticks) {
  Rng rng{7};
  for (int round = 0; round < 50; ++round) {
    TickWindow window;
    std::set<std::uint32_t> seen;
    std::uint32_t base = 1'000'000;
    for (int i = 0; i < 500; ++i) {
      base += static_cast<std::uint32_t>(rng.below(rng.chance(0.02) ? 200 : 3));
      const auto tick = base - static_cast<std::uint32_t>(rng.below(90));
      const TickWindow::Seen got = window.look(tick);
      if (!seen.empty() && tick + 64 <= *seen.rbegin()) {
        EXPECT_EQ(got, TickWindow::Seen::kOutside);
        continue;
      }
      EXPECT_EQ(got, seen.contains(tick) ? TickWindow::Seen::kDuplicate : TickWindow::Seen::kNew);
      if (got == TickWindow::Seen::kNew) {
        window.mark(tick);
        seen.insert(tick);
      }
    }
  }
}

TEST(Admission, AResultIsAuthorisedByItsSlotSixtySecondsAround) {
  const AgentId agent = test::an_id<AgentId>(1);
  const WallTime t{1'000'000'000'000};
  const std::vector<Tenure> tenures{{agent, t, t + 1h}};
  const WallTime later = t + 3h;
  EXPECT_TRUE(authorised(tenures, agent, t - 60s, later));
  EXPECT_FALSE(authorised(tenures, agent, t - 61s, later));
  EXPECT_TRUE(authorised(tenures, agent, t + 1h + 60s, later));
  EXPECT_FALSE(authorised(tenures, agent, t + 1h + 61s, later));
  EXPECT_FALSE(authorised(tenures, test::an_id<AgentId>(2), t + 10min, later));
  EXPECT_TRUE(authorised(tenures, agent, t + 1h + 61s, t + 30min)) << "it had not ended then";
}

TEST(Admission, SlotsFarAheadOrBehindAreRefused) {
  const WallTime now{1'000'000'000'000};
  EXPECT_EQ(check_slot(now + 60s, 30s, 24h, now), Refusal::kNone);
  EXPECT_EQ(check_slot(now + 61s, 30s, 24h, now), Refusal::kFuture);
  EXPECT_EQ(check_slot(now - 24h, 30s, 24h, now), Refusal::kNone);
  EXPECT_EQ(check_slot(now - 24h - 1s, 30s, 24h, now), Refusal::kTooOld);
}

TEST(Admission, TheClockIsCorrectedBeyondTwoSecondsAndDistrustedBeyondAnHour) {
  EXPECT_EQ(clock_correction({1999, 5}), Duration{0});
  EXPECT_EQ(clock_correction({-2600, 5}), Duration{-3s});
  EXPECT_EQ(clock_correction({500'000, UINT32_MAX}), Duration{0}) << "never measured";
  EXPECT_FALSE(clock_distrusted({3'600'000, 5}));
  EXPECT_TRUE(clock_distrusted({3'600'001, 5}));
}

}  // namespace
}  // namespace tocsin::collector

#include "collector/core/history.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

constexpr std::int64_t kInterval = 30'000;
constexpr std::int64_t kFresh = 88'000;

Voter voter(std::vector<BallotSpan> spans, std::span<const BlindSpan> blind = {}) {
  return {std::move(spans), blind, kInterval, kFresh};
}

struct Line {
  std::int64_t at;
  MonitorStatus status;

  friend bool operator==(const Line&, const Line&) = default;
};

std::vector<Line> lines(const FoldInput& input) {
  std::vector<Line> out;
  for (const VerdictPoint& p : fold_history(input)) out.push_back({p.at_ms, p.status});
  return out;
}

TEST(History, StandsAtTheSlotOfTheVoteThatDecided) {
  FoldInput in;
  in.k = 2;
  in.now_ms = 200'000;
  in.voters = {voter({{100'000, 100'000, Ballot::kUp}, {130'000, 190'000, Ballot::kDown}}),
               voter({{110'000, 110'000, Ballot::kUp}, {140'000, 170'000, Ballot::kDown}})};
  using enum MonitorStatus;
  EXPECT_EQ(lines(in),
            (std::vector<Line>{
                {0, kUnknown}, {100'000, kUp}, {110'000, kUp}, {130'000, kUp}, {140'000, kDown}}));
}

TEST(History, AVoteExpiresAtItsSlotPlusFreshnessAndNotBefore) {
  FoldInput in;
  in.k = 1;
  in.voters = {voter({{100'000, 130'000, Ballot::kUp}})};
  in.from_ms = 100'000;
  in.now_ms = 130'000 + kFresh - 1;
  EXPECT_EQ(fold_history(in).back().status, MonitorStatus::kUp);
  in.now_ms = 130'000 + kFresh;
  EXPECT_EQ(fold_history(in).back().status, MonitorStatus::kUnknown);
  EXPECT_EQ(fold_history(in).back().at_ms, 130'000 + kFresh);
}

TEST(History, ABlindRegionHasNoVoteButWhatItSpooledCountsLater) {
  const std::vector<BlindSpan> blind{{150'000, 260'000}};
  FoldInput in;
  in.k = 1;
  in.from_ms = 100'000;
  in.now_ms = 200'000;
  in.voters = {voter({{100'000, 130'000, Ballot::kUp}}, blind)};
  EXPECT_EQ(fold_history(in).back(),
            (VerdictPoint{150'000, MonitorStatus::kUnknown, {1, 1, 0, 0, 0}, false}));
  in.now_ms = 300'000;
  in.voters = {voter({{100'000, 250'000, Ballot::kUp}}, blind)};  // 160 .. 250 came late.
  using enum MonitorStatus;
  EXPECT_EQ(lines(in), (std::vector<Line>{{100'000, kUp}, {150'000, kUnknown}, {160'000, kUp}}));
}

TEST(History, AnUndecidedVerdictLeavesTheStatusAloneInsideAStay) {
  FoldInput in;
  in.k = 1;
  in.before = {50'000, MonitorStatus::kUp, {1, 1, 0, 1, 0}, false};
  in.from_ms = 100'000;
  in.now_ms = 170'000;
  in.voters = {voter({})};
  in.stays = {{100'000, 180'000}};
  EXPECT_TRUE(fold_history(in).empty());
  in.now_ms = 190'000;
  EXPECT_EQ(lines(in), (std::vector<Line>{{180'000, MonitorStatus::kUnknown}}));
}

TEST(History, WhatFailedNeedsTheStrongerRuleToBeUp) {
  FoldInput in;
  in.k = 2;
  in.from_ms = 100'000;
  in.now_ms = 200'000;
  in.voters = {voter({{100'000, 130'000, Ballot::kDown}, {160'000, 190'000, Ballot::kUp}}),
               voter({{101'000, 191'000, Ballot::kDown}})};
  EXPECT_EQ(fold_history(in).back().status, MonitorStatus::kUnknown);
  EXPECT_TRUE(fold_history(in).back().failing);
}

}  // namespace
}  // namespace tocsin::collector

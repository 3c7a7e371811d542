#include "agent/core/self_health.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using Blame = SelfHealth::Blame;

MonoTime at(std::int64_t s) { return MonoTime{s * 1'000'000}; }

TEST(SelfHealth, ARefusalIsAlwaysTheTargets) {
  SelfHealth h;
  EXPECT_EQ(h.blame(Reason::kConnectRefused, 1, at(10)), Blame::kTarget);
  EXPECT_EQ(h.blame(Reason::kAssertStatus, 1, at(10)), Blame::kTarget);
  EXPECT_EQ(h.blame(Reason::kSelfDescriptors, 1, at(10)), Blame::kOurs);
}

TEST(SelfHealth, SilenceNeedsAProofOfOurOwnNetwork) {
  SelfHealth h;
  EXPECT_EQ(h.blame(Reason::kConnectTimeout, 1, at(10)), Blame::kUnproven);
  h.collector_answered(at(9));
  EXPECT_EQ(h.blame(Reason::kConnectTimeout, 1, at(10)), Blame::kUnproven);
  h.collector_answered(at(11));
  EXPECT_EQ(h.blame(Reason::kConnectTimeout, 1, at(10)), Blame::kTarget);
  SelfHealth other;
  other.checked(2, Outcome::kUp, Reason::kNone, at(12));
  EXPECT_EQ(other.blame(Reason::kConnectTimeout, 1, at(10)), Blame::kTarget);
}

TEST(SelfHealth, OwnFaultsInARowMakeUsBlindAndOneAnswerHeals) {
  SelfHealth h;
  for (int i = 0; i < 3; ++i) h.checked(1, Outcome::kNoData, Reason::kSelfUplink, at(i));
  EXPECT_EQ(h.health(at(3)), AgentHealth::kBlind);
  EXPECT_EQ(h.fault(), Reason::kSelfUplink);
  h.checked(1, Outcome::kDown, Reason::kConnectRefused, at(4));
  EXPECT_NE(h.health(at(4)), AgentHealth::kBlind);
}

TEST(SelfHealth, ADeniedAddressIsNoBlindness) {
  SelfHealth h;
  for (int i = 0; i < 9; ++i) h.checked(1, Outcome::kNoData, Reason::kPolicyDeniedAddress, at(i));
  EXPECT_EQ(h.health(at(9)), AgentHealth::kHealthy);
}

TEST(SelfHealth, MostTargetsSilentAtOnceIsSuspect) {
  SelfHealth h;
  for (std::uint64_t t = 0; t < 6; ++t) {
    const bool bad = t < 4;
    h.checked(t, bad ? Outcome::kDown : Outcome::kUp, bad ? Reason::kConnectTimeout : Reason::kNone,
              at(1));
  }
  EXPECT_EQ(h.health(at(2)), AgentHealth::kSuspect);
  EXPECT_EQ(h.health(at(200)), AgentHealth::kHealthy);
}

}  // namespace
}  // namespace tocsin::agent

#include "agent/core/self_health.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using Blame = SelfHealth::Blame;

MonoTime at(std::int64_t s) { return MonoTime{s * 1'000'000}; }

SelfHealth::Failed silent(MonoTime since) { return {Reason::kConnectTimeout, false, since}; }

SelfHealth::Failed lookup(Reason reason, MonoTime since) { return {reason, true, since}; }

/// One look at each anchor.
void look(SelfHealth& h, std::vector<bool> answers, MonoTime now) {
  for (std::size_t i = 0; i < answers.size(); ++i) h.anchor_looked(i, answers[i], now);
  h.update(now);
}

void check_targets(SelfHealth& h, int all, int failing, MonoTime now) {
  for (int t = 0; t < all; ++t) {
    const bool bad = t < failing;
    h.checked(static_cast<std::uint64_t>(t), bad ? Outcome::kDown : Outcome::kUp,
              bad ? Reason::kConnectTimeout : Reason::kNone, now);
  }
  h.update(now);
}

TEST(SelfHealth, ARefusalIsAlwaysTheTargets) {
  const SelfHealth h;
  EXPECT_EQ(h.blame({Reason::kConnectRefused, false, at(10)}), Blame::kTarget);
  EXPECT_EQ(h.blame({Reason::kAssertStatus, false, at(10)}), Blame::kTarget);
  EXPECT_EQ(h.blame({Reason::kSelfDescriptors, false, at(10)}), Blame::kOurs);
}

TEST(SelfHealth, SilenceNeedsAProofOfOurOwnNetwork) {
  SelfHealth h;
  EXPECT_EQ(h.blame(silent(at(10))), Blame::kUnproven);
  EXPECT_EQ(h.unproven(silent(at(10))), Reason::kSelfUplink);
  h.collector_answered(at(9));
  EXPECT_EQ(h.blame(silent(at(10))), Blame::kUnproven);
  h.collector_answered(at(11));
  EXPECT_EQ(h.blame(silent(at(10))), Blame::kTarget);
  SelfHealth other;
  other.checked(2, Outcome::kUp, Reason::kNone, at(12));
  EXPECT_EQ(other.blame(silent(at(10))), Blame::kTarget);
}

TEST(SelfHealth, WithAnchorsTheCollectorAndNearTargetsProveNothing) {
  SelfHealth h(2);
  h.collector_answered(at(11));
  h.checked(2, Outcome::kUp, Reason::kNone, at(12));
  EXPECT_EQ(h.blame(silent(at(10))), Blame::kUnproven);
  h.anchor_looked(1, true, at(12));
  EXPECT_EQ(h.blame(silent(at(10))), Blame::kTarget);
  EXPECT_EQ(h.blame(silent(at(13))), Blame::kUnproven);
}

TEST(SelfHealth, AResolverThatIsSilentOrUnableIsOursUntilItAnswersSomethingElse) {
  SelfHealth h;
  h.collector_answered(at(11));
  for (const Reason reason : {Reason::kDnsTimeout, Reason::kDnsServfail, Reason::kDnsNotAllowed}) {
    EXPECT_EQ(h.blame(lookup(reason, at(10))), Blame::kUnproven);
    EXPECT_EQ(h.unproven(lookup(reason, at(10))), Reason::kSelfResolver);
    EXPECT_TRUE(h.wants_resolver_proof(lookup(reason, at(10))));
  }
  EXPECT_EQ(h.blame(lookup(Reason::kDnsNxdomain, at(10))), Blame::kTarget);
  h.resolver_answered(false, at(11));  // SERVFAIL: it lives, and cannot.
  EXPECT_EQ(h.blame(lookup(Reason::kDnsTimeout, at(10))), Blame::kTarget);
  EXPECT_EQ(h.blame(lookup(Reason::kDnsServfail, at(10))), Blame::kUnproven);
  h.resolver_answered(true, at(11));
  EXPECT_EQ(h.blame(lookup(Reason::kDnsServfail, at(10))), Blame::kTarget);
}

TEST(SelfHealth, AResolverThatTheMonitorNamesIsPartOfTheTarget) {
  SelfHealth h;
  h.collector_answered(at(11));
  EXPECT_EQ(h.blame({Reason::kDnsServfail, false, at(10)}), Blame::kTarget);
  EXPECT_EQ(h.blame({Reason::kDnsTimeout, false, at(10)}), Blame::kTarget);
}

TEST(SelfHealth, WithoutAWayOutTheResolverIsNotToBlame) {
  const SelfHealth h;
  EXPECT_EQ(h.unproven(lookup(Reason::kDnsTimeout, at(10))), Reason::kSelfUplink);
}

TEST(SelfHealth, OwnFaultsInARowMakeUsBlind) {
  SelfHealth h;
  for (int i = 0; i < 2; ++i) h.checked(1, Outcome::kNoData, Reason::kSelfUplink, at(i));
  h.update(at(2));
  EXPECT_NE(h.state(), AgentHealth::kBlind);
  h.checked(1, Outcome::kNoData, Reason::kSelfResolver, at(3));
  EXPECT_TRUE(h.update(at(3)));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  EXPECT_EQ(h.fault(), Reason::kSelfResolver);
}

TEST(SelfHealth, ABetterStateHoldsOnceItWasDeservedForTenSeconds) {
  SelfHealth h;
  for (int i = 0; i < 3; ++i) h.checked(1, Outcome::kNoData, Reason::kSelfUplink, at(i));
  h.update(at(3));
  h.checked(1, Outcome::kUp, Reason::kNone, at(4));
  h.update(at(4));
  h.update(at(13));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  for (int i = 0; i < 3; ++i) h.checked(1, Outcome::kNoData, Reason::kSelfUplink, at(13));
  h.update(at(13));
  h.checked(1, Outcome::kUp, Reason::kNone, at(14));
  h.update(at(14));  // From here on again.
  h.update(at(23));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  EXPECT_TRUE(h.update(at(24)));
  EXPECT_EQ(h.state(), AgentHealth::kHealthy);
  EXPECT_EQ(h.fault(), Reason::kNone);
}

TEST(SelfHealth, ADeniedAddressIsNoBlindness) {
  SelfHealth h;
  for (int i = 0; i < 9; ++i) h.checked(1, Outcome::kNoData, Reason::kPolicyDeniedAddress, at(i));
  EXPECT_FALSE(h.update(at(9)));
  EXPECT_EQ(h.state(), AgentHealth::kHealthy);
}

TEST(SelfHealth, MostTargetsSilentAtOnceIsSuspect) {
  SelfHealth h;
  check_targets(h, 6, 4, at(1));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  EXPECT_EQ(h.fault(), Reason::kSelfTargets);
  h.update(at(200));
  h.update(at(210));
  EXPECT_EQ(h.state(), AgentHealth::kHealthy);
}

TEST(SelfHealth, AnchorsAndMostTargetsTogetherAreBlindness) {
  SelfHealth h(2);
  check_targets(h, 4, 1, at(1));
  look(h, {false, false}, at(2));
  EXPECT_EQ(h.state(), AgentHealth::kHealthy);  // One look is not enough.
  look(h, {false, false}, at(3));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  EXPECT_EQ(h.fault(), Reason::kSelfAnchors);
  check_targets(h, 4, 3, at(4));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  EXPECT_EQ(h.fault(), Reason::kSelfUplink);
  EXPECT_EQ(h.evidence(at(4)), "3 of 4 targets are silent, 2 of 2 anchors fail");
}

TEST(SelfHealth, OneAnchorThatAnswersIsAWayOut) {
  SelfHealth h(2);
  check_targets(h, 4, 4, at(1));
  look(h, {false, true}, at(2));
  look(h, {false, true}, at(3));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  EXPECT_EQ(h.blame(silent(at(2))), Blame::kTarget);
}

TEST(SelfHealth, AnAnchorThatIsGoneDoesNotHideOutagesForever) {
  SelfHealth h(1);
  check_targets(h, 4, 0, at(1));
  look(h, {false}, at(2));
  look(h, {false}, at(3));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  check_targets(h, 4, 0, at(601));
  h.collector_answered(at(601));
  EXPECT_EQ(h.blame(silent(at(600))), Blame::kUnproven);
  h.update(at(602));
  EXPECT_EQ(h.blame(silent(at(600))), Blame::kTarget);
  h.update(at(612));
  EXPECT_EQ(h.state(), AgentHealth::kHealthy);
  EXPECT_EQ(h.evidence(at(612)), "0 of 4 targets are silent, 0 of 0 anchors fail (1 do not count)");
  look(h, {true}, at(700));  // It counts again.
  EXPECT_EQ(h.blame(silent(at(701))), Blame::kUnproven);
}

TEST(SelfHealth, WhileWeAreBlindAnchorsGoOnCounting) {
  SelfHealth h(1);
  check_targets(h, 4, 4, at(1));
  look(h, {false}, at(2));
  look(h, {false}, at(3));
  for (int t = 60; t < 1000; t += 60) check_targets(h, 4, 4, at(t));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  EXPECT_TRUE(h.anchors()[0].counts);
}

TEST(SelfHealth, ShortDescriptorsAreSuspectWithTheReason) {
  SelfHealth h;
  h.descriptors(true);
  EXPECT_TRUE(h.update(at(1)));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  EXPECT_EQ(h.fault(), Reason::kSelfDescriptors);
}

TEST(SelfHealth, AClockOffByAMinuteIsSuspectAndByAnHourBlind) {
  SelfHealth h;
  h.clock({-50'000, 10});
  EXPECT_FALSE(h.update(at(1)));
  h.clock({-61'000, 10});
  h.update(at(2));
  EXPECT_EQ(h.state(), AgentHealth::kSuspect);
  h.clock({3'700'000, UINT32_MAX});  // Never measured.
  EXPECT_FALSE(h.update(at(3)));
  h.clock({3'700'000, 10});
  h.update(at(4));
  EXPECT_EQ(h.state(), AgentHealth::kBlind);
  EXPECT_EQ(h.fault(), Reason::kSelfClock);
}

TEST(SelfHealth, TheMemoryOfTargetsIsBoundedAndForgetsOldOnes) {
  SelfHealth h;
  for (std::uint64_t t = 0; t < SelfHealth::kSeenMax; ++t) {
    h.checked(t, Outcome::kUp, Reason::kNone, at(1));
  }
  h.checked(1'000'000, Outcome::kUp, Reason::kNone, at(100));
  EXPECT_EQ(h.evidence(at(101)), "0 of 4096 targets are silent");
  h.checked(1'000'000, Outcome::kUp, Reason::kNone, at(200));
  EXPECT_EQ(h.evidence(at(201)), "0 of 1 targets are silent");
}

}  // namespace
}  // namespace tocsin::agent

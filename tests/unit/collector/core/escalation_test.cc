#include "collector/core/escalation.h"

#include "collector/core/notify_plan.h"
#include "tests/support/builders.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

constexpr WallTime kT{1'000'000'000'000};

IncidentRow incident_with(PolicySpec policy) {
  IncidentRow row;
  row.id = test::an_id<IncidentId>(1);
  row.policy = std::move(policy);
  return row;
}

TEST(Escalation, CountsADelayFromTheStepBefore) {
  const auto policy = test::a_policy("web", {{0s, "a"}, {15min, "b"}, {10min, "c"}});
  EscalationRow row = begin_escalation(incident_with(policy), kT);
  EXPECT_EQ(row.due_at, kT);
  StepTaken first = take_step(policy, row, kT);
  EXPECT_EQ(first.because, "step 1");
  EXPECT_EQ(first.next.due_at, kT + 15min);
  const WallTime late = kT + 3h;  // We were away: one step, and the next from now.
  StepTaken second = take_step(policy, first.next, late);
  EXPECT_EQ(second.targets, (std::vector<NotifyTarget>{{"b"}}));
  EXPECT_EQ(second.because, "no ack after 15m");
  EXPECT_EQ(second.next.due_at, late + 10min);
  const StepTaken third = take_step(policy, second.next, late + 10min);
  EXPECT_EQ(third.because, "no ack after 25m");
  EXPECT_TRUE(third.next.done);
}

TEST(Escalation, RepeatsTheLadderThenTellsTheFallbackOnce) {
  auto policy = test::a_policy("web", {{0s, "a"}});
  policy.repeat = 1;
  policy.fallback = NotifyTarget{"boss"};
  const StepTaken first = take_step(policy, begin_escalation(incident_with(policy), kT), kT);
  EXPECT_EQ(first.next.repeat, 1);
  EXPECT_EQ(first.next.due_at, kT + kLadderPauseMin);
  const StepTaken again = take_step(policy, first.next, first.next.due_at);
  EXPECT_EQ(again.because, "no ack, round 2 step 1");
  const StepTaken fallback = take_step(policy, again.next, again.next.due_at);
  EXPECT_TRUE(fallback.fallback);
  EXPECT_EQ(fallback.targets, (std::vector<NotifyTarget>{{"boss"}}));
  EXPECT_TRUE(fallback.next.done);
}

TEST(Escalation, WithoutAPolicyIsDoneAtOnce) {
  EXPECT_TRUE(begin_escalation(incident_with({}), kT).done);
}

TEST(NotifyPlan, TellsAChannelOnceAndResolvesWhereTheTriggerWent) {
  IncidentRow incident = incident_with({});
  incident.timeline_seq = 2;
  const std::map<std::string, ChannelSpec> channels{{"a", test::a_channel("a")}};
  StepTaken step;
  step.targets = {{"a"}, {"a"}, {"gone"}};
  const NotifyPlan plan = plan_triggers(incident, step, channels, nullptr, kT);
  ASSERT_EQ(plan.rows.size(), 1U);
  EXPECT_EQ(plan.missing, std::vector<std::string>{"gone"});
  incident.notified = plan.notified;
  // The channel is edited and told again: both destinations hear the end.
  std::map<std::string, ChannelSpec> edited = channels;
  edited["a"].url = "http://elsewhere/";
  incident.notified = plan_triggers(incident, step, edited, nullptr, kT).notified;
  const auto resolves = plan_resolves(incident, nullptr, kT);
  ASSERT_EQ(resolves.size(), 2U);
  EXPECT_EQ(resolves[0].destination.url, channels.at("a").url);
  EXPECT_EQ(resolves[1].destination.url, "http://elsewhere/");
  EXPECT_NE(resolves[0].repeat, resolves[1].repeat) << "unique over (cause, step, repeat, channel)";
}

}  // namespace
}  // namespace tocsin::collector

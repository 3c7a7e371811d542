#include "collector/core/escalation.h"

#include "collector/core/notify_plan.h"
#include "common/base/hash.h"
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
  Catalog catalog;
  catalog.channels["a"] = test::a_channel("a");
  StepTaken step;
  step.targets = {{"a"}, {"a"}, {"gone"}};
  const NotifyPlan plan = plan_triggers(incident, step, catalog, nullptr, kT);
  ASSERT_EQ(plan.rows.size(), 1U);
  EXPECT_EQ(plan.unreached, std::vector<std::string>{"channel 'gone' no longer exists"});
  incident.notified = plan.notified;
  // The channel is edited and told again: both destinations hear the end.
  Catalog edited = catalog;
  edited.channels["a"].url = "http://elsewhere/";
  incident.notified = plan_triggers(incident, step, edited, nullptr, kT).notified;
  const auto resolves = plan_resolves(incident, edited, nullptr, kT);
  ASSERT_EQ(resolves.size(), 2U);
  EXPECT_EQ(resolves[0].destination.url, catalog.channels.at("a").url);
  EXPECT_EQ(resolves[1].destination.url, "http://elsewhere/");
  EXPECT_NE(resolves[0].repeat, resolves[1].repeat) << "unique over (cause, step, repeat, channel)";
}

ContactMethod mail_of(const std::string& key) {
  ContactMethod contact;
  contact.id = test::an_id<ContactMethodId>(fnv1a64(key));
  contact.key = key;
  contact.to = key + "@example.org";
  return contact;
}

/// Ann with the contact methods "mail", "work" and "sms".
UserSpec ann() {
  UserSpec user;
  user.key = "ann";
  user.contacts = {mail_of("mail"), mail_of("work"), mail_of("sms")};
  return user;
}

NotifyPlan told(const UserSpec& user, Urgency urgency = Urgency::kHigh) {
  IncidentRow incident = incident_with({});
  incident.urgency = urgency;
  Catalog catalog;
  catalog.users[user.key] = user;
  StepTaken step;
  step.targets = {{"", "ann"}};
  return plan_triggers(incident, step, catalog, nullptr, kT);
}

std::vector<std::pair<std::string, Duration>> moments(const NotifyPlan& plan) {
  std::vector<std::pair<std::string, Duration>> out;
  for (const OutboxRow& row : plan.rows) out.emplace_back(row.channel, row.due - kT);
  return out;
}

using Moments = std::vector<std::pair<std::string, Duration>>;

TEST(NotifyPlan, ReachesAUserWithoutRulesByOneContactAfterTheOther) {
  const NotifyPlan plan = told(ann());
  EXPECT_EQ(moments(plan), (Moments{{"ann/mail", 0s}, {"ann/work", 5min}, {"ann/sms", 10min}}));
  ASSERT_EQ(plan.rows.size(), 3U);
  EXPECT_TRUE(plan.rows[0].more_contacts);
  EXPECT_TRUE(plan.rows[1].more_contacts);
  EXPECT_FALSE(plan.rows[2].more_contacts) << "nobody comes after the last one";
  EXPECT_EQ(plan.rows[1].user, "ann");
  EXPECT_EQ(plan.rows[1].destination.to, "work@example.org");
  EXPECT_EQ(plan.rows[1].created, kT);
  EXPECT_EQ(plan.first_user, "ann");
  EXPECT_EQ(plan.notified.size(), 3U) << "each of them hears the end";
}

TEST(NotifyPlan, FollowsTheRulesThatFitTheUrgencySoonestFirst) {
  UserSpec user = ann();
  user.rules = {{{}, "sms", 10min, Urgency::kHigh},
                {{}, "mail", 2min, std::nullopt},
                {{}, "work", 0s, Urgency::kLow},
                {{}, "mail", 30min, std::nullopt}};
  const NotifyPlan high = told(user);
  EXPECT_EQ(moments(high), (Moments{{"ann/mail", 2min}, {"ann/sms", 10min}}))
      << "one intent per destination, the sooner one";
  EXPECT_TRUE(high.rows.at(0).more_contacts);
  EXPECT_FALSE(high.rows.at(1).more_contacts);
  EXPECT_EQ(moments(told(user, Urgency::kLow)), (Moments{{"ann/work", 0s}, {"ann/mail", 2min}}));
}

TEST(NotifyPlan, SaysWhyAUserIsNotReached) {
  UserSpec user = ann();
  user.disabled = true;
  EXPECT_TRUE(told(user).rows.empty());
  EXPECT_EQ(told(user).unreached, std::vector<std::string>{"user 'ann' is disabled"});
  user = ann();
  user.contacts.clear();
  EXPECT_EQ(told(user).unreached, std::vector<std::string>{"user 'ann' has no contact method"});
  user = ann();
  user.rules = {{{}, "mail", 0s, Urgency::kHigh}};
  EXPECT_TRUE(told(user, Urgency::kLow).rows.empty());
  EXPECT_EQ(told(user, Urgency::kLow).unreached.size(), 1U);
  user.key = "bob";
  EXPECT_EQ(told(user).unreached, std::vector<std::string>{"user 'ann' no longer exists"});
}

}  // namespace
}  // namespace tocsin::collector

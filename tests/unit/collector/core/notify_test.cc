#include "collector/core/notify_plan.h"
#include "common/base/hash.h"
#include "tests/support/engine_rig.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

using test::a_channel;
using test::a_monitor;
using test::a_policy;
using test::a_region;
using test::a_service;
using test::EngineRig;

UserSpec a_user(const std::string& key, const std::vector<std::string>& contacts) {
  UserSpec user;
  user.id = test::an_id<UserId>(fnv1a64(key));
  user.key = key;
  user.name = key;
  user.role = Role::kResponder;
  for (const std::string& contact : contacts) {
    ContactMethod method;
    method.id = test::an_id<ContactMethodId>(fnv1a64(key + "/" + contact));
    method.key = contact;
    method.to = contact + "@example.org";
    user.contacts.push_back(method);
  }
  return user;
}

/// One monitor, one region, and people: ann has two contact methods, bob one.
struct People : EngineRig {
  People() {
    edit.origin = Origin::kFile;
    edit.prune = true;
    edit.regions = {a_region("ber")};
    edit.channels = {a_channel("ops"), a_channel("boss")};
    edit.users = {a_user("ann", {"mail", "sms"}), a_user("bob", {"mail"})};
    edit.policies = {a_policy("web", {{0s, "ops"}, {15min, "boss"}})};
    edit.services = {a_service("shop", "web"), a_service("system", "")};
    edit.monitors = {a_monitor("shop").service("shop").build()};
  }

  void begin() {
    define(edit);
    add_agent("ber");
    advance(2min);
  }

  void sees(Outcome outcome) { send(agent_in("ber"), {result(series_of("shop", "ber"), outcome)}); }

  /// Defined, and the shop is down.
  void open() {
    begin();
    sees(Outcome::kUp);
    advance(30s);
    sees(Outcome::kDown);
  }

  void resolve() { step(ResolveIncident{incident().id, "bob"}); }

  PolicySpec& policy() { return edit.policies[0]; }

  IncidentRow incident() const { return incidents().front(); }

  std::vector<std::string> told(NotificationKind kind) const {
    std::vector<std::string> out;
    for (const OutboxRow& row : outbox) {
      if (row.kind == kind) out.push_back(row.channel);
    }
    return out;
  }

  std::vector<std::string> pages() const { return told(NotificationKind::kTrigger); }

  /// The timeline of the first incident, lines of that type.
  std::vector<std::string> lines(TimelineType type) const {
    std::vector<std::string> out;
    for (const auto& [key, row] : timeline) {
      if (key.first == incident().id && row.type == type) out.push_back(row.text);
    }
    return out;
  }

  ~People() {
    expect_restorable();
    for (const std::string& text : trouble) ADD_FAILURE() << text;
  }

  CatalogEdit edit;
};

using Keys = std::vector<std::string>;

TEST(Notify, AStepForAUserIsOneIntentPerContactMethodAndTheEndGoesToEach) {
  People rig;
  rig.policy().steps[0].notify = {{"", "ann"}};
  rig.open();
  ASSERT_EQ(rig.pages(), (Keys{"ann/mail", "ann/sms"}));
  EXPECT_EQ(rig.outbox[0].due, rig.outbox[0].created);
  EXPECT_EQ(rig.outbox[1].due - rig.outbox[1].created, kContactPause);
  rig.resolve();
  EXPECT_EQ(rig.told(NotificationKind::kResolve), (Keys{"ann/mail", "ann/sms"}));
  EXPECT_EQ(rig.cancelled.size(), 1U) << "what waits for its moment is called off";
}

TEST(Notify, AStepThatReachesNobodyIsSkippedAtOnce) {
  People rig;
  rig.edit.users[0].disabled = true;
  rig.edit.users[1].contacts.clear();
  rig.policy().steps = {{0s, {{"", "ann"}}}, {15min, {{"", "bob"}}}, {15min, {{"ops", ""}}}};
  rig.open();
  EXPECT_EQ(rig.pages(), Keys{"ops"});
  const Keys lines = rig.lines(TimelineType::kStep);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], "step 1 skipped, it reaches nobody: user 'ann' is disabled");
  EXPECT_EQ(lines[1], "step 2 skipped, it reaches nobody: user 'bob' has no contact method");
  rig.advance(2h);
  EXPECT_EQ(rig.pages(), Keys{"ops"}) << "there was no further step";
}

TEST(Notify, ALadderThatReachesNobodyEndsWithTheFallback) {
  People rig;
  rig.edit.users[0].disabled = true;
  rig.policy().steps = {{0s, {{"", "ann"}}}, {15min, {{"", "ann"}}}};
  rig.policy().repeat = 10;
  rig.policy().fallback = NotifyTarget{"boss", ""};
  rig.open();
  EXPECT_EQ(rig.pages(), Keys{"boss"});
  EXPECT_EQ(rig.lines(TimelineType::kStep).size(), 2U) << "further rounds would reach nobody too";
  EXPECT_EQ(rig.lines(TimelineType::kFallback).size(), 1U);
}

TEST(Notify, ALadderThatReachesNobodyAtAllEnds) {
  People rig;
  rig.edit.users[0].disabled = true;
  rig.policy().steps = {{0s, {{"", "ann"}}}};
  rig.policy().repeat = 10;
  rig.policy().fallback = NotifyTarget{"", "ann"};
  rig.open();
  EXPECT_TRUE(rig.outbox.empty());
  EXPECT_EQ(rig.lines(TimelineType::kFallback),
            Keys{"fallback reaches nobody: user 'ann' is disabled"});
  EXPECT_EQ(rig.engine().next_wakeup(rig.now()) > rig.now().mono, true);
}

TEST(Notify, TheFirstUserAStepReachesIsAssigned) {
  People rig;
  rig.edit.users[0].disabled = true;
  rig.policy().steps = {{0s, {{"ops", ""}}}, {15min, {{"", "ann"}, {"", "bob"}}}};
  rig.open();
  EXPECT_EQ(rig.incident().assignee, "") << "a channel is nobody";
  rig.advance(15min);
  EXPECT_EQ(rig.incident().assignee, "bob");
  EXPECT_EQ(rig.lines(TimelineType::kAssigned).size(), 1U);
}

TEST(Notify, AnAssigneeStaysWhenItIsEscalatedFurther) {
  People rig;
  rig.policy().steps = {{0s, {{"", "ann"}}}, {15min, {{"", "bob"}}}};
  rig.open();
  EXPECT_EQ(rig.incident().assignee, "ann");
  rig.advance(15min);
  EXPECT_EQ(rig.pages(), (Keys{"ann/mail", "ann/sms", "bob/mail"}));
  EXPECT_EQ(rig.incident().assignee, "ann");
}

TEST(Notify, AnAcknowledgementThatRunsOutOpensItAgainFromTheFirstStep) {
  People rig;
  rig.policy().ack_timeout = 30min;
  rig.open();
  rig.advance(15min);
  ASSERT_EQ(rig.pages(), (Keys{"ops", "boss"}));
  rig.step(AcknowledgeIncident{rig.incident().id, "user:ann", "ann"});
  EXPECT_EQ(rig.incident().state, IncidentState::kAcknowledged);
  rig.advance(30min - 1s);
  EXPECT_EQ(rig.pages().size(), 2U);
  rig.restart();  // The end of it is in the store.
  rig.connect(rig.agent(0));
  rig.advance(1s);
  EXPECT_EQ(rig.incident().state, IncidentState::kOpen);
  EXPECT_FALSE(rig.incident().acknowledged_at);
  EXPECT_EQ(rig.lines(TimelineType::kAckExpired),
            Keys{"not resolved 30m after user:ann acknowledged it: open again"});
  EXPECT_EQ(rig.pages(), (Keys{"ops", "boss", "ops"}));
  rig.advance(15min);
  EXPECT_EQ(rig.pages(), (Keys{"ops", "boss", "ops", "boss"}));
  const Decision again = rig.step(AcknowledgeIncident{rig.incident().id, "user:bob", "bob"});
  EXPECT_FALSE(again.reply->error) << "it may be answered anew";
}

TEST(Notify, WithoutAnAckTimeoutAnAcknowledgementHolds) {
  People rig;
  rig.open();
  rig.step(AcknowledgeIncident{rig.incident().id, "user:ann", "ann"});
  rig.advance(3h);
  EXPECT_EQ(rig.incident().state, IncidentState::kAcknowledged);
  EXPECT_EQ(rig.pages(), Keys{"ops"});
}

TEST(Notify, AnAcknowledgementIsToldToChannelsAndWatchersAndNotToThoseWhoWerePaged) {
  People rig;
  rig.policy().steps[0].notify = {{"ops", ""}, {"", "ann"}};
  rig.open();
  rig.step(WatchIncident{rig.incident().id, "bob", true, "user:bob"});
  rig.step(AcknowledgeIncident{rig.incident().id, "user:ann", "ann"});
  EXPECT_EQ(rig.told(NotificationKind::kUpdate), (Keys{"ops", "bob/mail"}));
  EXPECT_TRUE(rig.outbox.back().content.title.starts_with("Acknowledged by ann: "));
  rig.resolve();
  EXPECT_EQ(rig.told(NotificationKind::kResolve), (Keys{"ops", "ann/mail", "ann/sms", "bob/mail"}));
}

TEST(Notify, WhoAcknowledgesIsNotToldOfItAndAWatcherHearsTheEndAnyway) {
  People rig;
  rig.open();
  rig.step(WatchIncident{rig.incident().id, "bob", true, "user:bob"});
  rig.step(AcknowledgeIncident{rig.incident().id, "user:bob", "bob"});
  EXPECT_EQ(rig.told(NotificationKind::kUpdate), Keys{"ops"});
  rig.resolve();
  EXPECT_EQ(rig.told(NotificationKind::kResolve), (Keys{"ops", "bob/mail"}));
}

TEST(Notify, AWatcherWhoseOwnPageIsStillToComeHearsTheEndAsAWatcher) {
  People rig;
  rig.policy().steps[0].notify = {{"", "ann"}};
  rig.open();
  rig.step(WatchIncident{rig.incident().id, "ann", true, "user:ann"});
  rig.resolve();
  EXPECT_EQ(rig.told(NotificationKind::kResolve), (Keys{"ann/mail", "ann/sms"}));
  for (const OutboxRow& row : rig.outbox) {
    if (row.kind != NotificationKind::kResolve) continue;
    EXPECT_EQ(row.step, row.channel == "ann/mail" ? kWatchingStep : 0) << row.channel;
  }
}

DeliveryTrouble trouble(const People& rig, const std::string& channel, bool more, bool dead) {
  DeliveryTrouble event;
  event.incident = rig.incident().id;
  event.channel = channel;
  event.user = channel.find('/') == std::string::npos ? "" : channel.substr(0, channel.find('/'));
  event.more_contacts = more;
  event.dead = dead;
  event.why = "refused";
  return event;
}

TEST(Notify, TroubleIsNotedOncePerDestinationAndHurriesTheNextContact) {
  People rig;
  rig.policy().steps[0].notify = {{"", "ann"}};
  rig.open();
  const Decision first = rig.step(trouble(rig, "ann/mail", true, false));
  rig.step(trouble(rig, "ann/mail", true, false));
  EXPECT_EQ(rig.lines(TimelineType::kDeliveryFailed), Keys{"ann/mail: refused"});
  EXPECT_TRUE(std::any_of(first.rows.begin(), first.rows.end(),
                          [](const Row& row) { return std::holds_alternative<HurryOutbox>(row); }));
  rig.step(trouble(rig, "ann/mail", true, true));
  EXPECT_EQ(rig.pages(), (Keys{"ann/mail", "ann/sms"})) << "ann has another way";
}

TEST(Notify, ADeadMessageToTheLastContactTakesTheNextStepNow) {
  People rig;
  rig.policy().steps[0].notify = {{"", "ann"}};
  rig.open();
  rig.step(trouble(rig, "ann/sms", false, false));
  EXPECT_EQ(rig.pages().size(), 2U) << "it is still tried";
  rig.step(trouble(rig, "ann/sms", false, true));
  EXPECT_EQ(rig.pages(), (Keys{"ann/mail", "ann/sms", "boss"}));
  EXPECT_EQ(rig.lines(TimelineType::kDeliveryFailed).back(),
            "ann/sms: refused; the next step is taken now");
  rig.advance(1h);
  EXPECT_EQ(rig.pages().size(), 3U) << "and not once more at its own time";
}

TEST(Notify, ADeadMessageChangesNothingOnceSomebodyHasAnswered) {
  People rig;
  rig.policy().ack_timeout = 1h;
  rig.open();
  rig.step(AcknowledgeIncident{rig.incident().id, "user:ann", "ann"});
  rig.step(trouble(rig, "ops", false, true));
  EXPECT_EQ(rig.incident().state, IncidentState::kAcknowledged);
  EXPECT_EQ(rig.pages(), Keys{"ops"});
}

TEST(Notify, ADeadChannelIsAnIncidentOfItsOwnThatIsNotToldToIt) {
  People rig;
  rig.edit.policies.push_back(a_policy("sys", {}));
  rig.edit.policies[1].steps = {{0s, {{"ops", ""}}}, {15min, {{"ops", ""}, {"boss", ""}}}};
  rig.edit.services[1] = a_service("system", "sys");
  rig.begin();
  rig.step(ChannelHealth{"ops", false, rig.now().wall - 5min, "connection refused"});
  rig.step(ChannelHealth{"ops", false, rig.now().wall - 5min, "connection refused"});
  ASSERT_EQ(rig.open_incidents().size(), 1U) << "one at most";
  const IncidentRow incident = rig.incident();
  EXPECT_EQ(incident.kind, IncidentKind::kDeadChannel);
  EXPECT_EQ(incident.service, "system");
  EXPECT_EQ(incident.channel, "ops");
  EXPECT_EQ(incident.started_at, rig.now().wall - 5min);
  EXPECT_EQ(rig.pages(), Keys{"boss"});
  rig.restart();
  rig.step(ChannelHealth{"ops", false, rig.now().wall, "connection refused"});
  EXPECT_EQ(rig.open_incidents().size(), 1U) << "known after a restart";
  rig.step(ChannelHealth{"ops", true, rig.now().wall, ""});
  EXPECT_TRUE(rig.open_incidents().empty());
  EXPECT_EQ(rig.told(NotificationKind::kResolve), Keys{"boss"});
  EXPECT_TRUE(rig.step(ChannelHealth{"ops", true, rig.now().wall, ""}).rows.empty());
}

TEST(Notify, ADeadChannelThatIsRemovedIsNoIncidentAnyMore) {
  People rig;
  rig.begin();
  rig.step(ChannelHealth{"bob/mail", false, rig.now().wall, "no such user here"});
  rig.step(ChannelHealth{"nobody/mail", false, rig.now().wall, "no such user here"});
  ASSERT_EQ(rig.open_incidents().size(), 1U) << "what does not exist cannot be dead";
  rig.edit.users[1].contacts.clear();
  rig.define(rig.edit);
  EXPECT_TRUE(rig.open_incidents().empty());
  EXPECT_EQ(rig.incident().resolved_because, "it was removed");
}

TEST(Notify, APersonMayResolveTheIncidentOfADeadChannel) {
  People rig;
  rig.begin();
  rig.step(ChannelHealth{"ops", false, rig.now().wall, "connection refused"});
  rig.resolve();
  EXPECT_TRUE(rig.open_incidents().empty());
  rig.step(ChannelHealth{"ops", false, rig.now().wall, "connection refused"});
  EXPECT_EQ(rig.open_incidents().size(), 1U);
}

}  // namespace
}  // namespace tocsin::collector

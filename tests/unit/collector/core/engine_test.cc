#include "collector/core/engine.h"

#include "common/base/rng.h"
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
using test::RigAgent;

CatalogEdit the_shop(std::vector<std::string> regions) {
  CatalogEdit edit;
  for (const std::string& key : regions) edit.regions.push_back(a_region(key));
  edit.channels = {a_channel("ops"), a_channel("boss")};
  edit.policies = {a_policy("web", {{0s, "ops"}, {15min, "boss"}})};
  edit.services = {a_service("shop", "web"), a_service("system", "web")};
  edit.monitors = {a_monitor("shop").service("shop").build()};
  return edit;
}

/// A rig with one agent per region, settled.
struct Shop : EngineRig {
  explicit Shop(std::vector<std::string> regions = {"ber", "fra"}) {
    define(the_shop(regions));
    for (const std::string& region : regions) add_agent(region);
    advance(2min);
  }

  /// The newest slot of each region, in order, with this outcome.
  void everywhere(Outcome outcome) {
    for (std::size_t i = 0; i < agents(); ++i) from(agent(i).region, outcome);
  }

  void from(const std::string& region, Outcome outcome) {
    send(agent_in(region), {result(series_of("shop", region), outcome)});
  }

  const AgentRow& row(const RigAgent& agent) { return agent_rows.at(agent.id); }

  ~Shop() {
    for (const std::string& text : trouble) ADD_FAILURE() << text;
  }
};

template <class T>
const T* last_heard(const RigAgent& agent) {
  for (auto it = agent.heard.rbegin(); it != agent.heard.rend(); ++it) {
    if (const auto* m = std::get_if<T>(&*it)) return m;
  }
  return nullptr;
}

TEST(Engine, AFrameIsAcknowledgedWithItsDigestAndOnlyOnceCounted) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  const FrameArrived frame =
      rig.frame(ber, {rig.result(rig.series_of("shop", "ber"), Outcome::kUp)});
  rig.step(frame);
  ASSERT_NE(last_heard<Ack>(ber), nullptr);
  EXPECT_EQ(last_heard<Ack>(ber)->stream.high_water, 1U);
  EXPECT_EQ(last_heard<Ack>(ber)->stream.digest, ber.digest);
  const Decision again = rig.step(frame);
  EXPECT_TRUE(again.rows.empty());
  EXPECT_TRUE(again.journal.empty());
  EXPECT_EQ(last_heard<Ack>(ber)->stream.high_water, 1U);
  EXPECT_EQ(rig.row(ber).results_stored, 1U);
}

TEST(Engine, AFrameThatDoesNotFitIsRefusedWithWhatIsCommitted) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  rig.from("ber", Outcome::kUp);
  rig.advance(30s);
  FrameArrived fork = rig.frame(ber, {rig.result(rig.series_of("shop", "ber"), Outcome::kUp)});
  fork.previous[0] ^= 1;
  rig.step(fork);
  ASSERT_NE(last_heard<Nack>(ber), nullptr);
  EXPECT_EQ(last_heard<Nack>(ber)->code, NackCode::kFork);
  EXPECT_EQ(last_heard<Nack>(ber)->stream.high_water, 1U);
  EXPECT_EQ(rig.row(ber).forks, 1U);
  FrameArrived ahead = rig.frame(ber, {});
  rig.step(ahead);
  EXPECT_EQ(last_heard<Nack>(ber)->code, NackCode::kOutOfOrder);
  EXPECT_EQ(rig.row(ber).results_stored, 1U);
}

TEST(Engine, EveryResultIsStoredOrRefusedForOneReason) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  const SeriesId mine = rig.series_of("shop", "ber");
  const SeriesId other = rig.series_of("shop", "fra");
  const std::uint32_t tick = rig.grid_of(mine).tick_at_or_before(rig.now().wall);
  CheckResult missed = rig.result_at(mine, tick - 3, Outcome::kMissed);
  missed.kind = ResultKind::kMissed;
  missed.tick_last = tick - 2;
  missed.missed = MissedCause::kOverload;
  FrameArrived frame = rig.frame(
      ber, {rig.result_at(mine, tick, Outcome::kUp), rig.result_at(mine, tick, Outcome::kDown),
            rig.result_at(other, tick, Outcome::kUp), rig.result_at(mine, tick + 4, Outcome::kUp),
            rig.result_at(mine, tick - 100'000, Outcome::kUp), missed});
  frame.unreadable = 2;
  rig.step(frame);
  const AgentRow& row = rig.row(ber);
  EXPECT_EQ(row.results_stored, 3U);
  EXPECT_EQ(row.refused_duplicate, 1U);
  EXPECT_EQ(row.refused_unassigned, 2U);  // Another's series; long before the assignment.
  EXPECT_EQ(row.refused_future, 1U);
  EXPECT_EQ(row.refused_quarantined, 2U);
}

TEST(Engine, AStoredTickOutsideTheWindowIsADuplicateThroughTheStore) {
  Shop rig;
  rig.advance(1h);
  RigAgent& ber = rig.agent_in("ber");
  const SeriesId mine = rig.series_of("shop", "ber");
  const std::uint32_t now = rig.grid_of(mine).tick_at_or_before(rig.now().wall);
  rig.send(ber, {rig.result_at(mine, now - 90, Outcome::kUp)});
  rig.send(ber, {rig.result_at(mine, now, Outcome::kUp)});
  const FrameArrived probe = rig.frame(ber, {rig.result_at(mine, now - 90, Outcome::kUp),
                                             rig.result_at(mine, now - 91, Outcome::kUp)});
  EXPECT_EQ(rig.engine().unknown_ticks(probe).size(), 2U);
  FrameArrived frame = probe;
  frame.known = {{mine, now - 90}};
  rig.step(frame);
  EXPECT_EQ(rig.row(ber).refused_duplicate, 1U);
  EXPECT_EQ(rig.row(ber).results_stored, 3U);
}

TEST(Engine, TwoRegionsDownOpenOneIncidentWithEvidenceAndOnePage) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUp);
  rig.advance(30s);
  rig.from("ber", Outcome::kDown);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUp);
  EXPECT_TRUE(rig.open_incidents().empty());
  rig.from("fra", Outcome::kDown);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kDown);
  ASSERT_EQ(rig.open_incidents().size(), 1U);
  const IncidentRow incident = rig.open_incidents()[0];
  EXPECT_EQ(incident.evidence.size(), 2U);
  EXPECT_EQ(incident.votes.size(), 2U);
  EXPECT_EQ(incident.title, "shop is down");
  EXPECT_LT(incident.started_at, incident.opened_at);
  ASSERT_EQ(rig.outbox.size(), 1U);
  EXPECT_EQ(rig.outbox[0].channel, "ops");
  EXPECT_EQ(rig.outbox[0].content.step_because, "step 1");
  rig.advance(30s);
  rig.everywhere(Outcome::kDown);
  EXPECT_EQ(rig.outbox.size(), 1U);
}

TEST(Engine, NoRestartOpensAnIncidentOnVotesOfTheLifeBefore) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.advance(30s);
  rig.from("ber", Outcome::kDown);
  rig.restart();
  for (std::size_t i = 0; i < rig.agents(); ++i) rig.connect(rig.agent(i));
  rig.from("fra", Outcome::kDown);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kDown);
  EXPECT_TRUE(rig.open_incidents().empty()) << "one of the two votes is from before";
  rig.advance(30s);
  rig.from("ber", Outcome::kDown);
  EXPECT_EQ(rig.open_incidents().size(), 1U);
}

TEST(Engine, AfterARestartNobodyIsJudgedSilentForNinetySeconds) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.restart();
  rig.advance(89s);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUp);
  EXPECT_TRUE(rig.open_incidents().empty());
  rig.advance(2s);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUnknown);
  EXPECT_EQ(rig.open_incidents().size(), 2U) << "monitoring impaired, per region";
}

TEST(Engine, ALateResultRewritesHistoryMovesTheStartAndNeverPages) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  const SeriesId ber = rig.series_of("shop", "ber");
  const SeriesId fra = rig.series_of("shop", "fra");
  rig.advance(10min);  // Nothing arrives: both are cut off.
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUnknown);
  const std::uint32_t b = rig.grid_of(ber).tick_at_or_before(rig.now().wall);
  const std::uint32_t f = rig.grid_of(fra).tick_at_or_before(rig.now().wall);
  std::vector<CheckResult> late_b;
  std::vector<CheckResult> late_f;
  for (std::uint32_t i = 10; i > 6; --i) {
    late_b.push_back(rig.result_at(ber, b - i, Outcome::kDown));
    late_f.push_back(rig.result_at(fra, f - i, Outcome::kDown));
  }
  rig.send(rig.agent_in("ber"), late_b);
  rig.send(rig.agent_in("fra"), late_f);
  EXPECT_TRUE(rig.open_incidents().empty());
  EXPECT_TRUE(rig.outbox.empty());
  const auto history = rig.history_of("shop");
  EXPECT_TRUE(std::any_of(history.begin(), history.end(), [](const VerdictRow& v) {
    return v.status == MonitorStatus::kDown && v.late;
  }));
  // It still fails now: fresh results page, and what is late moves the start back.
  rig.send(rig.agent_in("ber"), {rig.result_at(ber, b, Outcome::kDown)});
  rig.send(rig.agent_in("fra"), {rig.result_at(fra, f, Outcome::kDown)});
  ASSERT_EQ(rig.open_incidents().size(), 1U);
  const WallTime started = rig.open_incidents()[0].started_at;
  std::vector<CheckResult> rest_b;
  std::vector<CheckResult> rest_f;
  for (std::uint32_t i = 14; i > 10; --i) {
    rest_b.push_back(rig.result_at(ber, b - i, Outcome::kDown));
    rest_f.push_back(rig.result_at(fra, f - i, Outcome::kDown));
  }
  rig.send(rig.agent_in("ber"), rest_b);
  rig.send(rig.agent_in("fra"), rest_f);
  EXPECT_LT(rig.open_incidents()[0].started_at, started);
  EXPECT_EQ(rig.outbox.size(), 1U);
}

TEST(Engine, AnyOrderOfArrivalGivesTheSameHistory) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::vector<std::vector<std::tuple<std::int64_t, MonitorStatus, int, int>>> got;
    for (int order = 0; order < 2; ++order) {
      Rng rng{seed};
      Shop rig{{"ber", "fra", "nyc"}};
      std::vector<std::pair<std::size_t, CheckResult>> sent;
      const Duration span = 20 * 30s;
      for (std::size_t i = 0; i < 3; ++i) {
        const SeriesId series = rig.series_of("shop", rig.agent(i).region);
        const std::uint32_t first = rig.grid_of(series).tick_at_or_after(rig.now().wall);
        for (std::uint32_t t = 0; t < 20; ++t) {
          if (rng.chance(0.1)) continue;
          const Outcome outcome = rng.chance(0.5)   ? Outcome::kUp
                                  : rng.chance(0.9) ? Outcome::kDown
                                                    : Outcome::kNoData;
          sent.emplace_back(i, rig.result_at(series, first + t, outcome));
        }
      }
      rig.advance(span);
      if (order == 0) {
        std::sort(sent.begin(), sent.end(),
                  [](const auto& a, const auto& b) { return a.second.slot < b.second.slot; });
      } else {
        for (std::size_t i = sent.size(); i > 1; --i) std::swap(sent[i - 1], sent[rng.below(i)]);
      }
      for (const auto& [agent, result] : sent) rig.send(rig.agent(agent), {result});
      rig.advance(5min);
      auto& lines = got.emplace_back();
      for (const VerdictRow& v : rig.history_of("shop")) {
        lines.emplace_back(v.at.us - rig.now().wall.us, v.status, v.down, v.up);
      }
    }
    ASSERT_EQ(got[0], got[1]) << "INV-6, seed " << seed;
    ASSERT_GT(got[0].size(), 3U);
  }
}

TEST(Engine, AClonedAgentIsNoticedAndTheNewestHelloHasTheSession) {
  Shop rig;
  RigAgent& one = rig.agent_in("ber");
  RigAgent two = one;
  two.boot = test::an_id<AgentId>(0xc0de).bytes;
  const SessionId first = one.session;
  rig.connect(two);
  EXPECT_FALSE(rig.row(one).cloned) << "a restart looks the same so far";
  rig.advance(1s);
  rig.connect(one);
  EXPECT_TRUE(rig.row(one).cloned);
  EXPECT_NE(one.session, first);
  const auto noticed = std::count_if(rig.notices.begin(), rig.notices.end(),
                                     [](const auto& n) { return n.second.code == "agent_cloned"; });
  EXPECT_EQ(noticed, 1);
  // Both send the same tick: one vote, one stored result.
  two.stream.epoch = 9;
  rig.send(one, {rig.result(rig.series_of("shop", "ber"), Outcome::kUp)});
  rig.connect(two);
  rig.send(two, {rig.result(rig.series_of("shop", "ber"), Outcome::kUp)});
  EXPECT_EQ(rig.row(one).results_stored, 1U);
  EXPECT_EQ(rig.row(one).refused_duplicate, 1U);
}

TEST(Engine, ARestartedAgentIsNotAClone) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  rig.disconnect(ber);
  ber.boot = test::an_id<AgentId>(0xc0de).bytes;
  rig.connect(ber);
  rig.advance(1min);
  EXPECT_FALSE(rig.row(ber).cloned);
  EXPECT_TRUE(ber.connected);
}

TEST(Engine, ABeatOnASessionThatWasTakenOverProvesTwoProcesses) {
  Shop rig;
  RigAgent& one = rig.agent_in("ber");
  RigAgent two = one;
  two.boot = test::an_id<AgentId>(0xc0de).bytes;
  rig.connect(two);  // Kept outside the rig: `one` beats on.
  one.next_beat = rig.now().mono + 4s;
  rig.advance(5s);
  EXPECT_TRUE(rig.row(one).cloned);
  const Refused* refused = last_heard<Refused>(one);
  ASSERT_NE(refused, nullptr);
  EXPECT_EQ(refused->code, RefusalCode::kCloned);
}

TEST(Engine, AMoveAddsBeforeItRemoves) {
  Shop rig{{"ber"}};
  CatalogEdit edit;
  for (int i = 0; i < 40; ++i) edit.monitors.push_back(a_monitor(fmt::format("m{}", i)).build());
  rig.define(edit);
  EXPECT_EQ(rig.agent(0).assigned.size(), 41U);
  rig.add_agent("ber");
  RigAgent& second = rig.agent(1);
  EXPECT_GT(second.assigned.size(), 5U);
  EXPECT_EQ(rig.agent(0).assigned.size() + second.assigned.size(), 41U)
      << "it confirmed at once, so the first has dropped them";
  RigAgent& first = rig.agent(0);
  const std::size_t moved = second.assigned.size();
  rig.disconnect(second);
  rig.advance(4s);
  second.applies = false;
  EXPECT_EQ(first.assigned.size(), 41U);
  rig.connect(second);
  EXPECT_EQ(second.assigned.size(), moved);
  EXPECT_EQ(first.assigned.size(), 41U) << "not dropped before ConfigApplied";
  rig.step(AgentConfigApplied{second.id, second.session, second.epoch});
  EXPECT_EQ(first.assigned.size(), 41U - moved);
}

TEST(Engine, AnAgentGetsOnlyKindsOfChecksThatItKnows) {
  Shop rig{{"ber"}};
  CatalogEdit edit;
  for (int i = 0; i < 20; ++i) {
    edit.monitors.push_back(
        a_monitor(fmt::format("t{}", i)).target(TlsTarget{"a.example"}).build());
  }
  rig.define(edit);
  RigAgent& old = rig.agent(0);
  EXPECT_EQ(old.assigned.size(), 21U);

  rig.disconnect(old);
  old.capabilities = kCapHttp | kCapTcp | kCapDns;  // It comes back as an older version.
  rig.connect(old);
  EXPECT_EQ(old.assigned.size(), 1U) << "the rest would make the assignment unreadable";
  EXPECT_TRUE(old.assigned.contains(rig.series_of("shop", "ber")));
  ASSERT_FALSE(rig.notices.empty());
  EXPECT_EQ(rig.notices.back().second.code, "agent_lacks_kinds");
  EXPECT_NE(rig.notices.back().second.text.find("no checks of kind tls"), std::string::npos)
      << rig.notices.back().second.text;

  rig.add_agent("ber");
  RigAgent& current = rig.agent(1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(current.assigned.contains(rig.series_of(fmt::format("t{}", i), "ber"))) << i;
  }
  // A monitor that becomes one of that kind moves as well.
  CatalogEdit changed;
  changed.monitors = {a_monitor("shop").service("shop").target(TlsTarget{"b.example"}).build()};
  rig.define(changed);
  RigAgent& first = rig.agent(0);
  EXPECT_TRUE(first.assigned.empty());
  EXPECT_TRUE(current.assigned.contains(rig.series_of("shop", "ber")));
}

TEST(Engine, AMonitorThatLooksForStaplesGoesToWhoKnowsThem) {
  Shop rig{{"ber"}};
  RigAgent& old = rig.agent(0);
  rig.disconnect(old);
  old.capabilities = kCapHttp | kCapTcp | kCapDns | kCapTls | kCapSecrets;
  rig.connect(old);
  EXPECT_EQ(old.assigned.size(), 1U);
  CatalogEdit edit;
  edit.monitors = {a_monitor("shop")
                       .service("shop")
                       .target(HttpTarget{.url = "https://a/", .ocsp = OcspMode::kCheck})
                       .build()};
  rig.define(edit);
  EXPECT_TRUE(rig.agent(0).assigned.empty()) << "it would not look, and what is revoked would pass";
  rig.add_agent("ber");
  EXPECT_TRUE(rig.agent(1).assigned.contains(rig.series_of("shop", "ber")));
}

TEST(Engine, AnUnreachableRegionKeepsItsAssignmentAndItsSpooledResults) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  rig.everywhere(Outcome::kUp);
  rig.disconnect(ber);
  rig.advance(10min);
  EXPECT_EQ(ber.assigned.size(), 1U);
  rig.connect(ber);
  const SeriesId series = rig.series_of("shop", "ber");
  const std::uint32_t tick = rig.grid_of(series).tick_at_or_before(rig.now().wall);
  std::vector<CheckResult> spooled;
  for (std::uint32_t i = 15; i > 0; --i) {
    spooled.push_back(rig.result_at(series, tick - i, Outcome::kUp));
  }
  rig.send(ber, spooled);
  EXPECT_EQ(rig.row(ber).refused_unassigned, 0U);
  EXPECT_EQ(rig.row(ber).results_stored, 16U);
}

TEST(Engine, ASuspicionAsksTheOtherRegionsOncePerHalfInterval) {
  Shop rig{{"ber", "fra", "nyc"}};
  CatalogEdit edit;
  edit.monitors = {a_monitor("shop").service("shop").confirm(true).build()};
  rig.define(edit);
  rig.everywhere(Outcome::kUp);
  RigAgent& ber = rig.agent_in("ber");
  RigAgent& fra = rig.agent_in("fra");
  RigAgent& nyc = rig.agent_in("nyc");
  nyc.health = AgentHealth::kSuspect;
  rig.advance(30s);
  const Suspicion suspicion{rig.series_of("shop", "ber"), 0, 1, Reason::kConnectRefused};
  rig.step(AgentSuspicion{ber.id, ber.session, suspicion});
  rig.step(AgentSuspicion{ber.id, ber.session, suspicion});
  ASSERT_EQ(fra.asked.size(), 1U);
  EXPECT_TRUE(nyc.asked.empty()) << "none from a suspect agent";
  EXPECT_TRUE(ber.asked.empty());
  CheckResult confirm = rig.result(fra.asked[0].series, Outcome::kDown);
  confirm.kind = ResultKind::kConfirm;
  confirm.tick = confirm.tick_last = 0;
  confirm.request = fra.asked[0].request;
  confirm.slot = rig.now().wall;
  rig.from("ber", Outcome::kDown);
  rig.send(fra, {confirm});
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kDown);
  rig.send(fra, {confirm});
  EXPECT_EQ(rig.row(fra).refused_duplicate, 1U);
}

TEST(Engine, AnEnrolmentIsUsedOnceAndItsLostAnswerIsRepeated) {
  EngineRig rig;
  CatalogEdit edit;
  edit.regions = {a_region("ber")};
  rig.define(edit);
  EnrolmentRow enrolment;
  enrolment.id = test::an_id<EnrolmentId>(1);
  enrolment.region = "ber";
  enrolment.public_key = std::string(40, 'e');
  enrolment.expires_at = rig.now().wall + 24h;
  rig.step(AddEnrolment{enrolment, "ann"});
  const auto answer = [&](const AgentId& id, char key) {
    const Decision d = rig.step(
        EnrolAgent{enrolment.id, SessionId{1}, id, Enrol{std::string(40, key), "0.1", "host"}});
    for (const Effect& effect : d.effects) {
      if (const auto* a = std::get_if<AnswerEnrolment>(&effect)) return a->message;
    }
    return CollectorMessage{};
  };
  const AgentId agent = test::an_id<AgentId>(1);
  EXPECT_EQ(std::get<Enrolled>(answer(agent, 'k')).agent, agent);
  EXPECT_EQ(std::get<Enrolled>(answer(test::an_id<AgentId>(2), 'k')).agent, agent);
  EXPECT_EQ(std::get<Refused>(answer(test::an_id<AgentId>(3), 'z')).code, RefusalCode::kEnrolment);
  ASSERT_EQ(rig.keys.size(), 3U);
  EXPECT_EQ(rig.keys[1].use, KeyChanged::Use::kAgent);
  EXPECT_EQ(rig.keys[2].use, KeyChanged::Use::kNone);
}

TEST(Engine, ARenewedKeyReplacesTheOldOneOfTheSameAgent) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  rig.from("ber", Outcome::kUp);
  const std::string old = rig.row(ber).public_key;
  EnrolmentRow enrolment;
  enrolment.id = test::an_id<EnrolmentId>(70);
  enrolment.region = "ber";
  enrolment.public_key = std::string(40, 'e');
  enrolment.expires_at = rig.now().wall + 24h;
  enrolment.agent = test::an_id<AgentId>(99);
  EXPECT_EQ(rig.step(AddEnrolment{enrolment, "ann"}).reply->error->code, Errc::kNotFound);
  enrolment.agent = ber.id;
  rig.step(AddEnrolment{enrolment, "ann"});
  rig.keys.clear();
  const Decision d = rig.step(EnrolAgent{enrolment.id, SessionId{77}, test::an_id<AgentId>(71),
                                         Enrol{std::string(40, 'n'), "0.2", "rack 4"}});
  const auto answer = std::find_if(d.effects.begin(), d.effects.end(), [](const Effect& e) {
    return std::holds_alternative<AnswerEnrolment>(e);
  });
  ASSERT_NE(answer, d.effects.end());
  EXPECT_EQ(std::get<Enrolled>(std::get<AnswerEnrolment>(*answer).message).agent, ber.id);
  EXPECT_EQ(rig.row(ber).public_key, std::string(40, 'n'));
  EXPECT_EQ(rig.row(ber).host, "rack 4");
  ASSERT_EQ(rig.keys.size(), 3U);
  EXPECT_EQ(rig.keys[0].use, KeyChanged::Use::kNone);
  EXPECT_EQ(rig.keys[0].public_key, old);
  EXPECT_EQ(rig.keys[2].use, KeyChanged::Use::kAgent);
  EXPECT_EQ(rig.keys[2].public_key, std::string(40, 'n'));
  ASSERT_EQ(rig.closed.size(), 1U) << "whoever holds the old key is cut";
}

TEST(Engine, NothingOfARevokedKeyIsStored) {
  Shop rig;
  RigAgent& ber = rig.agent_in("ber");
  rig.from("ber", Outcome::kUp);
  rig.step(RevokeAgent{ber.id, "ann"});
  ASSERT_EQ(rig.closed.size(), 1U);
  rig.advance(30s);
  const Decision d =
      rig.step(rig.frame(ber, {rig.result(rig.series_of("shop", "ber"), Outcome::kUp)}));
  EXPECT_TRUE(d.rows.empty());
  EXPECT_TRUE(d.journal.empty());
  EXPECT_EQ(rig.row(ber).results_stored, 1U);
}

TEST(Engine, AnAcknowledgementStopsTheLadderAndASecondOneIsRefused) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.advance(30s);
  rig.everywhere(Outcome::kDown);
  const IncidentId id = rig.open_incidents().at(0).id;
  EXPECT_FALSE(rig.step(AcknowledgeIncident{id, "ann"}).reply->error);
  EXPECT_EQ(rig.cancelled.size(), 1U);
  EXPECT_TRUE(rig.step(AcknowledgeIncident{id, "bob"}).reply->error);
  for (int i = 0; i < 40; ++i) {
    rig.advance(30s);
    rig.everywhere(Outcome::kDown);
  }
  ASSERT_EQ(rig.outbox.size(), 2U);
  EXPECT_EQ(rig.outbox[1].kind, NotificationKind::kUpdate) << "the channel hears of the answer";
}

TEST(Engine, AHandResolvedIncidentOpensAgainOnlyAfterItWasUp) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.advance(30s);
  rig.everywhere(Outcome::kDown);
  rig.step(ResolveIncident{rig.open_incidents().at(0).id, "ann"});
  EXPECT_TRUE(rig.open_incidents().empty());
  const auto next = [&](Outcome outcome) {
    rig.advance(30s);
    rig.everywhere(outcome);
  };
  next(Outcome::kDown);
  EXPECT_TRUE(rig.open_incidents().empty());
  next(Outcome::kUp);
  next(Outcome::kUp);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUp);
  next(Outcome::kDown);
  EXPECT_EQ(rig.open_incidents().size(), 1U);
}

TEST(Engine, ARiseOfTheRevisionEmptiesTheVotesAndLeavesTheStatus) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.advance(5s);
  CheckResult old = rig.result(rig.series_of("shop", "ber"), Outcome::kDown);
  CatalogEdit edit;
  edit.monitors = {a_monitor("shop").service("shop").timeout(3s).build()};
  rig.define(edit);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUp);
  EXPECT_TRUE(rig.engine().view(rig.now().wall).monitors.at(0).votes.empty());
  old.tick += 1;
  old.tick_last += 1;
  rig.send(rig.agent_in("ber"), {old});
  const MonitorView view = rig.engine().view(rig.now().wall).monitors.at(0);
  EXPECT_TRUE(view.votes.empty());
  EXPECT_EQ(view.abstentions.at(0).second, Abstention::kOldSpec);
  rig.advance(2min);
  EXPECT_EQ(rig.state_of("shop").status, MonitorStatus::kUnknown);
}

TEST(Engine, AnOffsetOfMoreThanAnHourDoesNotVote) {
  Shop rig{{"ber"}};
  CheckResult result = rig.result(rig.series_of("shop", "ber"), Outcome::kDown);
  result.clock = {3'700'000, 10};
  // Its own clock says an hour ago; corrected, the slot is now.
  const SlotGrid grid = rig.grid_of(result.series);
  rig.advance(3700s);
  rig.send(rig.agent(0), {result});
  EXPECT_EQ(rig.row(rig.agent(0)).results_stored, 1U);
  EXPECT_NE(rig.state_of("shop").status, MonitorStatus::kDown);
  EXPECT_EQ(rig.engine().view(rig.now().wall).monitors.at(0).abstentions.at(0).second,
            Abstention::kClock);
  (void)grid;
}

TEST(Engine, TheSameStepsGiveTheSameIds) {
  const auto run = [] {
    Shop rig;
    rig.everywhere(Outcome::kUp);
    rig.advance(30s);
    rig.everywhere(Outcome::kDown);
    return std::pair{rig.engine().state_digest(), rig.outbox.at(0).id};
  };
  EXPECT_EQ(run(), run()) << "INV-29";
}

TEST(Engine, ADeletedMonitorResolvesItsIncidentAndItsResultsAreUnassigned) {
  Shop rig;
  rig.everywhere(Outcome::kUp);
  rig.advance(30s);
  rig.everywhere(Outcome::kDown);
  const CheckResult next = rig.result(rig.series_of("shop", "ber"), Outcome::kDown, 30s);
  CatalogEdit edit = the_shop({"ber", "fra"});
  edit.monitors.clear();
  edit.prune = true;
  rig.define(edit);
  EXPECT_TRUE(rig.open_incidents().empty());
  ASSERT_EQ(rig.outbox.size(), 2U);
  EXPECT_EQ(rig.outbox[1].kind, NotificationKind::kResolve);
  EXPECT_EQ(rig.outbox[1].channel, "ops");
  rig.send(rig.agent_in("ber"), {next});
  EXPECT_EQ(rig.row(rig.agent_in("ber")).refused_unassigned, 1U);
  EXPECT_TRUE(rig.agent_in("ber").assigned.empty());
}

}  // namespace
}  // namespace tocsin::collector

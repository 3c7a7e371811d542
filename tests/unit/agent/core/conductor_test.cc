#include "agent/core/conductor.h"

#include "tests/unit/agent/core/fake_spool.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

constexpr SeriesId kSeries{7};

AssignedSeries an_assignment(SeriesId series = kSeries) {
  AssignedSeries s;
  s.series = series;
  s.key = "shop";
  s.spec_rev = 1;
  s.grid = {30'000, 0};
  s.spec.target = HttpTarget{.url = "http://127.0.0.1/"};
  s.spec.interval = std::chrono::seconds{30};
  s.spec.timeout = std::chrono::seconds{5};
  return s;
}

Observation answered(int status) {
  Observation o;
  o.http = HttpFacts{.status = status, .version = "1.1"};
  o.remote = "127.0.0.1:80";
  return o;
}

Observation failed(Reason reason) {
  Observation o;
  o.failure = Failure{reason, "x"};
  return o;
}

/// Drives a conductor by hand; `now` moves only by advance().
struct Rig {
  Rig() { give({.base = 0, .epoch = 1, .config_version = 1, .put = {an_assignment()}}); }

  void step(AgentEvent event) { conductor.step(event, now, out); }

  void give(Assignment a) { step(MessageArrived{std::move(a)}); }

  void link() {
    step(LinkUp{});
    step(MessageArrived{Welcome{}});
  }

  /// Moves both clocks on and wakes at each moment the conductor asks for.
  void advance(Duration by) {
    const MonoTime end = now.mono + by;
    while (conductor.next_wakeup() <= end) {
      const MonoTime at = std::max(conductor.next_wakeup(), now.mono);
      now.wall = now.wall + (at - now.mono);
      now.mono = at;
      const MonoTime before = conductor.next_wakeup();
      step(Wake{});
      if (answering) answer_heartbeats();
      if (conductor.next_wakeup() == before && before <= now.mono) break;
    }
    now.wall = now.wall + (end - now.mono);
    now.mono = end;
  }

  /// What a collector does; each heartbeat once.
  void answer_heartbeats() {
    const std::size_t n = messages<Heartbeat>();
    if (n == answered) return;
    answered = n;
    step(MessageArrived{HeartbeatReply{n, now.wall, now.wall, now.wall}});
  }

  template <class T>
  std::vector<T> take() {
    std::vector<T> found;
    for (const AgentCommand& c : out) {
      if (const auto* t = std::get_if<T>(&c)) found.push_back(*t);
    }
    out.clear();
    answered = 0;
    return found;
  }

  template <class M>
  std::size_t messages() const {
    std::size_t n = 0;
    for (const AgentCommand& c : out) {
      const auto* s = std::get_if<SendMessage>(&c);
      if (s != nullptr && std::holds_alternative<M>(s->message)) ++n;
    }
    return n;
  }

  StartAttempt started() {
    const auto starts = take<StartAttempt>();
    EXPECT_EQ(starts.size(), 1U);
    return starts.empty() ? StartAttempt{} : starts[0];
  }

  FakeSpool spool;
  bool answering = true;
  std::size_t answered = 0;
  Now now{MonoTime{5'000'000'000}, WallTime::from_ms(1'790'000'000'000 + 30'000)};
  Conductor conductor{{}, spool, now};
  std::vector<AgentCommand> out;
};

TEST(Conductor, ACheckStartsAtItsSlotAndBecomesAResult) {
  Rig r;
  r.out.clear();
  r.advance(std::chrono::milliseconds{9'999});
  EXPECT_TRUE(r.take<StartAttempt>().empty());
  r.advance(std::chrono::milliseconds{1});
  const StartAttempt start = r.started();
  EXPECT_EQ(start.attempt, 1U);
  EXPECT_EQ(start.timeout, std::chrono::seconds{5});
  r.step(AttemptDone{start.run, 1, answered(200)});
  const auto results = r.take<SpoolResult>();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].cls, StreamClass::kRoutine);
  EXPECT_EQ(results[0].result.outcome, Outcome::kUp);
  EXPECT_EQ(results[0].result.slot, WallTime::from_ms(1'790'000'000'000 + 40'000));
  EXPECT_TRUE(r.conductor.idle());
}

TEST(Conductor, AFailureIsTriedFourTimesAndEveryAttemptIsEvidence) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
    const StartAttempt start = r.started();
    EXPECT_EQ(start.attempt, attempt);
    r.step(AttemptDone{start.run, attempt, failed(Reason::kConnectRefused)});
    EXPECT_EQ(r.messages<Suspicion>(), attempt == 1 ? 1U : 0U);
    if (attempt < 4) {
      EXPECT_TRUE(r.take<SpoolResult>().empty());
      r.advance(std::chrono::milliseconds{999});
      EXPECT_TRUE(r.take<StartAttempt>().empty());
      r.advance(std::chrono::milliseconds{1});
    }
  }
  const auto results = r.take<SpoolResult>();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].result.attempts.size(), 4U);
  EXPECT_EQ(results[0].result.outcome, Outcome::kDown);
  EXPECT_EQ(results[0].result.reason, Reason::kConnectRefused);
  EXPECT_EQ(results[0].cls, StreamClass::kAlert);
  EXPECT_TRUE(results[0].close);
}

TEST(Conductor, RecoveringOnTheSecondAttemptIsUpWithTheFailureKept) {
  Rig r;
  r.advance(std::chrono::seconds{10});
  r.step(AttemptDone{r.started().run, 1, answered(503)});
  r.advance(std::chrono::seconds{1});
  r.step(AttemptDone{r.started().run, 2, answered(200)});
  const CheckResult result = r.take<SpoolResult>().at(0).result;
  EXPECT_EQ(result.outcome, Outcome::kUp);
  EXPECT_TRUE(result.recovered());
  EXPECT_EQ(result.reason, Reason::kAssertStatus);
  EXPECT_FALSE(result.attempts[0].excerpt.empty());
}

TEST(Conductor, SilenceWithoutProofOfOurNetworkIsNoData) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  r.answering = false;
  for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
    r.step(AttemptDone{r.started().run, attempt, failed(Reason::kConnectTimeout)});
    if (attempt < 4) r.advance(std::chrono::seconds{1});
  }
  EXPECT_EQ(r.messages<Heartbeat>(), 1U);  // Asks at once.
  EXPECT_TRUE(r.take<SpoolResult>().empty());
  r.advance(std::chrono::seconds{2});
  const CheckResult result = r.take<SpoolResult>().at(0).result;
  EXPECT_EQ(result.outcome, Outcome::kNoData);
  EXPECT_EQ(result.reason, Reason::kSelfUplink);
  EXPECT_EQ(result.attempts.size(), 4U);
}

TEST(Conductor, SilenceIsTheTargetsOnceTheCollectorAnswers) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  r.answering = false;
  for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
    r.step(AttemptDone{r.started().run, attempt, failed(Reason::kConnectTimeout)});
    if (attempt < 4) r.advance(std::chrono::seconds{1});
  }
  r.take<SpoolResult>();
  r.step(MessageArrived{HeartbeatReply{1, r.now.wall, r.now.wall, r.now.wall}});
  EXPECT_EQ(r.take<SpoolResult>().at(0).result.outcome, Outcome::kDown);
}

TEST(Conductor, ChecksGoOnWithoutALink) {
  Rig r;
  r.link();
  r.step(LinkDown{"test"});
  for (int i = 0; i < 5; ++i) {
    r.advance(i == 0 ? std::chrono::seconds{10} : std::chrono::seconds{30});
    r.step(AttemptDone{r.started().run, 1, answered(200)});
    EXPECT_EQ(r.take<SpoolResult>().size(), 1U);
  }
}

TEST(Conductor, AStandstillBecomesOneMissedRun) {
  Rig r;
  r.now.mono = r.now.mono + std::chrono::seconds{130};
  r.now.wall = r.now.wall + std::chrono::seconds{130};
  r.step(Wake{});
  const auto results = r.take<SpoolResult>();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].result.missed, MissedCause::kBlackout);
  EXPECT_EQ(results[0].result.weight(), 4U);  // The fifth slot is due right now.
}

TEST(Conductor, PolitenessHoldsAFifthCheckOfOneTargetBack) {
  Rig r;
  Assignment a{.base = 0, .epoch = 2, .config_version = 2};
  for (std::uint32_t i = 1; i <= 5; ++i) a.put.push_back(an_assignment(SeriesId{i}));
  r.give(a);
  r.out.clear();
  r.advance(std::chrono::seconds{10});
  const auto starts = r.take<StartAttempt>();
  ASSERT_EQ(starts.size(), 4U);
  r.step(AttemptDone{starts[0].run, 1, answered(200)});
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);
}

TEST(Conductor, ADroppedSeriesEndsBeforeTheNewAssignmentIsConfirmed) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  const StartAttempt start = r.started();
  r.give({.base = 1, .epoch = 2, .config_version = 2, .drop = {kSeries}});
  EXPECT_EQ(r.messages<ConfigApplied>(), 0U);
  r.out.clear();
  r.step(AttemptDone{start.run, 1, answered(200)});
  EXPECT_EQ(r.messages<ConfigApplied>(), 1U);
  EXPECT_EQ(r.take<SpoolResult>().size(), 1U);
  r.advance(std::chrono::minutes{5});
  EXPECT_TRUE(r.take<StartAttempt>().empty());
}

TEST(Conductor, ADeltaOnAnotherBaseAsksForTheWhole) {
  Rig r;
  r.link();
  r.out.clear();
  r.give({.base = 5, .epoch = 6, .config_version = 2, .drop = {kSeries}});
  EXPECT_EQ(r.messages<AssignmentWanted>(), 1U);
}

TEST(Conductor, AnAssignmentInPiecesIsAppliedWithItsLastOne) {
  Rig r;
  r.out.clear();
  r.give({.epoch = 2, .put = {an_assignment(SeriesId{1})}, .more = true});
  EXPECT_TRUE(r.take<AssignmentChanged>().empty());
  EXPECT_EQ(r.conductor.assignment().epoch, 1U);
  r.give({.epoch = 2, .put = {an_assignment(SeriesId{2})}});
  EXPECT_EQ(r.take<AssignmentChanged>().size(), 1U);
  EXPECT_EQ(r.conductor.assignment().put.size(), 2U);
}

TEST(Conductor, AConfirmRunTakesNoTickAndNamesItsRequest) {
  Rig r;
  r.link();
  r.out.clear();
  RunRequest request;
  request.request[0] = 9;
  request.series = kSeries;
  request.spec_rev = 1;
  r.step(MessageArrived{request});
  const StartAttempt start = r.started();
  r.step(AttemptDone{start.run, 1, answered(200)});
  const CheckResult result = r.take<SpoolResult>().at(0).result;
  EXPECT_EQ(result.kind, ResultKind::kConfirm);
  EXPECT_EQ(result.request, request.request);
  EXPECT_EQ(result.tick, 0U);
  r.advance(std::chrono::seconds{10});
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);  // Its slot is as before.
}

TEST(Conductor, AHalfOpenLinkIsDroppedAfterNineSeconds) {
  Rig r;
  r.link();
  r.answering = false;
  r.out.clear();
  r.advance(std::chrono::seconds{9});
  EXPECT_TRUE(r.take<DropLink>().empty());
  r.advance(std::chrono::milliseconds{1});
  EXPECT_EQ(r.take<DropLink>().size(), 1U);
}

TEST(Conductor, AForkInAWelcomeRestreams) {
  Rig r;
  StreamId stream;
  stream.epoch = 1;
  r.spool.add(stream);
  r.step(LinkUp{});
  r.out.clear();
  r.step(MessageArrived{Welcome{.streams = {{stream, 4, Digest16{1}, 1000}}}});
  const auto again = r.take<RestreamFrames>();
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0].streams, std::vector{stream});
  EXPECT_EQ(r.conductor.stats().forks, 1U);
}

TEST(Conductor, DrainingEndsChecksAndSaysGoodbyeWhenAllIsAcknowledged) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  const StartAttempt start = r.started();
  r.step(Drain{"SIGTERM"});
  EXPECT_EQ(r.messages<Goodbye>(), 0U);
  r.step(AttemptDone{start.run, 1, failed(Reason::kConnectRefused)});
  EXPECT_EQ(r.messages<Goodbye>(), 1U);
  EXPECT_EQ(r.take<SpoolResult>().size(), 1U);
  r.advance(std::chrono::seconds{5});
  EXPECT_TRUE(r.take<StartAttempt>().empty());
}

}  // namespace
}  // namespace tocsin::agent

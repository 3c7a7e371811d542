#include "agent/core/conductor.h"

#include "agent/core/clock_estimate.h"
#include "agent/core/start_batches.h"
#include "tests/unit/agent/core/fake_spool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

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
  explicit Rig(Conductor::Options options = {})
      : conductor(std::move(options), spool, now) {
    give({.base = 0, .epoch = 1, .config_version = 1, .put = {an_assignment()}});
  }

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
  Conductor conductor;
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
  r.advance(StartBatches::kGapMax);
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);
}

TEST(Conductor, SlotsWithinAGapBeginTogetherAndTheirLatenessIsTold) {
  Rig r;
  Assignment a{.base = 0, .epoch = 2, .config_version = 2};
  for (std::uint32_t i = 0; i < 4; ++i) {
    a.put.push_back(an_assignment(SeriesId{10 + i}));
    a.put.back().grid.phase_ms = 15'000 + i;
  }
  r.give(a);
  r.out.clear();
  const WallTime first = a.put[0].grid.slot(a.put[0].grid.tick_at_or_after(r.now.wall));
  r.advance(first - r.now.wall);
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U) << "at its own moment";
  r.advance(std::chrono::milliseconds{2});
  EXPECT_EQ(r.take<StartAttempt>().size(), 0U) << "two are due and wait for company";
  r.advance(std::chrono::milliseconds{1});
  const auto rest = r.take<StartAttempt>();
  ASSERT_EQ(rest.size(), 3U);
  r.step(AttemptDone{rest[0].run, 1, answered(200)});
  const auto done = r.take<SpoolResult>();
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done[0].result.queue_us, 2000U);
}

TEST(Conductor, SlotsThatAnEarlierLifeWithAClockAheadHasReportedDoNotComeAgain) {
  const WallTime now = Rig{}.now.wall;
  const auto first_start = [&](Duration done_ahead) {
    Rig r{{.slots_done = now + done_ahead}};
    r.out.clear();
    r.advance(std::chrono::seconds{300});
    const auto starts = r.take<StartAttempt>();
    EXPECT_FALSE(starts.empty());
    if (starts.empty()) return WallTime{};
    r.step(AttemptDone{starts[0].run, 1, answered(200)});
    const auto results = r.take<SpoolResult>();
    return results.empty() ? WallTime{} : results[0].result.slot;
  };
  const WallTime usual = first_start(Duration{0});
  EXPECT_EQ(usual, now + std::chrono::seconds{10});
  EXPECT_EQ(first_start(std::chrono::seconds{-100}), usual) << "past";
  EXPECT_EQ(first_start(std::chrono::seconds{61}), usual) << "it must not be silent for so long";
  EXPECT_EQ(first_start(std::chrono::seconds{10}), usual + std::chrono::seconds{30});
  EXPECT_EQ(first_start(std::chrono::seconds{39}), usual + std::chrono::seconds{30});
  EXPECT_EQ(first_start(std::chrono::seconds{41}), usual + std::chrono::seconds{60});
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

AssignedSeries naming(SeriesId id, const std::string& secret) {
  AssignedSeries s = an_assignment(id);
  HttpTarget target{.url = "http://127.0.0.1/"};
  target.auth = {HttpAuth::Kind::kBearer, {}, SecretRef::stored(secret)};
  s.spec.target = target;
  return s;
}

TEST(Conductor, SecretsComeChangeAndGoWithTheMonitorsThatNameThem) {
  Rig r;
  r.give({.epoch = 2,
          .put = {naming(SeriesId{1}, "a"), naming(SeriesId{2}, "b")},
          .more = true,
          .secrets = {{"a", "sealed-a"}}});
  r.give({.epoch = 2, .secrets = {{"b", "sealed-b"}}});
  EXPECT_EQ(r.conductor.secrets().size(), 2U);
  EXPECT_EQ(r.conductor.assignment().secrets,
            (std::vector<AssignedSecret>{{"a", "sealed-a"}, {"b", "sealed-b"}}));
  r.give({.base = 2, .epoch = 3, .put = {naming(SeriesId{1}, "a")}, .secrets = {{"a", "new-a"}}});
  EXPECT_EQ(r.conductor.secrets().at("a").value, "new-a");
  EXPECT_EQ(r.conductor.secrets().at("b").value, "sealed-b") << "a delta leaves the others";
  r.give({.base = 3, .epoch = 4, .drop = {SeriesId{2}}});
  EXPECT_FALSE(r.conductor.secrets().contains("b")) << "nothing names it any more";
  r.give({.base = 4, .epoch = 5, .put = {an_assignment(SeriesId{1})}});
  EXPECT_TRUE(r.conductor.secrets().empty());
}

TEST(Conductor, ACheckOfANewerVersionHasNoDataAndTheOthersRun) {
  Rig r;
  AssignedSeries strange = an_assignment(SeriesId{8});
  strange.unreadable = "spec: its kind of target is unknown to this version";
  r.out.clear();
  r.give({.base = 1, .epoch = 2, .put = {strange}});
  EXPECT_EQ(r.conductor.assignment().put.size(), 2U);
  r.advance(std::chrono::seconds{35});
  bool told = false;
  for (const SpoolResult& spooled : r.take<SpoolResult>()) {
    if (spooled.result.series != SeriesId{8}) continue;
    told = true;
    EXPECT_EQ(spooled.result.outcome, Outcome::kNoData);
    EXPECT_EQ(spooled.result.reason, Reason::kPolicyUnsupported);
  }
  EXPECT_TRUE(told);
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

RunRequest a_request(std::uint8_t number, ResultKind kind = ResultKind::kRunNow,
                     SeriesId series = kSeries) {
  RunRequest out;
  out.request[0] = number;
  out.series = series;
  out.spec_rev = 1;
  out.kind = kind;
  return out;
}

TEST(Conductor, RunsThatAreAskedForTakeHalfOfATargetsPlacesAndWaitForThem) {
  Rig r({.max_in_flight_per_target = 3});
  r.link();
  r.out.clear();
  for (std::uint8_t i = 1; i <= 4; ++i) r.step(MessageArrived{a_request(i)});
  const auto first = r.take<StartAttempt>();
  ASSERT_EQ(first.size(), 2U);
  r.advance(std::chrono::seconds{3});
  EXPECT_TRUE(r.take<StartAttempt>().empty());
  r.step(AttemptDone{first[0].run, 1, answered(200)});
  // The third one has the place now, and says how long it waited.
  const auto third = r.take<StartAttempt>();
  ASSERT_EQ(third.size(), 1U);
  r.step(AttemptDone{third[0].run, 1, answered(200)});
  const auto results = r.take<SpoolResult>();
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].result.request, a_request(3).request);
  EXPECT_EQ(results[0].result.queue_us, 3'000'000U);
}

TEST(Conductor, AScheduledCheckHasItsPlaceBesideRunsThatAreAskedFor) {
  Rig r({.max_in_flight_per_target = 2});
  r.link();
  r.advance(std::chrono::milliseconds{9'999});
  r.out.clear();
  for (int i = 0; i < 50; ++i) {
    r.step(MessageArrived{a_request(static_cast<std::uint8_t>(1 + i), ResultKind::kConfirm)});
  }
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);
  r.advance(std::chrono::milliseconds{1});
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);  // At its slot, though 49 others wait.
  EXPECT_EQ(r.conductor.stats().queues.at(0).started, 1U);
}

TEST(Conductor, ARunThatFindsNoPlaceForTenSecondsIsGivenUp) {
  Rig r({.max_in_flight_per_target = 1});
  r.link();
  r.out.clear();
  r.step(MessageArrived{a_request(1)});
  r.step(MessageArrived{a_request(2)});
  const StartAttempt first = r.started();
  const std::uint64_t ignored = r.conductor.stats().messages_ignored;
  r.advance(Conductor::kAskedWait);
  EXPECT_EQ(r.conductor.stats().messages_ignored, ignored);
  r.advance(std::chrono::milliseconds{1});
  EXPECT_EQ(r.conductor.stats().messages_ignored, ignored + 1);
  r.out.clear();
  r.step(AttemptDone{first.run, 1, answered(200)});
  // Only the scheduled check, whose slot came meanwhile, gets the place.
  for (const StartAttempt& start : r.take<StartAttempt>()) {
    r.step(AttemptDone{start.run, 1, answered(200)});
  }
  for (const SpoolResult& result : r.take<SpoolResult>()) {
    EXPECT_EQ(result.result.kind, ResultKind::kScheduled);
  }
}

TEST(Conductor, RunsThatAreAskedForTakeATenthOfTheBudgetAndWaitInABoundedLine) {
  Rig r({.max_in_flight = 20, .max_in_flight_per_target = 100});
  r.link();
  r.out.clear();
  for (std::size_t i = 0; i < 2 + Conductor::kAskedMax + 5; ++i) {
    r.step(MessageArrived{a_request(static_cast<std::uint8_t>(i % 250))});
  }
  EXPECT_EQ(r.take<StartAttempt>().size(), 2U);
  EXPECT_EQ(r.conductor.stats().messages_ignored, 5U);
}

TEST(Conductor, AHeartbeatTellsTheLatenessOfTheLastMinute) {
  Rig r({.max_in_flight_per_target = 1});
  r.link();
  r.advance(std::chrono::seconds{8});
  r.step(MessageArrived{a_request(1)});
  const StartAttempt blocking = r.take<StartAttempt>().at(0);
  r.advance(std::chrono::seconds{4});  // The slot was two seconds ago.
  r.step(AttemptDone{blocking.run, 1, answered(200)});
  const auto latest = [&r] {
    r.out.clear();
    r.advance(std::chrono::seconds{4});
    std::uint32_t out = 0;
    for (const AgentCommand& c : r.out) {
      const auto* s = std::get_if<SendMessage>(&c);
      const auto* beat = s == nullptr ? nullptr : std::get_if<Heartbeat>(&s->message);
      if (beat != nullptr) out = beat->lateness_p99_ms;
    }
    return out;
  };
  EXPECT_EQ(latest(), 2'000U);
  EXPECT_EQ(r.conductor.stats().queues.at(0).lateness.sum, std::chrono::seconds{2});
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

Anchor an_anchor(const std::string& url) {
  Anchor a;
  a.name = url;
  a.spec.target = HttpTarget{.url = url};
  a.spec.interval = std::chrono::seconds{20};
  a.spec.timeout = std::chrono::seconds{2};
  return a;
}

Conductor::Options with_anchors() {
  Conductor::Options o;
  o.anchors = {an_anchor("http://one.example/"), an_anchor("http://two.example/")};
  return o;
}

bool is_anchor(const StartAttempt& start) {
  const auto* http = std::get_if<HttpTarget>(&start.spec->target);
  return http != nullptr && http->url.find("example") != std::string::npos;
}

/// Lets the check fail for good: at the fourth attempt. Anchors are left waiting; the collector
/// answers what it is asked then.
void fail_check(Rig& r, const Observation& seen) {
  for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
    RunId run{};
    for (const StartAttempt& start : r.take<StartAttempt>()) {
      if (!is_anchor(start)) run = start.run;
    }
    r.step(AttemptDone{run, attempt, seen});
    if (attempt < 4) r.advance(std::chrono::seconds{1});
  }
  r.answer_heartbeats();
}

void fail_check(Rig& r, Reason reason) { fail_check(r, failed(reason)); }

TEST(Conductor, AnchorsAreLookedAtInTurnAndMakeNoResults) {
  Rig r(with_anchors());
  r.give({.base = 0, .epoch = 2, .drop = {}});
  const auto first = r.take<StartAttempt>();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(std::get<HttpTarget>(first[0].spec->target).url, "http://one.example/");
  r.advance(std::chrono::seconds{10});
  const auto second = r.take<StartAttempt>();
  ASSERT_EQ(second.size(), 1U);
  EXPECT_EQ(std::get<HttpTarget>(second[0].spec->target).url, "http://two.example/");
  r.step(AttemptDone{first[0].run, 1, answered(500)});
  r.step(AttemptDone{second[0].run, 1, failed(Reason::kConnectTimeout)});
  r.advance(std::chrono::seconds{9});
  EXPECT_TRUE(r.take<StartAttempt>().empty());
  r.advance(std::chrono::seconds{1});
  EXPECT_EQ(r.take<StartAttempt>().size(), 1U);
  EXPECT_TRUE(r.take<SpoolResult>().empty());
  const AgentStats stats = r.conductor.stats();
  EXPECT_TRUE(stats.anchors[0].answers);
  EXPECT_FALSE(stats.anchors[1].answers);
  EXPECT_EQ(stats.anchors[1].failed, 1U);
  EXPECT_EQ(stats.attempts, 0U);
}

TEST(Conductor, SilenceIsTheTargetsOnceAnAnchorAnswersNotTheCollector) {
  Rig r(with_anchors());
  r.link();
  const auto looks = r.take<StartAttempt>();
  r.step(AttemptDone{looks.at(0).run, 1, answered(200)});
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kConnectTimeout);
  std::vector<StartAttempt> asked;
  for (const AgentCommand& c : r.out) {
    EXPECT_FALSE(std::holds_alternative<SpoolResult>(c));
    if (const auto* start = std::get_if<StartAttempt>(&c)) asked.push_back(*start);
  }
  ASSERT_EQ(asked.size(), 1U);  // At once; the other look is under way.
  r.out.clear();
  r.step(AttemptDone{asked[0].run, 1, answered(200)});
  EXPECT_EQ(r.take<SpoolResult>().at(0).result.outcome, Outcome::kDown);
}

/// What a machine sees that has lost all but its collector.
struct LostNetwork {
  Reason of_checks = Reason::kConnectTimeout;  ///< Anchors are always silent.
  std::vector<std::pair<MonoTime, StartAttempt>> waiting = {};
  std::map<RunId, std::uint32_t> seen = {};

  void last(Rig& r, Duration during) {
    for (const MonoTime end = r.now.mono + during; r.now.mono < end;) {
      for (const AgentCommand& c : r.out) {
        const auto* start = std::get_if<StartAttempt>(&c);
        if (start == nullptr || seen[start->run] >= start->attempt) continue;
        seen[start->run] = start->attempt;
        waiting.emplace_back(r.now.mono + start->timeout, *start);
      }
      const auto late = std::stable_partition(
          waiting.begin(), waiting.end(), [&](const auto& one) { return one.first > r.now.mono; });
      const std::vector<std::pair<MonoTime, StartAttempt>> over(late, waiting.end());
      waiting.erase(late, waiting.end());
      for (const auto& [at, start] : over) {
        const Reason reason = is_anchor(start) ? Reason::kConnectTimeout : of_checks;
        r.step(AttemptDone{start.run, start.attempt, failed(reason)});
      }
      r.advance(std::chrono::milliseconds{100});
    }
  }
};

TEST(Conductor, WithoutAnchorsAndTargetsItIsBlindAndBlamesNobody) {
  Rig r(with_anchors());
  r.link();
  LostNetwork().last(r, std::chrono::seconds{70});
  EXPECT_EQ(r.messages<Suspicion>(), 1U);  // Before it knew.
  const auto results = r.take<SpoolResult>();
  ASSERT_GE(results.size(), 2U);
  for (const SpoolResult& result : results) {
    EXPECT_EQ(result.result.outcome, Outcome::kNoData);
    EXPECT_EQ(result.result.reason, Reason::kSelfUplink);
  }
  const AgentStats stats = r.conductor.stats();
  EXPECT_EQ(stats.health, AgentHealth::kBlind);
  EXPECT_EQ(stats.fault, Reason::kSelfUplink);
  EXPECT_EQ(stats.no_data.at(Reason::kSelfUplink), results.size());
}

TEST(Conductor, WhileBlindARefusalIsNoDataEither) {
  Rig r(with_anchors());
  r.link();
  LostNetwork lost;
  lost.last(r, std::chrono::seconds{70});
  lost.of_checks = Reason::kConnectRefused;
  lost.last(r, std::chrono::seconds{70});
  EXPECT_EQ(r.messages<Suspicion>(), 1U);  // From before it knew.
  const auto results = r.take<SpoolResult>();
  ASSERT_GE(results.size(), 4U);
  for (const SpoolResult& result : results) {
    EXPECT_EQ(result.result.outcome, Outcome::kNoData);
    EXPECT_EQ(result.result.reason, Reason::kSelfUplink);
  }
  // The evidence says what was seen.
  EXPECT_EQ(results.back().result.attempts.back().finding.reason, Reason::kConnectRefused);
}

TEST(Conductor, AnAgentWhoseNetworkIsBackTellsAtOnceAndVotesAfterTenSeconds) {
  Rig r(with_anchors());
  r.link();
  LostNetwork().last(r, std::chrono::seconds{70});
  EXPECT_EQ(r.conductor.stats().health, AgentHealth::kBlind);
  for (int i = 0; i < 600; ++i) {  // A minute in which everything answers.
    for (const StartAttempt& start : r.take<StartAttempt>()) {
      r.step(AttemptDone{start.run, start.attempt, answered(200)});
      r.out.erase(std::remove_if(
                      r.out.begin(), r.out.end(),
                      [](const AgentCommand& c) { return std::holds_alternative<SpoolResult>(c); }),
                  r.out.end());
    }
    r.advance(std::chrono::milliseconds{100});
  }
  EXPECT_EQ(r.conductor.stats().health, AgentHealth::kHealthy);
  EXPECT_EQ(r.conductor.stats().fault, Reason::kNone);
}

/// Where the question to our own resolver is asked.
std::optional<StartAttempt> question(Rig& r) {
  for (const AgentCommand& c : r.out) {
    const auto* start = std::get_if<StartAttempt>(&c);
    if (start != nullptr && std::holds_alternative<DnsTarget>(start->spec->target)) return *start;
  }
  return std::nullopt;
}

Observation answer_of(const std::string& rcode) {
  Observation o;
  o.dns = DnsFacts{.rcode = rcode};
  o.dns_cached = true;
  return o;
}

TEST(Conductor, ANameThatOurResolverLeavesUnansweredIsTheTargetsOnceItAnswersAnother) {
  for (const char* rcode : {"NOERROR", "SERVFAIL"}) {
    Rig r;
    r.link();
    r.advance(std::chrono::seconds{10});
    fail_check(r, Reason::kDnsTimeout);
    const auto asked = question(r);
    ASSERT_TRUE(asked);
    EXPECT_EQ(std::get<DnsTarget>(asked->spec->target).name, ".");
    r.advance(std::chrono::seconds{1});
    r.step(AttemptDone{asked->run, 1, answer_of(rcode)});
    EXPECT_EQ(r.take<SpoolResult>().at(0).result.reason, Reason::kDnsTimeout);
  }
}

TEST(Conductor, ADeadResolverIsOurFault) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kDnsTimeout);
  const auto asked = question(r);
  ASSERT_TRUE(asked);
  r.advance(std::chrono::milliseconds{1900});
  r.step(AttemptDone{asked->run, 1, failed(Reason::kDnsTimeout)});
  r.advance(std::chrono::milliseconds{100});
  const CheckResult result = r.take<SpoolResult>().at(0).result;
  EXPECT_EQ(result.outcome, Outcome::kNoData);
  EXPECT_EQ(result.reason, Reason::kSelfResolver);
}

TEST(Conductor, AResolverThatCanLookNothingUpIsOurFault) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kDnsServfail);
  const auto asked = question(r);
  ASSERT_TRUE(asked);
  r.step(AttemptDone{asked->run, 1, answer_of("SERVFAIL")});
  r.advance(std::chrono::seconds{2});
  EXPECT_EQ(r.take<SpoolResult>().at(0).result.reason, Reason::kSelfResolver);
}

TEST(Conductor, ANameThatIsGoneIsTheTargetsAtOnce) {
  Rig r;
  r.link();
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kDnsNxdomain);
  const CheckResult result = r.take<SpoolResult>().at(0).result;
  EXPECT_EQ(result.outcome, Outcome::kDown);
  EXPECT_EQ(result.reason, Reason::kDnsNxdomain);
}

TEST(Conductor, AResolverOfTheMonitorsOwnIsNotOurs) {
  Rig r;
  r.link();
  AssignedSeries named = an_assignment();
  std::get<HttpTarget>(named.spec.target).resolver = "192.0.2.53";
  r.give({.base = 1, .epoch = 2, .put = {named}});
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kDnsTimeout);
  EXPECT_FALSE(question(r));
  r.advance(std::chrono::milliseconds{500});
  EXPECT_EQ(r.take<SpoolResult>().at(0).result.outcome, Outcome::kDown);
}

Observation expired(WallTime since) {
  Observation o = failed(Reason::kTlsVerifyExpired);
  o.tls = TlsFacts{.not_before = since - std::chrono::hours{2000}, .not_after = since};
  o.tls->problems = {{Reason::kTlsVerifyExpired, 0, "certificate has expired"}};
  return o;
}

TEST(Conductor, ACertificateThatExpiredByOurClockOnlyIsOurFault) {
  for (const bool by_a_day : {true, false}) {
    Rig r;
    r.answering = false;
    r.link();
    const Duration ahead = by_a_day ? Duration{std::chrono::hours{24}} : std::chrono::minutes{10};
    r.step(MessageArrived{HeartbeatReply{1, r.now.wall, r.now.wall - ahead, r.now.wall - ahead}});
    r.out.clear();
    r.advance(std::chrono::seconds{10});
    // It ran out an hour ago by our clock.
    const Observation seen = expired(r.now.wall - std::chrono::hours{1});
    for (std::uint32_t attempt = 1; attempt <= 4; ++attempt) {
      const StartAttempt start = r.started();
      r.step(AttemptDone{start.run, attempt, seen});
      if (attempt < 4) r.advance(std::chrono::seconds{1});
    }
    const CheckResult result = r.take<SpoolResult>().at(0).result;
    EXPECT_EQ(result.outcome, by_a_day ? Outcome::kNoData : Outcome::kDown);
    EXPECT_EQ(result.reason, by_a_day ? Reason::kSelfClock : Reason::kTlsVerifyExpired);
    EXPECT_EQ(r.conductor.stats().health, by_a_day ? AgentHealth::kBlind : AgentHealth::kSuspect);
    EXPECT_EQ(r.conductor.stats().fault, Reason::kSelfClock);
  }
}

TEST(Conductor, AStapleThatIsNotOfNowByOurClockOnlyIsOurFault) {
  const WallTime ours{1'800'000'000'000'000};
  const ClockTrust a_day_ahead{.offset_ms = -86'400'000, .error_ms = 10};
  TlsFacts tls;
  tls.ocsp = {OcspStatus::kUnusable, ours - Duration{std::chrono::hours{30}},
              ours - Duration{std::chrono::hours{1}}};
  EXPECT_TRUE(is_fault_of_clock(Reason::kTlsVerifyStaple, tls, ours, a_day_ahead));
  EXPECT_FALSE(is_fault_of_clock(Reason::kTlsVerifyStaple, tls, ours, {}));
  EXPECT_FALSE(is_fault_of_clock(Reason::kTlsVerifyRevoked, tls, ours, a_day_ahead));
  tls.ocsp = {OcspStatus::kUnusable, {}, {}};  // Its signature is bad.
  EXPECT_FALSE(is_fault_of_clock(Reason::kTlsVerifyStaple, tls, ours, a_day_ahead));
  tls.ocsp = {OcspStatus::kNone, {}, {}};
  EXPECT_FALSE(is_fault_of_clock(Reason::kTlsVerifyStaple, tls, ours, a_day_ahead));
}

TEST(Conductor, ASetClockIsKnownBeforeTheCollectorWasAskedAgain) {
  Rig r;
  r.answering = false;
  r.link();
  r.step(MessageArrived{HeartbeatReply{1, r.now.wall, r.now.wall, r.now.wall}});
  EXPECT_EQ(r.conductor.stats().health, AgentHealth::kHealthy);
  r.now.wall = r.now.wall + std::chrono::hours{48};
  r.step(ClockStepped{std::chrono::hours{48}});
  EXPECT_EQ(r.conductor.stats().fault, Reason::kSelfClock);
}

TEST(Conductor, WithoutDescriptorsWhateverFailsIsCalledSo) {
  Rig r;
  r.link();
  r.step(SelfMeasured{.descriptors_short = true});
  EXPECT_EQ(r.conductor.stats().fault, Reason::kSelfDescriptors);
  r.advance(std::chrono::seconds{10});
  fail_check(r, Reason::kSelfResolver);
  EXPECT_EQ(r.take<SpoolResult>().at(0).result.reason, Reason::kSelfDescriptors);
}

}  // namespace
}  // namespace tocsin::agent

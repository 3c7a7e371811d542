#include "collector/channels/outbox_runner.h"

#include "collector/channels/outbox_metrics.h"
#include "collector/store/memory_store.h"
#include "tests/support/loopback_client.h"
#include "tests/unit/collector/channels/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tocsin::collector {
namespace {

using test::ManualClock;

/// The store on the loop's own thread; answers come in a later turn, as the port demands.
class DirectOutbox final : public OutboxPort {
 public:
  DirectOutbox(io::EventLoop& loop, Store& store)
      : loop_(loop),
        store_(store) {}

  void claim(WallTime now, std::size_t limit, Duration lease, Claimed done) override {
    ++claims;
    loop_.post([this, now, limit, lease, done] {
      if (broken) return done(fail(Errc::kIo, "disk on fire"));
      done(store_.claim_outbox(now, limit, lease));
    });
  }

  void record(const Delivery& delivery, Recorded done) override {
    loop_.post([this, delivery, done] {
      if (broken) return done(fail(Errc::kIo, "disk on fire"));
      recorded.push_back(delivery);
      done(store_.record_delivery(delivery));
    });
  }

  void next_at(NextAt done) override {
    loop_.post([this, done] { done(store_.next_outbox_at()); });
  }

  int claims = 0;
  bool broken = false;
  std::vector<Delivery> recorded;

 private:
  io::EventLoop& loop_;
  Store& store_;
};

/// Keeps what it is given until the test says what became of it.
class ScriptedChannel final : public Channel {
 public:
  struct Sent {
    std::string key;
    std::string url;
    Duration deadline;
    Done done;
    bool cancelled = false;
  };

  struct Handle final : SendHandle {
    explicit Handle(std::shared_ptr<Sent> s)
        : sent(std::move(s)) {}

    ~Handle() override { sent->cancelled = true; }

    std::shared_ptr<Sent> sent;
  };

  std::unique_ptr<SendHandle> send(const OutboxRow& message, const std::string& key,
                                   Duration deadline, Done done) override {
    auto s = std::make_shared<Sent>(
        Sent{key, message.destination.url, deadline, std::move(done), false});
    log.push_back(key);
    open.push_back(s);
    return std::make_unique<Handle>(s);
  }

  std::size_t digest_max() const override { return digest_limit; }

  std::unique_ptr<SendHandle> send_digest(const std::vector<const OutboxRow*>& messages,
                                          const std::string& key, Duration deadline,
                                          Done done) override {
    std::vector<std::string> listed;
    for (const OutboxRow* row : messages) listed.push_back(row->id.str());
    digests.push_back(listed);
    return send(*messages.front(), key, deadline, std::move(done));
  }

  /// Ends the oldest send that is under way.
  void finish(SendResult::Kind kind, std::optional<Duration> retry_after = std::nullopt) {
    ASSERT_FALSE(open.empty());
    const auto s = open.front();
    open.pop_front();
    s->done({kind, 0, "as the test says", retry_after});
  }

  std::size_t digest_limit = 0;
  std::vector<std::vector<std::string>> digests;  ///< What each listed.
  std::vector<std::string> log;
  std::deque<std::shared_ptr<Sent>> open;
};

using Kind = SendResult::Kind;

class OutboxRunnerTest : public testing::Test {
 protected:
  OutboxRunnerTest() { restart(); }

  void restart() {
    runner.reset();
    runner = std::make_unique<OutboxRunner>(
        loop, rng, outbox, std::map<ChannelType, Channel*>{{ChannelType::kWebhook, &channel}});
  }

  void add(const OutboxRow& row) { add(std::vector<OutboxRow>{row}); }

  void add(const std::vector<OutboxRow>& rows) {
    CommitGroup group;
    group.group.commit_seq = ++commit_seq;
    group.group.now = clock.now();
    for (const OutboxRow& row : rows) group.rows.emplace_back(row);
    ASSERT_TRUE(store.commit(group));
    runner->wake();
    settle();
  }

  OutboxRow row(std::uint8_t n, const std::string& url = "http://127.0.0.1:9/hook") {
    OutboxRow r = sample_row(n);
    r.cause_seq = n;
    r.destination.url = url;
    r.created = clock.now().wall;
    return r;
  }

  void settle() {
    for (int i = 0; i < 8; ++i) loop.run_once(Duration{0});
  }

  void advance(Duration d) {
    clock.advance(d);
    settle();
  }

  void finish(Kind kind, std::optional<Duration> retry_after = std::nullopt) {
    channel.finish(kind, retry_after);
    settle();
  }

  ManualClock clock;
  io::EventLoop loop{clock};
  Rng rng{1};
  MemoryStore store{{}};
  DirectOutbox outbox{loop, store};
  ScriptedChannel channel;
  std::unique_ptr<OutboxRunner> runner;
  std::uint64_t commit_seq = 0;
};

TEST_F(OutboxRunnerTest, SendsWhatWaitsAndRecordsIt) {
  add(row(1));
  ASSERT_EQ(channel.log, std::vector<std::string>{row(1).id.str()});
  EXPECT_EQ(channel.open[0]->deadline, OutboxRunner::kSendDeadline);
  EXPECT_TRUE(outbox.recorded.empty());
  clock.advance(120ms);
  finish(Kind::kAccepted);
  ASSERT_EQ(outbox.recorded.size(), 1U);
  EXPECT_EQ(outbox.recorded[0].outcome, DeliveryOutcome::kSent);
  EXPECT_EQ(outbox.recorded[0].attempt, 1U);
  EXPECT_EQ(outbox.recorded[0].duration_ms, 120U);
  advance(10min);
  EXPECT_EQ(channel.log.size(), 1U) << "sent once";
  EXPECT_EQ(runner->stats().sent, 1U);
  EXPECT_EQ(runner->stats().lag_us_max, 120'000U);
}

TEST_F(OutboxRunnerTest, TriesAgainAfterGrowingPausesWithJitter) {
  add(row(1));
  // Below five failures in a row: the breaker has its own test.
  for (const Duration step : {Duration{5s}, Duration{15s}, Duration{45s}, Duration{2min}}) {
    const std::size_t before = channel.log.size();
    finish(Kind::kTransient);
    advance(step * 8 / 10 - 1ms);
    EXPECT_EQ(channel.log.size(), before) << format_duration(step);
    advance(step * 4 / 10 + 300ms);
    EXPECT_EQ(channel.log.size(), before + 1) << format_duration(step);
  }
  EXPECT_EQ(std::count(channel.log.begin(), channel.log.end(), row(1).id.str()), 5);
}

TEST_F(OutboxRunnerTest, BackoffStaysAtFiveMinutes) {
  for (const std::uint32_t attempts : {5U, 6U, 100U}) {
    const Duration d = outbox_backoff(attempts, rng);
    EXPECT_GE(d, 4min);
    EXPECT_LE(d, 6min);
  }
}

TEST_F(OutboxRunnerTest, HonoursALongerRetryAfterAndBoundsIt) {
  add(row(1));
  finish(Kind::kTransient, 60s);
  advance(59s);
  EXPECT_EQ(channel.log.size(), 1U);
  advance(2s);
  ASSERT_EQ(channel.log.size(), 2U);
  finish(Kind::kTransient, 24h);
  EXPECT_EQ(outbox.recorded.back().retry_at - outbox.recorded.back().at, 10min);
}

TEST_F(OutboxRunnerTest, APermanentRefusalEndsIt) {
  add(row(1));
  finish(Kind::kPermanent);
  EXPECT_EQ(outbox.recorded.at(0).outcome, DeliveryOutcome::kDead);
  advance(1h);
  EXPECT_EQ(channel.log.size(), 1U);
}

TEST_F(OutboxRunnerTest, ADayOfFailuresEndsIt) {
  add(row(1));
  clock.advance(24h);
  finish(Kind::kTransient);
  // The claim has lapsed in that day; the record of the old token says so, and the next try ends
  // it.
  advance(1s);
  while (!channel.open.empty()) finish(Kind::kTransient);
  EXPECT_EQ(outbox.recorded.back().outcome, DeliveryOutcome::kDead);
  advance(1h);
  EXPECT_TRUE(channel.open.empty());
}

TEST_F(OutboxRunnerTest, TheDayBeginsWhenTheMessageIsDue) {
  OutboxRow late = row(1);
  late.due = late.created + OutboxRunner::kGiveUpAfter;
  add(late);
  EXPECT_TRUE(channel.log.empty()) << "its moment has not come";
  advance(OutboxRunner::kGiveUpAfter);
  ASSERT_EQ(channel.log.size(), 1U);
  finish(Kind::kTransient);
  EXPECT_EQ(runner->stats().dead, 0U) << "one failure is not a day of them";
  EXPECT_EQ(runner->stats().retried, 1U);
}

TEST_F(OutboxRunnerTest, AChannelOfAnUnknownTypeIsDeadAndSaysWhy) {
  OutboxRow r = row(1);
  r.destination.type = ChannelType::kEmail;
  add(r);
  ASSERT_EQ(outbox.recorded.size(), 1U);
  EXPECT_EQ(outbox.recorded[0].outcome, DeliveryOutcome::kDead);
}

TEST_F(OutboxRunnerTest, AfterACrashBetweenSendAndRecordTheMessageIsSentOnceMore) {
  add(row(1));
  ASSERT_EQ(channel.open.size(), 1U);
  restart();  // The receiver has it; nobody recorded that.
  EXPECT_TRUE(channel.open[0]->cancelled);
  runner->wake();
  settle();
  EXPECT_EQ(channel.log.size(), 1U) << "the claim still holds";
  advance(OutboxRunner::kLease);
  EXPECT_EQ(channel.log, (std::vector<std::string>{row(1).id.str(), row(1).id.str()}));
  channel.open.pop_front();
  finish(Kind::kAccepted);
  advance(1h);
  EXPECT_EQ(channel.log.size(), 2U);
}

TEST_F(OutboxRunnerTest, ADeliveryThatCannotBeRecordedIsMadeAgain) {
  add(row(1));
  outbox.broken = true;
  finish(Kind::kAccepted);
  EXPECT_GE(runner->stats().store_errors, 1U);
  outbox.broken = false;
  advance(OutboxRunner::kLease);
  advance(OutboxRunner::kLookEvery);
  EXPECT_EQ(channel.log.size(), 2U);
}

TEST_F(OutboxRunnerTest, AResolveWaitsForItsTrigger) {
  OutboxRow resolve = row(2);
  resolve.kind = NotificationKind::kResolve;
  add({row(1), resolve});
  EXPECT_EQ(channel.log, std::vector<std::string>{row(1).id.str()});
  finish(Kind::kTransient);
  EXPECT_EQ(channel.log.size(), 1U);
  advance(7s);
  finish(Kind::kAccepted);
  EXPECT_EQ(channel.log.back(), resolve.id.str());
}

TEST_F(OutboxRunnerTest, ADestinationThatKeepsFailingIsLeftAloneAndThenLookedAtOnce) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 8; ++n) {
    OutboxRow r = row(n);
    r.incident.bytes[0] = n;
    rows.push_back(r);
  }
  add(rows);
  ASSERT_EQ(channel.open.size(), OutboxRunner::kPerDestinationMax);
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) finish(Kind::kTransient);
  while (!channel.open.empty()) finish(Kind::kTransient);  // Those that were under way.
  const std::size_t before = channel.log.size();
  advance(20s);
  EXPECT_EQ(channel.log.size(), before) << "held";
  EXPECT_GT(runner->stats().held, 0U);
  advance(15s);
  EXPECT_EQ(channel.log.size(), before + 1) << "one looks";
  finish(Kind::kAccepted);
  for (int i = 0; i < 200; ++i) {
    advance(1s);
    while (!channel.open.empty()) finish(Kind::kAccepted);
  }
  EXPECT_EQ(runner->stats().sent, 8U);
}

TEST_F(OutboxRunnerTest, ASlowDestinationDoesNotHoldTheOthersUp) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 200; ++n) {
    OutboxRow r = row(n, "http://127.0.0.1:9/slow");
    r.incident.bytes[0] = n;
    rows.push_back(r);
  }
  OutboxRow other = row(250, "http://127.0.0.1:9/quick");
  other.incident.bytes[0] = 250;
  rows.push_back(other);
  add(rows);
  advance(1s);
  const auto sent = [&](const std::string& url) {
    return std::count_if(channel.open.begin(), channel.open.end(),
                         [&](const auto& s) { return s->url == url; });
  };
  EXPECT_EQ(sent("http://127.0.0.1:9/slow"),
            static_cast<std::ptrdiff_t>(OutboxRunner::kPerDestinationMax));
  EXPECT_EQ(sent("http://127.0.0.1:9/quick"), 1);
}

TEST_F(OutboxRunnerTest, EveryMessageOfABacklogIsSentOnce) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 200; ++n) {
    OutboxRow r = row(n);
    r.incident.bytes[0] = n;
    rows.push_back(r);
  }
  add(rows);
  for (int i = 0; i < 2000 && runner->stats().sent < rows.size(); ++i) {
    while (!channel.open.empty()) finish(Kind::kAccepted);
    advance(1s);
  }
  std::map<std::string, int> times;
  for (const std::string& key : channel.log) ++times[key];
  EXPECT_EQ(times.size(), rows.size());
  for (const auto& [key, n] : times) EXPECT_EQ(n, 1) << key;
}

TEST_F(OutboxRunnerTest, ARateDelaysInOrderAndDropsNothing) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 8; ++n) {
    OutboxRow r = row(n);
    r.destination.rate = {2, 10s};
    rows.push_back(r);
  }
  add(rows);
  std::vector<std::size_t> sent_by;  // After each 5 s.
  for (int i = 0; i < 8; ++i) {
    while (!channel.open.empty()) finish(Kind::kAccepted);
    sent_by.push_back(channel.log.size());
    for (int s = 0; s < 10; ++s) advance(500ms);
  }
  EXPECT_EQ(sent_by, (std::vector<std::size_t>{2, 3, 4, 5, 6, 7, 8, 8}));
  std::vector<std::string> in_order;
  for (const OutboxRow& r : rows) in_order.push_back(r.id.str());
  EXPECT_EQ(channel.log, in_order);
  EXPECT_EQ(runner->stats().paced, 6U) << "each waited once, for its place";
  for (const Delivery& d : outbox.recorded) {
    EXPECT_EQ(d.attempt, 1U) << "waiting is no try";
  }
}

TEST_F(OutboxRunnerTest, WhoWaitsForARateIsNotOvertakenAndHoldsNobodyElseUp) {
  std::vector<OutboxRow> rows;
  for (std::uint8_t n = 1; n <= 3; ++n) {
    OutboxRow r = row(n);
    r.destination.rate = {1, 10s};
    rows.push_back(r);
  }
  add(rows);
  finish(Kind::kAccepted);
  for (int s = 0; s < 19; ++s) advance(500ms);
  OutboxRow late = row(4);
  late.destination.rate = {1, 10s};
  add({late, row(5, "http://127.0.0.1:9/other")});
  EXPECT_EQ(channel.log.back(), row(5).id.str());
  for (int s = 0; s < 80; ++s) {
    while (!channel.open.empty()) finish(Kind::kAccepted);
    advance(500ms);
  }
  EXPECT_EQ(channel.log,
            (std::vector<std::string>{row(1).id.str(), row(5).id.str(), row(2).id.str(),
                                      row(3).id.str(), row(4).id.str()}));
}

/// The same with a destination that people read.
class DigestTest : public OutboxRunnerTest {
 protected:
  DigestTest() { channel.digest_limit = 20; }

  std::vector<OutboxRow> storm(std::uint8_t first, std::uint8_t last,
                               NotificationKind kind = NotificationKind::kTrigger) {
    std::vector<OutboxRow> rows;
    for (std::uint8_t n = first; n <= last; ++n) {
      OutboxRow r = row(n);
      r.incident.bytes[0] = n;
      r.kind = kind;
      r.destination.rate = {6, 1min};
      rows.push_back(r);
    }
    return rows;
  }

  static std::vector<std::string> ids(const std::vector<OutboxRow>& rows) {
    std::vector<std::string> out;
    for (const OutboxRow& r : rows) out.push_back(r.id.str());
    return out;
  }

  /// By message: the recorded outcomes of that kind.
  std::map<std::string, std::vector<Delivery>> recorded(DeliveryOutcome outcome) const {
    std::map<std::string, std::vector<Delivery>> out;
    for (const Delivery& d : outbox.recorded) {
      if (d.outcome == outcome) out[d.notification.str()].push_back(d);
    }
    return out;
  }
};

TEST_F(DigestTest, WhatWaitsTogetherIsOneMessageThatListsEach) {
  const auto rows = storm(1, 8);
  add(rows);
  ASSERT_EQ(channel.open.size(), 1U);
  EXPECT_EQ(channel.digests, (std::vector<std::vector<std::string>>{ids(rows)}));
  const std::string key = channel.log[0];
  finish(Kind::kAccepted);
  const auto sent = recorded(DeliveryOutcome::kSent);
  EXPECT_EQ(sent.size(), rows.size());
  for (const auto& [id, deliveries] : sent) {
    ASSERT_EQ(deliveries.size(), 1U) << id;
    EXPECT_EQ(deliveries[0].digest, key) << "its trail points to what it travelled in";
    EXPECT_EQ(deliveries[0].attempt, 1U);
  }
  EXPECT_EQ(runner->stats().sent, 8U);
  EXPECT_EQ(runner->stats().digests, 1U);
  advance(1h);
  EXPECT_EQ(channel.log.size(), 1U);
}

TEST_F(DigestTest, AFewGoSingly) {
  const auto rows = storm(1, OutboxRunner::kDigestAbove);
  add(rows);
  while (!channel.open.empty()) finish(Kind::kAccepted);
  EXPECT_EQ(channel.log, ids(rows));
  EXPECT_TRUE(channel.digests.empty());
}

TEST_F(DigestTest, WhatARateHoldsBackGathersAndComesAtTheNextPlace) {
  for (std::uint8_t n = 1; n <= 20; ++n) {
    add(storm(n, n));
    while (!channel.open.empty()) finish(Kind::kAccepted);
    advance(300ms);
  }
  EXPECT_EQ(channel.log.size(), 6U) << "the burst";
  for (int s = 0; s < 10; ++s) advance(1s);
  ASSERT_EQ(channel.digests.size(), 1U);
  EXPECT_EQ(channel.digests[0], ids(storm(7, 20)));
  finish(Kind::kAccepted);
  for (int s = 0; s < 100; ++s) advance(1s);
  EXPECT_EQ(channel.log.size(), 7U);
  EXPECT_EQ(recorded(DeliveryOutcome::kSent).size(), 20U);
}

TEST_F(DigestTest, AStormLargerThanADigestTakesSeveralAndNamesEverybodyOnce) {
  const auto rows = storm(1, 70);
  add(rows);
  for (int s = 0; s < 120; ++s) {
    while (!channel.open.empty()) finish(Kind::kAccepted);
    advance(1s);
  }
  std::map<std::string, int> listed;
  for (const auto& digest : channel.digests) {
    EXPECT_LE(digest.size(), channel.digest_limit);
    for (const std::string& id : digest) ++listed[id];
  }
  EXPECT_EQ(listed.size(), rows.size());
  for (const auto& [id, times] : listed) EXPECT_EQ(times, 1) << id;
  EXPECT_EQ(recorded(DeliveryOutcome::kSent).size(), rows.size());
}

TEST_F(DigestTest, ADigestThatFailsComesBackAsTheSame) {
  add(storm(1, 8));
  finish(Kind::kTransient);
  EXPECT_EQ(recorded(DeliveryOutcome::kRetry).size(), 8U);
  advance(7s);
  ASSERT_EQ(channel.log.size(), 2U);
  EXPECT_EQ(channel.log[0], channel.log[1]) << "the same messages, the same id";
  finish(Kind::kAccepted);
  EXPECT_EQ(recorded(DeliveryOutcome::kSent).size(), 8U);
}

TEST_F(DigestTest, ARefusedDigestRefusesNobody) {
  add(storm(1, 8));
  finish(Kind::kPermanent);
  EXPECT_TRUE(recorded(DeliveryOutcome::kDead).empty());
  for (int s = 0; s < 120; ++s) {
    while (!channel.open.empty()) finish(Kind::kAccepted);
    advance(1s);
  }
  EXPECT_EQ(channel.digests.size(), 1U) << "each was asked for by itself";
  const auto sent = recorded(DeliveryOutcome::kSent);
  EXPECT_EQ(sent.size(), 8U);
  for (const auto& [id, deliveries] : sent) EXPECT_EQ(deliveries[0].digest, "") << id;
}

TEST_F(DigestTest, AfterACrashEachIsListedAtMostOnceMore) {
  const auto rows = storm(1, 8);
  add(rows);
  ASSERT_EQ(channel.open.size(), 1U);
  restart();  // The receiver has it; nobody recorded that.
  channel.open.pop_front();
  runner->wake();
  settle();
  advance(OutboxRunner::kLease);
  while (!channel.open.empty()) finish(Kind::kAccepted);
  EXPECT_EQ(channel.digests, (std::vector<std::vector<std::string>>{ids(rows), ids(rows)}));
  EXPECT_EQ(recorded(DeliveryOutcome::kSent).size(), 8U);
}

TEST_F(DigestTest, ResolvesFollowTheirTriggersAndGatherToo) {
  const auto rows = storm(1, 8);
  auto ends = storm(11, 18, NotificationKind::kResolve);
  for (std::size_t i = 0; i < ends.size(); ++i) ends[i].incident = rows[i].incident;
  add(rows);
  add(ends);
  EXPECT_EQ(channel.digests.size(), 1U) << "not before the triggers have ended";
  finish(Kind::kAccepted);
  advance(1s);
  ASSERT_EQ(channel.digests.size(), 2U);
  EXPECT_EQ(channel.digests[1], ids(ends));
}

TEST_F(DigestTest, ATestMessageIsNeverPartOfOne) {
  auto rows = storm(1, 8);
  OutboxRow asked = storm(9, 9, NotificationKind::kTest)[0];
  rows.insert(rows.begin() + 3, asked);
  add(rows);
  while (!channel.open.empty()) finish(Kind::kAccepted);
  ASSERT_EQ(channel.digests.size(), 1U);
  EXPECT_EQ(channel.digests[0].size(), 8U);
  EXPECT_EQ(channel.log.back(), asked.id.str());
}

TEST_F(OutboxRunnerTest, WhoListensHearsOfWhatABreakerHolds) {
  std::vector<std::pair<std::string, DeliveryOutcome>> heard;
  runner->on_outcome([&](const OutboxRow& r, DeliveryOutcome outcome, const std::string&) {
    heard.emplace_back(r.id.str(), outcome);
  });
  add(row(1));
  for (int i = 0; i < CircuitBreaker::kFailuresToOpen; ++i) {
    if (channel.open.empty()) advance(3min);
    finish(Kind::kTransient);
  }
  add(row(2));
  EXPECT_EQ(heard.back(), std::pair(row(2).id.str(), DeliveryOutcome::kHeld));
}

TEST(SendPace, LetsABurstThroughAndThenOneByOne) {
  SendPace pace;
  const SendRate rate{3, 30s};
  MonoTime now{1'000'000};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pace.take(rate, now), Duration{0});
  EXPECT_EQ(pace.wait(rate, now), Duration{10s});
  EXPECT_EQ(pace.take(rate, now), Duration{10s});
  EXPECT_EQ(pace.take(rate, now), Duration{20s});
  now = now + 30s;
  EXPECT_EQ(pace.take(rate, now), Duration{0});
  now = now + 1h;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(pace.take(rate, now), Duration{0});
  EXPECT_GT(pace.wait(rate, now), Duration{0});
}

TEST_F(OutboxRunnerTest, AMachineThatSleptThroughTheLeaseDoesNotSendTwiceAtOnce) {
  add(row(1));
  advance(1h);
  runner->wake();
  settle();
  EXPECT_EQ(channel.open.size(), 1U);
  finish(Kind::kAccepted);
  advance(1h);
  EXPECT_EQ(channel.log.size(), 1U) << "the send under way counted for the new claim";
}

TEST_F(OutboxRunnerTest, ABrokenStoreIsAskedAgainAndNotHammered) {
  outbox.broken = true;
  add(row(1));
  const int before = outbox.claims;
  advance(29s);
  EXPECT_EQ(outbox.claims, before);
  outbox.broken = false;
  advance(2s);
  EXPECT_EQ(channel.log.size(), 1U);
}

TEST_F(OutboxRunnerTest, DrainsByEndingWhatIsUnderWay) {
  add(row(1));
  runner->drain();
  EXPECT_FALSE(runner->idle());
  add(row(2));
  EXPECT_EQ(channel.log.size(), 1U) << "nothing new is begun";
  finish(Kind::kAccepted);
  EXPECT_TRUE(runner->idle());
  EXPECT_EQ(outbox.recorded.at(0).outcome, DeliveryOutcome::kSent);
}

TEST_F(OutboxRunnerTest, ItsCountsAreMetrics) {
  add(row(1));
  clock.advance(2s);
  finish(Kind::kAccepted);
  io::Metrics metrics;
  publish_outbox_stats(metrics, runner->stats());
  const std::string text = metrics.text();
  EXPECT_NE(text.find("tocsin_outbox_deliveries_total{outcome=\"sent\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("tocsin_outbox_lag_seconds 2\n"), std::string::npos) << text;
}

TEST(CircuitBreaker, OpensAfterFiveDoublesItsHoldAndClosesOnAnAnswer) {
  CircuitBreaker b;
  MonoTime now{1'000'000};
  for (int i = 0; i < 4; ++i) b.on_failure(now);
  EXPECT_EQ(b.hold(now), std::nullopt);
  b.on_failure(now);
  EXPECT_EQ(b.hold(now), 30s);
  b.on_failure(now);  // Was under way.
  EXPECT_EQ(b.hold(now), 30s);
  for (const Duration next :
       {Duration{1min}, Duration{2min}, Duration{4min}, Duration{5min}, Duration{5min}}) {
    now = now + *b.hold(now);
    EXPECT_EQ(b.hold(now), std::nullopt);
    b.on_start(now);
    EXPECT_EQ(b.hold(now), CircuitBreaker::kWhileLooking);
    b.on_failure(now);
    EXPECT_EQ(b.hold(now), next);
  }
  now = now + 5min;
  b.on_start(now);
  b.on_answer();
  EXPECT_EQ(b.hold(now), std::nullopt);
  EXPECT_TRUE(b.closed());
}

}  // namespace
}  // namespace tocsin::collector

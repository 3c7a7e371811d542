#include "common/io/event_loop.h"

#include <gtest/gtest.h>

#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace tocsin::io {
namespace {

/// Time moves only when the test says so.
struct ManualClock final : Clock {
  Now now() override { return value; }

  void advance(Duration d) {
    value.mono = value.mono + d;
    value.wall = value.wall + d;
  }

  Now value{MonoTime{1'000'000}, WallTime{1'700'000'000'000'000}};
};

struct Pair {
  Pair() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
    a = Fd(fds[0]);
    b = Fd(fds[1]);
  }

  Fd a;
  Fd b;
};

void turn(EventLoop& loop) { loop.run_once(Duration::zero()); }

TEST(EventLoop, TimersFireWhenDueInOrderOfTheirMoment) {
  ManualClock clock;
  EventLoop loop(clock);
  std::string fired;
  const auto late = loop.after(20ms, [&] { fired += "late "; });
  const auto early = loop.after(10ms, [&] { fired += "early "; });
  const auto same = loop.after(10ms, [&] { fired += "same "; });
  turn(loop);
  EXPECT_EQ(fired, "");
  clock.advance(9ms);
  turn(loop);
  EXPECT_EQ(fired, "");
  clock.advance(1ms);
  turn(loop);
  EXPECT_EQ(fired, "early same ");
  EXPECT_FALSE(early->armed());
  EXPECT_TRUE(late->armed());
  clock.advance(1h);
  turn(loop);
  EXPECT_EQ(fired, "early same late ");
}

TEST(EventLoop, DestroyingATimerCancelsIt) {
  ManualClock clock;
  EventLoop loop(clock);
  bool fired = false;
  auto timer = loop.after(1ms, [&] { fired = true; });
  timer.reset();
  clock.advance(1s);
  turn(loop);
  EXPECT_FALSE(fired);
}

TEST(EventLoop, ATimerMayDestroyItselfAndAnotherDueTimer) {
  ManualClock clock;
  EventLoop loop(clock);
  TimerHandle self;
  TimerHandle other;
  bool other_fired = false;
  self = loop.after(1ms, [&] {
    other.reset();
    self.reset();
  });
  other = loop.after(1ms, [&] { other_fired = true; });
  clock.advance(1ms);
  turn(loop);
  EXPECT_EQ(self, nullptr);
  EXPECT_FALSE(other_fired);
}

TEST(EventLoop, ATimerThatRearmsItselfForNowFiresOncePerTurn) {
  ManualClock clock;
  EventLoop loop(clock);
  int fired = 0;
  TimerHandle timer;
  std::function<void()> again = [&] {
    ++fired;
    timer = loop.after(Duration::zero(), again);
  };
  again();
  fired = 0;
  turn(loop);
  EXPECT_EQ(fired, 1);
  turn(loop);
  EXPECT_EQ(fired, 2);
}

TEST(EventLoop, ATimerCanBePutOffBroughtForwardAndSetAgain) {
  ManualClock clock;
  EventLoop loop(clock);
  const MonoTime start = loop.now().mono;
  std::string fired;
  const auto a = loop.after(10ms, [&] { fired += "a "; });
  const auto b = loop.after(20ms, [&] { fired += "b "; });
  a->set(start + 30ms);
  EXPECT_EQ(a->due(), start + 30ms);
  clock.advance(10ms);
  turn(loop);
  EXPECT_EQ(fired, "") << "its first moment is not its any more";
  clock.advance(10ms);
  turn(loop);
  EXPECT_EQ(fired, "b ");
  a->set(start + 25ms);  // Forward again, but not to before where it stood.
  clock.advance(5ms);
  turn(loop);
  EXPECT_EQ(fired, "b a ");
  EXPECT_FALSE(a->armed());
  b->set(start + 50ms);
  b->set(start + 26ms);
  clock.advance(1ms);
  turn(loop);
  EXPECT_EQ(fired, "b a b ");
  a->set(start);  // Past already: in the next turn.
  turn(loop);
  EXPECT_EQ(fired, "b a b a ");
}

TEST(EventLoop, ATimerMaySetItselfInItsCallback) {
  ManualClock clock;
  EventLoop loop(clock);
  int fired = 0;
  TimerHandle timer;
  timer = loop.after(1ms, [&] {
    timer->set(loop.now().mono);
    if (++fired == 3) timer.reset();
  });
  clock.advance(1ms);
  for (int expected = 1; expected <= 3; ++expected) {
    turn(loop);
    EXPECT_EQ(fired, expected) << "once a turn";
  }
  turn(loop);
  EXPECT_EQ(fired, 3);
}

TEST(EventLoop, ThousandsThatAreSetAtRandomFireWhenAndInTheOrderTheyShould) {
  ManualClock clock;
  EventLoop loop(clock);
  std::uint64_t x = 3;
  const auto random = [&x](std::uint64_t below) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    return Duration{static_cast<std::int64_t>((x >> 33) % below)};
  };
  std::vector<MonoTime> fired;
  std::vector<TimerHandle> timers(2000);
  for (TimerHandle& timer : timers) {
    timer = loop.after(random(1000), [&] { fired.push_back(timer->due()); });
  }
  for (int round = 0; round < 300; ++round) {
    const MonoTime now = loop.now().mono;
    for (const TimerHandle& timer : timers) {
      if (random(10) == Duration{0}) timer->set(now + random(1000));
    }
    clock.advance(random(20));
    std::vector<MonoTime> expected;
    for (const TimerHandle& timer : timers) {
      if (timer->armed() && timer->due() <= loop.now().mono) expected.push_back(timer->due());
    }
    std::sort(expected.begin(), expected.end());
    fired.clear();
    turn(loop);
    ASSERT_EQ(fired, expected) << "round " << round;
  }
}

TEST(EventLoop, TimerHeapFiresThousandsInOrderWithHalfOfThemCancelled) {
  ManualClock clock;
  EventLoop loop(clock);
  std::vector<std::int64_t> fired;
  std::vector<TimerHandle> timers;
  std::uint64_t x = 7;
  for (int i = 0; i < 4000; ++i) {
    x = x * 6364136223846793005ULL + 1442695040888963407ULL;
    const Duration delay{static_cast<std::int64_t>(x >> 44)};
    timers.push_back(loop.after(delay, [&fired, delay] { fired.push_back(delay.count()); }));
  }
  for (std::size_t i = 0; i < timers.size(); i += 2) timers[i].reset();
  clock.advance(10s);
  turn(loop);
  EXPECT_EQ(fired.size(), 2000U);
  EXPECT_TRUE(std::is_sorted(fired.begin(), fired.end()));
}

TEST(EventLoop, TimeStandsStillWithinOneTurn) {
  ManualClock clock;
  EventLoop loop(clock);
  MonoTime first;
  MonoTime second;
  loop.post([&] {
    first = loop.now().mono;
    clock.advance(5s);
    second = loop.now().mono;
  });
  turn(loop);
  EXPECT_EQ(first, second);
  EXPECT_EQ(loop.now().mono, second + 5s);
}

TEST(EventLoop, WatchReportsWhatIsReadyAndStopsWhenDestroyed) {
  ManualClock clock;
  EventLoop loop(clock);
  Pair pair;
  std::vector<Interest> seen;
  auto watch = loop.watch(pair.a.get(), Interest::kRead, [&](Interest r) { seen.push_back(r); });
  turn(loop);
  EXPECT_TRUE(seen.empty());
  ASSERT_EQ(::send(pair.b.get(), "x", 1, 0), 1);
  turn(loop);
  EXPECT_EQ(seen, std::vector{Interest::kRead});
  watch->set(Interest::kBoth);
  turn(loop);
  EXPECT_EQ(seen.back(), Interest::kBoth);
  watch->set(Interest::kWrite);
  turn(loop);
  EXPECT_EQ(seen.back(), Interest::kWrite);
  watch->set(Interest::kNone);
  turn(loop);
  EXPECT_EQ(seen.size(), 3U);
  watch->set(Interest::kRead);
  watch.reset();
  turn(loop);
  EXPECT_EQ(seen.size(), 3U);
}

TEST(EventLoop, AWatchMayDestroyItselfInItsCallback) {
  ManualClock clock;
  EventLoop loop(clock);
  Pair pair;
  WatchHandle watch;
  const std::string captured(100, 'c');
  std::string after;
  watch = loop.watch(pair.a.get(), Interest::kWrite, [&, captured](Interest) {
    watch.reset();
    after = captured;  // The running function outlives the watch.
  });
  turn(loop);
  EXPECT_EQ(watch, nullptr);
  EXPECT_EQ(after, captured);
}

TEST(EventLoop, AClosedAndReusedDescriptorIsNotMistakenForTheOldOne) {
  ManualClock clock;
  EventLoop loop(clock);
  int old_ready = 0;
  int new_ready = 0;
  int number = -1;
  {
    Pair pair;
    number = pair.a.get();
    const auto watch = loop.watch(pair.a.get(), Interest::kWrite, [&](Interest) { ++old_ready; });
    turn(loop);
  }
  Pair pair;
  ASSERT_EQ(pair.a.get(), number);
  const auto watch = loop.watch(pair.a.get(), Interest::kWrite, [&](Interest) { ++new_ready; });
  turn(loop);
  EXPECT_EQ(old_ready, 1);
  EXPECT_EQ(new_ready, 1);
}

TEST(EventLoop, CountsTurnsThatDidSomethingAndRemembersTheLongest) {
  ManualClock clock;
  EventLoop loop{clock};
  loop.run_once(Duration{0});
  EXPECT_EQ(loop.stats().turns, 0U) << "nothing was called";
  // A turn that lasts: latency_clock is asked until it has moved.
  const MonoTime start = latency_clock();
  loop.post([&] {
    while (latency_clock() - start < 2ms) continue;
  });
  loop.run_once();
  const LoopStats& stats = loop.stats();
  EXPECT_EQ(stats.turns, 1U);
  EXPECT_GT(stats.busy_max, Duration{0});
  EXPECT_EQ(stats.busy_sum, stats.busy_max);
  std::uint64_t counted = 0;
  for (const std::uint64_t n : stats.buckets) counted += n;
  EXPECT_EQ(counted, 1U);
  EXPECT_EQ(loop.take_stall_max(), stats.busy_max);
  EXPECT_EQ(loop.take_stall_max(), Duration{0}) << "taken";
}

TEST(EventLoop, PostFromOtherThreadsWakesTheLoopAndKeepsTheirOrder) {
  SystemClock clock;
  EventLoop loop(clock);
  std::vector<int> seen;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) loop.post([&seen, i] { seen.push_back(i); });
    loop.stop();
  });
  loop.run();
  poster.join();
  while (seen.size() < 1000) turn(loop);
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(EventLoop, AFunctionThatPostsItselfDoesNotStarveTheRest) {
  ManualClock clock;
  EventLoop loop(clock);
  int ran = 0;
  std::function<void()> again = [&] {
    ++ran;
    loop.post(again);
  };
  loop.post(again);
  turn(loop);
  EXPECT_EQ(ran, 1);
}

TEST(EventLoop, StopBeforeRunReturnsAtOnceAndRunCanBeCalledAgain) {
  SystemClock clock;
  EventLoop loop(clock);
  loop.stop();
  loop.run();
  int fired = 0;
  const auto timer = loop.after(1ms, [&] {
    ++fired;
    loop.stop();
  });
  loop.run();
  EXPECT_EQ(fired, 1);
}

}  // namespace
}  // namespace tocsin::io

#include "common/io/signals.h"

#include <gtest/gtest.h>

#include <vector>

namespace tocsin::io {
namespace {

TEST(Signals, ArriveOnTheLoop) {
  SystemClock clock;
  EventLoop loop(clock);
  std::vector<int> seen;
  {
    const Signals signals(loop, {SIGTERM, SIGHUP}, [&](int signal) { seen.push_back(signal); });
    ASSERT_EQ(::kill(::getpid(), SIGHUP), 0);
    ASSERT_EQ(::kill(::getpid(), SIGTERM), 0);
    EXPECT_TRUE(seen.empty());
    for (int i = 0; i < 10 && seen.size() < 2; ++i) loop.run_once(1s);
  }
  EXPECT_EQ(seen, (std::vector{SIGHUP, SIGTERM}));
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0);
}

}  // namespace
}  // namespace tocsin::io

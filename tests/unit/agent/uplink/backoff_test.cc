#include "agent/uplink/backoff.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

TEST(Backoff, StartsShortGrowsAndStaysBounded) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    Backoff backoff;
    Duration last = Backoff::kBase;
    Duration longest{0};
    for (int i = 0; i < 200; ++i) {
      const Duration wait = backoff.next(rng);
      ASSERT_GE(wait, Backoff::kBase);
      ASSERT_LE(wait, std::min(Backoff::kMax, last * 3));
      longest = std::max(longest, wait);
      last = wait;
    }
    EXPECT_GT(longest, 10s) << seed;
    backoff.reset();
    EXPECT_LE(backoff.next(rng), 300ms);
  }
}

}  // namespace
}  // namespace tocsin::agent

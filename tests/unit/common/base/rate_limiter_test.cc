#include "common/base/rate_limiter.h"

#include <gtest/gtest.h>

#include <string>

namespace tocsin {
namespace {

constexpr MonoTime kStart{1'000'000};

RateLimiter limiter(std::uint32_t burst, std::size_t keys_max = 100) {
  return RateLimiter{{.per_token = 1s, .burst = burst, .keys_max = keys_max}};
}

TEST(RateLimiter, LetsABurstThroughAndThenOneForEachTokenThatCameBack) {
  RateLimiter limit = limiter(3);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.take("a", kStart).allowed) << i;
  EXPECT_EQ(limit.take("a", kStart), (RateLimiter::Verdict{.allowed = false, .retry_after = 1s}));
  EXPECT_EQ(limit.take("a", kStart + 400ms).retry_after, 600ms);
  EXPECT_TRUE(limit.take("a", kStart + 1s).allowed);
  EXPECT_FALSE(limit.take("a", kStart + 1s).allowed);
}

TEST(RateLimiter, ARefusalCostsNothing) {
  RateLimiter limit = limiter(1);
  ASSERT_TRUE(limit.take("a", kStart).allowed);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(limit.take("a", kStart + 500ms).allowed);
  EXPECT_TRUE(limit.take("a", kStart + 1s).allowed);
}

TEST(RateLimiter, ABucketIsNeverFullerThanItsBurst) {
  RateLimiter limit = limiter(2);
  ASSERT_TRUE(limit.take("a", kStart).allowed);
  const MonoTime later = kStart + 1h;
  EXPECT_TRUE(limit.take("a", later).allowed);
  EXPECT_TRUE(limit.take("a", later).allowed);
  EXPECT_FALSE(limit.take("a", later).allowed);
}

TEST(RateLimiter, KeysDoNotSpendEachOthersTokens) {
  RateLimiter limit = limiter(1);
  EXPECT_TRUE(limit.take("a", kStart).allowed);
  EXPECT_TRUE(limit.take("b", kStart).allowed);
  EXPECT_FALSE(limit.take("a", kStart).allowed);
}

TEST(RateLimiter, ADearRequestTakesSeveralTokens) {
  RateLimiter limit = limiter(5);
  EXPECT_TRUE(limit.take("a", kStart, 4).allowed);
  EXPECT_EQ(limit.take("a", kStart, 3).retry_after, 2s);
  EXPECT_TRUE(limit.take("a", kStart, 1).allowed);
}

TEST(RateLimiter, AtTheBoundStrangersShareOneBucketUntilSomebodyHasPaid) {
  RateLimiter limit = limiter(2, 3);
  for (const char* key : {"a", "b", "c"}) ASSERT_TRUE(limit.take(key, kStart).allowed);
  // A thousand addresses together get what one address gets.
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) {
    if (limit.take("stranger" + std::to_string(i), kStart).allowed) ++allowed;
  }
  EXPECT_EQ(allowed, 2);
  EXPECT_EQ(limit.size(), 3U);
  EXPECT_EQ(limit.shared(), 1000U);
  EXPECT_TRUE(limit.take("a", kStart).allowed) << "who was known keeps the own bucket";

  const MonoTime paid = kStart + 1s;  // b and c are full again.
  EXPECT_TRUE(limit.take("d", paid).allowed);
  EXPECT_TRUE(limit.take("d", paid).allowed);
  EXPECT_EQ(limit.shared(), 1000U);
}

TEST(RateLimiter, ForgetsWhoHasPaidSoThatTheTableStaysSmall) {
  RateLimiter limit = limiter(1, 1000);
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(limit.take(std::to_string(i), kStart + i * 500ms).allowed);
  }
  EXPECT_LE(limit.size(), 8U);
}

TEST(RateLimiter, ForgivesAKeyThatProvedItself) {
  RateLimiter limit = limiter(1);
  ASSERT_TRUE(limit.take("a", kStart).allowed);
  limit.forgive("a");
  limit.forgive("never seen");
  EXPECT_TRUE(limit.take("a", kStart).allowed);
}

TEST(RateLimiter, SaysWholeSecondsForTheHeader) {
  EXPECT_EQ((RateLimiter::Verdict{false, 1us}).retry_after_seconds(), 1);
  EXPECT_EQ((RateLimiter::Verdict{false, 1s}).retry_after_seconds(), 1);
  EXPECT_EQ((RateLimiter::Verdict{false, 1001ms}).retry_after_seconds(), 2);
}

}  // namespace
}  // namespace tocsin

#include "collector/api/login_guard.h"

#include <gtest/gtest.h>

#include <string>

namespace tocsin::collector {
namespace {

constexpr MonoTime kStart{1'000'000};

TEST(LoginGuard, FiveFailuresLockForOneFiveFifteenAndSixtyMinutes) {
  LoginGuard guard{5};
  MonoTime now = kStart;
  for (const Duration lock : {1min, 5min, 15min, 60min, 60min}) {
    for (int i = 0; i < 4; ++i) EXPECT_FALSE(guard.on_try("ann", now));
    EXPECT_EQ(guard.locked_for("ann", now), Duration{0});
    EXPECT_TRUE(guard.on_try("ann", now));
    EXPECT_EQ(guard.locked_for("ann", now), lock);
    EXPECT_EQ(guard.locked_for("bob", now), Duration{0});
    now = now + lock;
    EXPECT_EQ(guard.locked_for("ann", now), Duration{0});
  }
}

TEST(LoginGuard, ASuccessForgetsAndSoDoesTime) {
  LoginGuard guard{5};
  for (int i = 0; i < 5; ++i) guard.on_try("ann", kStart);
  guard.on_success("ann");
  EXPECT_EQ(guard.size(), 0U);
  EXPECT_EQ(guard.locked_for("ann", kStart), Duration{0});

  for (int i = 0; i < 4; ++i) EXPECT_FALSE(guard.on_try("ann", kStart));
  EXPECT_FALSE(guard.on_try("ann", kStart + LoginGuard::kWindow)) << "the four are too old";

  LoginGuard other{1};
  EXPECT_TRUE(other.on_try("ann", kStart));
  EXPECT_TRUE(other.on_try("ann", kStart + 1min));
  EXPECT_EQ(other.locked_for("ann", kStart + 1min), Duration{5min});
  EXPECT_TRUE(other.on_try("ann", kStart + 25h));
  EXPECT_EQ(other.locked_for("ann", kStart + 25h), Duration{1min});
}

TEST(LoginGuard, WhatWasNotTriedDoesNotCount) {
  LoginGuard guard{5};
  for (int i = 0; i < 4; ++i) guard.on_try("ann", kStart);
  EXPECT_TRUE(guard.on_try("ann", kStart));
  guard.on_refund("ann");
  EXPECT_EQ(guard.locked_for("ann", kStart), Duration{0});
  EXPECT_TRUE(guard.on_try("ann", kStart)) << "the four still count";
  EXPECT_EQ(guard.locked_for("ann", kStart), Duration{1min});
  guard.on_refund("nobody");
}

TEST(LoginGuard, ForgetsWhoTriedLeastRecentlyAtTheBound) {
  LoginGuard guard{1};
  for (std::size_t i = 0; i < LoginGuard::kKnownMax; ++i) {
    guard.on_try(std::to_string(i), kStart + Duration{static_cast<std::int64_t>(i)});
  }
  guard.on_try("0", kStart + 1s);
  guard.on_try("one more", kStart + 1s);
  EXPECT_EQ(guard.size(), LoginGuard::kKnownMax);
  EXPECT_GT(guard.locked_for("0", kStart + 1s), Duration{0});
  EXPECT_EQ(guard.locked_for("1", kStart + 1s), Duration{0});
}

}  // namespace
}  // namespace tocsin::collector

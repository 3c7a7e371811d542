#include "collector/core/confirm.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

TEST(Confirm, AtMostOncePerHalfInterval) {
  const WallTime t{1'000'000'000'000};
  EXPECT_TRUE(confirm_due(std::nullopt, t, 30s));
  EXPECT_FALSE(confirm_due(t, t + 14s, 30s));
  EXPECT_TRUE(confirm_due(t, t + 15s, 30s));
  EXPECT_TRUE(confirm_due(t, t - 1s, 30s)) << "a clock that went back must not stop it";
}

TEST(ConfirmBudget, IsATenthOfTheAgentsWorkWithASmallFloor) {
  ConfirmBudget budget;
  const MonoTime t{0};
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.take(t, 3, 0.1));
  EXPECT_FALSE(budget.take(t, 3, 0.1));
  EXPECT_FALSE(budget.take(t + 500ms, 3, 0.1));
  EXPECT_TRUE(budget.take(t + 1s, 3, 0.1));
  ConfirmBudget large;
  int taken = 0;
  while (large.take(t, 1000, 500)) ++taken;
  EXPECT_EQ(taken, 100);
  taken = 0;
  while (large.take(t + 1s, 1000, 500)) ++taken;
  EXPECT_EQ(taken, 50);
}

}  // namespace
}  // namespace tocsin::collector

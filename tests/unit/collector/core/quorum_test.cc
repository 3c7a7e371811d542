#include "collector/core/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tocsin::collector {
namespace {

constexpr MonitorStatus kUp = MonitorStatus::kUp;
constexpr MonitorStatus kDown = MonitorStatus::kDown;
constexpr MonitorStatus kDegraded = MonitorStatus::kDegraded;
constexpr MonitorStatus kUnknown = MonitorStatus::kUnknown;

struct Case {
  int n, k, down, up, degraded;
  bool failing;
  MonitorStatus want;
};

// Worked out by hand from DEC-7, for n = 1, 2, 3, 5 and each kind of k.
constexpr Case kCases[] = {
    // One region.
    {1, 1, 1, 0, 0, false, kDown},
    {1, 1, 0, 1, 0, false, kUp},
    {1, 1, 0, 1, 1, false, kDegraded},
    {1, 1, 0, 0, 0, false, kUnknown},
    // Two, majority and all are both 2.
    {2, 2, 2, 0, 0, false, kDown},
    {2, 2, 1, 1, 0, false, kUp},  // Failing from 1 of 2.
    {2, 2, 1, 0, 0, false, kUnknown},
    {2, 2, 0, 1, 0, false, kUp},  // U >= n-k+1 = 1.
    {2, 2, 0, 0, 0, false, kUnknown},
    {2, 2, 1, 1, 0, true, kUnknown},  // An open incident needs both.
    {2, 2, 0, 1, 0, true, kUnknown},
    {2, 2, 0, 2, 0, true, kUp},
    {2, 2, 0, 2, 1, false, kUp},
    {2, 2, 0, 2, 2, false, kDegraded},
    // Two, any.
    {2, 1, 1, 1, 0, false, kDown},
    {2, 1, 0, 1, 0, false, kUnknown},  // One vote is no majority.
    {2, 1, 0, 2, 0, false, kUp},
    {2, 1, 0, 2, 1, false, kDegraded},  // min(k, majority) = 1.
    // Three, majority.
    {3, 2, 2, 1, 0, false, kDown},
    {3, 2, 2, 0, 0, false, kDown},
    {3, 2, 1, 2, 0, false, kUp},  // Failing from 1 of 3.
    {3, 2, 1, 1, 0, false, kUnknown},
    {3, 2, 1, 0, 0, false, kUnknown},
    {3, 2, 0, 2, 0, false, kUp},
    {3, 2, 0, 1, 0, false, kUnknown},
    {3, 2, 0, 3, 1, false, kUp},
    {3, 2, 0, 3, 2, false, kDegraded},
    {3, 2, 1, 2, 0, true, kUp},
    // Three, any.
    {3, 1, 1, 2, 0, false, kDown},
    {3, 1, 0, 3, 0, false, kUp},
    {3, 1, 0, 2, 0, false, kUp},  // Partial evidence.
    {3, 1, 0, 2, 0, true, kUnknown},
    {3, 1, 0, 1, 0, false, kUnknown},
    // Three, all.
    {3, 3, 3, 0, 0, false, kDown},
    {3, 3, 2, 1, 0, false, kUp},
    {3, 3, 2, 0, 0, false, kUnknown},
    {3, 3, 2, 1, 0, true, kUnknown},
    {3, 3, 1, 2, 0, true, kUp},
    // Five.
    {5, 3, 3, 2, 0, false, kDown},
    {5, 3, 2, 3, 0, false, kUp},
    {5, 3, 2, 2, 0, false, kUnknown},
    {5, 3, 0, 3, 0, false, kUp},
    {5, 3, 0, 2, 0, false, kUnknown},
    {5, 2, 2, 3, 0, false, kDown},
    {5, 2, 1, 4, 0, false, kUp},
    {5, 2, 1, 3, 0, false, kUnknown},
    {5, 2, 0, 3, 0, false, kUp},
    {5, 2, 0, 3, 0, true, kUnknown},
    {5, 5, 4, 1, 0, false, kUp},
    {5, 5, 4, 1, 0, true, kUnknown},
    {5, 5, 2, 3, 0, true, kUp},
};

TEST(Quorum, FollowsTheTableOfTheDesign) {
  for (const Case& c : kCases) {
    EXPECT_EQ(decide({c.n, c.k, c.down, c.up, c.degraded}, c.failing), c.want)
        << "n " << c.n << " k " << c.k << " D " << c.down << " U " << c.up << " G " << c.degraded
        << (c.failing ? " failing" : "");
  }
}

TEST(Quorum, SilenceIsNeverUpAndFewerThanKAreNeverDown) {
  for (int n = 1; n <= 6; ++n) {
    for (int k = 1; k <= n; ++k) {
      for (int down = 0; down <= n; ++down) {
        for (int up = 0; up <= n - down; ++up) {
          for (const bool failing : {false, true}) {
            const MonitorStatus got = decide({n, k, down, up, 0}, failing);
            EXPECT_FALSE(up == 0 && got == kUp);
            EXPECT_EQ(got == kDown, down >= k);
            EXPECT_FALSE(failing && got == kUp && up < n / 2 + 1);
          }
        }
      }
    }
  }
}

TEST(Quorum, SaysWhyInWords) {
  EXPECT_EQ(because({2, 2, 2, 0, 0}, kDown, {}), "2 of 2 regions down");
  EXPECT_EQ(because({3, 2, 1, 2, 0}, kUp, {}), "failing from 1 of 3");
  EXPECT_EQ(because({3, 2, 0, 1, 0}, kUnknown,
                    {{"fra", Abstention::kExpired}, {"nyc", Abstention::kBlind}}),
            "1 of 3 regions up; no vote from fra: expired, no vote from nyc: blind");
}

}  // namespace
}  // namespace tocsin::collector

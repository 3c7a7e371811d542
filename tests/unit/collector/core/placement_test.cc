#include "collector/core/placement.h"

#include "tests/support/builders.h"

#include <gtest/gtest.h>

#include <map>

namespace tocsin::collector {
namespace {

TEST(Placement, MovesOnlyTheShareOfTheAgentThatLeaves) {
  std::vector<AgentId> three;
  for (std::uint64_t i = 1; i <= 3; ++i) three.push_back(test::an_id<AgentId>(i));
  const std::vector<AgentId> two{three[0], three[1]};
  std::map<AgentId, int> share;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const MonitorId monitor = test::an_id<MonitorId>(1000 + i);
    const AgentId before = *place(monitor, three);
    ++share[before];
    if (before == three[2]) continue;
    EXPECT_EQ(place(monitor, two), before);
  }
  for (const AgentId& agent : three) {
    EXPECT_GT(share[agent], 800);
    EXPECT_LT(share[agent], 1200);
  }
  EXPECT_EQ(place(test::an_id<MonitorId>(1), {}), std::nullopt);
}

}  // namespace
}  // namespace tocsin::collector

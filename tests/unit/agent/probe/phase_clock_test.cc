#include "agent/probe/phase_clock.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

TEST(PhaseClock, PhasesPartitionTheTotalAndAddUpWhenTheyComeAgain) {
  PhaseClock clock{Phase::kDns, {100}};
  clock.enter(Phase::kConnect, {110});
  clock.enter(Phase::kConnect, {130});
  clock.enter(Phase::kTls, {160});
  clock.enter(Phase::kSend, {200});
  clock.enter(Phase::kWait, {201});
  clock.enter(Phase::kReceive, {250});
  clock.enter(Phase::kDns, {300});
  clock.enter(Phase::kConnect, {307});
  EXPECT_EQ(clock.phase(), Phase::kConnect);
  EXPECT_EQ(clock.finish({310}), (Phases{.dns_us = 17,
                                         .connect_us = 53,
                                         .tls_us = 40,
                                         .send_us = 1,
                                         .wait_us = 49,
                                         .receive_us = 50,
                                         .total_us = 210}));
}

TEST(PhaseClock, TimeThatTurnsOutToBelongElsewhereLeavesNoTrace) {
  PhaseClock clock{Phase::kDns, {100}};
  clock.become(Phase::kConnect);
  EXPECT_EQ(clock.finish({130}), (Phases{.connect_us = 30, .total_us = 30}));
}

}  // namespace
}  // namespace tocsin::agent

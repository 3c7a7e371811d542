#include "agent/compat/probe_run.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ProbeTimeout, IsWhatPrometheusWaitsLessHalfASecondAtMostTheModules) {
  EXPECT_EQ(*probe_timeout("10", Duration::zero()), milliseconds{9500});
  EXPECT_EQ(*probe_timeout("10", seconds{5}), seconds{5});
  EXPECT_EQ(*probe_timeout("10", seconds{30}), milliseconds{9500});
  EXPECT_EQ(*probe_timeout("", Duration::zero()), milliseconds{119500});
  EXPECT_EQ(*probe_timeout("0", seconds{3}), seconds{3});
  EXPECT_EQ(*probe_timeout("0.2", seconds{3}), seconds{3}) << "nothing is left: the module's own";
  EXPECT_EQ(*probe_timeout("0.2", Duration::zero()), milliseconds{1});
  EXPECT_EQ(*probe_timeout("1e9", Duration::zero()), kProbeTimeoutMax);
  EXPECT_EQ(*probe_timeout("5", seconds{600}), milliseconds{4500});
  EXPECT_EQ(*probe_timeout("", seconds{600}), milliseconds{119500});
  for (const char* wrong : {"soon", "5s", "nan", "inf", " 5"}) {
    EXPECT_FALSE(probe_timeout(wrong, Duration::zero())) << wrong;
  }
}

}  // namespace
}  // namespace tocsin::agent

#include "agent/core/start_batches.h"

#include <gtest/gtest.h>

namespace tocsin::agent {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

TEST(StartBatches, TheFirstSlotWaitsForNothingAndTheNextForAGap) {
  StartBatches batches;
  const MonoTime now{1'000'000};
  EXPECT_LE(batches.not_before(), now);
  batches.began(0, now);
  EXPECT_LE(batches.not_before(), now) << "nothing began";
  batches.began(1, now);
  EXPECT_EQ(batches.not_before(), now + StartBatches::kGapMax);
}

TEST(StartBatches, TheGapKeepsBatchesFromGrowingAndStaysWithinItsBounds) {
  StartBatches batches;
  MonoTime now{1'000'000};
  const auto gap = [&](std::size_t count) {
    now = now + milliseconds{10};
    batches.began(count, now);
    return batches.not_before() - now;
  };
  EXPECT_EQ(gap(StartBatches::kWanted), milliseconds{3}) << "as many as wanted";
  EXPECT_EQ(gap(StartBatches::kWanted + 1), microseconds{1'500});
  EXPECT_EQ(gap(1000), StartBatches::kGapMin);
  EXPECT_EQ(gap(StartBatches::kWanted / 2), StartBatches::kGapMin);
  EXPECT_EQ(gap(StartBatches::kWanted / 2 - 1), milliseconds{2});
  EXPECT_EQ(gap(1), StartBatches::kGapMax);
}

}  // namespace
}  // namespace tocsin::agent

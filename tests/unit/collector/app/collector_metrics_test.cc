#include "collector/app/collector_metrics.h"

#include "collector/ingest/rejection.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tocsin::collector {
namespace {

TEST(CollectorMetrics, EveryRejectionHasALabelOfItsOwnAndAdvice) {
  IngestStats stats;
  for (std::size_t i = 0; i < kRejectionCount; ++i) stats.rejected[i] = 100 + i;
  io::Metrics metrics;
  publish_ingest_stats(metrics, stats);
  const std::string text = metrics.text();
  std::set<std::string> labels;
  for (std::size_t i = 0; i < kRejectionCount; ++i) {
    const auto why = static_cast<Rejection>(i);
    EXPECT_TRUE(labels.insert(to_string(why)).second) << to_string(why);
    EXPECT_NE(text.find(fmt::format("tocsin_ingest_rejected_total{{reason=\"{}\"}} {}",
                                    to_string(why), 100 + i)),
              std::string::npos)
        << to_string(why);
    EXPECT_GT(std::string{what_to_do(why)}.size(), 20U) << to_string(why);
  }
}

}  // namespace
}  // namespace tocsin::collector

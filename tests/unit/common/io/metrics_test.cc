#include "common/io/metrics.h"

#include "common/io/build_info.h"

#include <gtest/gtest.h>

namespace tocsin::io {
namespace {

TEST(Metrics, WritesTheTextFormat) {
  Metrics metrics;
  auto sent = metrics.counter("tocsin_test_sent_total", "Frames sent", {{"class", "a\"b\n"}});
  sent.add();
  sent.add(2);
  metrics.gauge("tocsin_test_bytes", "Bytes").set(12.5);
  auto seconds = metrics.histogram("tocsin_test_seconds", "How long", {0.1, 1});
  seconds.observe(0.05);
  seconds.observe(5);
  const std::string text = metrics.text();
  for (const char* line :
       {"# HELP tocsin_test_sent_total Frames sent\n", "# TYPE tocsin_test_sent_total counter\n",
        "tocsin_test_sent_total{class=\"a\\\"b\\n\"} 3\n", "tocsin_test_bytes 12.5\n",
        "tocsin_test_seconds_bucket{le=\"0.1\"} 1\n", "tocsin_test_seconds_bucket{le=\"+Inf\"} 2\n",
        "tocsin_test_seconds_count 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST(Metrics, AskingAgainGivesTheSameSeries) {
  Metrics metrics;
  metrics.counter("tocsin_test_total", "x").add();
  metrics.counter("tocsin_test_total", "x").add();
  EXPECT_EQ(metrics.counter("tocsin_test_total", "x").value(), 2);
}

TEST(Metrics, RaiseToNeverLowers) {
  Metrics metrics;
  auto counter = metrics.counter("tocsin_test_total", "x");
  counter.raise_to(5);
  counter.raise_to(3);
  EXPECT_EQ(counter.value(), 5);
}

TEST(Metrics, SeriesBeyondTheBoundAreRefusedAndCounted) {
  Metrics metrics;
  for (std::size_t i = 0; i < Metrics::kSeriesMax + 2; ++i) {
    metrics.gauge("tocsin_test_bytes", "x", {{"n", std::to_string(i)}}).set(1);
  }
  const std::string text = metrics.text();
  EXPECT_NE(text.find("tocsin_metrics_series_refused_total 2\n"), std::string::npos);
  EXPECT_EQ(text.find("n=\"10000\""), std::string::npos);
}

TEST(BuildInfo, IsPublished) {
  Metrics metrics;
  publish_build_info(metrics);
  EXPECT_NE(metrics.text().find("tocsin_build_info{"), std::string::npos);
  EXPECT_EQ(describe_build("tocsin-agent").find("tocsin-agent " + std::string(version())), 0U);
}

}  // namespace

TEST(Metrics, LatenciesAreRaisedBucketByBucket) {
  Metrics metrics;
  Histogram h = metrics.latencies("tocsin_test_wait_seconds", "Waiting");
  Latencies all;
  all.add(std::chrono::milliseconds{1});
  all.add(std::chrono::milliseconds{1500});
  h.raise_to(all);
  h.raise_to(all);  // The same once more changes nothing.
  all.add(std::chrono::minutes{1});
  h.raise_to(all);
  const std::string text = metrics.text();
  EXPECT_NE(text.find("tocsin_test_wait_seconds_bucket{le=\"0.001\"} 1\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("tocsin_test_wait_seconds_bucket{le=\"1\"} 1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("tocsin_test_wait_seconds_bucket{le=\"2\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("tocsin_test_wait_seconds_bucket{le=\"+Inf\"} 3\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("tocsin_test_wait_seconds_sum 61.501"), std::string::npos) << text;
}

}  // namespace tocsin::io

#include "collector/app/monitors_file.h"

#include <gtest/gtest.h>

namespace tocsin::collector {
namespace {

const WallTime kNow{1'800'000'000'000'000};

constexpr const char* kText = R"(regions:
  - {key: eu-west, name: Europe West}
monitors:
  - key: shop
    type: http
    url: http://127.0.0.1:7480/
    interval: 10s
    regions: [eu-west, us-east]
)";

TEST(MonitorsFile, IsAnApplyWithPruneOfManagedObjects) {
  const auto file = parse_monitors(kText, "m.yaml", kNow);
  ASSERT_TRUE(file) << file.error().front();
  EXPECT_TRUE(file->edit.prune);
  EXPECT_EQ(file->edit.origin, Origin::kFile);
  ASSERT_EQ(file->edit.monitors.size(), 1U);
  EXPECT_FALSE(file->edit.monitors[0].id.empty());
}

TEST(MonitorsFile, ErrorsNameFileLineAndColumn) {
  const auto file = parse_monitors("monitors:\n  - key: shop\n    type: http\n    intervall: 1s\n",
                                   "m.yaml", kNow);
  ASSERT_FALSE(file);
  bool told = false;
  for (const std::string& line : file.error()) {
    told = told || (line.rfind("m.yaml:4:", 0) == 0 &&
                    line.find("did you mean 'interval'?") != std::string::npos);
  }
  EXPECT_TRUE(told) << file.error().front();
}

TEST(MonitorsFile, BrokenYamlIsOneErrorWithItsLine) {
  const auto file = parse_monitors("monitors:\n  - {key: shop\n", "m.yaml", kNow);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().size(), 1U);
  EXPECT_EQ(file.error()[0].rfind("m.yaml:", 0), 0U) << file.error()[0];
}

TEST(MonitorsFile, AMissingFileIsAnErrorThatNamesIt) {
  const auto file = read_monitors_file("/nonexistent/m.yaml", kNow);
  ASSERT_FALSE(file);
  EXPECT_NE(file.error()[0].find("/nonexistent/m.yaml"), std::string::npos);
}

TEST(MonitorsFile, ErrorsOfThePlanGetTheLinesOfTheFile) {
  const auto file = parse_monitors(kText, "m.yaml", kNow);
  ASSERT_TRUE(file);
  const auto lines = locate_errors(*file, {{"monitors[shop].regions[1]", "unknown region"},
                                           {"monitors[shop].quorum", "too high"},
                                           {"services[nowhere]", "gone"}});
  EXPECT_EQ(lines[0], "m.yaml:8:24: monitors[shop].regions[1]: unknown region");
  EXPECT_EQ(lines[1], "m.yaml:4:5: monitors[shop].quorum: too high") << "the monitor itself";
  EXPECT_EQ(lines[2].rfind("m.yaml:", 0), 0U);
}

}  // namespace
}  // namespace tocsin::collector

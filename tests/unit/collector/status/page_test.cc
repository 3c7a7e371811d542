#include "collector/status/page.h"

#include "tests/unit/collector/status/sample.h"

#include <gtest/gtest.h>

namespace tocsin::collector::status {
namespace {

using S = MonitorStatus;

TEST(StatusPage, SaysThatAllIsWellOnlyWhenEveryComponentIs) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("API", S::kUp, 1, 0, 0, 1);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kOperational);
  EXPECT_EQ(page.sentence, "All components are operational");
  EXPECT_EQ(page.groups[0].operational, 2);
  EXPECT_EQ(page.groups[0].components[0].sure, "2 of 2 regions reach it.");
  EXPECT_EQ(page.groups[0].components[1].sure, "1 of 2 regions reaches it, 1 without fresh data.");
}

TEST(StatusPage, OneDownOfTwoIsAPartialOutageAndNamesIt) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("API", S::kDown, 0, 0, 2, 0);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kPartialOutage);
  EXPECT_EQ(page.sentence, "API is down");
  EXPECT_EQ(page.detail, "1 of 2 components are operational.");
  EXPECT_EQ(page.groups[0].state, PublicState::kMajorOutage);
  EXPECT_EQ(page.groups[0].components[1].sure, "2 of 2 regions cannot reach it.");
}

TEST(StatusPage, EverythingDownIsAMajorOutageEvenBesideAPausedOne) {
  World w;
  w.component("Web", S::kDown, 0, 0, 2, 0).component("Old", S::kPaused, 0, 0, 0, 0);
  EXPECT_EQ(w.make().state, PublicState::kMajorOutage);
}

TEST(StatusPage, DownByQuorumWithRegionsThatReachItIsAPartialOutage) {
  World w;
  w.component("Web", S::kDown, 1, 0, 2, 0);
  const ComponentView c = w.make().groups[0].components[0];
  EXPECT_EQ(c.state, PublicState::kPartialOutage);
  EXPECT_EQ(c.sure, "2 of 3 regions cannot reach it, 1 reaches it.");
}

TEST(StatusPage, NoDataIsNeverShownAsUp) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("API", S::kUnknown, 0, 0, 0, 2);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kNoData);
  EXPECT_EQ(page.sentence, "No data about API");
  EXPECT_EQ(page.groups[0].components[1].sure, "None of 2 regions has fresh data.");
}

TEST(StatusPage, AComponentWhoseMonitorIsGoneHasNoData) {
  World w;
  w.page.groups.push_back({"Site", {{"deleted", "Old thing"}}});
  EXPECT_EQ(w.make().groups[0].components[0].state, PublicState::kNoData);
}

TEST(StatusPage, AnOpenIncidentKeepsThePageFromLookingWell) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).incident(0, 7);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kPartialOutage);
  ASSERT_EQ(page.incidents.size(), 1U);
  EXPECT_EQ(page.incidents[0].text,
            "Web was down and answers again; we are making sure that it stays so.");
}

TEST(StatusPage, IncidentsOfMonitorsThatAreNotOnThePageStayInside) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("Secret", S::kDown, 0, 0, 2, 0).incident(1, 8);
  w.page.groups[0].components.pop_back();
  const PageView page = w.make();
  EXPECT_TRUE(page.incidents.empty());
  EXPECT_EQ(page.state, PublicState::kOperational);
}

TEST(StatusPage, OldDataIsNotRepeatedAsNews) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  EXPECT_FALSE(w.make(kStaleAfter).stale);
  const PageView page = w.make(kStaleAfter + 1s);
  EXPECT_TRUE(page.stale);
  EXPECT_EQ(page.state, PublicState::kNoData);
  EXPECT_EQ(page.sentence, "We cannot measure at the moment");
}

TEST(StatusPage, APausedMonitorSaysSo) {
  World w;
  w.component("Web", S::kUp, 0, 0, 0, 1);
  w.view.monitors[0].entry.spec.paused = true;
  EXPECT_EQ(w.make().groups[0].components[0].state, PublicState::kPaused);
}

TEST(StatusPage, UptimeIsTruncatedAndNeverRoundedUp) {
  EXPECT_EQ(summarise({{.day = 1, .up_s = 86'400}}).percent, "100");
  EXPECT_EQ(summarise({{.day = 1, .up_s = 86'400 * 90 - 1, .down_s = 1}}).percent, "99.999");
  EXPECT_EQ(summarise({{.day = 1, .up_s = 999'999'999, .down_s = 1}}).percent, "99.999");
  const UptimeSummary half = summarise({{.day = 1, .up_s = 100, .down_s = 100, .unknown_s = 200}});
  EXPECT_EQ(half.percent, "50.000");
  EXPECT_EQ(half.coverage, "50.000");
  EXPECT_EQ(summarise({{.day = 1, .unknown_s = 5}}).percent, "");
}

TEST(StatusPage, AWindowHasAtMostNinetyDays) {
  std::vector<DayUptime> days(100);
  for (std::size_t i = 0; i < days.size(); ++i) days[i].day = static_cast<std::int64_t>(i);
  const UptimeSummary s = summarise(days);
  EXPECT_EQ(s.days, 90);
  EXPECT_EQ(s.bars.front().day, 10);
}

TEST(StatusPage, TimesAndSpansAreWrittenForPeople) {
  EXPECT_EQ(format_for_people(kNoon), "21 Nov 2026, 03:00:00 UTC");
  EXPECT_EQ(format_span(41s), "41 s");
  EXPECT_EQ(format_span(252s), "4 min 12 s");
  EXPECT_EQ(format_span(3h + 5min), "3 h 05 min");
  EXPECT_EQ(format_span(52h), "2 d 4 h");
  EXPECT_EQ(format_span(-5s), "0 s");
}

}  // namespace
}  // namespace tocsin::collector::status

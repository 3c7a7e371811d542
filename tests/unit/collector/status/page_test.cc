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
  w.page.groups.push_back({"Site", {{"deleted", "Old thing", ""}}});
  EXPECT_EQ(w.make().groups[0].components[0].state, PublicState::kNoData);
}

TEST(StatusPage, AnOpenIncidentKeepsThePageFromLookingWell) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).incident(0, 7);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kPartialOutage);
  ASSERT_EQ(page.posts.size(), 1U);
  EXPECT_EQ(page.posts[0].text,
            "Web was down and answers again; we are making sure that it stays so.");
}

TEST(StatusPage, IncidentsOfMonitorsThatAreNotOnThePageStayInside) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("Secret", S::kDown, 0, 0, 2, 0).incident(1, 8);
  w.page.groups[0].components.pop_back();
  const PageView page = w.make();
  EXPECT_TRUE(page.posts.empty());
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
  World down;
  down.component("Web", S::kDown, 0, 0, 2, 0);
  EXPECT_EQ(down.make(kStaleAfter + 1s).sentence, "Last known: Web is down");
}

TEST(StatusPage, WhatIsMadeForSilenceIsStaleWhateverTheClockSays) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  const PageView page = w.make(PageMoment{kNoon + 1s, 30s, true});
  EXPECT_TRUE(page.stale);
  EXPECT_EQ(page.state, PublicState::kNoData);
  EXPECT_EQ(page.stale_after, kNoon + kStaleAfter + 30s);
  EXPECT_EQ(page.detail,
            "No new data since 21 Nov 2026, 03:00:00 UTC. What follows is as of then.");
}

TEST(StatusPage, APausedComponentHasNoVote) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("Old", S::kPaused, 0, 0, 0, 0);
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kOperational);
  EXPECT_EQ(page.groups[0].state, PublicState::kOperational);
  EXPECT_EQ(page.sentence, "All components that are measured are operational");
  EXPECT_EQ(page.detail, "Paused: Old.");
  World all;
  all.component("Old", S::kPaused, 0, 0, 0, 0);
  EXPECT_EQ(all.make().state, PublicState::kPaused);
}

TEST(StatusPage, AStaticComponentIsAsItsReportsSay) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).fixed("Support desk");
  EXPECT_EQ(w.make().groups[0].components[1].state, PublicState::kOperational);
  const std::pair<Impact, PublicState> impacts[] = {{Impact::kNone, PublicState::kOperational},
                                                    {Impact::kMinor, PublicState::kDegraded},
                                                    {Impact::kMajor, PublicState::kPartialOutage},
                                                    {Impact::kCritical, PublicState::kMajorOutage}};
  for (const auto& [impact, state] : impacts) {
    w.reports.clear();
    w.report("Calls are not answered", impact, {"support-desk"});
    const PageView page = w.make();
    EXPECT_EQ(page.groups[0].components[1].state, state);
    EXPECT_EQ(page.state, std::min(state, PublicState::kPartialOutage)) << "Web is up";
    EXPECT_EQ(page.groups[0].components[1].reported, page.posts[0].id);
  }
  EXPECT_EQ(w.make().sentence, "Support desk is down");
  w.reports[0].updates.push_back({kNoon - 1min, ReportState::kResolved, "Done."});
  EXPECT_EQ(w.make().groups[0].components[1].state, PublicState::kOperational);
  EXPECT_EQ(w.make().posts[0].phase, PostPhase::kPast);
  EXPECT_EQ(w.make().posts[0].ended, kNoon - 1min);
}

TEST(StatusPage, AReportMakesAMeasuredComponentWorseAndNeverBetter) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).component("API", S::kDown, 0, 0, 2, 0);
  w.report("Slow", Impact::kMinor, {"monitor-1", "monitor-2"});
  const PageView page = w.make();
  EXPECT_EQ(page.groups[0].components[0].state, PublicState::kDegraded);
  EXPECT_EQ(page.groups[0].components[1].state, PublicState::kMajorOutage);
}

TEST(StatusPage, AReportAboutNoComponentIsAboutThePage) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  w.report("Payments are late", Impact::kMajor, {});
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kPartialOutage);
  EXPECT_EQ(page.sentence, "An incident is open");
  EXPECT_EQ(page.groups[0].components[0].state, PublicState::kOperational);
}

TEST(StatusPage, TheClockBeginsAndEndsAMaintenanceThatNobodyMoved) {
  World w;
  w.component("Web", S::kDown, 0, 0, 2, 0).incident(0, 7);
  w.maintenance("New disk", {"monitor-1"}, 1h, 2h);
  PageView page = w.make(59min);
  EXPECT_EQ(page.posts[0].phase, PostPhase::kUpcoming);
  EXPECT_EQ(page.groups[0].components[0].state, PublicState::kMajorOutage);

  w.view.at = kNoon + 1h;
  page = w.make(1h);
  EXPECT_EQ(page.posts[0].phase, PostPhase::kCurrent);
  EXPECT_EQ(page.posts[0].stage, ReportState::kInProgress);
  EXPECT_EQ(page.posts[0].changed, kNoon + 1h);
  EXPECT_EQ(page.groups[0].components[0].state, PublicState::kMaintenance);
  EXPECT_EQ(page.groups[0].components[0].sure, "2 of 2 regions cannot reach it.");
  EXPECT_EQ(page.state, PublicState::kMaintenance) << "that it is down was announced";
  EXPECT_EQ(page.sentence, "Maintenance of Web");

  w.view.at = kNoon + 2h;
  page = w.make(2h);
  EXPECT_EQ(page.posts[0].phase, PostPhase::kPast);
  EXPECT_EQ(page.posts[0].ended, kNoon + 2h);
  EXPECT_EQ(page.groups[0].components[0].state, PublicState::kMajorOutage);
}

TEST(StatusPage, AMaintenanceThatWasBegunLastsUntilItIsCompleted) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  ReportRow& row = w.maintenance("New disk", {"monitor-1"}, -2h, -1h);
  row.updates.push_back({kNoon - 2h, ReportState::kInProgress, "Begun."});
  EXPECT_EQ(w.make().state, PublicState::kMaintenance);
  row.updates.push_back({kNoon - 1min, ReportState::kCompleted, "Done."});
  EXPECT_EQ(w.make().state, PublicState::kOperational);
}

TEST(StatusPage, ReportsOfOtherPagesAndKeysThatAreGoneStayOut) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  w.report("Elsewhere", Impact::kCritical, {}).page = "other";
  w.report("Here", Impact::kMajor, {"monitor-1", "gone"});
  const PageView page = w.make();
  ASSERT_EQ(page.posts.size(), 1U);
  EXPECT_EQ(page.posts[0].components, std::vector<std::string>{"monitor-1"});
}

TEST(StatusPage, PostsAreBoundedAndWhatIsOpenIsNeverTheOneLeftOut) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  ReportRow& open = w.report("Still open", Impact::kMinor, {"monitor-1"}, 400h);
  for (int i = 0; i < 30; ++i) {
    open.updates.push_back({kNoon - 300h + i * 1min, ReportState::kIdentified, "More."});
  }
  for (int i = 0; i < 100; ++i) {
    w.report("Past " + std::to_string(i), Impact::kMinor, {}, 300h - i * 1h)
        .updates.push_back({kNoon - 300h + i * 1h + 1min, ReportState::kResolved,
                            std::string(kReportTextMax, 'x')});
  }
  const PageView page = w.make();
  ASSERT_EQ(page.posts.size(), kPostsMax);
  EXPECT_EQ(page.posts.front().title, "Past 99");
  EXPECT_EQ(page.posts.back().title, "Still open");
  EXPECT_EQ(page.posts.back().updates.size(), kPostUpdatesMax);
  EXPECT_EQ(page.posts.back().earlier, 31 - kPostUpdatesMax);
  EXPECT_EQ(page.posts.back().updates.front().at, kNoon - 300h + 29min) << "newest first";
  std::size_t bytes = 0;
  for (const Post& post : page.posts) {
    ASSERT_FALSE(post.updates.empty());
    for (const PostUpdate& update : post.updates) bytes += update.lines.front().size();
  }
  EXPECT_LT(bytes, kPostTextMax + kPostsMax * kReportTextMax);
}

TEST(StatusPage, ResolvedIncidentsAreToldInWordsOfOurOwn) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).past(0, 5, 26h, 872s);
  w.history.incidents[0].acknowledged_at = kNoon - 26h + 60s;
  const PageView page = w.make();
  EXPECT_EQ(page.state, PublicState::kOperational);
  ASSERT_EQ(page.posts.size(), 1U);
  const Post& post = page.posts[0];
  EXPECT_EQ(post.title, "Web: outage");
  EXPECT_EQ(post.phase, PostPhase::kPast);
  EXPECT_EQ(post.impact, Impact::kCritical);
  ASSERT_EQ(post.updates.size(), 3U);
  EXPECT_EQ(post.updates[0].lines, std::vector<std::string>{"Over after 14 min 32 s."});
  EXPECT_EQ(post.updates[1].lines, std::vector<std::string>{"Somebody is working on it."});
  EXPECT_EQ(post.updates[2].lines, std::vector<std::string>{"2 of 2 regions could not reach it."});
}

TEST(StatusPage, AnIncidentKeepsItsIdWhenItIsOverAndHasAnotherOneOnAnotherPage) {
  World w;
  w.component("Web", S::kDown, 0, 0, 2, 0).incident(0, 7);
  const std::string id = w.make().posts[0].id;
  const std::string component = w.make().groups[0].components[0].id;
  EXPECT_EQ(id.size(), 12U);
  w.view.open_incidents.clear();
  w.past(0, 7, 260s, 60s);
  w.history.incidents[0].id = IncidentId{{8, 7}};
  EXPECT_EQ(w.make().posts[0].id, id);
  w.page.groups[0].name = "Renamed";
  EXPECT_EQ(w.make().groups[0].components[0].id, component);
  w.page.id = StatusPageId{{9}};
  EXPECT_NE(w.make().posts[0].id, id);
  EXPECT_NE(w.make().groups[0].components[0].id, component);
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
  const UptimeSummary part = summarise({{.day = 1, .elapsed_s = 86'400},
                                        {.day = 2, .up_s = 21'600, .elapsed_s = 86'400},
                                        {.day = 3, .up_s = 86'400, .elapsed_s = 86'400}});
  EXPECT_EQ(part.days, 2) << "the window begins with the first day that has data";
  EXPECT_EQ(part.percent, "100");
  EXPECT_EQ(part.coverage, "62.500");
  EXPECT_EQ(part.bars.size(), 3U);
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
  EXPECT_EQ(format_rfc5322(kNoon), "Sat, 21 Nov 2026 03:00:00 +0000");
  EXPECT_EQ(format_rfc5322(WallTime{0}), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(lines_of("\n a\r\n\n\x07"
                     "b\t\n\n"),
            (std::vector<std::string>{"a", "",
                                      "\\x07"
                                      "b"}));
  EXPECT_EQ(format_span(41s), "41 s");
  EXPECT_EQ(format_span(252s), "4 min 12 s");
  EXPECT_EQ(format_span(3h + 5min), "3 h 05 min");
  EXPECT_EQ(format_span(52h), "2 d 4 h");
  EXPECT_EQ(format_span(-5s), "0 s");
}

}  // namespace
}  // namespace tocsin::collector::status

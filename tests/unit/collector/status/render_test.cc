#include "collector/ports/page_source.h"
#include "collector/status/render_badge.h"
#include "collector/status/render_feed.h"
#include "collector/status/render_html.h"
#include "collector/status/render_json.h"
#include "collector/status/render_statuspage.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "tests/unit/collector/status/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector::status {
namespace {

using S = MonitorStatus;
using std::string_view_literals::operator""sv;

/// Every tag closed in order, ids unique; the first complaint, or nothing.
using Names = std::set<std::string, std::less<>>;

std::string find_fault(std::string_view html,
                       const Names& without_end = {"meta", "link", "br", "!DOCTYPE"}) {
  std::vector<std::string> open;
  for (std::size_t i = 0; i < html.size(); ++i) {
    if (html[i] == '>') return "stray > near " + std::string{html.substr(i, 40)};
    if (html[i] != '<') continue;
    const std::size_t end = html.find('>', i);
    if (end == std::string_view::npos) return "a tag without end";
    std::string_view tag = html.substr(i + 1, end - i - 1);
    i = end;
    const bool closing = tag.starts_with('/');
    const bool empty = tag.ends_with('/');
    if (closing) tag.remove_prefix(1);
    const std::string name{tag.substr(0, tag.find_first_of(" /"))};
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) return "odd quotes in " + name;
    if (closing) {
      if (open.empty() || open.back() != name) return "</" + name + "> closes nothing";
      open.pop_back();
    } else if (!empty && !without_end.contains(name)) {
      open.push_back(name);
    }
    if (name == "style" && !closing) {
      const std::size_t close = html.find("</style>", i);
      i = close - 1;
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> stays open";
}

UptimeTable history(const World& w) {
  UptimeTable table;
  for (const MonitorView& m : w.view.monitors) {
    std::vector<DayUptime>& days = table[m.entry.spec.id];
    for (std::int64_t d = 0; d < 90; ++d) {
      DayUptime day{.day = 20'778 - 89 + d, .up_s = 86'400};
      if (d < 5) day = {.day = day.day, .unknown_s = 86'400};
      if (d % 31 == 7) day = {.day = day.day, .up_s = 86'100, .down_s = 300};
      if (d % 40 == 20) day = {.day = day.day, .up_s = 84'000, .degraded_s = 2'400};
      days.push_back(day);
    }
  }
  return table;
}

World big_world() {
  World w;
  for (int g = 0; g < 4; ++g) {
    w.page.groups.push_back({"Group " + std::to_string(g + 1), {}});
    for (int i = 0; i < 6; ++i) {
      const S status = g == 0 && i == 2   ? S::kDown
                       : g == 1 && i == 1 ? S::kDegraded
                       : g == 2 && i == 4 ? S::kUnknown
                       : g == 3 && i == 0 ? S::kPaused
                       : g == 3 && i == 1 ? S::kMaintenance
                                          : S::kUp;
      const int down = status == S::kDown ? 2 : 0;
      const int slow = status == S::kDegraded ? 2 : 0;
      const int silent = status == S::kUnknown ? 2 : 0;
      w.component("Component " + std::to_string(g * 6 + i), status, 2 - down - slow - silent, slow,
                  down, silent);
    }
  }
  w.incident(2, 42);
  w.page.description = "How the shop and everything around it is.";
  for (PageGroup& group : w.page.groups) {
    for (PageComponent& component : group.components) component.description = "What it is for.";
  }
  w.report("Orders are late", Impact::kMajor, {"monitor-4", "monitor-5"})
      .updates.push_back({kNoon - 5min, ReportState::kIdentified,
                          "A queue is stuck.\n\nWe are moving orders to another one."});
  w.maintenance("New disk", {"monitor-20"}, -30min, 90min);
  w.maintenance("Move to another rack", {"monitor-21"}, 30h, 32h);
  for (int i = 0; i < 10; ++i) {
    w.past(static_cast<std::size_t>(i), static_cast<std::uint64_t>(i + 1), 24h * (i + 1), 872s);
  }
  w.report("Search was slow", Impact::kMinor, {"monitor-7"}, 50h)
      .updates.push_back({kNoon - 49h, ReportState::kResolved, "It is as fast as before."});
  return w;
}

TEST(StatusHtml, IsOneSmallWellFormedDocumentForTwentyFourComponentsWithHistory) {
  const World w = big_world();
  const UptimeTable uptime = history(w);
  const std::string html = render_html(w.make(1s, &uptime));
  EXPECT_EQ(find_fault(html), "");
  EXPECT_LT(html.size(), 50'000U);
  RecordProperty("bytes", static_cast<int>(html.size()));
  EXPECT_NE(html.find("Component 2 is down"), std::string::npos);
  EXPECT_NE(html.find("Major outage"), std::string::npos);
  EXPECT_NE(html.find("INC-42"), std::string::npos);
  EXPECT_NE(html.find("No data means"), std::string::npos);
}

TEST(StatusHtml, AsksForNothingElseAndRunsNothing) {
  const World w = big_world();
  const UptimeTable uptime = history(w);
  const std::string html = render_html(w.make(1s, &uptime));
  for (const std::string_view word :
       {"<script", "javascript:", "@import", "url(", "<img", "<iframe", "https://"}) {
    const std::size_t at = html.find(word);
    EXPECT_EQ(at, std::string::npos) << word;
  }
  // The one http URL is the namespace inside the icon.
  std::string rest = html;
  const std::string ns = "http://www.w3.org/2000/svg";
  rest.erase(rest.find(ns), ns.size());
  EXPECT_EQ(rest.find("http://"), std::string::npos);
  EXPECT_NE(html_policy().find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(html_policy().find("unsafe"), std::string::npos);
}

TEST(StatusHtml, KeepsTargetsAddressesAndInternalReasonsInside) {
  const World w = big_world();
  for (const std::string& out : {render_html(w.make()), render_json(w.make())}) {
    for (const std::string_view secret :
         {"internal", "secret-path", "10.0.0.7", "8080", "monitor-"}) {
      EXPECT_EQ(out.find(secret), std::string::npos) << secret;
    }
  }
}

TEST(StatusHtml, EveryStateHasAShapeAndAWord) {
  World w;
  w.component("a", S::kUp, 1, 0, 0, 0)
      .component("b", S::kDegraded, 0, 1, 0, 0)
      .component("c", S::kDown, 0, 0, 1, 0)
      .component("d", S::kDown, 1, 0, 1, 0)
      .component("e", S::kUnknown, 0, 0, 0, 1)
      .component("f", S::kMaintenance, 1, 0, 0, 0)
      .component("g", S::kPaused, 0, 0, 0, 0)
      .component("h", S::kNew, 0, 0, 0, 1);
  const PageView page = w.make();
  const std::string html = render_html(page);
  for (const ComponentView& c : page.groups[0].components) {
    const std::size_t at = html.find("<h4>" + c.name + "</h4>");
    ASSERT_NE(at, std::string::npos);
    EXPECT_NE(html.substr(at - 80, 80).find("<use href=\"#i-"), std::string::npos) << c.name;
    EXPECT_EQ(html.substr(at + 10, 6 + std::string_view{label(c.state)}.size()),
              std::string{"<span>"} + label(c.state))
        << c.name;
  }
}

const std::string_view kHostile[] = {
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</style><script>alert(1)</script>",
    "</title><svg/onload=alert(1)>",
    "a\r\nSet-Cookie: x=1\r\n\r\n<b>",
    "nul\0byte"sv,
    "bidi \xe2\x80\xae gnp.exe",
    "invalid \xff\xfe\xc3\x28 utf-8",
    "line\xe2\x80\xa8separator",
    "&lt;already&gt;",
    "{{template}} ${var} `x`",
    "]]><!--",
    "\x1b[31mred\x1b[0m",
};

TEST(StatusHtml, HostileNamesStayTextInEveryPlaceTheyReach) {
  for (const std::string_view bad : kHostile) {
    World w;
    w.page.title = std::string{bad};
    w.page.groups.push_back({std::string{bad}, {}});
    w.component(std::string{bad}, S::kDown, 0, 0, 2, 0).incident(0, 1);
    const std::string html = render_html(w.make());
    EXPECT_EQ(find_fault(html), "") << bad;
    EXPECT_TRUE(is_valid_utf8(html)) << bad;
    EXPECT_EQ(html.find("<script"), std::string::npos) << bad;
    EXPECT_EQ(html.find("<img"), std::string::npos) << bad;
    EXPECT_EQ(html.find("<svg/"), std::string::npos) << bad;
    EXPECT_EQ(html.find("' onmouseover='"), std::string::npos) << bad;
    EXPECT_EQ(html.find("\xe2\x80\xae"), std::string::npos) << bad;
    for (const char c : html) {
      ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << bad;
    }
  }
}

TEST(StatusHtml, ALongNameIsCut) {
  World w;
  w.component(std::string(5000, 'x'), S::kUp, 1, 0, 0, 0);
  EXPECT_LT(render_html(w.make()).size(), 15'000U);
}

TEST(StatusHtml, LinksOnlyToTheWebAndToMail) {
  World w;
  w.component("Web", S::kUp, 1, 0, 0, 0);
  w.page.homepage = "https://shop.example/?a=1&b=\"2\"";
  w.page.contact = "help@shop.example";
  w.page.noindex = true;
  const std::string html = render_html(w.make());
  EXPECT_NE(html.find("href=\"https://shop.example/?a=1&amp;b=&quot;2&quot;\">Homepage"),
            std::string::npos);
  EXPECT_NE(html.find("href=\"mailto:help@shop.example\">Contact"), std::string::npos);
  EXPECT_NE(html.find("<meta name=\"robots\" content=\"noindex,nofollow\">"), std::string::npos);
  w.page.homepage = "javascript:alert(1)";
  w.page.contact = "data:text/html,x";
  w.page.noindex = false;
  const std::string bad = render_html(w.make());
  EXPECT_EQ(bad.find("Homepage"), std::string::npos);
  EXPECT_EQ(bad.find("Contact"), std::string::npos);
  EXPECT_EQ(bad.find("robots"), std::string::npos);
}

TEST(StatusHtml, SaysNoIncidentsOnlyOfDaysThatHadNone) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).past(0, 5, 60h, 30h);  // 18 Nov 15:00 to 19 Nov 21:00.
  w.report("Long", Impact::kMinor, {}, 500h)
      .updates.push_back({kNoon - 230h, ReportState::kResolved, "Over."});  // Until 11 Nov.
  const std::string html = render_html(w.make());
  const auto day = [&](const std::string& name) {
    const std::size_t at = html.find("<h3>" + name + "</h3>");
    EXPECT_NE(at, std::string::npos) << name;
    return html.substr(at, html.find("</section>", at) - at);
  };
  EXPECT_NE(day("21 Nov 2026").find("No incidents."), std::string::npos);
  EXPECT_NE(day("19 Nov 2026").find("Went on: <a"), std::string::npos);
  EXPECT_NE(day("18 Nov 2026").find("<h4>Web: outage</h4>"), std::string::npos);
  EXPECT_NE(day("17 Nov 2026").find("No incidents."), std::string::npos);
  EXPECT_NE(day("11 Nov 2026").find("Went on: <a"), std::string::npos);
  EXPECT_NE(day("8 Nov 2026").find("<h4>Long</h4>"), std::string::npos) << "the first day shown";
  EXPECT_EQ(html.find("<h3>7 Nov 2026</h3>"), std::string::npos);
}

TEST(StatusHtml, APublishedCopySaysUntilWhenItIsNews) {
  World w;
  w.component("Web", S::kUp, 1, 0, 0, 0);
  const std::string html =
      render_html(w.make(PageMoment{kNoon + 1s, 30s, false}), {"https://status.example", true});
  EXPECT_NE(html.find("If it is later than <time datetime=\"2026-11-21T03:01:30Z\">21 Nov "
                      "2026, 03:01:30 UTC</time> now"),
            std::string::npos);
  EXPECT_NE(html.find("href=\"feed.atom\""), std::string::npos);
  EXPECT_NE(html.find("href=\"status.json\""), std::string::npos);
  EXPECT_EQ(html.find("shop/feed"), std::string::npos);
}

TEST(StatusHtml, AReportsLinesAreParagraphs) {
  EXPECT_EQ(html_paragraphs({"a", "b", "", "", "<c>"}), "<p>a<br>b</p><p>&lt;c&gt;</p>");
  EXPECT_EQ(html_paragraphs({}), "");
}

const Place kPlace{"https://status.example/shop", false};

TEST(StatusFeed, HasOneEntryForEachPostWithItsUpdates) {
  const World w = big_world();
  const PageView page = w.make();
  for (const std::string& feed : {render_rss(page, kPlace), render_atom(page, kPlace)}) {
    EXPECT_EQ(find_fault(feed.substr(feed.find("?>") + 2), {}), "");
    for (const Post& post : page.posts) EXPECT_NE(feed.find(post.urn), std::string::npos);
    EXPECT_NE(feed.find("&lt;p&gt;A queue is stuck.&lt;/p&gt;"), std::string::npos);
    EXPECT_NE(feed.find("Investigating: Component 2: outage"), std::string::npos);
    EXPECT_NE(feed.find("https://status.example/shop#r-" + page.posts[0].id), std::string::npos);
  }
}

TEST(StatusFeed, StaysTheSameWhileNothingHappens) {
  World w = big_world();
  const auto all = [&](Duration later) {
    const PageView page = w.make(later);
    std::string out = render_rss(page, kPlace) + render_atom(page, kPlace) + render_badge(page);
    for (const PageFileName& name : kPageFiles) {
      if (name.file >= PageFile::kSummary) out += render_statuspage(page, kPlace, name.file);
    }
    return out;
  };
  EXPECT_EQ(all(1s), all(31s));
  const std::string before = all(1s);
  w.reports[0].updates.push_back({kNoon, ReportState::kResolved, "Done."});
  EXPECT_NE(all(1s), before);
}

TEST(StatusFeed, HasALinkEvenWhenNobodyKnowsWhereThePageStands) {
  World w;
  w.component("Web", S::kUp, 1, 0, 0, 0);
  EXPECT_NE(render_rss(w.make(), {}).find("<link>urn:uuid:"), std::string::npos);
  w.page.homepage = "https://shop.example/";
  EXPECT_NE(render_rss(w.make(), {}).find("<link>https://shop.example/</link>"), std::string::npos);
}

TEST(StatusFeed, HostileTextsStayTextInFeedsAndBadge) {
  for (const std::string_view bad : kHostile) {
    World w;
    w.page.title = std::string{bad};
    w.page.description = std::string{bad};
    w.component(std::string{bad}, S::kDown, 0, 0, 2, 0).incident(0, 1);
    w.report(std::string{bad}, Impact::kMajor, {"monitor-1"}).updates[0].text =
        std::string{bad} + "\xef\xbf\xbe\xef\xbf\xbf";
    const PageView page = w.make();
    for (const std::string& xml :
         {render_rss(page, kPlace), render_atom(page, kPlace), render_badge(page)}) {
      EXPECT_EQ(find_fault(xml.substr(xml.starts_with("<?") ? xml.find("?>") + 2 : 0), {}), "")
          << bad;
      EXPECT_TRUE(is_valid_utf8(xml)) << bad;
      EXPECT_EQ(xml.find("<script"), std::string::npos) << bad;
      EXPECT_EQ(xml.find("<svg/"), std::string::npos) << bad;
      EXPECT_EQ(xml.find("\xef\xbf\xbe"), std::string::npos) << "no XML document may hold it";
      for (const char c : xml) {
        ASSERT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << bad;
      }
      // Text that was escaped for HTML is escaped once more inside a feed.
      EXPECT_EQ(xml.find("&lt;script"), xml.find("&lt;script&gt;alert"));
    }
  }
}

TEST(StatusBadge, SaysItsStateInWordsForEverybody) {
  World w;
  w.component("Web", S::kDown, 0, 0, 2, 0);
  const std::string svg = render_badge(w.make());
  EXPECT_NE(svg.find("role=\"img\" aria-label=\"Shop: Major outage\""), std::string::npos);
  EXPECT_NE(svg.find("<title>Shop: Major outage</title>"), std::string::npos);
  EXPECT_NE(svg.find(">Major outage</text>"), std::string::npos);
  EXPECT_EQ(svg.find("style"), std::string::npos);
}

codec::Node family(const World& w, PageFile file) {
  const auto node = codec::parse_json(render_statuspage(w.make(), kPlace, file));
  EXPECT_TRUE(node);
  return *node;
}

std::vector<std::string> keys_of(const codec::Node& node) {
  std::vector<std::string> out;
  for (const auto& [key, value] : node.entries) out.push_back(key);
  return out;
}

using Keys = std::vector<std::string>;

TEST(Statuspage, SummaryHasTheShapeOfItsFamily) {
  World w;
  w.component("Web", S::kDown, 1, 0, 2, 0).component("API", S::kUp, 2, 0, 0, 0).incident(0, 7);
  w.report("Orders are late", Impact::kMinor, {"monitor-2"});
  w.maintenance("New disk", {"monitor-2"}, 1h, 2h);
  const codec::Node summary = family(w, PageFile::kSummary);
  EXPECT_EQ(keys_of(summary),
            (Keys{"page", "components", "incidents", "scheduled_maintenances", "status"}));
  EXPECT_EQ(keys_of(*summary.find("page")), (Keys{"id", "name", "url", "time_zone", "updated_at"}));
  EXPECT_EQ(summary.find("status")->find("indicator")->text, "major");
  EXPECT_EQ(summary.find("status")->find("description")->text, "Partial System Outage");

  const auto& components = summary.find("components")->items;
  ASSERT_EQ(components.size(), 3U) << "the group comes first";
  EXPECT_TRUE(components[0].find("group")->bool_value);
  EXPECT_EQ(components[0].find("components")->items[1].text, components[2].find("id")->text);
  EXPECT_EQ(
      keys_of(components[1]),
      (Keys{"id", "name", "status", "created_at", "updated_at", "position", "description",
            "showcase", "start_date", "group_id", "page_id", "group", "only_show_if_degraded"}));
  EXPECT_EQ(components[1].find("status")->text, "partial_outage");
  EXPECT_EQ(components[1].find("group_id")->text, components[0].find("id")->text);
  EXPECT_EQ(components[2].find("status")->text, "degraded_performance");

  const auto& incidents = summary.find("incidents")->items;
  ASSERT_EQ(incidents.size(), 2U);
  const codec::Node& measured = incidents[0];
  EXPECT_EQ(keys_of(measured), (Keys{"id", "name", "status", "created_at", "updated_at",
                                     "monitoring_at", "resolved_at", "impact", "shortlink",
                                     "started_at", "page_id", "incident_updates", "components"}));
  EXPECT_EQ(measured.find("name")->text, "Web: outage");
  EXPECT_EQ(measured.find("impact")->text, "critical");
  const codec::Node& update = measured.find("incident_updates")->items[0];
  EXPECT_EQ(keys_of(update),
            (Keys{"id", "status", "body", "incident_id", "created_at", "updated_at", "display_at",
                  "affected_components", "deliver_notifications", "custom_tweet", "tweet_id"}));
  EXPECT_EQ(update.find("incident_id")->text, measured.find("id")->text);
  const codec::Node& affected = update.find("affected_components")->items[0];
  EXPECT_EQ(keys_of(affected), (Keys{"code", "name", "old_status", "new_status"}));
  EXPECT_EQ(affected.find("code")->text, components[1].find("id")->text);
  EXPECT_EQ(affected.find("new_status")->text, "major_outage");

  const codec::Node& planned = summary.find("scheduled_maintenances")->items[0];
  EXPECT_EQ(planned.find("status")->text, "scheduled");
  EXPECT_EQ(planned.find("impact")->text, "maintenance");
  EXPECT_EQ(planned.find("scheduled_for")->text, "2026-11-21T04:00:00.000Z");
  EXPECT_EQ(planned.find("scheduled_until")->text, "2026-11-21T05:00:00.000Z");
}

TEST(Statuspage, ListsHoldWhatTheirNamesSay) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0).past(0, 5, 26h, 872s);
  w.report("Open", Impact::kMinor, {});
  w.maintenance("Now", {}, -1h, 1h);
  w.maintenance("Later", {}, 1h, 2h);
  w.maintenance("Before", {}, -3h, -2h);
  const auto names = [&](PageFile file, const char* list) {
    Keys out;
    const codec::Node answer = family(w, file);
    for (const codec::Node& one : answer.find(list)->items) out.push_back(one.find("name")->text);
    return out;
  };
  EXPECT_EQ(names(PageFile::kIncidents, "incidents"), (Keys{"Open", "Web: outage"}));
  EXPECT_EQ(names(PageFile::kUnresolved, "incidents"), Keys{"Open"});
  const char* list = "scheduled_maintenances";
  EXPECT_EQ(names(PageFile::kMaintenances, list), (Keys{"Later", "Now", "Before"}));
  EXPECT_EQ(names(PageFile::kUpcoming, list), Keys{"Later"});
  EXPECT_EQ(names(PageFile::kActive, list), Keys{"Now"});
  EXPECT_EQ(keys_of(family(w, PageFile::kStatus)), (Keys{"page", "status"}));
  EXPECT_EQ(keys_of(family(w, PageFile::kComponents)), (Keys{"page", "components"}));
}

TEST(Statuspage, WhatIsUnknownKeepsItsLastStateAndTheIndicatorIsNotNone) {
  World w;
  w.component("Web", S::kUnknown, 0, 0, 0, 2)
      .component("Mail", S::kUnknown, 0, 0, 0, 2)
      .component("New", S::kNew, 0, 0, 0, 2);
  w.history.last_known = {{monitor_id(1), S::kUp}, {monitor_id(2), S::kDown}};
  const codec::Node summary = family(w, PageFile::kSummary);
  EXPECT_EQ(summary.find("status")->find("indicator")->text, "minor");
  EXPECT_TRUE(summary.find("status")->find("x_stale")->bool_value);
  const auto& components = summary.find("components")->items;
  EXPECT_EQ(components[1].find("status")->text, "operational");
  EXPECT_EQ(components[2].find("status")->text, "major_outage");
  EXPECT_EQ(components[3].find("status")->text, "degraded_performance");
  for (const codec::Node& one : components) EXPECT_TRUE(one.find("x_stale")->bool_value);
}

TEST(Statuspage, ANewUpdateChangesNoOtherUpdatesId) {
  World w;
  w.component("Web", S::kUp, 2, 0, 0, 0);
  w.report("Open", Impact::kMinor, {});
  const auto ids = [&] {
    Keys out;
    const codec::Node answer = family(w, PageFile::kIncidents);
    for (const codec::Node& one :
         answer.find("incidents")->items[0].find("incident_updates")->items) {
      out.push_back(one.find("id")->text);
    }
    return out;
  };
  const Keys before = ids();
  for (int i = 0; i < 25; ++i) {
    w.reports[0].updates.push_back({kNoon, ReportState::kIdentified, "More."});
  }
  const Keys after = ids();
  EXPECT_EQ(after.size(), kPostUpdatesMax);
  w.reports[0].updates.resize(2);
  EXPECT_EQ(ids()[1], before[0]);
  w.reports[0].updates.push_back({kNoon, ReportState::kIdentified, "More."});
  EXPECT_EQ(ids()[2], before[0]);
}

TEST(StatusJson, HostileNamesStayOneString) {
  for (const std::string_view bad : kHostile) {
    World w;
    w.page.title = std::string{bad};
    w.page.groups.push_back({std::string{bad}, {}});
    w.component(std::string{bad}, S::kDown, 0, 0, 2, 0).incident(0, 1);
    const std::string json = render_json(w.make());
    EXPECT_TRUE(is_valid_utf8(json)) << bad;
    const auto node = codec::parse_json(json);
    ASSERT_TRUE(node) << bad << ": " << node.error().text;
    EXPECT_EQ(node->find("title")->text, printable(bad, 512));
    EXPECT_EQ(json.find("\xe2\x80\xae"), std::string::npos);
  }
}

TEST(StatusJson, HasTheDocumentedShape) {
  World w;
  w.component("Web", S::kDown, 0, 0, 2, 0).fixed("Support desk").incident(0, 7);
  w.page.homepage = "https://shop.example/";
  w.report("Calls are not answered", Impact::kMinor, {"support-desk"});
  const UptimeTable uptime{
      {monitor_id(1),
       {{.day = 20'777, .up_s = 86'400}, {.day = 20'778, .up_s = 300, .down_s = 100}}}};
  std::ifstream file{"docs/status-page.md"};
  const std::string doc{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t begin = doc.find("```json\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string example = doc.substr(begin + 8, doc.find("```", begin + 8) - begin - 8);
  const auto documented = codec::parse_json(example);
  ASSERT_TRUE(documented) << documented.error().text;
  const std::string shown = render_json(w.make(1s, &uptime));
  EXPECT_EQ(shown, codec::print_json(*documented) + "\n")
      << codec::print_json(*codec::parse_json(shown), 2);
}

}  // namespace
}  // namespace tocsin::collector::status

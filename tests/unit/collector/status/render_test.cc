#include "collector/status/render_html.h"
#include "collector/status/render_json.h"
#include "common/base/strings.h"
#include "common/codec/json.h"
#include "tests/unit/collector/status/sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
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
std::string find_fault(std::string_view html) {
  static const std::set<std::string, std::less<>> kVoid{"meta", "link", "br", "!DOCTYPE"};
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
    } else if (!empty && !kVoid.contains(name)) {
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
  return w;
}

TEST(StatusHtml, IsOneSmallWellFormedDocumentForTwentyFourComponentsWithHistory) {
  const World w = big_world();
  const UptimeTable uptime = history(w);
  const std::string html = render_html(w.make(1s, &uptime));
  EXPECT_EQ(find_fault(html), "");
  EXPECT_LT(html.size(), 50'000U);
  EXPECT_NE(html.find("Component 2 is down"), std::string::npos);
  EXPECT_NE(html.find("Major outage"), std::string::npos);
  EXPECT_NE(html.find("INC-42"), std::string::npos);
  EXPECT_NE(html.find("No data means"), std::string::npos);
  // For a look in a browser: TOCSIN_STATUS_HTML=FILE.
  if (const char* path = std::getenv("TOCSIN_STATUS_HTML")) std::ofstream{path} << html;
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
    const std::size_t at = html.find("<h3>" + c.name + "</h3>");
    ASSERT_NE(at, std::string::npos);
    EXPECT_NE(html.substr(at - 80, 80).find("<use href=\"#i-"), std::string::npos) << c.name;
    EXPECT_EQ(html.substr(at + 10, 19 + std::string_view{label(c.state)}.size()),
              std::string{"<span class=\"word\">"} + label(c.state))
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
  EXPECT_LT(render_html(w.make()).size(), 12'000U);
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
  w.component("Web", S::kDown, 0, 0, 2, 0).incident(0, 7);
  const UptimeTable uptime{{monitor_id(1), {{.day = 20'778, .up_s = 300, .down_s = 100}}}};
  std::ifstream file{"docs/status-page.md"};
  const std::string doc{std::istreambuf_iterator<char>{file}, {}};
  const std::size_t begin = doc.find("```json\n");
  ASSERT_NE(begin, std::string::npos);
  const std::string example = doc.substr(begin + 8, doc.find("```", begin + 8) - begin - 8);
  const auto documented = codec::parse_json(example);
  ASSERT_TRUE(documented) << documented.error().text;
  EXPECT_EQ(render_json(w.make(1s, &uptime)), codec::print_json(*documented) + "\n");
}

}  // namespace
}  // namespace tocsin::collector::status

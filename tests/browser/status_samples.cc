// Question answered here: how do published pages look in each of their states?
//
//   status_samples DIR
//
// Renders made-up pages with the real renderer into DIR/STATE/, each with all of its files, and
// writes the policy that the collector sends with HTML to DIR/policy.

#include "collector/status/pages.h"
#include "collector/status/render_html.h"
#include "tests/unit/collector/status/sample.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace tocsin::collector::status {
namespace {

namespace fs = std::filesystem;
using S = MonitorStatus;

constexpr std::int64_t kToday = 20'778;

UptimeTable history_of(const World& w, bool rough) {
  UptimeTable table;
  for (std::size_t i = 0; i < w.view.monitors.size(); ++i) {
    std::vector<DayUptime>& days = table[w.view.monitors[i].entry.spec.id];
    for (std::int64_t d = 0; d < 90; ++d) {
      DayUptime day{.day = kToday - 89 + d, .up_s = 86'400, .elapsed_s = 86'400};
      const std::int64_t salt = d + static_cast<std::int64_t>(i) * 13;
      if (d < 5 && i % 4 == 3) day = {.day = day.day, .elapsed_s = 86'400};
      if (rough && salt % 31 == 7) {
        day = {.day = day.day, .up_s = 85'528, .down_s = 872, .elapsed_s = 86'400};
      }
      if (rough && salt % 40 == 20) {
        day = {.day = day.day, .up_s = 84'000, .degraded_s = 2'400, .elapsed_s = 86'400};
      }
      if (d == 89) day = {.day = day.day, .up_s = 10'740, .elapsed_s = 10'740};
      days.push_back(day);
    }
  }
  return table;
}

World good() {
  World w;
  w.page.title = "Acme status";
  w.page.description = "How the shop, its API and what they rest on are doing.";
  w.page.homepage = "https://acme.example/";
  w.page.contact = "help@acme.example";
  w.page.groups.push_back({"Shop", {}});
  w.component("Web shop", S::kUp, 3, 0, 0, 0).component("Checkout", S::kUp, 3, 0, 0, 0);
  w.page.groups.push_back({"For developers", {}});
  w.component("REST API", S::kUp, 3, 0, 0, 0).component("Webhooks", S::kUp, 2, 0, 0, 1);
  w.fixed("Support desk");
  w.page.groups[0].components[1].description = "Baskets, payment and receipts.";
  w.page.groups[1].components[2].description = "Monday to Friday, 08:00 to 18:00 UTC.";
  for (MonitorView& m : w.view.monitors) m.state.since = kNoon - 24h * 12 - 3h;
  w.past(0, 5, 26h, 872s).past(1, 6, 25h, 1'412s);
  w.report("Receipts were sent late", Impact::kMinor, {"monitor-2"}, 100h)
      .updates.push_back({kNoon - 98h, ReportState::kResolved,
                          "All receipts of the morning are sent. A queue had filled up."});
  return w;
}

World outage() {
  World w = good();
  const auto turn = [&](std::size_t i, S status, Outcome outcome) {
    w.view.monitors[i].state.status = status;
    w.view.monitors[i].state.since = kNoon - 252s;
    for (Vote& vote : w.view.monitors[i].votes) vote.outcome = outcome;
  };
  turn(1, S::kDown, Outcome::kDown);
  turn(2, S::kDegraded, Outcome::kDegraded);
  w.incident(1, 42);
  w.view.open_incidents[0].acknowledged_at = kNoon - 200s;
  ReportRow& late = w.report("Payments fail for most customers", Impact::kMajor,
                             {"monitor-2", "support-desk"}, 30min);
  late.updates.push_back({kNoon - 21min, ReportState::kIdentified,
                          "Our payment provider refuses connections from one of two networks.\n\n"
                          "We are moving all traffic to the other one."});
  late.updates.push_back({kNoon - 4min, ReportState::kMonitoring,
                          "Payments work again for about half of you. Orders are kept meanwhile "
                          "and charged later; there is no need to order twice."});
  w.maintenance("New disks for the database", {"monitor-4"}, -30min, 90min);
  w.maintenance("Move to another data centre", {"monitor-1", "monitor-2"}, 52h, 55h);
  return w;
}

World many() {
  World w;
  w.page.title = "Acme";
  for (int g = 0; g < 4; ++g) {
    w.page.groups.push_back({"Group " + std::to_string(g + 1), {}});
    for (int i = 0; i < 6; ++i) {
      const S status = g == 0 && i == 2   ? S::kDown
                       : g == 1 && i == 1 ? S::kDegraded
                       : g == 2 && i == 4 ? S::kUnknown
                       : g == 3 && i == 0 ? S::kPaused
                       : g == 3 && i == 1 ? S::kMaintenance
                                          : S::kUp;
      w.component("Component " + std::to_string(g * 6 + i + 1), status, status == S::kUp ? 2 : 0,
                  status == S::kDegraded ? 2 : 0, status == S::kDown ? 2 : 0,
                  status == S::kUnknown ? 2 : 0);
    }
  }
  w.incident(2, 42);
  return w;
}

World hostile() {
  World w;
  const std::string longest(200, 'W');
  const std::string markup = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
  const std::string odd = "bidi \xe2\x80\xae gnp.exe \xff\xfe \x1b[31m ]]>&lt; a\r\nb";
  w.page.title = longest;
  w.page.description = markup + odd;
  w.page.homepage = "https://acme.example/" + std::string(180, 'a');
  w.page.contact = "https://acme.example/?a=\"><script>alert(1)</script>";
  w.page.groups.push_back({longest, {}});
  w.component(longest, S::kDown, 0, 0, 2, 0).component(markup, S::kUp, 2, 0, 0, 0);
  w.component(odd, S::kUnknown, 0, 0, 0, 2);
  w.page.groups[0].components[0].description = longest;
  w.page.groups[0].components[1].description = markup;
  w.incident(0, 1).past(1, 2, 30h, 10min);
  w.report(longest, Impact::kCritical, {"monitor-1", "monitor-2"}).updates[0].text =
      std::string(2'000, 'x') + "\n\n" + markup + "\n" + odd;
  w.report(markup, Impact::kNone, {}).updates[0].text = odd;
  w.maintenance(odd, {"monitor-3"}, 1h, 2h).updates[0].text = longest + "\xef\xbf\xbf";
  return w;
}

World fixed_only() {
  World w;
  w.page.title = "Office";
  w.page.groups.push_back({"", {}});
  w.fixed("Telephone").fixed("Letters");
  w.maintenance("New telephones", {"telephone"}, -1h, 1h);
  return w;
}

bool write(const std::string& directory, const PageView& page, const Place& place) {
  for (const PageFileName& name : kPageFiles) {
    const fs::path path = fs::path(directory) / name.published;
    fs::create_directories(path.parent_path());
    std::ofstream out{path, std::ios::binary};
    out << render_file(page, place, name.file).body;
    if (!out.flush()) return false;
  }
  return true;
}

bool write_all(const std::string& directory) {
  const PageMoment now{kNoon + 1s};
  const PageMoment later{kNoon + 11min};
  const PageMoment silent{kNoon + 1s, 30s, true};
  const Place live{"https://acme.example/status/shop", false};
  const Place published{"https://status.acme.example", true};
  const std::vector<std::pair<std::string, World>> worlds{
      {"good", good()},       {"outage", outage()},         {"many", many()},
      {"hostile", hostile()}, {"fixed-only", fixed_only()}, {"empty", World{}}};
  bool good = true;
  for (const auto& [name, world] : worlds) {
    const UptimeTable uptime = history_of(world, name == "many");
    good &= write(directory + "/" + name, world.make(now, &uptime), live);
    if (name == "good") good &= write(directory + "/stale", world.make(later, &uptime), live);
    if (name != "outage") continue;
    good &= write(directory + "/published", world.make(now, &uptime), published);
    good &= write(directory + "/silent", world.make(silent, &uptime), published);
  }
  std::ofstream policy{directory + "/policy"};
  policy << html_policy();
  return good && policy.flush().good();
}

}  // namespace
}  // namespace tocsin::collector::status

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: status_samples DIR\n", stderr);
    return 2;
  }
  if (tocsin::collector::status::write_all(argv[1])) return 0;
  std::fprintf(stderr, "status_samples: cannot write to %s\n", argv[1]);
  return 1;
}

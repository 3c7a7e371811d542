#include "collector/status/render_html.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace tocsin::collector::status {

namespace {

constexpr std::size_t kNameBytesMax = 200;
/// Days named one by one below a component's bars.
constexpr std::size_t kNamedDaysMax = 10;
constexpr std::int64_t kSecondsPerDay = 86'400;

/// Colours: the text tokens have a contrast of 5:1 or more on every surface, the fills 3:1, and the
/// states stay apart in the common colour deficiencies. Colour is never the only sign: every state
/// has a shape and a word, and in a row of bars the alarm is the tall thing.
constexpr std::string_view kStyle =
    ":root{color-scheme:light dark;"
    "--bg:#f5f7fa;--surface:#fff;--text:#14181f;--text2:#434b58;--muted:#5d6675;--border:#d5dbe3;"
    "--focus:#1b3fae;--up:#239a79;--degraded:#ba7501;--down:#aa0d19;--maint:#3658bf;"
    "--unknown:#545557;--paused:#7d8797;--up-t:#07694f;--degraded-t:#7a4b00;--down-t:#8f0a15;"
    "--maint-t:#2b489f;--unknown-t:#3f4248;--paused-t:#4b515b}"
    "@media(prefers-color-scheme:dark){:root{"
    "--bg:#0e1217;--surface:#171c23;--text:#e9ecf1;--text2:#b7bfcb;--muted:#8f99a8;"
    "--border:#2b323c;--focus:#a9bbff;--up:#6ccbaf;--degraded:#fdb73c;--down:#e0604f;"
    "--maint:#6885f0;--unknown:#72767f;--paused:#6a7482;--up-t:#7fd6ba;--degraded-t:#ffc766;"
    "--down-t:#ff9d90;--maint-t:#a3b5ff;--unknown-t:#c3c8d0;--paused-t:#aab2be}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--text);font:14px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;overflow-wrap:anywhere}"
    "main{max-width:760px;margin:0 auto;padding:16px}"
    "h1{font-size:20px;margin:16px 0}h2{font-size:16px;margin:32px 0 8px}"
    "h3{font-size:14px;margin:0}p{margin:0}"
    "time{font-variant-numeric:tabular-nums}"
    ".sym{position:absolute}"
    ".i{width:16px;height:16px;fill:currentColor;flex:none;vertical-align:-2px}"
    ".up .i{color:var(--up)}.degraded .i{color:var(--degraded)}.down .i{color:var(--down)}"
    ".maint .i{color:var(--maint)}.unknown .i{color:var(--unknown)}.paused .i{color:var(--paused)}"
    ".banner{display:flex;gap:12px;align-items:center;border:1px solid var(--border);"
    "border-left:6px solid;border-radius:6px;padding:16px;background:var(--surface)}"
    ".banner b{font-size:20px;line-height:1.3}.banner .i{width:24px;height:24px}"
    ".banner p,.sub{color:var(--text2)}"
    ".banner.up{border-left-color:var(--up)}.banner.degraded{border-left-color:var(--degraded)}"
    ".banner.down{border-left-color:var(--down)}.banner.maint{border-left-color:var(--maint)}"
    ".banner.unknown{border-left-color:var(--unknown)}"
    ".banner.paused{border-left-color:var(--paused)}"
    ".until,.small{color:var(--muted);font-size:13px}.until{margin-top:8px}"
    ".card{background:var(--surface);border:1px solid var(--border);border-radius:6px;"
    "margin:12px 0}"
    ".row{padding:12px 16px;border-top:1px solid var(--border)}.row:first-child{border-top:0}"
    ".head{display:flex;gap:8px;align-items:center}.head .word{margin-left:auto;flex:none}"
    ".row.up .word{color:var(--up-t)}.row.degraded .word{color:var(--degraded-t)}"
    ".row.down .word{color:var(--down-t);font-weight:600}.row.maint .word{color:var(--maint-t)}"
    ".row.unknown .word{color:var(--unknown-t)}.row.paused .word{color:var(--paused-t)}"
    ".row.group{background:none}.row.group .word{color:var(--text2);font-weight:400}"
    ".row .i{align-self:flex-start;margin-top:2px}"
    ".body{margin-left:24px}"
    ".bars{overflow:hidden;direction:rtl;height:30px;margin:8px 0 2px}"
    ".bars svg{display:block;width:100%;height:30px;fill:none;stroke-dasharray:.7 .3;"
    "stroke-width:10}"
    ".bars .u{stroke:var(--up);stroke-width:5}.bars .d{stroke:var(--down)}"
    ".bars .g{stroke:var(--degraded)}.bars .n{stroke:var(--unknown);stroke-width:2}"
    ".axis{display:flex;justify-content:space-between;color:var(--muted);font-size:12px}"
    ".axis .phone{display:none}"
    "details{color:var(--text2);font-size:13px;margin-top:4px}summary{cursor:pointer}"
    "ul{margin:4px 0;padding-left:20px}"
    "footer{color:var(--muted);font-size:13px;padding:32px 0 16px}footer p{margin:8px 0}"
    ".legend{display:flex;flex-wrap:wrap;gap:4px 16px}"
    ".old{visibility:hidden;animation:old 0s linear 300s forwards;font-weight:600;"
    "color:var(--text2)}@keyframes old{to{visibility:visible}}"
    ":focus-visible{outline:2px solid var(--focus);outline-offset:2px}"
    "@media(max-width:520px){.bars svg.long{width:200%}.axis .phone{display:inline}"
    ".axis .wide{display:none}}"
    "@media print{.old{display:none}}";

/// Shapes on 16 x 16, in one colour; they work at 12 px.
constexpr std::string_view kSymbols =
    "<svg class=\"sym\" width=\"0\" height=\"0\" aria-hidden=\"true\">"
    "<symbol id=\"i-up\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"7\"/>"
    "<path d=\"M4.6 8.3l2.3 2.3 4.6-5\" fill=\"none\" stroke=\"var(--surface)\" "
    "stroke-width=\"1.9\"/></symbol>"
    "<symbol id=\"i-degraded\" viewBox=\"0 0 16 16\"><path d=\"M8 .9l7.6 13.7H.4z\"/>"
    "<path d=\"M8 5.6v4.2M8 11.4v1.6\" stroke=\"var(--surface)\" stroke-width=\"1.8\"/></symbol>"
    "<symbol id=\"i-down\" viewBox=\"0 0 16 16\">"
    "<path d=\"M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z\"/>"
    "<path d=\"M5 5l6 6M11 5l-6 6\" stroke=\"var(--surface)\" stroke-width=\"2\"/></symbol>"
    "<symbol id=\"i-unknown\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"6.6\" "
    "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.6\" stroke-dasharray=\"2.6 1.9\"/>"
    "<path d=\"M6 6.3a2 2 0 1 1 2.6 1.9c-.5.2-.6.5-.6 1.1M8 11v1.3\" fill=\"none\" "
    "stroke=\"currentColor\" stroke-width=\"1.5\"/></symbol>"
    "<symbol id=\"i-maint\" viewBox=\"0 0 16 16\"><path d=\"M8 .4L15.6 8 8 15.6.4 8z\"/>"
    "<path d=\"M5 8h6\" stroke=\"var(--surface)\" stroke-width=\"2\"/></symbol>"
    "<symbol id=\"i-paused\" viewBox=\"0 0 16 16\"><circle cx=\"8\" cy=\"8\" r=\"6.8\" "
    "fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.5\"/>"
    "<path d=\"M6.2 5v6M9.8 5v6\" stroke=\"currentColor\" stroke-width=\"1.7\"/></symbol></svg>";

/// Which shape and colour stand for the state.
const char* look(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "up";
    case PublicState::kPaused:
      return "paused";
    case PublicState::kMaintenance:
      return "maint";
    case PublicState::kNoData:
      return "unknown";
    case PublicState::kDegraded:
      return "degraded";
    case PublicState::kPartialOutage:
    case PublicState::kMajorOutage:
      return "down";
  }
  return "unknown";
}

/// The favicon is the shape too, so that a tab tells the state.
const char* favicon_path(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "%3Ccircle cx='8' cy='8' r='7' fill='%23239a79'/%3E";
    case PublicState::kDegraded:
      return "%3Cpath d='M8 .9l7.6 13.7H.4z' fill='%23ba7501'/%3E";
    case PublicState::kPartialOutage:
    case PublicState::kMajorOutage:
      return "%3Cpath d='M4.9.5h6.2l4.4 4.4v6.2l-4.4 4.4H4.9L.5 11.1V4.9z' fill='%23aa0d19'/%3E";
    case PublicState::kMaintenance:
      return "%3Cpath d='M8 .4L15.6 8 8 15.6.4 8z' fill='%233658bf'/%3E";
    case PublicState::kNoData:
    case PublicState::kPaused:
      return "%3Ccircle cx='8' cy='8' r='6' fill='none' stroke='%23545557' stroke-width='2' "
             "stroke-dasharray='2.6 1.9'/%3E";
  }
  return "";
}

class Writer {
 public:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void raw(std::string_view text) { out_.append(text); }

  void icon(PublicState state) {
    put("<svg class=\"i\" aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", look(state));
  }

  void time(WallTime t) {
    put("<time datetime=\"{}\">{}</time>", format_rfc3339(t), format_for_people(t));
  }

  /// Only the clock on the page's own day; the zone is named once, at the top.
  void time_near(WallTime t, WallTime now) {
    const std::string iso = format_rfc3339(t);
    const std::string clock = iso.substr(11, 8);
    if (iso.substr(0, 10) == format_rfc3339(now).substr(0, 10)) {
      put("<time datetime=\"{}\">{}</time>", iso, clock);
    } else {
      put("<time datetime=\"{}\">{}, {}</time>", iso, format_day(t.us / 1'000'000 / kSecondsPerDay),
          clock);
    }
  }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

enum class DayLook : std::uint8_t { kUp, kDegraded, kDown, kNone };

DayLook day_look(const DayUptime& day) {
  if (day.down_s > 0) return DayLook::kDown;
  if (day.degraded_s > 0) return DayLook::kDegraded;
  return day.up_s > 0 ? DayLook::kUp : DayLook::kNone;
}

/// Runs of equal days as dashes: a quiet quarter is one path.
void put_bars(Writer& out, const UptimeSummary& uptime) {
  constexpr std::array<const char*, 4> kClass{"u", "g", "d", "n"};
  constexpr std::array<const char*, 4> kLine{"7.5", "5", "5", "9"};
  std::array<std::string, 4> paths;
  int interrupted = 0;
  std::int64_t down_s = 0;
  for (std::size_t i = 0; i < uptime.bars.size();) {
    const DayLook kind = day_look(uptime.bars[i]);
    std::size_t end = i;
    while (end < uptime.bars.size() && day_look(uptime.bars[end]) == kind) {
      if (kind == DayLook::kDown || kind == DayLook::kDegraded) ++interrupted;
      down_s += uptime.bars[end].down_s;
      ++end;
    }
    const auto k = static_cast<std::size_t>(kind);
    paths.at(k) += fmt::format("M{} {}h{}", i, kLine.at(k), end - i);
    i = end;
  }
  const std::size_t days = uptime.bars.size();
  // Half of a long history fits a telephone.
  const bool is_long = days > kUptimeDays / 2;
  out.put(
      "<div class=\"bars\"><svg{} viewBox=\"0 0 {} 10\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-label=\"Last {} days: {} with an interruption, {} of downtime\">",
      is_long ? " class=\"long\"" : "", days, days, interrupted,
      format_span(std::chrono::seconds{down_s}));
  for (std::size_t k = 0; k < paths.size(); ++k) {
    if (!paths.at(k).empty()) {
      out.put("<path class=\"{}\" d=\"{}\"/>", kClass.at(k), paths.at(k));
    }
  }
  out.raw("</svg></div><div class=\"axis\">");
  if (is_long) {
    out.put("<span class=\"wide\">{} days ago</span><span class=\"phone\">{} days ago</span>",
            days - 1, (days - 1) / 2);
  } else {
    out.put("<span>{} days ago</span>", days - 1);
  }
  out.raw("<span>today</span></div>");

  if (interrupted == 0) return;
  out.put("<details><summary>{} day{} with an interruption</summary><ul>", interrupted,
          interrupted == 1 ? "" : "s");
  std::size_t named = 0;
  for (auto day = uptime.bars.rbegin(); day != uptime.bars.rend() && named < kNamedDaysMax; ++day) {
    const DayLook kind = day_look(*day);
    if (kind != DayLook::kDown && kind != DayLook::kDegraded) continue;
    ++named;
    out.put("<li><time datetime=\"{}\">{}</time>:",
            format_rfc3339(WallTime{day->day * kSecondsPerDay * 1'000'000}).substr(0, 10),
            format_day(day->day));
    if (day->down_s > 0) out.put(" down {}", format_span(std::chrono::seconds{day->down_s}));
    if (day->degraded_s > 0) {
      out.put("{} degraded {}", day->down_s > 0 ? "," : "",
              format_span(std::chrono::seconds{day->degraded_s}));
    }
    out.raw("</li>");
  }
  if (static_cast<std::size_t>(interrupted) > named) {
    out.put("<li>and {} earlier</li>", static_cast<std::size_t>(interrupted) - named);
  }
  out.raw("</ul></details>");
}

const char* since_word(MonitorStatus status) {
  switch (status) {
    case MonitorStatus::kUp:
      return "Up";
    case MonitorStatus::kDegraded:
      return "Degraded";
    case MonitorStatus::kDown:
      return "Down";
    case MonitorStatus::kUnknown:
      return "No data";
    case MonitorStatus::kMaintenance:
      return "In maintenance";
    case MonitorStatus::kPaused:
      return "Paused";
    case MonitorStatus::kNew:
      return "New";
  }
  return "";
}

void put_component(Writer& out, const ComponentView& c, WallTime now) {
  out.put("<div class=\"row {}\"><div class=\"head\">", look(c.state));
  out.icon(c.state);
  out.put("<h3>{}</h3><span class=\"word\">{}</span></div><div class=\"body\"><p class=\"sub\">",
          html_text(c.name, kNameBytesMax), label(c.state));
  if (c.since) {
    out.put("{} for {}, since ", since_word(c.status), format_span(now - *c.since));
    out.time_near(*c.since, now);
    out.raw(". ");
  }
  out.raw(c.sure);
  out.raw("</p>");
  const bool has_percent = c.uptime && !c.uptime->percent.empty();
  if (c.measured_at || has_percent) out.raw("<p class=\"small\">");
  if (c.measured_at) {
    out.raw("Last measured ");
    out.time_near(*c.measured_at, now);
    out.raw(". ");
  }
  if (has_percent) {
    out.put("Uptime {}&nbsp;%, {} day{}, coverage {}&nbsp;%.", c.uptime->percent, c.uptime->days,
            c.uptime->days == 1 ? "" : "s", c.uptime->coverage);
  }
  if (c.measured_at || has_percent) out.raw("</p>");
  if (c.uptime) {
    put_bars(out, *c.uptime);
  }
  out.raw("</div></div>\n");
}

void put_incidents(Writer& out, const PageView& page) {
  out.put("<h2>{}</h2>\n", page.incidents.empty()
                               ? "Incidents"
                               : fmt::format("Open incidents: {}", page.incidents.size()));
  if (page.incidents.empty()) {
    out.raw("<p class=\"sub\">No incident is open.</p>\n");
    return;
  }
  out.raw("<div class=\"card\">\n");
  for (const PublicIncident& incident : page.incidents) {
    out.put("<div class=\"row {}\"><div class=\"head\">", look(incident.state));
    out.icon(incident.state);
    out.put(
        "<h3>{}</h3><span class=\"word\">INC-{}</span></div><div class=\"body\"><p>{}</p>"
        "<p class=\"small\">Began ",
        html_text(incident.component, kNameBytesMax), incident.number, html_text(incident.text));
    out.time_near(incident.started_at, page.generated_at);
    out.put(", {} ago</p></div></div>\n", format_span(page.generated_at - incident.started_at));
  }
  out.raw("</div>\n");
}

}  // namespace

std::string html_text(std::string_view raw, std::size_t max_bytes) {
  return escape_html(printable(raw, max_bytes));
}

const std::string& html_policy() {
  static const std::string policy = fmt::format(
      "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action "
      "'none'; frame-ancestors 'none'",
      to_base64(sha256(as_bytes(kStyle))));
  return policy;
}

std::string render_html(const PageView& page) {
  Writer out;
  out.put(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<title>{}: {}</title>\n",
      label(page.state), html_text(page.title, kNameBytesMax));
  out.put(
      "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
      "viewBox='0 0 16 16'%3E{}%3C/svg%3E\">\n",
      favicon_path(page.state));
  out.put("<link rel=\"alternate\" type=\"application/json\" href=\"/status/{}.json\">\n",
          html_text(page.slug));
  out.put("<style>{}</style>\n</head>\n<body>\n{}\n<main>\n", kStyle, kSymbols);

  out.put("<h1>{}</h1>\n<div class=\"banner {}\" role=\"status\">",
          html_text(page.title, kNameBytesMax), look(page.state));
  out.icon(page.state);
  out.put("<div><b>{}</b>", html_text(page.sentence));
  if (!page.detail.empty()) out.put("<p>{}</p>", html_text(page.detail));
  out.raw("</div></div>\n<p class=\"until\">Data until ");
  out.time(page.data_until);
  out.raw(". Page made ");
  out.time_near(page.generated_at, page.data_until);
  out.raw(". <span class=\"old\">It was loaded more than 5 minutes ago: reload it.</span></p>\n");

  put_incidents(out, page);

  out.raw("<h2>Components</h2>\n");
  for (const GroupView& group : page.groups) {
    out.put("<section class=\"card\">\n<div class=\"row group {}\"><div class=\"head\">",
            look(group.state));
    out.icon(group.state);
    out.put("<h3>{}</h3><span class=\"word\">{} of {} operational</span></div></div>\n",
            html_text(group.name, kNameBytesMax), group.operational, group.components.size());
    for (const ComponentView& c : group.components) put_component(out, c, page.generated_at);
    out.raw("</section>\n");
  }

  out.raw("<footer>\n<p class=\"legend\">");
  for (const PublicState state :
       {PublicState::kOperational, PublicState::kDegraded, PublicState::kPartialOutage,
        PublicState::kMajorOutage, PublicState::kMaintenance, PublicState::kNoData,
        PublicState::kPaused}) {
    out.put("<span class=\"{}\">", look(state));
    out.icon(state);
    out.put(" {}</span> ", label(state));
  }
  out.raw(
      "</p>\n<p>No data means that too few regions have a fresh measurement to say anything. It "
      "means neither up nor down.</p>\n"
      "<p>Partial outage: a quorum of regions cannot reach the component, others still do. A state "
      "changes only when enough regions agree.</p>\n"
      "<p>Times are UTC. The same as <a href=\"/status/");
  out.put("{}.json\">JSON</a>.</p>\n</footer>\n</main>\n</body>\n</html>\n", html_text(page.slug));
  return out.take();
}

}  // namespace tocsin::collector::status

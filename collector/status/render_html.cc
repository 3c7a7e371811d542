#include "collector/status/render_html.h"

#include "collector/status/html_style.h"
#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace tocsin::collector::status {

namespace {

constexpr std::size_t kNameBytesMax = 200;
/// Days named one by one below a component's bars.
constexpr std::size_t kNamedDaysMax = 10;

const char* plural(std::size_t n) { return n == 1 ? "" : "s"; }

/// "2026-11-21T03:00:00Z".
std::string to_the_second(WallTime t) { return format_rfc3339(t).substr(0, 19) + "Z"; }

/// Only the clock on the page's own day; the zone is named once for all, at the foot.
std::string near_text(WallTime t, WallTime now) {
  std::string clock = format_rfc3339(t).substr(11, 8);
  if (day_of(t) == day_of(now)) return clock;
  return fmt::format("{}, {}", format_day(day_of(t)), clock);
}

class Writer {
 public:
  template <class... Args>
  void put(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
  }

  void raw(std::string_view text) { out_.append(text); }

  void icon(PublicState state) {
    put("<svg aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", look_of(state));
  }

  void time(WallTime t) {
    put("<time datetime=\"{}\">{}</time>", to_the_second(t), format_for_people(t));
  }

  void time_near(WallTime t, WallTime now) {
    put("<time datetime=\"{}\">{}</time>", to_the_second(t), near_text(t, now));
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

bool is_bad(DayLook look) { return look == DayLook::kDown || look == DayLook::kDegraded; }

struct BarTotals {
  std::size_t interrupted = 0;
  std::size_t empty = 0;
  std::int64_t down_s = 0;
};

/// What the bars say to those who do not see them.
std::string describe_bars(const UptimeSummary& uptime, const BarTotals& totals) {
  std::string out = fmt::format("Last {} days: ", uptime.bars.size());
  out += totals.interrupted == 0
             ? std::string{"no interruption"}
             : fmt::format("{} with an interruption, {} of downtime", totals.interrupted,
                           format_span(std::chrono::seconds{totals.down_s}));
  if (totals.empty > 0) out += fmt::format(", {} without data", totals.empty);
  return out;
}

std::string uptime_text(const UptimeSummary& uptime) {
  if (uptime.percent.empty()) return "Nothing was measured";
  return fmt::format("Uptime {}&nbsp;%, {} day{}, coverage {}&nbsp;%", uptime.percent, uptime.days,
                     plural(static_cast<std::size_t>(uptime.days)), uptime.coverage);
}

void put_bad_days(Writer& out, const UptimeSummary& uptime, std::size_t interrupted) {
  out.put("<details><summary>{} day{} with an interruption</summary><ul>", interrupted,
          plural(interrupted));
  std::size_t named = 0;
  for (auto day = uptime.bars.rbegin(); day != uptime.bars.rend() && named < kNamedDaysMax; ++day) {
    if (!is_bad(day_look(*day))) continue;
    ++named;
    out.put("<li>{}:", format_day(day->day));
    if (day->down_s > 0) out.put(" down {}", format_span(std::chrono::seconds{day->down_s}));
    if (day->degraded_s > 0) {
      out.put("{} degraded {}", day->down_s > 0 ? "," : "",
              format_span(std::chrono::seconds{day->degraded_s}));
    }
    out.raw("</li>");
  }
  if (interrupted > named) out.put("<li>and {} earlier</li>", interrupted - named);
  out.raw("</ul></details>");
}

/// Runs of equal days as dashes: a quiet quarter is one path.
void put_bars(Writer& out, const UptimeSummary& uptime) {
  constexpr std::array<const char*, 4> kClass{"u", "g", "d", "n"};
  constexpr std::array<const char*, 4> kLine{"7.5", "5", "5", "9"};
  std::array<std::string, 4> paths;
  BarTotals totals;
  for (std::size_t i = 0; i < uptime.bars.size();) {
    const DayLook kind = day_look(uptime.bars[i]);
    std::size_t end = i;
    for (; end < uptime.bars.size() && day_look(uptime.bars[end]) == kind; ++end) {
      totals.interrupted += is_bad(kind) ? 1U : 0U;
      totals.empty += kind == DayLook::kNone ? 1U : 0U;
      totals.down_s += uptime.bars[end].down_s;
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
      "aria-label=\"{}\">",
      is_long ? " class=\"long\"" : "", days, describe_bars(uptime, totals));
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
  out.put("<b>{}</b><span>today</span></div>", uptime_text(uptime));
  if (totals.interrupted > 0) put_bad_days(out, uptime, totals.interrupted);
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

const Post* find_post(const PageView& page, const std::string& id) {
  for (const Post& post : page.posts) {
    if (!id.empty() && post.id == id) return &post;
  }
  return nullptr;
}

void put_component(Writer& out, const PageView& page, const ComponentView& c, const char* heading) {
  out.put("<div class=\"row {}\"><div class=\"head\">", look_of(c.state));
  out.icon(c.state);
  out.put("<{0}>{1}</{0}><span>{2}</span></div><div class=\"body\">", heading,
          html_text(c.name, kNameBytesMax), label(c.state));
  if (!c.description.empty()) out.put("<p class=\"sub\">{}</p>", html_text(c.description));
  if (const Post* post = find_post(page, c.reported)) {
    out.put("<p class=\"sub\">Reported: <a href=\"#r-{}\">{}</a>.</p>", post->id,
            html_text(post->title, kNameBytesMax));
  }
  out.raw("<p class=\"small\">");
  if (c.measured) {
    if (c.since) {
      out.put("{} for {}, since {}. ", since_word(c.status),
              format_span(page.generated_at - *c.since), near_text(*c.since, page.generated_at));
    }
    out.raw(c.sure);
    if (c.measured_at) {
      out.put(" Last measured {}.", near_text(*c.measured_at, page.generated_at));
    }
  } else {
    out.raw("Not measured: its state is what is reported.");
  }
  out.raw("</p>");
  if (c.uptime) put_bars(out, *c.uptime);
  out.raw("</div></div>\n");
}

void put_updates(Writer& out, const PageView& page, const Post& post) {
  out.raw("<ol class=\"updates\">");
  for (const PostUpdate& update : post.updates) {
    out.put("<li><b>{}</b> <span class=\"small\">", label(update.state));
    out.time_near(update.at, page.generated_at);
    out.put("</span>{}</li>", html_paragraphs(update.lines));
  }
  if (post.earlier > 0) {
    out.put("<li class=\"small\">{} earlier update{} not shown.</li>", post.earlier,
            post.earlier == 1 ? " is" : "s are");
  }
  out.raw("</ol>");
}

const char* post_word(const Post& post) {
  if (post.kind == PostKind::kMaintenance || post.phase == PostPhase::kPast) {
    return label(post.stage);
  }
  return post.impact == Impact::kNone ? "No impact" : label(post.state);
}

/// Its beginning, end and length, as far as they are known.
void put_when(Writer& out, const PageView& page, const Post& post) {
  const bool planned = post.kind == PostKind::kMaintenance && post.phase != PostPhase::kPast;
  const WallTime begin = planned && post.scheduled_from ? *post.scheduled_from : post.began;
  const auto end = planned ? post.scheduled_to : post.ended;
  out.raw(planned ? "Planned " : post.phase == PostPhase::kPast ? "" : "Began ");
  out.time_near(begin, page.generated_at);
  if (end) {
    out.raw(" to ");
    out.time_near(*end, day_of(*end) == day_of(begin) ? begin : page.generated_at);
    out.put(", {}", format_span(*end - begin));
  } else if (!planned) {
    out.put(", {} ago", format_span(page.generated_at - post.began));
  }
  out.raw(".");
}

void put_post(Writer& out, const PageView& page, const Post& post, const char* heading) {
  const bool past = post.phase == PostPhase::kPast;
  // What is over is told quietly.
  const PublicState state = past ? PublicState::kOperational : post.state;
  out.put("<article class=\"{}{}\" id=\"r-{}\"><div class=\"head\">", past ? "" : "row ",
          look_of(state), post.id);
  out.icon(state);
  out.put("<{0}>{1}</{0}><span>{2}</span></div><div class=\"body\">", heading,
          html_text(post.title, kNameBytesMax), post_word(post));
  if (!post.text.empty()) out.put("<p class=\"sub\">{}</p>", html_text(post.text));
  out.raw("<p class=\"small\">");
  put_when(out, page, post);
  if (post.number > 0) out.put(" INC-{}.", post.number);
  if (post.kind != PostKind::kMeasured && !post.components.empty()) {
    std::vector<std::string> names;
    for (const std::string& key : post.components) {
      if (const ComponentView* c = page.find(key)) names.push_back(c->name);
    }
    out.put(" Affects {}.", html_text(name_list(names), 4 * kNameBytesMax));
  }
  out.raw("</p>");
  if (past && post.updates.size() > 1) {
    out.put("<details><summary>{} updates</summary>", post.updates.size() + post.earlier);
    put_updates(out, page, post);
    out.raw("</details>");
  } else {
    put_updates(out, page, post);
  }
  out.raw("</div></article>\n");
}

void put_current(Writer& out, const PageView& page) {
  std::vector<const Post*> incidents, maintenance;
  for (const Post& post : page.posts) {
    if (post.phase == PostPhase::kPast) continue;
    (post.kind == PostKind::kMaintenance ? maintenance : incidents).push_back(&post);
  }
  // What is next comes first; the list is newest first.
  std::reverse(maintenance.begin(), maintenance.end());
  if (incidents.empty()) {
    out.raw("<h2>Incidents</h2>\n<p class=\"sub\">No incident is open.</p>\n");
  } else {
    out.put("<h2>Open incidents: {}</h2>\n<div class=\"card\">\n", incidents.size());
    for (const Post* post : incidents) put_post(out, page, *post, "h3");
    out.raw("</div>\n");
  }
  if (maintenance.empty()) return;
  out.raw("<h2>Maintenance</h2>\n<div class=\"card\">\n");
  for (const Post* post : maintenance) put_post(out, page, *post, "h3");
  out.raw("</div>\n");
}

/// "No incidents." is said only of days that had none, not even one that had begun before.
void put_day(Writer& out, const PageView& page, std::int64_t day, std::int64_t first) {
  const auto began_on = [first](const Post& post) { return std::max(day_of(post.began), first); };
  const auto touches = [&](const Post& post) {
    return post.phase != PostPhase::kUpcoming && day >= began_on(post) &&
           day <= day_of(post.ended.value_or(page.generated_at));
  };
  const bool quiet = std::none_of(page.posts.begin(), page.posts.end(), touches);
  out.put("<section class=\"day{}\"><h3>{}</h3><div>", quiet ? " quiet" : "", format_day(day));
  for (const Post& post : page.posts) {
    if (!touches(post)) continue;
    if (post.phase == PostPhase::kPast && day == began_on(post)) {
      put_post(out, page, post, "h4");
    } else {
      out.put("<p class=\"sub\">{}: <a href=\"#r-{}\">{}</a>.</p>\n",
              day == began_on(post) ? "Began" : "Went on", post.id,
              html_text(post.title, kNameBytesMax));
    }
  }
  if (quiet) out.raw("<p class=\"small\">No incidents.</p>");
  out.raw("</div></section>\n");
}

void put_past(Writer& out, const PageView& page) {
  out.put("<h2>The last {} days</h2>\n", kPastDays);
  if (!page.history_known) {
    out.raw("<p class=\"sub\">What was measured earlier is being read.</p>\n");
  }
  const std::int64_t today = day_of(page.generated_at);
  // Nobody could have said anything before the page was made.
  const std::int64_t first = std::max(today - kPastDays + 1, day_of(page.created_at));
  out.raw("<div class=\"card\">\n");
  for (std::int64_t day = today; day >= first; --day) put_day(out, page, day, first);
  out.raw("</div>\n");
}

void put_head(Writer& out, const PageView& page, const Place& place) {
  const std::string title = html_text(page.title, kNameBytesMax);
  const std::string below = place.published ? "" : html_text(page.slug) + "/";
  out.put(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n");
  if (page.noindex) out.raw("<meta name=\"robots\" content=\"noindex,nofollow\">\n");
  out.raw("<meta name=\"referrer\" content=\"no-referrer\">\n");
  if (!page.description.empty()) {
    out.put("<meta name=\"description\" content=\"{}\">\n", html_text(page.description));
  }
  out.put("<title>{}: {}</title>\n", label(page.state), title);
  out.put(
      "<link rel=\"icon\" href=\"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' "
      "viewBox='0 0 16 16'%3E{}%3C/svg%3E\">\n",
      favicon_path(page.state));
  out.put(
      "<link rel=\"alternate\" type=\"application/rss+xml\" title=\"RSS\" href=\"{0}feed.rss\">\n"
      "<link rel=\"alternate\" type=\"application/atom+xml\" title=\"Atom\" "
      "href=\"{0}feed.atom\">\n",
      below);
  out.put("<style>{}</style>\n</head>\n<body>\n{}\n<div class=\"page\">\n", kStyle, kSymbols);

  out.put("<header><h1>{}</h1>\n<nav aria-label=\"Links\"><ul>", title);
  if (is_web_link(page.homepage)) {
    out.put("<li><a href=\"{}\">Homepage</a></li>", html_text(page.homepage, 2048));
  }
  if (is_web_link(page.contact)) {
    out.put("<li><a href=\"{}\">Contact</a></li>", html_text(page.contact, 2048));
  } else if (is_mail_address(page.contact)) {
    out.put("<li><a href=\"mailto:{}\">Contact</a></li>", html_text(page.contact));
  }
  out.put("<li><a href=\"{0}feed.atom\">Atom</a></li><li><a href=\"{0}feed.rss\">RSS</a></li>",
          below);
  out.put("<li><a href=\"{}\">JSON</a></li></ul></nav>",
          place.published ? "status.json" : html_text(page.slug) + ".json");
  if (!page.description.empty()) out.put("\n<p>{}</p>", html_text(page.description));
  out.raw("</header>\n");
}

void put_banner(Writer& out, const PageView& page, const Place& place) {
  out.put("<div class=\"banner {}\" role=\"status\">", look_of(page.state));
  out.icon(page.state);
  out.put("<div><b>{}</b>", html_text(page.sentence));
  if (!page.detail.empty()) out.put("<p>{}</p>", html_text(page.detail));
  out.raw("</div></div>\n<p class=\"until\">Data until ");
  out.time(page.data_until);
  out.put(". {} made ", place.published ? "This copy was" : "Page");
  out.time_near(page.generated_at, page.data_until);
  out.raw(". ");
  if (place.published) {
    out.raw("If it is later than ");
    out.time(page.stale_after);
    out.raw(" now, newer copies do not arrive and the present state is not known. ");
  }
  out.raw("<span class=\"old\">Loaded more than 5 minutes ago: reload it.</span></p>\n");
}

void put_footer(Writer& out) {
  out.raw("<footer>\n<ul class=\"legend\">");
  for (const PublicState state :
       {PublicState::kOperational, PublicState::kDegraded, PublicState::kPartialOutage,
        PublicState::kMajorOutage, PublicState::kMaintenance, PublicState::kNoData,
        PublicState::kPaused}) {
    out.put("<li class=\"{}\">", look_of(state));
    out.icon(state);
    out.put("{}</li>", label(state));
  }
  out.raw(
      "</ul>\n<p>No data means that too few regions have a fresh measurement to say anything. It "
      "means neither up nor down.</p>\n"
      "<p>Partial outage: a quorum of regions cannot reach the component, others still do. A state "
      "changes only when enough regions agree.</p>\n"
      "<p>Uptime is the share of the measured time in which a component was up or degraded; "
      "coverage is the share of the window that was measured. Times and days are UTC.</p>\n"
      "</footer>\n");
}

}  // namespace

std::string html_text(std::string_view raw, std::size_t max_bytes) {
  return escape_html(printable(raw, max_bytes));
}

std::string html_paragraphs(const std::vector<std::string>& lines) {
  std::string out;
  bool open = false;
  for (const std::string& line : lines) {
    if (line.empty()) {
      if (open) out += "</p>";
      open = false;
      continue;
    }
    out += open ? "<br>" : "<p>";
    out += escape_html(line);
    open = true;
  }
  return open ? out + "</p>" : out;
}

bool is_web_link(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

const std::string& html_policy() {
  static const std::string policy = fmt::format(
      "default-src 'none'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action "
      "'none'; frame-ancestors 'none'",
      to_base64(sha256(as_bytes(kStyle))));
  return policy;
}

std::string render_html(const PageView& page, const Place& place) {
  Writer out;
  put_head(out, page, place);
  out.raw("<main>\n");
  put_banner(out, page, place);
  put_current(out, page);

  out.raw("<h2>Components</h2>\n");
  for (const GroupView& group : page.groups) {
    if (group.components.empty()) continue;
    out.raw("<section class=\"card\">\n");
    if (!group.name.empty()) {
      out.put("<div class=\"row group {}\"><div class=\"head\">", look_of(group.state));
      out.icon(group.state);
      out.put("<h3>{}</h3><span>{} of {} operational</span></div></div>\n",
              html_text(group.name, kNameBytesMax), group.operational, group.components.size());
    }
    for (const ComponentView& c : group.components) {
      put_component(out, page, c, group.name.empty() ? "h3" : "h4");
    }
    out.raw("</section>\n");
  }
  put_past(out, page);
  out.raw("</main>\n");
  put_footer(out);
  out.raw("</div>\n</body>\n</html>\n");
  return out.take();
}

}  // namespace tocsin::collector::status

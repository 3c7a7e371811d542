#include "collector/api/ack_page.h"

#include "common/base/bytes.h"
#include "common/base/digest.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace tocsin::collector {

namespace {

constexpr std::size_t kTextBytesMax = 512;
constexpr std::size_t kRegionsMax = 20;  ///< Listed; how many were left out is said.

/// The colours of the status page: text has a contrast of 5:1 or more, states have a word too.
constexpr std::string_view kStyle =
    ":root{color-scheme:light dark;--bg:#f5f7fa;--surface:#fff;--text:#14181f;--text2:#434b58;"
    "--border:#d5dbe3;--focus:#1b3fae;--down:#aa0d19;--up:#239a79;--plain:#7d8797;"
    "--button:#1b3fae;--on:#fff}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0e1217;--surface:#171c23;--text:#e9ecf1;"
    "--text2:#b7bfcb;--border:#2b323c;--focus:#a9bbff;--down:#e0604f;--up:#6ccbaf;"
    "--plain:#6a7482;--button:#a9bbff;--on:#0e1217}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--text);font:16px/1.5 system-ui,-apple-system,"
    "\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\",sans-serif;overflow-wrap:anywhere}"
    "main{max-width:640px;margin:0 auto;padding:16px}"
    "h1{font-size:22px;line-height:1.3;margin:0}h2{font-size:16px;margin:24px 0 8px}p{margin:8px 0}"
    ".card{background:var(--surface);border:1px solid var(--border);border-left:6px solid;"
    "border-radius:6px;padding:16px;margin:8px 0 16px}"
    ".down{border-left-color:var(--down)}.up{border-left-color:var(--up)}"
    ".plain{border-left-color:var(--plain)}"
    ".small{color:var(--text2);font-size:14px}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 16px;margin:16px 0}"
    "dt{color:var(--text2)}dd{margin:0}"
    "ul{margin:8px 0;padding-left:20px}"
    "form{position:sticky;bottom:0;background:var(--bg);padding:8px 0 16px;margin:16px 0 0}"
    "button{width:100%;min-height:56px;border:0;border-radius:6px;background:var(--button);"
    "color:var(--on);font:inherit;font-size:18px;font-weight:600;cursor:pointer}"
    ":focus-visible{outline:2px solid var(--focus);outline-offset:2px}";

std::string text(std::string_view raw, std::size_t bytes_max = kTextBytesMax) {
  return escape_html(printable(raw, bytes_max));
}

/// "2026-11-21 03:00:00 UTC"
std::string moment(WallTime t) {
  const std::string iso = format_rfc3339(t);
  return fmt::format("<time datetime=\"{}\">{} {} UTC</time>", iso, iso.substr(0, 10),
                     iso.substr(11, 8));
}

/// "user:ann" is ann to people.
std::string person(std::string_view actor) {
  constexpr std::string_view kUser = "user:";
  if (actor.starts_with(kUser)) actor.remove_prefix(kUser.size());
  return text(actor, 200);
}

int status_of(const AckPage& page) {
  switch (page.answer) {
    case AckAnswer::kAsk:
    case AckAnswer::kDone:
      return 200;
    case AckAnswer::kAlready:
    case AckAnswer::kResolved:
      return page.posted ? 409 : 200;
    case AckAnswer::kUsed:
    case AckAnswer::kExpired:
      return 410;
    case AckAnswer::kNobody:
      return 403;
    case AckAnswer::kUnknown:
      return 404;
    case AckAnswer::kTooMany:
      return 429;
    case AckAnswer::kLater:
      return 503;
  }
  return 503;
}

/// What has come of it: heading and sentence.
std::pair<std::string, std::string> verdict(const AckPage& page) {
  const IncidentRow& incident = page.incident;
  const std::string name = fmt::format("INC-{}", incident.number);
  const std::string answered =
      incident.acknowledged_at
          ? fmt::format("{} acknowledged it at {}.", person(incident.acknowledged_by),
                        moment(*incident.acknowledged_at))
          : std::string{};
  switch (page.answer) {
    case AckAnswer::kAsk:
      return {name + " is open", "Nobody has acknowledged it yet."};
    case AckAnswer::kDone:
      return {name + " is acknowledged", answered + " Nobody else is called for it."};
    case AckAnswer::kAlready:
      return {name + " is acknowledged already", answered};
    case AckAnswer::kResolved:
      return {name + " is resolved",
              (incident.resolved_at ? fmt::format("Since {}: {}. ", moment(*incident.resolved_at),
                                                  text(incident.resolved_because))
                                    : std::string{}) +
                  answered};
    case AckAnswer::kUsed:
      return {name + " is open again",
              "This link was used and works once. A newer message has a new one."};
    case AckAnswer::kExpired:
      return {"This link has expired",
              "It was valid for 7 days. A newer message of the same incident has a new one."};
    case AckAnswer::kNobody:
      return {"This link is not valid any more",
              "Whom it was sent to may not answer for incidents now."};
    case AckAnswer::kUnknown:
      return {"This is not a link of ours",
              "It may have been cut off in the message: copy the whole line."};
    case AckAnswer::kTooMany:
      return {"Too many tries", "Wait a moment and load this page again."};
    case AckAnswer::kLater:
      return {"Not possible right now",
              "The collector is busy or starting; nothing was changed. Load this page again in a "
              "few seconds."};
  }
  return {};
}

const char* look_of(AckAnswer answer) {
  switch (answer) {
    case AckAnswer::kAsk:
    case AckAnswer::kUsed:
      return "down";
    case AckAnswer::kDone:
    case AckAnswer::kResolved:
      return "up";
    case AckAnswer::kAlready:
    case AckAnswer::kExpired:
    case AckAnswer::kNobody:
    case AckAnswer::kUnknown:
    case AckAnswer::kTooMany:
    case AckAnswer::kLater:
      return "plain";
  }
  return "plain";
}

std::string facts(const AckPage& page) {
  const NotificationContent& c = page.content;
  std::string out = "<dl>\n";
  const auto fact = [&](const char* name, const std::string& html) {
    if (!html.empty()) out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", name, html);
  };
  fact("What", text(c.because));
  fact("Target", text(c.target));
  fact("Region", text(c.region));
  fact("Service", text(c.service));
  fact("Since", moment(page.incident.started_at));
  fact("Opened", moment(page.incident.opened_at));
  out += "</dl>\n";
  return out;
}

std::string regions(const NotificationContent& c) {
  if (c.votes.empty()) return {};
  std::string out = "<h2>What each region sees</h2>\n<ul>\n";
  for (std::size_t i = 0; i < std::min(c.votes.size(), kRegionsMax); ++i) {
    const Vote& v = c.votes[i];
    out += fmt::format("<li><b>{}</b> {}", text(v.region, 64), to_string(v.outcome));
    if (v.reason != Reason::kNone) out += fmt::format(", {}", to_string(v.reason));
    if (!v.detail.empty()) out += fmt::format(": {}", text(v.detail, 200));
    out += "</li>\n";
  }
  if (c.votes.size() > kRegionsMax) {
    out += fmt::format("<li>and {} more</li>\n", c.votes.size() - kRegionsMax);
  }
  out += "</ul>\n";
  std::size_t attempts = 0;
  for (const CheckResult& r : c.evidence) attempts += r.attempts.size();
  if (attempts > 0) {
    out +=
        fmt::format("<p class=\"small\">From {} attempts; the message lists them.</p>\n", attempts);
  }
  return out;
}

const std::string& policy() {
  static const std::string value = fmt::format(
      "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'self'; "
      "frame-ancestors 'none'",
      to_base64(sha256(as_bytes(kStyle))));
  return value;
}

}  // namespace

io::HttpResponse ack_response(const AckPage& page) {
  const bool known = !page.incident.id.empty();
  const auto [heading, sentence] = verdict(page);
  const std::string title = known ? text(page.incident.title, 160) : heading;
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta name=\"robots\" content=\"noindex\"><title>{}</title><style>{}</style></head>\n"
      "<body><main>\n",
      title, kStyle);
  out += fmt::format("<div class=\"card {}\" role=\"status\"><h1>{}</h1>\n", look_of(page.answer),
                     title);
  if (known) out += fmt::format("<p><b>{}.</b></p>\n", heading);
  out += fmt::format("<p>{}</p></div>\n", sentence);
  if (known) out += facts(page) + regions(page.content);
  if (page.answer == AckAnswer::kAsk) {
    out += fmt::format(
        "<form method=\"post\"><p>You will be recorded as <b>{}</b>.</p>"
        "<button type=\"submit\">Acknowledge INC-{}</button>"
        "<p class=\"small\">Nothing has changed by opening this page.</p></form>\n",
        text(page.who, 200), page.incident.number);
  }
  out += "</main></body></html>\n";

  io::HttpResponse response;
  response.status = status_of(page);
  response.content_type = "text/html; charset=utf-8";
  response.body = std::move(out);
  response.headers = {{"Content-Security-Policy", policy()},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cache-Control", "no-store"},
                      {"X-Robots-Tag", "noindex, nofollow"}};
  if (page.answer == AckAnswer::kLater) response.headers.push_back({"Retry-After", "2"});
  return response;
}

}  // namespace tocsin::collector

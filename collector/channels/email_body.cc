#include "collector/channels/email_body.h"

#include "common/base/bytes.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <vector>

namespace tocsin::collector {

namespace {

constexpr std::size_t kTitleBytesMax = 160;
constexpr std::size_t kTextBytesMax = 512;
constexpr std::size_t kUrlBytesMax = 2048;

/// Text of a stranger, on one line.
std::string safe(std::string_view raw, std::size_t max_bytes = kTextBytesMax) {
  return printable(raw, max_bytes);
}

bool starts_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }

/// In code points; wide characters count as one.
std::size_t columns_of(std::string_view s) {
  return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), starts_code_point));
}

std::string cut(std::string_view s, std::size_t columns) {
  if (columns_of(s) <= columns) return std::string{s};
  std::size_t seen = 0;
  std::size_t end = 0;
  while (end < s.size() && (seen < columns - 1 || !starts_code_point(s[end]))) {
    if (starts_code_point(s[end])) ++seen;
    ++end;
  }
  return std::string{s.substr(0, end)} + "…";
}

std::string cell(std::string_view s, std::size_t columns) {
  std::string out = cut(s, columns);
  out.append(columns - columns_of(out), ' ');
  return out;
}

/// Words in lines of at most kEmailColumns; the second and later lines begin with `indent` blanks.
/// A word that is too long for a line is broken.
void wrap(std::string& out, std::string_view first, std::string_view text) {
  const std::string indent(columns_of(first), ' ');
  std::string line{first};
  bool fresh = true;
  for (std::string_view word : split(text, ' ')) {
    while (!word.empty()) {
      const std::size_t used = columns_of(line) + (fresh ? 0 : 1);
      const std::size_t room = used < kEmailColumns ? kEmailColumns - used : 0;
      if (columns_of(word) <= room) {
        if (!fresh) line += ' ';
        line += word;
        fresh = false;
        break;
      }
      if (fresh) {
        std::size_t end = 0;
        for (std::size_t seen = 0; end < word.size(); ++end) {
          if (starts_code_point(word[end]) && seen++ == room) break;
        }
        line += word.substr(0, end);
        word.remove_prefix(end);
      }
      out += line + "\n";
      line = indent;
      fresh = true;
    }
  }
  out += line + "\n";
}

std::tm utc(WallTime t) {
  const std::time_t seconds = t.us / 1'000'000;
  std::tm out{};
  ::gmtime_r(&seconds, &out);
  return out;
}

/// "Sat, 21 Nov 2026 03:00:00 +0000"
std::string mail_date(WallTime t) {
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                               "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::tm d = utc(t);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} +0000",
                     kDays.at(static_cast<std::size_t>(d.tm_wday)), d.tm_mday,
                     kMonths.at(static_cast<std::size_t>(d.tm_mon)), d.tm_year + 1900, d.tm_hour,
                     d.tm_min, d.tm_sec);
}

std::string people_time(WallTime t) {
  const std::tm d = utc(t);
  return fmt::format("{}-{:02}-{:02} {:02}:{:02}:{:02} UTC", d.tm_year + 1900, d.tm_mon + 1,
                     d.tm_mday, d.tm_hour, d.tm_min, d.tm_sec);
}

std::string_view trigger_tag(const NotificationContent& c) {
  if (c.incident_kind == IncidentKind::kImpaired) return "impaired";
  const auto any = [&](Outcome outcome) {
    return std::any_of(c.votes.begin(), c.votes.end(),
                       [&](const Vote& v) { return v.outcome == outcome; });
  };
  return !any(Outcome::kDown) && any(Outcome::kDegraded) ? "degraded" : "down";
}

/// A link to print: to the web, on a message that asks for an answer.
bool is_link(const OutboxRow& row, const std::string& url) {
  return row.kind == NotificationKind::kTrigger &&
         (url.starts_with("https://") || url.starts_with("http://")) && url.size() <= kUrlBytesMax;
}

// --- the two texts, from the same lines ---

/// What both texts say, each text already safe; a row's cells are columns of a table.
struct Story {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts;
  std::vector<std::array<std::string, 4>> regions;   ///< Region, outcome, reason, detail.
  std::vector<std::array<std::string, 6>> attempts;  ///< Region, try, outcome, ms, reason, remote.
  std::size_t regions_more = 0;
  std::size_t attempts_more = 0;
  std::string next;
  std::string ack_url;
  std::string why;
};

std::string next_for(NotificationKind kind, bool link) {
  switch (kind) {
    case NotificationKind::kTrigger:
      return link ? "Acknowledge it here, and nobody else is called for it:"
                  : "Acknowledge it, and nobody else is called for it.";
    case NotificationKind::kResolve:
      return "Nothing: it has resolved itself or was resolved by somebody.";
    case NotificationKind::kTest:
      return "Nothing: this is a test of the channel, and it has arrived.";
    case NotificationKind::kUpdate:
      return "Nothing, unless it is yours: this tells how the incident goes on.";
  }
  return {};
}

Story tell(const OutboxRow& row, const EmailEnvelope& envelope) {
  const NotificationContent& c = row.content;
  Story s;
  s.title = safe(c.title, kTitleBytesMax);
  const auto fact = [&](const char* name, std::string value) {
    if (!value.empty()) s.facts.emplace_back(name, std::move(value));
  };
  fact("What", safe(c.because));
  fact("Target", safe(c.target));
  fact("Region", safe(c.region));
  fact("Service", safe(c.service));
  if (row.kind != NotificationKind::kTest) {
    fact("Since", people_time(c.started_at));
    fact("Opened", people_time(c.opened_at));
  }
  if (c.resolved_at) fact("Resolved", people_time(*c.resolved_at));

  std::map<SeriesId, std::string> region_of;
  for (const Vote& v : c.votes) {
    region_of.emplace(v.series, safe(v.region, 64));
    if (s.regions.size() == kEmailRowsMax) {
      ++s.regions_more;
      continue;
    }
    s.regions.push_back({safe(v.region, 64), to_string(v.outcome),
                         v.reason == Reason::kNone ? "" : std::string{to_string(v.reason)},
                         safe(v.detail, 200)});
  }
  for (const CheckResult& r : c.evidence) {
    const auto region = region_of.find(r.series);
    int number = 0;
    for (const Attempt& a : r.attempts) {
      ++number;
      if (s.attempts.size() == kEmailRowsMax) {
        ++s.attempts_more;
        continue;
      }
      s.attempts.push_back(
          {region == region_of.end() ? std::string{} : region->second, std::to_string(number),
           to_string(a.finding.outcome), fmt::format("{:.1f}", a.phases.total_us / 1000.0),
           a.finding.reason == Reason::kNone ? "" : std::string{to_string(a.finding.reason)},
           safe(a.remote, 64)});
    }
  }
  const bool link = is_link(row, envelope.ack_url);
  if (link) s.ack_url = safe(envelope.ack_url, kUrlBytesMax);
  s.next = next_for(row.kind, link);
  s.why = fmt::format("channel {}", safe(row.channel, 63));
  if (!c.step_because.empty()) s.why += ", " + safe(c.step_because);
  return s;
}

std::string plain_text(const Story& s) {
  std::string out;
  wrap(out, "", s.title);
  out += '\n';
  if (!s.ack_url.empty()) {
    wrap(out, "", s.next);
    out += s.ack_url + "\n\n";  // Never broken: it is to be clicked.
  }
  for (const auto& [name, value] : s.facts) wrap(out, cell(name, 10), value);
  if (!s.regions.empty()) {
    out += "\nRegions\n";
    for (const auto& r : s.regions) {
      wrap(out, fmt::format("  {} {} ", cell(r[0], 16), cell(r[1], 8)),
           r[3].empty() ? r[2] : fmt::format("{} {}", r[2], r[3]));
    }
    if (s.regions_more > 0) out += fmt::format("  and {} more\n", s.regions_more);
  }
  if (!s.attempts.empty()) {
    const auto line = [&](const std::array<std::string, 6>& a) {
      std::string text = fmt::format("  {} {} {} {:>9} {} {}", cell(a[0], 12), cell(a[1], 3),
                                     cell(a[2], 8), cut(a[3], 9), cell(a[4], 18), cut(a[5], 21));
      text.erase(text.find_last_not_of(' ') + 1);
      out += text + "\n";
    };
    out += "\nAttempts\n";
    line({"region", "try", "outcome", "ms", "reason", "to"});
    for (const auto& a : s.attempts) line(a);
    if (s.attempts_more > 0) out += fmt::format("  and {} more\n", s.attempts_more);
  }
  if (s.ack_url.empty()) {
    out += "\nWhat to do next\n";
    wrap(out, "  ", s.next);
  }
  out += '\n';
  wrap(out, "Why you got this: ", s.why);
  return out;
}

template <std::size_t N>
void html_row(std::string& out, const char* tag, const std::array<std::string, N>& cells) {
  out += "<tr>";
  for (const std::string& c : cells) out += fmt::format("<{}>{}</{}>", tag, escape_html(c), tag);
  out += "</tr>\n";
}

std::string html(const Story& s) {
  std::string out = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                    escape_html(s.title) + "</title></head>\n<body>\n<h1>" + escape_html(s.title) +
                    "</h1>\n";
  if (!s.ack_url.empty()) {
    out += fmt::format("<p>{}<br><a href=\"{}\"><b>Acknowledge</b></a></p>\n", escape_html(s.next),
                       escape_html(s.ack_url));
  }
  out += "<table>\n";
  for (const auto& [name, value] : s.facts) {
    out +=
        fmt::format("<tr><th align=\"left\">{}</th><td>{}</td></tr>\n", name, escape_html(value));
  }
  out += "</table>\n";
  const auto more = [&](std::size_t n) {
    if (n > 0) out += fmt::format("<p>and {} more</p>\n", n);
  };
  if (!s.regions.empty()) {
    out += "<h2>Regions</h2>\n<table>\n";
    for (const auto& r : s.regions) html_row(out, "td", r);
    out += "</table>\n";
    more(s.regions_more);
  }
  if (!s.attempts.empty()) {
    out += "<h2>Attempts</h2>\n<table>\n";
    html_row<6>(out, "th", {"region", "try", "outcome", "ms", "reason", "to"});
    for (const auto& a : s.attempts) html_row(out, "td", a);
    out += "</table>\n";
    more(s.attempts_more);
  }
  if (s.ack_url.empty()) {
    out += "<h2>What to do next</h2>\n<p>" + escape_html(s.next) + "</p>\n";
  }
  out += "<p><small>Why you got this: " + escape_html(s.why) + "</small></p>\n</body></html>\n";
  return out;
}

// --- encodings ---

/// RFC 2045 section 6.7, for text whose lines end in LF.
std::string quoted_printable(std::string_view text) {
  constexpr std::size_t kLineMax = 76;
  std::string out;
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n') {
      out += "\r\n";
      column = 0;
      continue;
    }
    const auto u = static_cast<unsigned char>(c);
    const bool last = i + 1 == text.size() || text[i + 1] == '\n';
    const bool as_it_is =
        (u > 0x20 && u < 0x7F && c != '=' && !(c == '.' && column == 0)) || (c == ' ' && !last);
    const std::string piece = as_it_is ? std::string(1, c) : fmt::format("={:02X}", u);
    if (column + piece.size() > kLineMax - 1) {
      out += "=\r\n";
      column = 0;
      // A soft break must not put a dot first either; one more byte of code is enough.
      if (piece == ".") {
        out += "=2E";
        column = 3;
        continue;
      }
    }
    out += piece;
    column += piece.size();
  }
  return out;
}

/// RFC 2047 "B" words of at most 75 characters, folded; plain ASCII that fits is left alone.
std::string header_text(std::string_view text) {
  constexpr std::size_t kPlainMax = 66;      // With "Subject: " below 78.
  constexpr std::size_t kWordBytesMax = 39;  // 52 of base64 and 12 around it, after "Subject: ".
  const bool ascii =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
  if (ascii && text.size() <= kPlainMax && text.find("=?") == std::string_view::npos) {
    return std::string{text};
  }
  std::string out;
  while (!text.empty()) {
    std::size_t n = std::min(text.size(), kWordBytesMax);
    while (n < text.size() && n > 0 && !starts_code_point(text[n])) --n;
    if (!out.empty()) out += "\r\n ";
    out += "=?UTF-8?B?" + to_base64(as_bytes(text.substr(0, n))) + "?=";
    text.remove_prefix(n);
  }
  return out;
}

}  // namespace

std::string email_subject(const OutboxRow& row) {
  const NotificationContent& c = row.content;
  const std::string title = safe(c.title, kTitleBytesMax);
  switch (row.kind) {
    case NotificationKind::kTrigger:
      return fmt::format("[{}] INC-{} {}", trigger_tag(c), c.incident_number, title);
    case NotificationKind::kResolve:
      return fmt::format("[resolved] INC-{} {}", c.incident_number, title);
    case NotificationKind::kTest:
      return fmt::format("[test] {}", title);
    case NotificationKind::kUpdate:
      return fmt::format("[update] INC-{} {}", c.incident_number, title);
  }
  return {};
}

std::string email_message(const OutboxRow& row, const EmailEnvelope& envelope) {
  const std::string host = envelope.from.substr(envelope.from.rfind('@') + 1);
  const std::string id = row.id.str();
  const std::string boundary = "tocsin=_" + id;  // "=_" cannot stand in quoted-printable.
  const Story story = tell(row, envelope);
  std::string out;
  const auto header = [&](std::string_view name, std::string_view value) {
    out += fmt::format("{}: {}\r\n", name, value);
  };
  header("Date", mail_date(row.created));
  header("From", fmt::format("tocsin <{}>", envelope.from));
  header("To", fmt::format("<{}>", row.destination.to));
  header("Subject", header_text(email_subject(row)));
  header("Message-ID", fmt::format("<{}@{}>", id, host));
  if (row.kind != NotificationKind::kTest) {
    // All messages of an incident answer one that was never sent: a reader shows them together,
    // whichever arrives first.
    const std::string root = fmt::format("<incident-{}@{}>", row.incident.str(), host);
    header("In-Reply-To", root);
    header("References", root);
    header("X-Tocsin-Incident", row.incident.str());
  }
  header("Auto-Submitted", "auto-generated");
  header("MIME-Version", "1.0");
  header("Content-Type", fmt::format("multipart/alternative;\r\n boundary=\"{}\"", boundary));
  const auto part = [&](std::string_view type, const std::string& text) {
    out += fmt::format(
        "\r\n--{}\r\nContent-Type: {}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
        boundary, type);
    out += quoted_printable(text);
  };
  part("text/plain", plain_text(story));
  part("text/html", html(story));
  out += fmt::format("\r\n--{}--\r\n", boundary);
  return out;
}

namespace {

/// What needs somebody comes first.
int rank(NotificationKind kind) {
  switch (kind) {
    case NotificationKind::kTrigger:
      return 0;
    case NotificationKind::kUpdate:
      return 1;
    case NotificationKind::kResolve:
    case NotificationKind::kTest:
      return 2;
  }
  return 2;
}

std::string tag_of(const OutboxRow& row) {
  switch (row.kind) {
    case NotificationKind::kTrigger:
      return std::string{trigger_tag(row.content)};
    case NotificationKind::kResolve:
      return "resolved";
    case NotificationKind::kUpdate:
      return "update";
    case NotificationKind::kTest:
      return "test";
  }
  return {};
}

void list_entry(std::string& out, const EmailDigestEntry& entry) {
  const NotificationContent& c = entry.row.content;
  wrap(out, fmt::format("[{}] ", tag_of(entry.row)),
       fmt::format("INC-{} {}", c.incident_number, safe(c.title, kEmailListedBytesMax)));
  if (!c.because.empty()) wrap(out, "  ", safe(c.because, kEmailListedBytesMax));
  out += fmt::format("  since {}\n", people_time(c.started_at));
  if (c.resolved_at) out += fmt::format("  resolved {}\n", people_time(*c.resolved_at));
  if (is_link(entry.row, entry.ack_url)) {
    out += "  acknowledge: " + safe(entry.ack_url, kUrlBytesMax) + "\n";
  }
  out += '\n';
}

}  // namespace

std::string email_digest_subject(const std::vector<EmailDigestEntry>& entries) {
  std::vector<std::pair<std::string, std::size_t>> counts;  // In the order of the list.
  for (int wanted = 0; wanted <= 2; ++wanted) {
    for (const EmailDigestEntry& entry : entries) {
      if (rank(entry.row.kind) != wanted) continue;
      const std::string tag = tag_of(entry.row);
      const auto it = std::find_if(counts.begin(), counts.end(),
                                   [&](const auto& count) { return count.first == tag; });
      if (it == counts.end()) {
        counts.emplace_back(tag, 1);
      } else {
        ++it->second;
      }
    }
  }
  std::vector<std::string> parts;
  for (const auto& [tag, n] : counts) parts.push_back(fmt::format("{} {}", n, tag));
  return fmt::format("[digest] {} messages: {}", entries.size(), join(parts, ", "));
}

std::string email_digest(const std::vector<EmailDigestEntry>& entries, const std::string& key,
                         const std::string& from) {
  const std::string host = from.substr(from.rfind('@') + 1);
  const OutboxRow& first = entries.front().row;
  WallTime newest = first.created;
  for (const EmailDigestEntry& entry : entries) newest = std::max(newest, entry.row.created);
  std::string out;
  const auto header = [&](std::string_view name, std::string_view value) {
    out += fmt::format("{}: {}\r\n", name, value);
  };
  header("Date", mail_date(newest));
  header("From", fmt::format("tocsin <{}>", from));
  header("To", fmt::format("<{}>", first.destination.to));
  header("Subject", header_text(email_digest_subject(entries)));
  header("Message-ID", fmt::format("<digest-{}@{}>", key, host));
  for (const EmailDigestEntry& entry : entries) {
    header("X-Tocsin-Incident", entry.row.incident.str());
  }
  header("Auto-Submitted", "auto-generated");
  header("MIME-Version", "1.0");
  header("Content-Type", "text/plain; charset=utf-8");
  header("Content-Transfer-Encoding", "quoted-printable");
  std::string text;
  wrap(text, "",
       fmt::format("{} messages waited for you at once, so they come as one. Each is listed.",
                   entries.size()));
  text += '\n';
  for (int wanted = 0; wanted <= 2; ++wanted) {
    for (const EmailDigestEntry& entry : entries) {
      if (rank(entry.row.kind) == wanted) list_entry(text, entry);
    }
  }
  wrap(text, "Why you got this: ", "channel " + safe(first.channel, 63));
  return out + "\r\n" + quoted_printable(text);
}

}  // namespace tocsin::collector

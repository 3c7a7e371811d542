#include "agent/app/check_report.h"

#include "agent/core/judge.h"
#include "common/base/redact.h"
#include "common/base/strings.h"
#include "common/codec/evidence_node.h"
#include "common/codec/json.h"

#include <algorithm>
#include <array>

namespace tocsin::agent {

namespace {

constexpr std::size_t kBarColumns = 54;
constexpr std::size_t kLabelColumns = 13;
constexpr std::size_t kAnswersShown = 10;
constexpr std::size_t kNamesShown = 3;
constexpr std::size_t kExcerptLinesShown = 6;

struct Row {
  const char* name;
  std::uint32_t us;
};

std::array<Row, 6> rows_of(const Phases& phases) {
  return {{{"dns", phases.dns_us},
           {"connect", phases.connect_us},
           {"tls", phases.tls_us},
           {"send", phases.send_us},
           {"wait", phases.wait_us},
           {"receive", phases.receive_us}}};
}

std::string milliseconds(std::uint32_t us) { return fmt::format("{:.2f} ms", us / 1000.0); }

/// How many columns a text takes: code points, which is right for everything shown here.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<std::uint8_t>(c) & 0xc0) != 0x80;
  }));
}

std::string cut(std::string_view text, std::size_t columns) {
  std::string shown = printable(text, 4 * columns);
  if (columns_of(shown) <= columns) return shown;
  std::string out;
  std::size_t used = 0;
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if ((static_cast<std::uint8_t>(shown[i]) & 0xc0) != 0x80 && ++used == columns) break;
    out += shown[i];
  }
  return out + "…";
}

/// Breaks at blanks; a word that does not fit is broken anywhere.
std::string wrapped(std::string_view text, std::size_t indent) {
  const std::size_t room = kReportColumns - indent;
  const std::string pad(indent, ' ');
  std::string out;
  std::string line;
  for (const std::string_view word : split(text, ' ')) {
    const std::string piece = cut(word, room);
    if (!line.empty() && columns_of(line) + 1 + columns_of(piece) > room) {
      out += pad + line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + piece;
  }
  return out + pad + line + '\n';
}

std::string bar(std::uint32_t start, std::uint32_t length, std::uint32_t total, bool utf8) {
  if (length == 0 || total == 0) return {};
  const auto column = [&](std::uint64_t us) { return us * kBarColumns / total; };
  std::size_t from = column(start);
  std::size_t to = column(std::uint64_t{start} + length);
  if (to == from) {  // Too short for a column, but it was there.
    from = std::min(from, kBarColumns - 1);
    to = from + 1;
  }
  std::string out(from, ' ');
  for (std::size_t i = from; i < to; ++i) out += utf8 ? "█" : "#";
  return out;
}

std::string waterfall(const Phases& phases, bool utf8) {
  std::string out;
  std::uint32_t start = 0;
  for (const Row& row : rows_of(phases)) {
    const std::string time = row.us == 0 ? "-" : milliseconds(row.us);
    std::string line =
        fmt::format("  {:<8}{:>12}  {}", row.name, time, bar(start, row.us, phases.total_us, utf8));
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
    start += row.us;
  }
  return out + fmt::format("  {:<8}{:>12}\n", "total", milliseconds(phases.total_us));
}

std::string fact(std::string_view label, std::string_view value) {
  return fmt::format("  {:<{}}{}\n", label, kLabelColumns,
                     cut(value, kReportColumns - kLabelColumns - 2));
}

std::string size_text(std::uint64_t bytes) {
  if (bytes < 10'000) return fmt::format("{} bytes", bytes);
  if (bytes < 10'000'000) return fmt::format("{:.1f} kB", static_cast<double>(bytes) / 1e3);
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string http_facts(const HttpFacts& http) {
  std::string line =
      fmt::format("HTTP/{} {}, {}", http.version, http.status, size_text(http.body_bytes));
  if (http.body_cut) line += fmt::format(" ({} kept)", size_text(http.body.size()));
  if (http.redirects > 0) {
    line += fmt::format(", {} redirect{}", http.redirects, http.redirects == 1 ? "" : "s");
  }
  if (!http.decoded.empty()) line += ", " + http.decoded;
  if (http.connection != ConnectionUse::kCold) {
    line += fmt::format(", connection {}", to_string(http.connection));
  }
  std::string out = fact("http", line);
  for (std::size_t i = 0; i < http.hops.size(); ++i) {
    const HttpHop& hop = http.hops[i];
    const std::string status = hop.status == 0 ? "-" : std::to_string(hop.status);
    out += fact(fmt::format("hop {}", i + 1),
                fmt::format("{} {} {}", status, milliseconds(hop.phases.total_us), hop.url));
  }
  for (const Header& header : http.headers) {
    if (header.name == "content-type" || header.name == "server" || header.name == "location") {
      out += fact(header.name, header.value);
    }
  }
  return out;
}

std::string tcp_facts(const TcpFacts& tcp) {
  std::string line = to_string(tcp.state);
  if (tcp.rtt_us > 0) line += fmt::format(", round trip {}", milliseconds(tcp.rtt_us));
  if (tcp.retransmissions > 0) line += fmt::format(", sent again {}", tcp.retransmissions);
  if (tcp.unacknowledged > 0) line += fmt::format(", unacknowledged {}", tcp.unacknowledged);
  return fact("tcp", line);
}

std::string expiry_text(WallTime not_after, WallTime now) {
  const Duration left = not_after - now;
  const std::string day = format_rfc3339(not_after).substr(0, 10);
  if (left < Duration{0}) {
    return fmt::format("expired {} ago ({})", format_duration_short(-left), day);
  }
  return fmt::format("expires in {} ({})", format_duration_short(left), day);
}

std::string names_text(const CertificateFacts& leaf) {
  const std::vector<std::string> shown{
      leaf.names.begin(),
      leaf.names.begin() + static_cast<std::ptrdiff_t>(std::min(leaf.names.size(), kNamesShown))};
  if (leaf.name_count <= shown.size()) return join(shown, ", ");
  return fmt::format("{} and {} more", join(shown, ", "), leaf.name_count - shown.size());
}

std::string ocsp_text(const OcspFacts& ocsp) {
  std::string out = ocsp.status == OcspStatus::kNone ? "nothing stapled" : to_string(ocsp.status);
  if (ocsp.this_update.us == 0) return out;
  out += fmt::format(", of {}", format_rfc3339(ocsp.this_update).substr(0, 10));
  if (ocsp.next_update.us == 0) return out;
  return out + fmt::format(" until {}", format_rfc3339(ocsp.next_update).substr(0, 10));
}

std::string tls_facts(const TlsFacts& tls, WallTime now) {
  std::string line = tls.version;
  for (const std::string* part : {&tls.cipher, &tls.group, &tls.alpn}) {
    if (!part->empty()) line += ", " + *part;
  }
  std::string out = tls.cipher.empty() ? std::string{} : fact("tls", line);
  if (!tls.alert_received.empty()) {
    out += fact("alert", fmt::format("the server sent {}", tls.alert_received));
  }
  if (!tls.alert_sent.empty()) out += fact("alert", fmt::format("we sent {}", tls.alert_sent));
  if (tls.subject.empty() && tls.not_after.us == 0) return out;
  out += fact("certificate", fmt::format("{}, {}", tls.subject.empty() ? "no subject" : tls.subject,
                                         tls.verified ? "verified" : "NOT verified"));
  for (std::size_t i = 0; i < tls.problems.size(); ++i) {
    out += fact(i == 0 ? "problem" : "", tls.problems[i].text);
  }
  if (tls.ocsp.status != OcspStatus::kNotAsked) out += fact("ocsp", ocsp_text(tls.ocsp));
  if (!tls.chain.empty()) {
    const CertificateFacts& leaf = tls.chain.front();
    if (!leaf.names.empty()) out += fact("names", names_text(leaf));
    out += fact("key", fmt::format("{}, {}", leaf.key, leaf.signature));
    out += fact("serial", leaf.serial);
  }
  out += fact("issuer", tls.issuer);
  out += fact("validity", expiry_text(tls.not_after, now));
  for (std::size_t i = 1; i < tls.chain.size(); ++i) {
    // What matters is when it ends, so a long name makes room for that.
    const std::string end = ", " + expiry_text(tls.chain[i].not_after, now);
    const std::size_t room = kReportColumns - kLabelColumns - 2;
    out += fact(i == 1 ? "chain" : "",
                cut(tls.chain[i].subject, room - std::min(room - 1, end.size())) + end);
  }
  const bool told = std::any_of(tls.chain.begin(), tls.chain.end(),
                                [&](const auto& c) { return c.not_after == tls.chain_not_after; });
  if (!told && tls.chain_not_after.us != 0 && tls.chain_not_after < tls.not_after) {
    out += fact("chain", "first of it " + expiry_text(tls.chain_not_after, now));
  }
  return out;
}

std::string dns_facts(const DnsFacts& dns) {
  std::string line = fmt::format("{}, {} record{}", dns.rcode, dns.answers.size(),
                                 dns.answers.size() == 1 ? "" : "s");
  if (dns.authoritative) line += ", authoritative";
  if (dns.authentic_data) line += ", authentic";
  switch (dns.transport) {
    case DnsTransport::kUdp:
      break;
    case DnsTransport::kTcp:
      line += dns.truncated_udp ? ", over TCP because UDP was cut" : ", over TCP";
      break;
    case DnsTransport::kTls:
      line += ", over TLS";
      break;
  }
  std::string out = fact("answer", line);
  for (std::size_t i = 0; i < std::min(dns.answers.size(), kAnswersShown); ++i) {
    const DnsRecord& record = dns.answers[i];
    out += fact("", fmt::format("{} {} {} {}", record.name, record.ttl,
                                record_type_name(record.type), record.data));
  }
  if (dns.answers.size() > kAnswersShown) {
    out += fact("", fmt::format("and {} more", dns.answers.size() - kAnswersShown));
  }
  return out;
}

std::string headline(const ProbeSpec& spec, const Finding& finding,
                     const std::vector<Attempt>& earlier) {
  std::string word =
      finding.outcome == Outcome::kNoData ? "NOT CHECKED" : to_string(finding.outcome);
  std::transform(word.begin(), word.end(), word.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  std::string out =
      fmt::format("{}  {}\n", word, cut(describe(spec.target), kReportColumns - word.size() - 2));
  const bool passed = finding.outcome == Outcome::kUp || finding.outcome == Outcome::kDegraded;
  if (passed && !earlier.empty()) {
    out += fmt::format("  recovered on attempt {}\n", earlier.size() + 1);
  }
  if (finding.reason == Reason::kNone) return out;
  out += wrapped(fmt::format("{}: {}", to_string(finding.reason), explain(finding.reason)), 2);
  if (!finding.detail.empty()) out += wrapped(finding.detail, 2);
  return out;
}

/// The attempts before the last one, a line or two each.
std::string earlier_attempts(const std::vector<Attempt>& earlier) {
  std::string out;
  for (std::size_t i = 0; i < earlier.size(); ++i) {
    const Attempt& a = earlier[i];
    out += fmt::format("  {:<{}}{} after {}{}\n", fmt::format("attempt {}", i + 1), kLabelColumns,
                       to_string(a.finding.reason), milliseconds(a.phases.total_us),
                       a.remote.empty() ? "" : ", " + cut(a.remote, 30));
    if (!a.finding.detail.empty()) out += wrapped(a.finding.detail, kLabelColumns + 2);
  }
  return out;
}

/// The beginning of what the server said, for somebody who has to find out why it failed.
std::string answer_lines(const ProbeSpec& spec, const Observation& seen) {
  if (!seen.http || seen.http->body.empty()) return {};
  const std::string body = redacted(seen.http->body, secrets_of(spec), 1024);
  std::string out;
  std::size_t shown = 0;
  for (const std::string_view line : split(body, '\n')) {
    if (trim(line).empty()) continue;
    if (shown == kExcerptLinesShown) return out + fact("", "...");
    out += fact(shown++ == 0 ? "body" : "", trim(line));
  }
  return out;
}

// --- JSON ---

using codec::Node;

Node text(std::string value) { return Node::string(std::move(value)); }

Node whole(std::uint64_t value) { return Node::integer(static_cast<std::int64_t>(value)); }

Node json_of(const Phases& phases) {
  std::vector<Node::Entry> out;
  for (const Row& row : rows_of(phases)) {
    out.emplace_back(std::string{row.name} + "_us", whole(row.us));
  }
  out.emplace_back("total_us", whole(phases.total_us));
  return Node::map(std::move(out));
}

Node json_of(const HttpFacts& http, const std::vector<std::string>& secrets) {
  std::vector<Node> headers;
  for (const Header& header : http.headers) {
    const std::string value = is_secret_header(header.name)
                                  ? "***"
                                  : redacted(header.value, secrets, header.value.size());
    headers.push_back(Node::map({{"name", text(header.name)}, {"value", text(value)}}));
  }
  std::vector<Node> hops;
  for (const HttpHop& hop : http.hops) {
    hops.push_back(Node::map({{"url", text(redacted(hop.url, secrets, hop.url.size()))},
                              {"address", text(hop.remote)},
                              {"status", Node::integer(hop.status)},
                              {"phases", json_of(hop.phases)}}));
  }
  return Node::map({{"status", Node::integer(http.status)},
                    {"version", text(http.version)},
                    {"connection", text(to_string(http.connection))},
                    {"decoded", text(http.decoded)},
                    {"hops", Node::list(std::move(hops))},
                    {"headers", Node::list(std::move(headers))},
                    {"body_bytes", whole(http.body_bytes)},
                    {"body_cut", Node::boolean(http.body_cut)},
                    {"redirects", whole(http.redirects)}});
}

Node json_of(const Attempt& a) {
  std::vector<Node> tried;
  for (const std::string& one : a.tried) tried.push_back(text(one));
  std::vector<Node::Entry> out{{"start_offset_us", whole(a.start_offset_us)},
                               {"outcome", text(to_string(a.finding.outcome))},
                               {"reason", text(std::string{to_string(a.finding.reason)})},
                               {"detail", text(a.finding.detail)},
                               {"phases", json_of(a.phases)},
                               {"address", text(a.remote)},
                               {"tried", Node::list(std::move(tried))}};
  if (a.http_status != 0) out.emplace_back("http_status", whole(a.http_status));
  if (a.tls) out.emplace_back("tls", codec::tls_node(*a.tls));
  if (a.tcp) out.emplace_back("tcp", codec::tcp_node(*a.tcp));
  if (!a.excerpt.empty()) out.emplace_back("excerpt", text(printable(a.excerpt, kExcerptMax)));
  return Node::map(std::move(out));
}

Node json_of(const DnsFacts& dns) {
  std::vector<Node> answers;
  for (const DnsRecord& record : dns.answers) {
    answers.push_back(Node::map({{"name", text(record.name)},
                                 {"type", text(record_type_name(record.type))},
                                 {"ttl", whole(record.ttl)},
                                 {"data", text(record.data)}}));
  }
  return Node::map({{"rcode", text(dns.rcode)},
                    {"authoritative", Node::boolean(dns.authoritative)},
                    {"authentic_data", Node::boolean(dns.authentic_data)},
                    {"recursion_available", Node::boolean(dns.recursion_available)},
                    {"transport", text(to_string(dns.transport))},
                    {"count", whole(dns.count)},
                    {"truncated_udp", Node::boolean(dns.truncated_udp)},
                    {"answers", Node::list(std::move(answers))}});
}

}  // namespace

std::string render_report(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                          WallTime now, bool utf8, const std::vector<Attempt>& earlier) {
  std::string out = headline(spec, finding, earlier) + '\n';
  out += waterfall(seen.phases, utf8) + '\n';
  std::string facts = earlier_attempts(earlier);
  if (!seen.remote.empty()) facts += fact("address", seen.remote);
  for (const std::string& tried : seen.tried) facts += fact("tried first", tried);
  if (seen.tcp && finding.outcome != Outcome::kUp) facts += tcp_facts(*seen.tcp);
  if (seen.http) facts += http_facts(*seen.http);
  if (seen.tls) facts += tls_facts(*seen.tls, now);
  if (seen.dns) facts += dns_facts(*seen.dns);
  if (!seen.banner.empty()) facts += fact("received", "\"" + printable(seen.banner, 240) + "\"");
  if (finding.outcome == Outcome::kDown) facts += answer_lines(spec, seen);
  if (facts.empty()) out.pop_back();
  return out + facts;
}

std::string render_json(const ProbeSpec& spec, const Observation& seen, const Finding& finding,
                        WallTime now, const std::vector<Attempt>& attempts) {
  std::vector<Node> tried;
  for (const std::string& one : seen.tried) tried.push_back(text(one));
  std::vector<Node::Entry> out{{"target", text(describe(spec.target))},
                               {"type", text(type_name(spec.target))},
                               {"at", text(format_rfc3339(now))},
                               {"outcome", text(to_string(finding.outcome))},
                               {"reason", text(std::string{to_string(finding.reason)})},
                               {"explanation", text(std::string{explain(finding.reason)})},
                               {"detail", text(finding.detail)},
                               {"phases", json_of(seen.phases)},
                               {"address", text(seen.remote)},
                               {"tried", Node::list(std::move(tried))},
                               {"dns_cached", Node::boolean(seen.dns_cached)}};
  if (seen.http) out.emplace_back("http", json_of(*seen.http, secrets_of(spec)));
  if (seen.tls) out.emplace_back("tls", codec::tls_node(*seen.tls));
  if (seen.tcp) out.emplace_back("tcp", codec::tcp_node(*seen.tcp));
  if (seen.dns) out.emplace_back("dns", json_of(*seen.dns));
  if (!seen.banner.empty()) out.emplace_back("banner", text(printable(seen.banner, 1024)));
  if (!attempts.empty()) {
    std::vector<Node> all;
    for (const Attempt& attempt : attempts) all.push_back(json_of(attempt));
    out.emplace_back("attempts", Node::list(std::move(all)));
    const bool passed = finding.outcome == Outcome::kUp || finding.outcome == Outcome::kDegraded;
    if (passed && attempts.size() > 1) {
      out.emplace_back("recovered_on_attempt", whole(attempts.size()));
    }
  }
  return codec::print_json(Node::map(std::move(out)), 2) + '\n';
}

}  // namespace tocsin::agent

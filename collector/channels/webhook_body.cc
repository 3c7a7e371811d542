#include "collector/channels/webhook_body.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/codec/evidence_node.h"
#include "common/codec/json.h"
#include "common/codec/node.h"

#include <algorithm>
#include <map>

namespace tocsin::collector {

namespace {

using codec::Node;

constexpr std::size_t kTextBytesMax = 512;

Node text(std::string_view raw, std::size_t max_bytes = kTextBytesMax) {
  return Node::string(printable(raw, max_bytes));
}

Node text_or_null(std::string_view raw) { return raw.empty() ? Node{} : text(raw); }

Node time(WallTime t) { return Node::string(format_rfc3339(t)); }

Node time_or_null(const std::optional<WallTime>& t) { return t ? time(*t) : Node{}; }

Node vote_node(const Vote& vote) {
  Node out = Node::map();
  out.set("region", text(vote.region));
  out.set("outcome", Node::string(to_string(vote.outcome)));
  out.set("reason", Node::string(std::string{to_string(vote.reason)}));
  out.set("detail", text_or_null(vote.detail));
  out.set("slot", time(vote.slot));
  return out;
}

Node phases_node(const Phases& p) {
  Node out = Node::map();
  out.set("dns_us", Node::integer(p.dns_us));
  out.set("connect_us", Node::integer(p.connect_us));
  out.set("tls_us", Node::integer(p.tls_us));
  out.set("send_us", Node::integer(p.send_us));
  out.set("wait_us", Node::integer(p.wait_us));
  out.set("receive_us", Node::integer(p.receive_us));
  out.set("total_us", Node::integer(p.total_us));
  return out;
}

Node hops_node(const std::vector<HttpHop>& hops) {
  Node out = Node::list();
  for (const HttpHop& hop : hops) {
    out.items.push_back(
        Node::map({{"url", text_or_null(hop.url)},
                   {"remote", text_or_null(hop.remote)},
                   {"http_status", hop.status == 0 ? Node{} : Node::integer(hop.status)},
                   {"phases", phases_node(hop.phases)}}));
  }
  return out;
}

Node attempt_node(const Attempt& a, bool excerpts) {
  Node out = Node::map();
  out.set("start_offset_us", Node::integer(a.start_offset_us));
  out.set("outcome", Node::string(to_string(a.finding.outcome)));
  out.set("reason", Node::string(std::string{to_string(a.finding.reason)}));
  out.set("detail", text_or_null(a.finding.detail));
  out.set("remote", text_or_null(a.remote));
  out.set("http_status", a.http_status == 0 ? Node{} : Node::integer(a.http_status));
  out.set("certificate_expires_at",
          a.cert_not_after_ms == 0 ? Node{} : time(WallTime::from_ms(a.cert_not_after_ms)));
  out.set("phases", phases_node(a.phases));
  if (a.tcp) out.set("tcp", codec::tcp_node(*a.tcp));
  if (!a.hops.empty() && excerpts) out.set("hops", hops_node(a.hops));
  if (excerpts) {
    out.set("excerpt", a.excerpt.empty() ? Node{} : text(a.excerpt, kWebhookExcerptBytesMax));
  }
  return out;
}

Node result_node(const CheckResult& r, const std::string& region, bool excerpts) {
  Node out = Node::map();
  out.set("region", text_or_null(region));
  out.set("outcome", Node::string(to_string(r.outcome)));
  out.set("reason", Node::string(std::string{to_string(r.reason)}));
  out.set("explanation", text_or_null(r.reason == Reason::kNone ? "" : explain(r.reason)));
  out.set("slot", time(r.slot));
  out.set("duration_us", Node::integer(r.duration_us));
  Node attempts = Node::list();
  for (const Attempt& a : r.attempts) attempts.items.push_back(attempt_node(a, excerpts));
  out.set("attempts", std::move(attempts));
  return out;
}

std::string render(const OutboxRow& row, std::string_view source, std::string_view ack_url,
                   bool excerpts, std::size_t results_max) {
  const NotificationContent& c = row.content;
  Node incident = Node::map();
  incident.set("id", Node::string(row.incident.str()));
  incident.set("number", Node::integer(static_cast<std::int64_t>(c.incident_number)));
  incident.set("kind", Node::string(to_string(c.incident_kind)));
  incident.set("state", Node::string(row.kind == NotificationKind::kResolve ? "resolved" : "open"));
  incident.set("title", text(c.title));
  incident.set("because", text_or_null(c.because));
  incident.set("service", text_or_null(c.service));
  incident.set("started_at", time(c.started_at));
  incident.set("opened_at", time(c.opened_at));
  incident.set("resolved_at", time_or_null(c.resolved_at));

  Node monitor;
  if (!c.monitor_key.empty()) {
    monitor = Node::map();
    monitor.set("key", text(c.monitor_key));
    monitor.set("name", text(c.monitor_name));
    monitor.set("target", text(c.target));
  }

  std::map<SeriesId, std::string> region_of;
  Node votes = Node::list();
  for (const Vote& vote : c.votes) {
    region_of.emplace(vote.series, vote.region);
    votes.items.push_back(vote_node(vote));
  }
  Node evidence = Node::list();
  for (std::size_t i = 0; i < std::min(c.evidence.size(), results_max); ++i) {
    const auto region = region_of.find(c.evidence[i].series);
    evidence.items.push_back(result_node(
        c.evidence[i], region == region_of.end() ? std::string{} : region->second, excerpts));
  }

  Node notification = Node::map();
  notification.set("id", Node::string(row.id.str()));
  notification.set("kind", Node::string(to_string(row.kind)));
  notification.set("channel", text(row.channel));
  notification.set("step", Node::integer(row.step));
  notification.set("repeat", Node::integer(row.repeat));
  notification.set("because", text_or_null(c.step_because));
  const bool link = row.kind == NotificationKind::kTrigger && !ack_url.empty();
  notification.set("acknowledge_url", link ? Node::string(std::string{ack_url}) : Node{});

  Node data = Node::map();
  data.set("notification", std::move(notification));
  data.set("incident", std::move(incident));
  data.set("monitor", std::move(monitor));
  data.set("region", text_or_null(c.region));
  data.set("votes", std::move(votes));
  data.set("evidence", std::move(evidence));
  data.set("evidence_left_out", Node::integer(static_cast<std::int64_t>(
                                    c.evidence.size() - std::min(c.evidence.size(), results_max))));

  Node out = Node::map();
  out.set("specversion", Node::string("1.0"));
  out.set("id", Node::string(row.id.str()));
  out.set("source", text(source));
  out.set("type", Node::string(std::string{webhook_event_type(row.kind)}));
  out.set("time", time(row.created));
  out.set("subject", Node::string("incidents/" + row.incident.str()));
  out.set("datacontenttype", Node::string("application/json"));
  out.set("data", std::move(data));
  return codec::print_json(out);
}

}  // namespace

std::string_view webhook_event_type(NotificationKind kind) {
  switch (kind) {
    case NotificationKind::kTrigger:
      return "io.tocsin.incident.opened.v1";
    case NotificationKind::kResolve:
      return "io.tocsin.incident.resolved.v1";
    case NotificationKind::kTest:
      return "io.tocsin.test.v1";
    case NotificationKind::kUpdate:
      return "io.tocsin.incident.updated.v1";
  }
  CHECK(false);
}

std::string webhook_body(const OutboxRow& row, std::string_view source, std::string_view ack_url) {
  std::size_t results = row.content.evidence.size();
  std::string body = render(row, source, ack_url, true, results);
  if (body.size() > kWebhookBodyBytesMax) body = render(row, source, ack_url, false, results);
  while (body.size() > kWebhookBodyBytesMax && results > 0) {
    results /= 2;
    body = render(row, source, ack_url, false, results);
  }
  return body;
}

}  // namespace tocsin::collector

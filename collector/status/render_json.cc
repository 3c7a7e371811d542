#include "collector/status/render_json.h"

#include "common/base/strings.h"
#include "common/codec/json.h"
#include "common/codec/node.h"

#include <string_view>

namespace tocsin::collector::status {

namespace {

using codec::Node;

constexpr std::size_t kTextBytesMax = 512;

/// JSON escapes what JSON must; what would fool a terminal or a page later is made visible here.
Node text(std::string_view raw) { return Node::string(printable(raw, kTextBytesMax)); }

Node time(WallTime t) { return Node::string(format_rfc3339(t)); }

Node time_or_null(const std::optional<WallTime>& t) { return t ? time(*t) : Node{}; }

Node component(const ComponentView& c) {
  Node out = Node::map();
  out.set("name", text(c.name));
  out.set("state", Node::string(to_string(c.state)));
  out.set("status", Node::string(collector::to_string(c.status)));
  out.set("since", time_or_null(c.since));
  out.set("measured_at", time_or_null(c.measured_at));
  Node regions = Node::map();
  regions.set("total", Node::integer(c.regions.total));
  regions.set("up", Node::integer(c.regions.reach));
  regions.set("degraded", Node::integer(c.regions.slow));
  regions.set("down", Node::integer(c.regions.fail));
  regions.set("no_data", Node::integer(c.regions.silent));
  out.set("regions", std::move(regions));
  Node uptime;
  if (c.uptime) {
    uptime = Node::map();
    uptime.set("days", Node::integer(c.uptime->days));
    uptime.set("percent", c.uptime->percent.empty() ? Node{} : Node::string(c.uptime->percent));
    uptime.set("coverage_percent",
               c.uptime->coverage.empty() ? Node{} : Node::string(c.uptime->coverage));
  }
  out.set("uptime", std::move(uptime));
  return out;
}

}  // namespace

std::string render_json(const PageView& page) {
  Node out = Node::map();
  out.set("slug", text(page.slug));
  out.set("title", text(page.title));
  out.set("state", Node::string(to_string(page.state)));
  out.set("sentence", text(page.sentence));
  out.set("generated_at", time(page.generated_at));
  out.set("data_until", time(page.data_until));
  out.set("stale", Node::boolean(page.stale));

  Node incidents = Node::list();
  for (const PublicIncident& i : page.incidents) {
    Node incident = Node::map();
    incident.set("number", Node::integer(static_cast<std::int64_t>(i.number)));
    incident.set("component", text(i.component));
    incident.set("started_at", time(i.started_at));
    incident.set("acknowledged_at", time_or_null(i.acknowledged_at));
    incident.set("text", text(i.text));
    incidents.items.push_back(std::move(incident));
  }
  out.set("incidents", std::move(incidents));

  Node groups = Node::list();
  for (const GroupView& g : page.groups) {
    Node group = Node::map();
    group.set("name", text(g.name));
    group.set("state", Node::string(to_string(g.state)));
    Node components = Node::list();
    for (const ComponentView& c : g.components) components.items.push_back(component(c));
    group.set("components", std::move(components));
    groups.items.push_back(std::move(group));
  }
  out.set("groups", std::move(groups));
  return codec::print_json(out) + "\n";
}

}  // namespace tocsin::collector::status

#include "collector/status/render_json.h"

#include "common/base/strings.h"
#include "common/codec/json.h"

#include <algorithm>

namespace tocsin::collector::status {

namespace {

using codec::Node;

constexpr std::size_t kTextBytesMax = 512;

/// A column for each kind of second: short when days repeat, and nothing to look up.
Node days_node(const UptimeSummary& uptime) {
  Node out = Node::map();
  out.set(
      "first",
      Node::string(format_rfc3339(WallTime{uptime.bars.front().day * kSecondsPerDay * 1'000'000})
                       .substr(0, 10)));
  const auto column = [&](const char* name, std::int64_t DayUptime::*seconds) {
    Node& list = out.set(name, Node::list());
    for (const DayUptime& day : uptime.bars) list.items.push_back(Node::integer(day.*seconds));
  };
  column("up_s", &DayUptime::up_s);
  column("degraded_s", &DayUptime::degraded_s);
  column("down_s", &DayUptime::down_s);
  column("no_data_s", &DayUptime::unknown_s);
  return out;
}

Node uptime_node(const UptimeSummary& uptime) {
  Node out = Node::map();
  out.set("days", Node::integer(uptime.days));
  out.set("percent", uptime.percent.empty() ? Node{} : Node::string(uptime.percent));
  out.set("coverage_percent", uptime.coverage.empty() ? Node{} : Node::string(uptime.coverage));
  out.set("history", days_node(uptime));
  return out;
}

Node regions_node(const RegionCount& regions) {
  Node out = Node::map();
  out.set("total", Node::integer(regions.total));
  out.set("up", Node::integer(regions.reach));
  out.set("degraded", Node::integer(regions.slow));
  out.set("down", Node::integer(regions.fail));
  out.set("no_data", Node::integer(regions.silent));
  return out;
}

Node component_node(const ComponentView& c) {
  Node out = Node::map();
  out.set("id", Node::string(c.id));
  out.set("name", text_node(c.name));
  out.set("description", c.description.empty() ? Node{} : text_node(c.description));
  out.set("state", Node::string(to_string(c.state)));
  out.set("status", c.measured ? Node::string(collector::to_string(c.status)) : Node{});
  out.set("since", time_node(c.since));
  out.set("measured_at", time_node(c.measured_at));
  out.set("regions", c.measured ? regions_node(c.regions) : Node{});
  out.set("report", c.reported.empty() ? Node{} : Node::string(c.reported));
  out.set("uptime", c.uptime ? uptime_node(*c.uptime) : Node{});
  return out;
}

const char* phase_word(PostPhase phase) {
  switch (phase) {
    case PostPhase::kUpcoming:
      return "upcoming";
    case PostPhase::kCurrent:
      return "current";
    case PostPhase::kPast:
      return "past";
  }
  return "";
}

Node post_node(const PageView& page, const Post& post) {
  Node out = Node::map();
  out.set("id", Node::string(post.id));
  out.set("kind", Node::string(to_string(post.kind)));
  out.set("phase", Node::string(phase_word(post.phase)));
  out.set("number",
          post.number == 0 ? Node{} : Node::integer(static_cast<std::int64_t>(post.number)));
  out.set("title", text_node(post.title));
  out.set("text", post.text.empty() ? Node{} : text_node(post.text));
  out.set("impact", Node::string(to_string(post.impact)));
  out.set("state", Node::string(collector::to_string(post.stage)));
  Node& components = out.set("components", Node::list());
  for (const std::string& key : post.components) {
    if (const ComponentView* c = page.find(key)) components.items.push_back(Node::string(c->id));
  }
  out.set("began_at", time_node(post.began));
  out.set("changed_at", time_node(post.changed));
  out.set("ended_at", time_node(post.ended));
  out.set("acknowledged_at", time_node(post.acknowledged_at));
  out.set("scheduled_from", time_node(post.scheduled_from));
  out.set("scheduled_to", time_node(post.scheduled_to));
  Node& updates = out.set("updates", Node::list());
  for (const PostUpdate& update : post.updates) {
    updates.items.push_back(Node::map({{"at", time_node(update.at)},
                                       {"state", Node::string(collector::to_string(update.state))},
                                       {"text", lines_node(update.lines)}}));
  }
  out.set("earlier_updates", Node::integer(static_cast<std::int64_t>(post.earlier)));
  return out;
}

}  // namespace

Node text_node(std::string_view raw) { return Node::string(printable(raw, kTextBytesMax)); }

Node time_node(WallTime t) { return Node::string(format_rfc3339(t)); }

Node time_node(const std::optional<WallTime>& t) { return t ? time_node(*t) : Node{}; }

Node lines_node(const std::vector<std::string>& lines) { return Node::string(join(lines, "\n")); }

std::string render_json(const PageView& page) {
  Node out = Node::map();
  out.set("slug", text_node(page.slug));
  out.set("title", text_node(page.title));
  out.set("description", page.description.empty() ? Node{} : text_node(page.description));
  out.set("homepage", page.homepage.empty() ? Node{} : text_node(page.homepage));
  out.set("contact", page.contact.empty() ? Node{} : text_node(page.contact));
  out.set("state", Node::string(to_string(page.state)));
  out.set("sentence", text_node(page.sentence));
  out.set("generated_at", time_node(page.generated_at));
  out.set("data_until", time_node(page.data_until));
  out.set("stale_after", time_node(page.stale_after));
  out.set("stale", Node::boolean(page.stale));

  Node& posts = out.set("posts", Node::list());
  for (const Post& post : page.posts) posts.items.push_back(post_node(page, post));

  Node& groups = out.set("groups", Node::list());
  for (const GroupView& g : page.groups) {
    Node group = Node::map();
    group.set("id", Node::string(g.id));
    group.set("name", text_node(g.name));
    group.set("state", Node::string(to_string(g.state)));
    Node& components = group.set("components", Node::list());
    for (const ComponentView& c : g.components) components.items.push_back(component_node(c));
    groups.items.push_back(std::move(group));
  }
  return codec::print_json(out) + "\n";
}

}  // namespace tocsin::collector::status

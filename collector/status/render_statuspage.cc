#include "collector/status/render_statuspage.h"

#include "collector/status/public_id.h"
#include "collector/status/render_json.h"
#include "common/base/check.h"
#include "common/codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

namespace tocsin::collector::status {

namespace {

using codec::Node;

const char* component_status(PublicState state) {
  switch (state) {
    case PublicState::kOperational:
      return "operational";
    case PublicState::kDegraded:
    case PublicState::kNoData:  // Of a component that was never known.
    case PublicState::kPaused:
      return "degraded_performance";
    case PublicState::kPartialOutage:
      return "partial_outage";
    case PublicState::kMajorOutage:
      return "major_outage";
    case PublicState::kMaintenance:
      return "under_maintenance";
  }
  CHECK(false);
}

bool is_unknown(PublicState state) {
  return state == PublicState::kNoData || state == PublicState::kPaused;
}

/// What was known last stands in for what is not known.
const char* component_status(const ComponentView& c) {
  if (!is_unknown(c.state)) return component_status(c.state);
  switch (c.last_known) {
    case MonitorStatus::kUp:
      return "operational";
    case MonitorStatus::kDown:
      return "major_outage";
    case MonitorStatus::kDegraded:
    case MonitorStatus::kNew:
    case MonitorStatus::kUnknown:
    case MonitorStatus::kMaintenance:
    case MonitorStatus::kPaused:
      return "degraded_performance";
  }
  CHECK(false);
}

const char* impact_word(const Post& post) {
  return post.kind == PostKind::kMaintenance ? "maintenance" : collector::to_string(post.impact);
}

class Family {
 public:
  Family(const PageView& page, const Place& place)
      : page_(page),
        place_(place),
        page_id_(public_id(page.id, "page", "")) {}

  Node page() const {
    Node out = Node::map();
    out.set("id", Node::string(page_id_));
    out.set("name", text_node(page_.title));
    out.set("url", Node::string(place_.url));
    out.set("time_zone", Node::string("Etc/UTC"));
    out.set("updated_at", time_node(page_.changed_at));
    return out;
  }

  Node status() const {
    Node out = Node::map();
    const auto say = [&](const char* indicator, const std::string& description) {
      out.set("indicator", Node::string(indicator));
      out.set("description", text_node(description));
    };
    switch (page_.state) {
      case PublicState::kOperational:
        say("none", "All Systems Operational");
        break;
      case PublicState::kDegraded:
        say("minor", "Minor Service Outage");
        break;
      case PublicState::kPartialOutage:
        say("major", "Partial System Outage");
        break;
      case PublicState::kMajorOutage:
        say("critical", "Major Service Outage");
        break;
      case PublicState::kMaintenance:
        say("maintenance", "Service Under Maintenance");
        break;
      case PublicState::kNoData:
      case PublicState::kPaused:
        say("minor", page_.sentence);
        break;
    }
    if (page_.stale || is_unknown(page_.state)) out.set("x_stale", Node::boolean(true));
    return out;
  }

  /// Each group, then its components.
  Node components() const {
    Node out = Node::list();
    int group_position = 0;
    for (const GroupView& group : page_.groups) {
      ++group_position;
      const bool named = !group.name.empty();
      if (named) out.items.push_back(group_node(group, group_position));
      int position = 0;
      for (const ComponentView& c : group.components) {
        out.items.push_back(component(c, named ? group.id : std::string{}, ++position));
      }
    }
    return out;
  }

  Node posts(bool maintenance, const std::function<bool(const Post&)>& wanted) const {
    Node out = Node::list();
    for (const Post& post : page_.posts) {
      if ((post.kind == PostKind::kMaintenance) == maintenance && wanted(post)) {
        out.items.push_back(post_node(post));
      }
    }
    return out;
  }

 private:
  Node component_base(const std::string& id, const std::string& name, const char* status,
                      WallTime updated, int position) const {
    Node out = Node::map();
    out.set("id", Node::string(id));
    out.set("name", text_node(name));
    out.set("status", Node::string(status));
    out.set("created_at", time_node(page_.created_at));
    out.set("updated_at", time_node(updated));
    out.set("position", Node::integer(position));
    return out;
  }

  Node component(const ComponentView& c, const std::string& group, int position) const {
    Node out = component_base(c.id, c.name, component_status(c), c.since.value_or(page_.created_at),
                              position);
    out.set("description", c.description.empty() ? Node{} : text_node(c.description));
    out.set("showcase", Node::boolean(c.measured));
    out.set("start_date", Node{});
    out.set("group_id", group.empty() ? Node{} : Node::string(group));
    out.set("page_id", Node::string(page_id_));
    out.set("group", Node::boolean(false));
    out.set("only_show_if_degraded", Node::boolean(false));
    if (page_.stale || is_unknown(c.state)) out.set("x_stale", Node::boolean(true));
    return out;
  }

  Node group_node(const GroupView& group, int position) const {
    WallTime updated = page_.created_at;
    const ComponentView* worst = nullptr;
    for (const ComponentView& c : group.components) {
      if (c.since) updated = std::max(updated, *c.since);
      if (c.state == group.state) worst = &c;
    }
    Node out =
        component_base(group.id, group.name,
                       worst == nullptr ? component_status(group.state) : component_status(*worst),
                       updated, position);
    out.set("description", Node{});
    out.set("showcase", Node::boolean(false));
    out.set("start_date", Node{});
    out.set("group_id", Node{});
    out.set("page_id", Node::string(page_id_));
    out.set("group", Node::boolean(true));
    out.set("only_show_if_degraded", Node::boolean(false));
    Node& members = out.set("components", Node::list());
    for (const ComponentView& c : group.components) members.items.push_back(Node::string(c.id));
    if (page_.stale || is_unknown(group.state)) out.set("x_stale", Node::boolean(true));
    return out;
  }

  /// How a component stood while this was the newest update.
  static PublicState state_in(const Post& post, ReportState stage) {
    return is_over(stage) || stage == ReportState::kScheduled ? PublicState::kOperational
                                                              : post.state;
  }

  Node affected(const Post& post, std::size_t index) const {
    if (post.components.empty()) return Node{};
    const PublicState after = state_in(post, post.updates[index].state);
    const PublicState before = index + 1 < post.updates.size()
                                   ? state_in(post, post.updates[index + 1].state)
                                   : PublicState::kOperational;
    Node out = Node::list();
    for (const std::string& key : post.components) {
      const ComponentView* c = page_.find(key);
      if (c == nullptr) continue;
      Node one = Node::map();
      one.set("code", Node::string(c->id));
      one.set("name", text_node(c->name));
      one.set("old_status", Node::string(component_status(before)));
      one.set("new_status", Node::string(component_status(after)));
      out.items.push_back(std::move(one));
    }
    return out;
  }

  Node update_node(const Post& post, std::size_t index) const {
    const PostUpdate& update = post.updates[index];
    // Counted from the oldest, so that a new update changes nobody's id.
    const std::size_t number = post.updates.size() - 1 - index + post.earlier;
    Node out = Node::map();
    out.set("id",
            Node::string(public_id(page_.id, "update", fmt::format("{}/{}", post.id, number))));
    out.set("status", Node::string(collector::to_string(update.state)));
    out.set("body", lines_node(update.lines));
    out.set("incident_id", Node::string(post.id));
    out.set("created_at", time_node(update.at));
    out.set("updated_at", time_node(update.at));
    out.set("display_at", time_node(update.at));
    out.set("affected_components", affected(post, index));
    out.set("deliver_notifications", Node::boolean(false));
    out.set("custom_tweet", Node{});
    out.set("tweet_id", Node{});
    return out;
  }

  Node post_node(const Post& post) const {
    Node out = Node::map();
    out.set("id", Node::string(post.id));
    out.set("name", text_node(post.title));
    out.set("status", Node::string(collector::to_string(post.stage)));
    out.set("created_at", time_node(post.created));
    out.set("updated_at", time_node(post.changed));
    std::optional<WallTime> monitoring;
    for (const PostUpdate& update : post.updates) {
      if (update.state == ReportState::kMonitoring) monitoring = update.at;
    }
    out.set("monitoring_at", time_node(monitoring));
    out.set("resolved_at", time_node(post.ended));
    out.set("impact", Node::string(impact_word(post)));
    out.set("shortlink",
            Node::string(place_.url.empty() ? "" : fmt::format("{}#r-{}", place_.url, post.id)));
    out.set("started_at", time_node(post.began));
    out.set("page_id", Node::string(page_id_));
    Node& updates = out.set("incident_updates", Node::list());
    for (std::size_t i = 0; i < post.updates.size(); ++i) {
      updates.items.push_back(update_node(post, i));
    }
    Node& components = out.set("components", Node::list());
    for (const GroupView& group : page_.groups) {
      int position = 0;
      for (const ComponentView& c : group.components) {
        ++position;
        if (std::find(post.components.begin(), post.components.end(), c.key) ==
            post.components.end()) {
          continue;
        }
        components.items.push_back(
            component(c, group.name.empty() ? std::string{} : group.id, position));
      }
    }
    if (post.kind == PostKind::kMaintenance) {
      out.set("scheduled_for", time_node(post.scheduled_from));
      out.set("scheduled_until", time_node(post.scheduled_to));
    }
    return out;
  }

  const PageView& page_;
  const Place& place_;
  const std::string page_id_;
};

bool is_any(const Post&) { return true; }

bool is_open(const Post& post) { return post.phase != PostPhase::kPast; }

bool is_current(const Post& post) { return post.phase == PostPhase::kCurrent; }

bool is_upcoming(const Post& post) { return post.phase == PostPhase::kUpcoming; }

}  // namespace

std::string render_statuspage(const PageView& page, const Place& place, PageFile file) {
  const Family family(page, place);
  Node out = Node::map();
  out.set("page", family.page());
  switch (file) {
    case PageFile::kSummary:
      out.set("components", family.components());
      out.set("incidents", family.posts(false, is_open));
      out.set("scheduled_maintenances", family.posts(true, is_open));
      out.set("status", family.status());
      break;
    case PageFile::kStatus:
      out.set("status", family.status());
      break;
    case PageFile::kComponents:
      out.set("components", family.components());
      break;
    case PageFile::kIncidents:
      out.set("incidents", family.posts(false, is_any));
      break;
    case PageFile::kUnresolved:
      out.set("incidents", family.posts(false, is_open));
      break;
    case PageFile::kMaintenances:
      out.set("scheduled_maintenances", family.posts(true, is_any));
      break;
    case PageFile::kUpcoming:
      out.set("scheduled_maintenances", family.posts(true, is_upcoming));
      break;
    case PageFile::kActive:
      out.set("scheduled_maintenances", family.posts(true, is_current));
      break;
    case PageFile::kHtml:
    case PageFile::kJson:
    case PageFile::kRss:
    case PageFile::kAtom:
    case PageFile::kBadge:
      CHECK(false);
  }
  return codec::print_json(out) + "\n";
}

}  // namespace tocsin::collector::status

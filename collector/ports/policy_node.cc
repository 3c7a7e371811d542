#include "collector/ports/catalog_fields.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

constexpr std::size_t kStepsMax = 20;

NotifyTarget read_notify(const Node& node, const std::string& path, Errors& errors) {
  NotifyTarget target;
  const std::size_t before = errors.size();
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return target;
  if (reader.has("schedule")) {
    errors.push_back({path, fmt::format("{}schedules are not in this version: expected channel or "
                                        "user",
                                        describe(node.mark))});
    return target;
  }
  reader.text("channel", target.channel);
  reader.text("user", target.user);
  const bool both = !target.channel.empty() && !target.user.empty();
  if (errors.size() == before && (both || !is_key(target.channel + target.user))) {
    reader.error(target.user.empty() ? "channel" : "user",
                 "expected either {channel: KEY} or {user: KEY}");
  }
  reader.finish();
  return target;
}

Node notify_to_node(const NotifyTarget& target) {
  if (!target.user.empty()) return Node::map({{"user", Node::string(target.user)}});
  return Node::map({{"channel", Node::string(target.channel)}});
}

}  // namespace

ServiceSpec read_service(const Node& node, const std::string& path, Errors& errors) {
  ServiceSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.text("policy", out.policy);
  if (!out.policy.empty() && !is_key(out.policy)) {
    reader.error("policy", "expected an escalation policy's key");
  }
  read_title(reader, "description", out.description);
  if (reader.has("urgency") && !read_urgency(reader, out.urgency)) {
    reader.error("urgency", "expected high or low");
  }
  reader.finish();
  return out;
}

PolicySpec read_policy(const Node& node, const std::string& path, Errors& errors) {
  PolicySpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  reader.integer("repeat", 0, 10, out.repeat);
  reader.duration("ack_timeout", out.ack_timeout);
  if (const Node* fallback = reader.child("fallback")) {
    out.fallback = read_notify(*fallback, reader.path_of("fallback"), errors);
  }
  each(reader, "steps", [&](const Node& item, const std::string& step_path) {
    EscalationStep step;
    MapReader step_reader{item, step_path, errors};
    if (item.kind != Node::Kind::kMap) return;
    step_reader.duration("delay", step.delay);
    if (step.delay > std::chrono::hours{24 * 7}) step_reader.error("delay", "expected at most 7d");
    each(step_reader, "notify", [&](const Node& target, const std::string& target_path) {
      step.notify.push_back(read_notify(target, target_path, errors));
    });
    if (step.notify.empty() || step.notify.size() > kStepsMax) {
      step_reader.error("notify", fmt::format("expected 1 to {} targets", kStepsMax));
    }
    step_reader.finish();
    out.steps.push_back(std::move(step));
  });
  const Node* steps = node.find("steps");
  if (steps == nullptr || (steps->kind == Node::Kind::kList &&
                           (steps->items.empty() || steps->items.size() > kStepsMax))) {
    reader.error("steps", fmt::format("expected 1 to {} steps", kStepsMax));
  }
  reader.finish();
  return out;
}

Node to_node(const ServiceSpec& service) {
  Node out = Node::map();
  out.set("key", Node::string(service.key));
  out.set("name", Node::string(service.name));
  if (!service.policy.empty()) out.set("policy", Node::string(service.policy));
  if (!service.description.empty()) out.set("description", Node::string(service.description));
  out.set("urgency", Node::string(to_string(service.urgency)));
  return out;
}

Node to_node(const PolicySpec& policy) {
  Node out = Node::map();
  out.set("key", Node::string(policy.key));
  out.set("repeat", Node::integer(policy.repeat));
  if (policy.ack_timeout != Duration{0}) out.set("ack_timeout", duration_node(policy.ack_timeout));
  if (policy.fallback) out.set("fallback", notify_to_node(*policy.fallback));
  Node& steps = out.set("steps", Node::list());
  for (const EscalationStep& step : policy.steps) {
    Node item = Node::map();
    item.set("delay", duration_node(step.delay));
    Node& notify = item.set("notify", Node::list());
    for (const NotifyTarget& target : step.notify) notify.items.push_back(notify_to_node(target));
    steps.items.push_back(std::move(item));
  }
  return out;
}

}  // namespace tocsin::collector

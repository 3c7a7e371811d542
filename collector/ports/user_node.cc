#include "collector/ports/catalog_fields.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

constexpr Duration kRuleDelayMax = std::chrono::hours{24};

}  // namespace

UserSpec read_user(const Node& node, const std::string& path, Errors& errors) {
  UserSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.text("email", out.email);
  if (!out.email.empty() && !is_mail_address(out.email)) {
    reader.error("email", "expected an e-mail address");
  }
  std::string role = to_string(out.role);
  reader.text("role", role);
  if (const auto known = parse_role(role)) {
    out.role = *known;
  } else {
    reader.error("role", one_of(role, {"viewer", "responder", "editor", "admin"}));
  }
  read_title(reader, "time_zone", out.time_zone);
  if (out.time_zone.empty())
    reader.error("time_zone", "expected an IANA name such as Europe/Berlin");
  reader.boolean("disabled", out.disabled);
  each(reader, "contact_methods", [&](const Node& item, const std::string& item_path) {
    out.contacts.push_back(read_contact(item, item_path, errors));
  });
  if (out.contacts.size() > kUserPartsMax) {
    reader.error("contact_methods", fmt::format("expected at most {}", kUserPartsMax));
  }
  each(reader, "notification_rules", [&](const Node& item, const std::string& item_path) {
    out.rules.push_back(read_rule(item, item_path, errors));
  });
  if (out.rules.size() > kUserPartsMax) {
    reader.error("notification_rules", fmt::format("expected at most {}", kUserPartsMax));
  }
  reader.finish();
  return out;
}

NotificationRule read_rule(const Node& node, const std::string& path, Errors& errors) {
  NotificationRule out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  reader.text("contact", out.contact);
  if (!is_key(out.contact)) reader.error("contact", "expected the key of a contact method");
  reader.duration("delay", out.delay);
  if (out.delay < Duration{0} || out.delay > kRuleDelayMax) {
    reader.error("delay", fmt::format("expected 0s to {}", format_duration(kRuleDelayMax)));
  }
  if (reader.has("urgency")) {
    Urgency urgency = Urgency::kHigh;
    if (read_urgency(reader, urgency)) {
      out.urgency = urgency;
    } else {
      reader.error("urgency", "expected high or low; leave it out for both");
    }
  }
  reader.finish();
  return out;
}

Node to_node(const UserSpec& user) {
  Node out = Node::map();
  out.set("key", Node::string(user.key));
  out.set("name", Node::string(user.name));
  if (!user.email.empty()) out.set("email", Node::string(user.email));
  out.set("role", Node::string(to_string(user.role)));
  out.set("time_zone", Node::string(user.time_zone));
  if (user.disabled) out.set("disabled", Node::boolean(true));
  if (!user.contacts.empty()) {
    Node& list = out.set("contact_methods", Node::list());
    for (const ContactMethod& contact : user.contacts) list.items.push_back(to_node(contact));
  }
  if (!user.rules.empty()) {
    Node& list = out.set("notification_rules", Node::list());
    for (const NotificationRule& rule : user.rules) list.items.push_back(to_node(rule));
  }
  return out;
}

Node to_node(const NotificationRule& rule) {
  Node out = Node::map();
  out.set("contact", Node::string(rule.contact));
  out.set("delay", duration_node(rule.delay));
  if (rule.urgency) out.set("urgency", Node::string(to_string(*rule.urgency)));
  return out;
}

}  // namespace tocsin::collector

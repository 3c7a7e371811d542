#include "collector/ports/catalog_node.h"

#include "collector/ports/catalog_fields.h"
#include "common/base/strings.h"

#include <map>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

void mint_ids(UserSpec& user, const IdSource& new_id) {
  user.id = UserId{new_id()};
  for (ContactMethod& contact : user.contacts) contact.id = ContactMethodId{new_id()};
  for (NotificationRule& rule : user.rules) rule.id = NotificationRuleId{new_id()};
}

/// Reads one top-level list; keys that stand twice are refused here, where both lines are known.
template <class Spec, class Read>
void read_list(MapReader& top, std::string_view field, std::string_view key_field,
               std::string Spec::*key, Read read, std::vector<Spec>& out, Errors& errors) {
  std::map<std::string, codec::Mark> seen;
  each(top, field, [&](const Node& item, std::string path) {
    const Node* key_node = item.find(key_field);
    if (key_node != nullptr && is_key(key_node->text)) {
      path = fmt::format("{}[{}]", field, key_node->text);
    }
    Spec spec = read(item, path, errors);
    if (is_key(spec.*key)) {
      const auto [first, fresh] = seen.try_emplace(spec.*key, item.mark);
      if (!fresh) {
        errors.push_back(
            {path, fmt::format("{}'{}' stands twice{}", describe(item.mark), spec.*key,
                               first->second.line == 0
                                   ? std::string{}
                                   : fmt::format("; first on line {}", first->second.line))});
      }
    }
    out.push_back(std::move(spec));
  });
}

template <class Map, class F>
void set_list(Node& out, const char* field, const Map& objects, F node_of) {
  if (objects.empty()) return;
  Node& list = out.set(field, Node::list());
  for (const auto& [key, object] : objects) list.items.push_back(node_of(object));
}

}  // namespace

RegionSpec read_region(const Node& node, const std::string& path, Errors& errors) {
  RegionSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "key", out.key);
  out.name = out.key;
  read_title(reader, "name", out.name);
  reader.finish();
  return out;
}

tl::expected<CatalogEdit, Errors> read_catalog(const Node& node, const IdSource& new_id) {
  CatalogEdit edit;
  Errors errors;
  // A file with nothing but comments defines nothing.
  if (node.kind == Node::Kind::kNull) return edit;
  MapReader top{node, "", errors};
  if (node.kind == Node::Kind::kMap) {
    read_list(top, "regions", "key", &RegionSpec::key, read_region, edit.regions, errors);
    read_list(top, "monitors", "key", &MonitorSpec::key, read_monitor, edit.monitors, errors);
    read_list(top, "services", "key", &ServiceSpec::key, read_service, edit.services, errors);
    read_list(top, "escalation-policies", "key", &PolicySpec::key, read_policy, edit.policies,
              errors);
    read_list(top, "channels", "key", &ChannelSpec::key, read_channel, edit.channels, errors);
    read_list(top, "users", "key", &UserSpec::key, read_user, edit.users, errors);
    read_list(top, "status-pages", "slug", &StatusPageSpec::slug, read_page, edit.pages, errors);
    top.finish();
  }
  if (!errors.empty()) return tl::unexpected<Errors>{std::move(errors)};
  for (MonitorSpec& o : edit.monitors) o.id = MonitorId{new_id()};
  for (ServiceSpec& o : edit.services) o.id = ServiceId{new_id()};
  for (PolicySpec& o : edit.policies) o.id = PolicyId{new_id()};
  for (ChannelSpec& o : edit.channels) o.id = ChannelId{new_id()};
  for (StatusPageSpec& o : edit.pages) o.id = StatusPageId{new_id()};
  for (UserSpec& o : edit.users) mint_ids(o, new_id);
  return edit;
}

Node to_node(const RegionSpec& region) {
  return Node::map({{"key", Node::string(region.key)}, {"name", Node::string(region.name)}});
}

Node to_node(const Catalog& catalog) {
  Node out = Node::map();
  const auto plain = [](const auto& object) { return to_node(object); };
  set_list(out, "regions", catalog.regions, plain);
  set_list(out, "users", catalog.users, plain);
  set_list(out, "channels", catalog.channels, plain);
  set_list(out, "escalation-policies", catalog.policies, plain);
  set_list(out, "services", catalog.services, plain);
  set_list(out, "monitors", catalog.monitors,
           [](const MonitorEntry& entry) { return to_node(entry.spec); });
  set_list(out, "status-pages", catalog.pages, plain);
  return out;
}

}  // namespace tocsin::collector

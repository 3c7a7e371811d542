#include "collector/ports/catalog_fields.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

#include <map>

namespace tocsin::collector {

using codec::MapReader;
using codec::Node;
using Errors = std::vector<FieldError>;

namespace {

/// An http(s) URL for readers, or an address where that is allowed.
void read_link(MapReader& reader, std::string_view field, bool or_address, std::string& out) {
  reader.text(field, out);
  if (out.empty()) return;
  const bool web = (out.starts_with("http://") || out.starts_with("https://")) &&
                   out.size() <= kUrlMax && out.find_first_of(" \"'<>\t\r\n") == std::string::npos;
  if (web || (or_address && is_mail_address(out))) return;
  reader.error(field, or_address ? "expected an http(s) URL or an e-mail address"
                                 : "expected an http:// or https:// URL");
}

}  // namespace

StatusPageSpec read_page(const Node& node, const std::string& path, Errors& errors) {
  StatusPageSpec out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  read_key(reader, "slug", out.slug);
  out.title = out.slug;
  read_title(reader, "title", out.title);
  read_title(reader, "description", out.description);
  read_link(reader, "homepage", false, out.homepage);
  read_link(reader, "contact", true, out.contact);
  reader.boolean("noindex", out.noindex);
  std::map<std::string, std::string> seen;  // Component key to the path of the first one.
  each(reader, "groups", [&](const Node& item, const std::string& group_path) {
    PageGroup group;
    MapReader group_reader{item, group_path, errors};
    if (item.kind != Node::Kind::kMap) return;
    read_title(group_reader, "name", group.name);
    each(group_reader, "components", [&](const Node& part, const std::string& part_path) {
      PageComponent component = read_component(part, part_path, errors);
      if (part.kind != Node::Kind::kMap) return;
      const auto [first, fresh] = seen.try_emplace(component.key(), part_path);
      if (!fresh) {
        errors.push_back(
            {part_path, fmt::format("{}'{}' is a component already: {}", describe(part.mark),
                                    component.key(), first->second)});
      }
      group.components.push_back(std::move(component));
    });
    group_reader.finish();
    out.groups.push_back(std::move(group));
  });
  reader.finish();
  return out;
}

PageComponent read_component(const Node& node, const std::string& path, Errors& errors) {
  PageComponent out;
  MapReader reader{node, path, errors};
  if (node.kind != Node::Kind::kMap) return out;
  reader.text("monitor", out.monitor);
  read_title(reader, "name", out.name);
  read_title(reader, "description", out.description);
  if (out.monitor.empty() ? out.name.empty() : !is_key(out.monitor)) {
    reader.error("monitor",
                 "expected a monitor's key, or a name for a component that follows no monitor");
  }
  reader.finish();
  return out;
}

Node to_node(const StatusPageSpec& page) {
  Node out = Node::map();
  out.set("slug", Node::string(page.slug));
  out.set("title", Node::string(page.title));
  if (!page.description.empty()) out.set("description", Node::string(page.description));
  if (!page.homepage.empty()) out.set("homepage", Node::string(page.homepage));
  if (!page.contact.empty()) out.set("contact", Node::string(page.contact));
  if (page.noindex) out.set("noindex", Node::boolean(true));
  Node& groups = out.set("groups", Node::list());
  for (const PageGroup& group : page.groups) {
    Node item = Node::map();
    if (!group.name.empty()) item.set("name", Node::string(group.name));
    Node& components = item.set("components", Node::list());
    for (const PageComponent& component : group.components) {
      components.items.push_back(to_node(component));
    }
    groups.items.push_back(std::move(item));
  }
  return out;
}

Node to_node(const PageComponent& component) {
  Node out = Node::map();
  if (!component.monitor.empty()) out.set("monitor", Node::string(component.monitor));
  if (!component.name.empty()) out.set("name", Node::string(component.name));
  if (!component.description.empty()) {
    out.set("description", Node::string(component.description));
  }
  return out;
}

}  // namespace tocsin::collector

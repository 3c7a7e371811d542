#include "agent/compat/yaml_text.h"

#include "common/codec/json.h"

namespace tocsin::agent {

namespace {

using codec::Node;

bool is_block(const Node& node) {
  return (node.kind == Node::Kind::kMap && !node.entries.empty()) ||
         (node.kind == Node::Kind::kList && !node.items.empty());
}

void put(std::string& out, const Node& node, std::size_t depth);

/// Behind a key or a dash; `depth` is that of what stands below it.
void put_value(std::string& out, const Node& value, std::size_t depth) {
  if (is_block(value)) {
    out += '\n';
    return put(out, value, depth);
  }
  // JSON's scalars and empty collections are YAML's.
  out.append(" ").append(codec::print_json(value)).append("\n");
}

void put(std::string& out, const Node& node, std::size_t depth) {
  const std::string indent(2 * depth, ' ');
  for (const Node& item : node.items) put_value(out.append(indent).append("-"), item, depth + 1);
  for (const auto& [key, value] : node.entries) {
    out.append(indent).append(codec::print_json(Node::string(key))).append(":");
    put_value(out, value, depth + 1);
  }
}

}  // namespace

std::string yaml_text(const Node& node) {
  std::string out;
  if (is_block(node)) {
    put(out, node, 0);
  } else {
    out = codec::print_json(node) + "\n";
  }
  return out;
}

}  // namespace tocsin::agent

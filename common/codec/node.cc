#include "common/codec/node.h"

#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace tocsin::codec {

Node Node::boolean(bool v) {
  Node n;
  n.kind = Kind::kBool;
  n.bool_value = v;
  return n;
}

Node Node::number(double v) {
  Node n;
  n.kind = Kind::kNumber;
  n.number_value = v;
  n.text = fmt::format("{}", v);
  return n;
}

Node Node::integer(std::int64_t v) {
  Node n;
  n.kind = Kind::kNumber;
  n.number_value = static_cast<double>(v);
  n.text = std::to_string(v);
  return n;
}

Node Node::string(std::string v) {
  Node n;
  n.kind = Kind::kString;
  n.text = std::move(v);
  return n;
}

Node Node::list(std::vector<Node> items) {
  Node n;
  n.kind = Kind::kList;
  n.items = std::move(items);
  return n;
}

Node Node::map(std::vector<Entry> entries) {
  Node n;
  n.kind = Kind::kMap;
  n.entries = std::move(entries);
  return n;
}

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.first == key) return &entry.second;
  }
  return nullptr;
}

Node& Node::set(std::string key, Node value) {
  entries.emplace_back(std::move(key), std::move(value));
  return entries.back().second;
}

bool operator==(const Node& a, const Node& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Node::Kind::kNull:
      return true;
    case Node::Kind::kBool:
      return a.bool_value == b.bool_value;
    case Node::Kind::kNumber:
      return a.number_value == b.number_value;
    case Node::Kind::kString:
      return a.text == b.text;
    case Node::Kind::kList:
      return a.items == b.items;
    case Node::Kind::kMap:
      return a.entries == b.entries;
  }
  return false;
}

const char* to_string(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull:
      return "nothing";
    case Node::Kind::kBool:
      return "true or false";
    case Node::Kind::kNumber:
      return "a number";
    case Node::Kind::kString:
      return "text";
    case Node::Kind::kList:
      return "a list";
    case Node::Kind::kMap:
      return "a map";
  }
  return "?";
}

std::string describe(const Node& text, std::size_t column) {
  if (column == 0) return describe(text.mark);
  if (text.text_offset < 0 || text.mark.line == 0) {
    return fmt::format("{}column {} of the text: ", describe(text.mark), column);
  }
  return describe(
      Mark{text.mark.line, text.mark.column + text.text_offset + static_cast<int>(column) - 1});
}

std::string describe(const Mark& mark) {
  return mark.line == 0 ? std::string{}
                        : fmt::format("line {}, column {}: ", mark.line, mark.column);
}

MapReader::MapReader(const Node& node, std::string path, std::vector<FieldError>& errors)
    : node_(node),
      path_(std::move(path)),
      errors_(errors) {
  if (node_.kind != Node::Kind::kMap) {
    errors_.push_back({path_, fmt::format("{}expected a map, not {}", describe(node_.mark),
                                          to_string(node_.kind))});
  }
}

bool MapReader::has(std::string_view key) { return child(key) != nullptr; }

const Node* MapReader::child(std::string_view key) {
  asked_.emplace_back(key);
  const Node* node = node_.find(key);
  return node == nullptr || node->kind == Node::Kind::kNull ? nullptr : node;
}

void MapReader::text(std::string_view key, std::string& out) {
  const Node* node = child(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kString && node->kind != Node::Kind::kNumber) {
    return error(key, fmt::format("expected text, not {}", to_string(node->kind)));
  }
  out = node->text;
}

void MapReader::boolean(std::string_view key, bool& out) {
  const Node* node = child(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kBool) {
    return error(key, fmt::format("expected true or false, not {}", to_string(node->kind)));
  }
  out = node->bool_value;
}

void MapReader::integer(std::string_view key, std::int64_t low, std::int64_t high, int& out) {
  std::int64_t wide = out;
  integer64(key, low, high, wide);
  out = static_cast<int>(wide);
}

void MapReader::integer64(std::string_view key, std::int64_t low, std::int64_t high,
                          std::int64_t& out) {
  const Node* node = child(key);
  if (node == nullptr) return;
  const double v = node->number_value;
  if (node->kind != Node::Kind::kNumber || v != std::floor(v) || v < static_cast<double>(low) ||
      v > static_cast<double>(high)) {
    return error(key, fmt::format("expected a whole number from {} to {}", low, high));
  }
  out = static_cast<std::int64_t>(v);
}

void MapReader::duration(std::string_view key, Duration& out) {
  const Node* node = child(key);
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kString) {
    return error(key, "expected a duration such as 30s, 5m or 1h30m");
  }
  const auto value = parse_duration(node->text);
  if (!value) return error(key, value.error().text);
  out = *value;
}

void MapReader::texts(std::string_view key, std::vector<std::string>& out) {
  const Node* node = child(key);
  if (node == nullptr) return;
  if (node->kind == Node::Kind::kString) {
    out = {node->text};
    return;
  }
  if (node->kind != Node::Kind::kList) return error(key, "expected a list of texts");
  out.clear();
  for (const Node& item : node->items) {
    if (item.kind != Node::Kind::kString && item.kind != Node::Kind::kNumber) {
      return error(key, "expected a list of texts");
    }
    out.push_back(item.text);
  }
}

std::string MapReader::path_of(std::string_view key) const {
  return path_.empty() ? std::string{key} : fmt::format("{}.{}", path_, key);
}

void MapReader::error(std::string_view key, std::string text) {
  const Node* node = node_.find(key);
  const Mark mark = node == nullptr ? node_.mark : node->mark;
  errors_.push_back({path_of(key), describe(mark) + std::move(text)});
}

void MapReader::finish() {
  for (const Node::Entry& entry : node_.entries) {
    if (std::find(asked_.begin(), asked_.end(), entry.first) != asked_.end()) continue;
    std::vector<std::string_view> known(asked_.begin(), asked_.end());
    const std::string_view near = did_you_mean(entry.first, known);
    errors_.push_back(
        {path_of(printable(entry.first, 64)),
         fmt::format("{}unknown key{}", describe(entry.second.mark),
                     near.empty() ? std::string{} : fmt::format("; did you mean '{}'?", near))});
  }
}

namespace {

/// The item of a list by index, or by its key or slug.
const Node* find_item(const Node& list, std::string_view name) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (error == std::errc{} && end == name.data() + name.size() && index < list.items.size()) {
    return &list.items[index];
  }
  for (const Node& item : list.items) {
    for (const char* key : {"key", "slug"}) {
      const Node* value = item.find(key);
      if (value != nullptr && value->text == name) return &item;
    }
  }
  return nullptr;
}

}  // namespace

Mark find_mark(const Node& tree, std::string_view path) {
  const Node* at = &tree;
  Mark mark = tree.mark;
  while (!path.empty()) {
    const Node* next = nullptr;
    if (path.front() == '[') {
      const auto close = path.find(']');
      if (close == std::string_view::npos) break;
      next = find_item(*at, path.substr(1, close - 1));
      path.remove_prefix(close + 1);
    } else {
      if (path.front() == '.') path.remove_prefix(1);
      const auto end = std::min(path.find_first_of(".["), path.size());
      next = at->find(path.substr(0, end));
      path.remove_prefix(end);
    }
    if (next == nullptr) break;
    at = next;
    if (at->mark.line > 0) mark = at->mark;
  }
  return mark;
}

}  // namespace tocsin::codec

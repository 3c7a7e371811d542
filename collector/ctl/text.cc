#include "collector/ctl/text.h"

#include "common/base/strings.h"
#include "common/codec/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>

namespace tocsin::ctl {

namespace {

using codec::Node;

/// Plain where YAML reads it as the same text; else as JSON, which YAML contains.
std::string scalar(const Node& node) {
  if (node.kind != Node::Kind::kString) return codec::print_json(node);
  const std::string& s = node.text;
  const bool plain = !s.empty() && std::isalpha(static_cast<unsigned char>(s.front())) != 0 &&
                     std::all_of(s.begin(), s.end(),
                                 [](char c) {
                                   return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                                          c == '-' || c == '_' || c == '.' || c == '/';
                                 }) &&
                     s != "true" && s != "false" && s != "null" && s != "yes" && s != "no" &&
                     s != "on" && s != "off" && s != "y" && s != "n";
  return plain ? s : codec::print_json(node);
}

bool is_block(const Node& node) {
  return (node.kind == Node::Kind::kMap && !node.entries.empty()) ||
         (node.kind == Node::Kind::kList && !node.items.empty());
}

std::string flat(const Node& node) {
  if (node.kind == Node::Kind::kMap) return "{}";
  if (node.kind == Node::Kind::kList) return "[]";
  return scalar(node);
}

void put(std::string& out, const Node& node, int depth, bool first_inline) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  bool first = first_inline;
  if (node.kind == Node::Kind::kMap) {
    for (const auto& [key, value] : node.entries) {
      out += first ? "" : indent;
      first = false;
      out += scalar(Node::string(key)) + ":";
      if (is_block(value)) {
        out += "\n";
        put(out, value, depth + 1, false);
      } else {
        out += " " + flat(value) + "\n";
      }
    }
    return;
  }
  for (const Node& item : node.items) {
    out += first ? "" : indent;
    first = false;
    out += "- ";
    if (is_block(item)) {
      put(out, item, depth + 1, true);
    } else {
      out += flat(item) + "\n";
    }
  }
}

/// Title and member of each column; what is not listed is shown by key and name.
const std::map<std::string_view, std::vector<std::pair<const char*, const char*>>> kColumns = {
    {"monitors",
     {{"KEY", "key"}, {"STATUS", "status"}, {"SINCE", "since"}, {"BECAUSE", "because"}}},
    {"regions", {{"KEY", "key"}, {"NAME", "name"}, {"AGENTS", "live_agents"}, {"BLIND", "blind"}}},
    {"services", {{"KEY", "key"}, {"POLICY", "policy"}, {"URGENCY", "urgency"}, {"NAME", "name"}}},
    {"escalation-policies", {{"KEY", "key"}, {"REPEAT", "repeat"}, {"FROM", "origin"}}},
    {"channels", {{"KEY", "key"}, {"TYPE", "type"}, {"URL", "url"}, {"TO", "to"}}},
    {"status-pages", {{"SLUG", "slug"}, {"TITLE", "title"}}},
    {"users", {{"KEY", "key"}, {"ROLE", "role"}, {"NAME", "name"}}},
    {"incidents",
     {{"INCIDENT", "name"}, {"STATE", "state"}, {"OPENED", "opened_at"}, {"TITLE", "title"}}},
    {"agents",
     {{"ID", "id"},
      {"REGION", "region"},
      {"STATE", "state"},
      {"SERIES", "series"},
      {"HOST", "host"}}},
    {"enrolments",
     {{"ID", "id"}, {"REGION", "region"}, {"NAME", "name"}, {"EXPIRES", "expires_at"}}},
    {"contact-methods", {{"ID", "id"}, {"USER", "user"}, {"KEY", "key"}, {"TYPE", "type"}}},
    {"notification-rules",
     {{"ID", "id"}, {"USER", "user"}, {"CONTACT", "contact"}, {"DELAY", "delay"}}},
    {"deliveries",
     {{"CREATED", "created_at"}, {"KIND", "kind"}, {"CHANNEL", "channel"}, {"STATE", "state"}}},
    {"tokens", {{"ID", "id"}, {"ROLE", "role"}, {"PREFIX", "prefix"}, {"NAME", "name"}}},
    {"secrets",
     {{"KEY", "key"}, {"STATE", "state"}, {"CHANGED", "changed_at"}, {"BY", "changed_by"}}},
    {"audit",
     {{"AT", "at"}, {"ACTOR", "actor"}, {"ACTION", "action"}, {"KIND", "kind"}, {"KEY", "key"}}},
};

}  // namespace

std::string print_yaml(const Node& node) {
  std::string out;
  if (is_block(node)) {
    put(out, node, 0, false);
  } else {
    out = flat(node) + "\n";
  }
  return out;
}

std::string text_of(const Node& node, std::string_view key) {
  const Node* value = node.find(key);
  if (value == nullptr || value->kind == Node::Kind::kNull) return {};
  if (value->kind == Node::Kind::kBool) return value->bool_value ? "yes" : "no";
  return printable(value->text, 256);
}

std::string print_table(std::string_view collection, const std::vector<Node>& items) {
  const auto found = kColumns.find(collection);
  if (found == kColumns.end() || items.empty()) return items.empty() ? "none\n" : "";
  const auto& columns = found->second;
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [title, key] : columns) rows[0].emplace_back(title);
  for (const Node& item : items) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const auto& [title, key] : columns) {
      std::string cell = text_of(item, key);
      // Times to the second: what is finer is in --json.
      if (cell.size() == 24 && cell[10] == 'T' && cell.back() == 'Z') {
        cell = cell.substr(0, 10) + " " + cell.substr(11, 8);
      }
      row.push_back(cell.empty() ? "-" : cell);
    }
  }
  return align_columns(rows);
}

std::string print_phases(const std::vector<Node>& items) {
  if (items.empty()) return "no check in that time\n";
  const auto row = [](std::string_view name, const Node& percentiles) {
    std::string out = fmt::format("  {:<8}", name);
    for (const char* key : {"p50_us", "p95_us", "p99_us"}) {
      const double us = std::atof(text_of(percentiles, key).c_str());
      out += fmt::format("{:>12}", fmt::format("{:.2f} ms", us / 1000));
    }
    return out + "\n";
  };
  std::string out;
  for (const Node& item : items) {
    if (!out.empty()) out += "\n";
    out += fmt::format("{}: {} of {} checks passed\n", printable(text_of(item, "region"), 64),
                       text_of(item, "passed"), text_of(item, "checks"));
    const Node* phases = item.find("phases");
    if (phases == nullptr || phases->kind != Node::Kind::kMap) continue;
    out += fmt::format("  {:<8}{:>12}{:>12}{:>12}\n", "", "p50", "p95", "p99");
    for (const auto& [name, percentiles] : phases->entries) {
      out += row(printable(name, 8), percentiles);
    }
    const Node* hops = item.find("hops");
    for (std::size_t i = 0; hops != nullptr && i < hops->items.size(); ++i) {
      const Node* of_hop = hops->items[i].find("phases");
      const Node* total = of_hop == nullptr ? nullptr : of_hop->find("total");
      if (total != nullptr) out += row(fmt::format("hop {}", i + 1), *total);
    }
  }
  return out;
}

std::string print_changes(const Node& changes) {
  std::string out;
  std::size_t created = 0;
  std::size_t updated = 0;
  std::size_t deleted = 0;
  for (const Node& change : changes.items) {
    const std::string what = text_of(change, "change");
    created += what == "create" ? 1U : 0U;
    updated += what == "update" ? 1U : 0U;
    deleted += what == "delete" ? 1U : 0U;
    out += fmt::format("  {} {} {}",
                       what == "create"   ? '+'
                       : what == "update" ? '~'
                                          : '-',
                       text_of(change, "kind"), text_of(change, "key"));
    std::string fields;
    if (const Node* list = change.find("fields")) {
      for (const Node& field : list->items) {
        fields += (fields.empty() ? ": " : ", ") + printable(field.text, 64);
      }
    }
    out += fields + "\n";
  }
  return out + fmt::format("{} to create, {} to update, {} to delete\n", created, updated, deleted);
}

}  // namespace tocsin::ctl

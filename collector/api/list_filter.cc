#include "collector/api/list_filter.h"

#include "collector/api/json_views.h"
#include "collector/ports/catalog_node.h"
#include "common/base/strings.h"

#include <fmt/format.h>

#include <algorithm>

namespace tocsin::collector {

namespace {

/// A field and the words it may have; none: any.
struct WordField {
  std::string_view name;
  std::vector<std::string_view> words;
};

std::vector<WordField> word_fields(ObjectKind kind) {
  switch (kind) {
    case ObjectKind::kMonitor:
      return {{"status", {"new", "up", "degraded", "down", "unknown", "maintenance", "paused"}},
              {"service", {}},
              {"region", {}},
              {"type", {"http", "tcp", "dns", "tls"}}};
    case ObjectKind::kService:
      return {{"policy", {}}};
    case ObjectKind::kChannel:
      return {{"type", {"webhook", "email"}}};
    case ObjectKind::kUser:
      return {{"role", {"viewer", "responder", "editor", "admin"}}};
    case ObjectKind::kRegion:
    case ObjectKind::kPolicy:
    case ObjectKind::kPage:
      return {};
  }
  return {};
}

bool has_tag(const MonitorSpec& spec, const std::string& wanted) {
  if (spec.tags.contains(wanted)) return true;
  // NAME:VALUE, and a name may hold colons itself.
  return std::any_of(spec.tags.begin(), spec.tags.end(), [&](const auto& tag) {
    return wanted.size() == tag.first.size() + 1 + tag.second.size() &&
           wanted.starts_with(tag.first) && wanted[tag.first.size()] == ':' &&
           wanted.ends_with(tag.second);
  });
}

template <class Map>
const typename Map::mapped_type& at(const Map& map, const std::string& key) {
  return map.find(key)->second;
}

/// What people call it.
std::string name_of(const Catalog& c, ObjectKind kind, const std::string& key) {
  switch (kind) {
    case ObjectKind::kRegion:
      return at(c.regions, key).name;
    case ObjectKind::kMonitor:
      return at(c.monitors, key).spec.name;
    case ObjectKind::kService:
      return at(c.services, key).name;
    case ObjectKind::kUser:
      return at(c.users, key).name;
    case ObjectKind::kPage:
      return at(c.pages, key).title;
    case ObjectKind::kPolicy:
    case ObjectKind::kChannel:
      return {};
  }
  return {};
}

}  // namespace

std::vector<std::string_view> ListFilter::names(ObjectKind kind) {
  std::vector<std::string_view> out = {"q"};
  for (const WordField& field : word_fields(kind)) out.push_back(field.name);
  if (kind == ObjectKind::kMonitor) out.emplace_back("tag");
  return out;
}

Expected<ListFilter> ListFilter::read(const codec::Fields& query, ObjectKind kind) {
  ListFilter out;
  TRY_ASSIGN(const auto text, query.one("q"));
  if (text) {
    if (text->empty() || text->size() > kValueMax) {
      return fail(Errc::kInvalid, "q: expected 1 to {} bytes", kValueMax);
    }
    out.text_ = to_lower(*text);
  }
  for (const WordField& field : word_fields(kind)) {
    TRY_ASSIGN(const auto word, query.one(field.name));
    if (!word) continue;
    const auto& words = field.words;
    if (!words.empty() && std::find(words.begin(), words.end(), *word) == words.end()) {
      return fail(Errc::kInvalid, "{}: expected one of {}, not '{}'", field.name,
                  join({words.begin(), words.end()}, ", "), printable(*word, 40));
    }
    if (words.empty() && !is_key(*word)) {
      return fail(Errc::kInvalid, "{}: expected a key: [a-z0-9-], 1 to 63 characters", field.name);
    }
    out.words_.emplace(field.name, *word);
  }
  if (kind != ObjectKind::kMonitor) return out;
  for (const std::string_view tag : query.each("tag")) {
    if (tag.empty() || tag.size() > 2 * kValueMax || out.tags_.size() == kTagsMax) {
      return fail(Errc::kInvalid, "tag: expected at most {} of NAME or NAME:VALUE", kTagsMax);
    }
    out.tags_.emplace_back(tag);
  }
  return out;
}

bool ListFilter::matches(const EngineView& view, ObjectKind kind, const std::string& key) const {
  const Catalog& c = *view.catalog;
  if (!text_.empty() && key.find(text_) == std::string::npos &&
      to_lower(name_of(c, kind, key)).find(text_) == std::string::npos) {
    return false;
  }
  if (words_.empty() && tags_.empty()) return true;
  if (kind == ObjectKind::kMonitor) return matches_monitor(view, at(c.monitors, key).spec);
  // The others have one field each.
  const std::string& wanted = words_.begin()->second;
  if (kind == ObjectKind::kService) return at(c.services, key).policy == wanted;
  if (kind == ObjectKind::kChannel) return to_string(at(c.channels, key).type) == wanted;
  return kind == ObjectKind::kUser && to_string(at(c.users, key).role) == wanted;
}

bool ListFilter::matches_monitor(const EngineView& view, const MonitorSpec& spec) const {
  for (const std::string& tag : tags_) {
    if (!has_tag(spec, tag)) return false;
  }
  for (const auto& [field, wanted] : words_) {
    if (field == "service" && spec.service != wanted) return false;
    if (field == "type" && type_name(spec.probe.target) != wanted) return false;
    if (field == "region") {
      const auto regions = view.catalog->electorate(spec);
      if (std::find(regions.begin(), regions.end(), wanted) == regions.end()) return false;
    }
    if (field == "status") {
      const MonitorView* monitor = find_monitor(view, spec.key);
      if (monitor == nullptr || to_string(monitor->state.status) != wanted) return false;
    }
  }
  return true;
}

}  // namespace tocsin::collector

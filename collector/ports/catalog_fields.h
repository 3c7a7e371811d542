#pragma once
// Question answered here: how is a field read that several kinds of objects have?
//
// For the sources of catalog_node.h alone: catalog_node.cc (the whole form), monitor_node.cc,
// stream_node.cc (tcp and tls), policy_node.cc (services too), channel_node.cc (contact methods
// too), page_node.cc, user_node.cc.

#include "collector/core/catalog.h"
#include "common/codec/node.h"

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tocsin::collector {

/// Bytes of a text for people.
inline constexpr std::size_t kTextMax = 200;
inline constexpr std::size_t kUrlMax = 2048;

/// "expected one of a, b, not 'c'; did you mean 'b'?"
std::string one_of(std::string_view word, const std::vector<std::string_view>& known);

/// A required key of an object.
void read_key(codec::MapReader& reader, std::string_view field, std::string& out);

/// Text for people: bounded, UTF-8.
void read_title(codec::MapReader& reader, std::string_view field, std::string& out);

/// False, and `out` as it was, when the field is neither high nor low.
bool read_urgency(codec::MapReader& reader, Urgency& out);

/// The field `ocsp`.
void read_ocsp(codec::MapReader& reader, OcspMode& out);
void set_ocsp(codec::Node& out, OcspMode mode);

codec::Node texts(const std::vector<std::string>& words);
codec::Node duration_node(Duration d);

/// The items of a list field, each with its path; nothing when absent.
template <class F>
void each(codec::MapReader& reader, std::string_view field, F f) {
  const codec::Node* list = reader.child(field);
  if (list == nullptr) return;
  if (list->kind != codec::Node::Kind::kList) {
    return reader.error(field, fmt::format("expected a list, not {}", to_string(list->kind)));
  }
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    f(list->items[i], fmt::format("{}[{}]", reader.path_of(field), i));
  }
}

}  // namespace tocsin::collector

#pragma once
// Question answered here: how does a program read a status page? The shape is
// docs/status-page.md's.

#include "collector/status/page.h"
#include "common/codec/node.h"

#include <optional>
#include <string>
#include <string_view>

namespace tocsin::collector::status {

std::string render_json(const PageView& page);

/// JSON escapes what JSON must; what would fool a terminal or a page later is made visible here.
codec::Node text_node(std::string_view raw);
codec::Node time_node(WallTime t);
codec::Node time_node(const std::optional<WallTime>& t);  ///< Null when there is none.
/// The lines of an update as one text.
codec::Node lines_node(const std::vector<std::string>& lines);

}  // namespace tocsin::collector::status

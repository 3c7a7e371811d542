#pragma once
// Question answered here: how does a status page look in a browser?
//
// One self-contained document: no script, no request for anything else, readable without colour,
// light or dark as the reader's system is. Names come from people and are escaped here.

#include "collector/status/page.h"

#include <string>
#include <string_view>

namespace tocsin::collector::status {

std::string render_html(const PageView& page);

/// The Content-Security-Policy of these documents: nothing but the one style sheet, by its digest.
const std::string& html_policy();

/// For text and for quoted attribute values. Invalid UTF-8, control characters and bidirectional
/// overrides are made visible (see printable) and the text is cut at `max_bytes`.
std::string html_text(std::string_view raw, std::size_t max_bytes = 512);

}  // namespace tocsin::collector::status
